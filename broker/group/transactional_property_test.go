package group

import (
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// pendingModel says what OffsetFetch must show, in the words of Kafka's rule:
// the commit that is last in the log counts, of those that are valid.
type pendingModel struct {
	order     int
	committed map[int32]modelCommit
	pending   map[int64]map[int32]modelCommit
}

type modelCommit struct {
	offset int64
	order  int
}

// TestRandomTransactionalOffsets commits in and out of transactions, ends
// them, deletes offsets and restarts, and compares with the model.
func TestRandomTransactionalOffsets(t *testing.T) {
	settled, restarted, unstable := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		l := &memoryLog{}
		config := &settings{
			now: fixedClock(1000), metadataMax: 100, logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
			topics: func() Topics { return noTopics{} }, settingsOf: func(string) groupSettings { return groupSettings{} },
		}
		s := newShard(0, config, l)
		m := pendingModel{committed: map[int32]modelCommit{}, pending: map[int64]map[int32]modelCommit{}}
		epochs := map[int64]int16{}
		next := int64(0)
		partition := func() int32 { return rapid.Int32Range(0, 2).Draw(t, "partition") }
		producer := func() int64 { return rapid.Int64Range(1, 3).Draw(t, "producer") }
		flush := func() {
			if rapid.Bool().Draw(t, "flush") {
				s.Flush()
			}
		}
		commitOf := func(p int32) Commit {
			next++
			return Commit{Group: "g", Generation: -1, RetentionMs: -1, Offsets: []CommitOffset{{Topic: "t", Partition: p, Offset: next, LeaderEpoch: -1}}}
		}
		t.Repeat(map[string]func(*rapid.T){
			"commit": func(*rapid.T) {
				p := partition()
				in := commitOf(p)
				s.do(s.groupOf("g"), func(st *step) { s.groups["g"].commit(st, in, 100) })
				m.order++
				m.committed[p] = modelCommit{next, m.order}
				flush()
			},
			"commit in a transaction": func(*rapid.T) {
				p, id := partition(), producer()
				in := TransactionalCommit{Commit: commitOf(p), ProducerID: id, ProducerEpoch: epochs[id]}
				codes, err := s.commitTransactional(in, s.arrive(id))
				if err != nil || codes[0] != 0 {
					t.Fatalf("commit: %v, %v", codes, err)
				}
				m.order++
				if m.pending[id] == nil {
					m.pending[id] = map[int32]modelCommit{}
				}
				m.pending[id][p] = modelCommit{next, m.order}
			},
			"end": func(*rapid.T) {
				id, commit := producer(), rapid.Bool().Draw(t, "commit")
				epochs[id]++
				if err := s.endTransaction(TransactionEnd{ProducerID: id, ProducerEpoch: epochs[id], Version: 2, Commit: commit}); err != nil {
					t.Fatal(err)
				}
				for p, c := range m.pending[id] {
					if settled++; commit && m.committed[p].order < c.order {
						m.committed[p] = c
					}
				}
				delete(m.pending, id)
			},
			"delete": func(*rapid.T) {
				p := partition()
				g := s.groups["g"]
				if g == nil {
					return
				}
				in := []kmsg.OffsetDeleteRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: p}}}}
				s.do(g, func(st *step) { g.deleteOffsets(st, in) })
				delete(m.committed, p)
				for _, pending := range m.pending {
					delete(pending, p)
				}
				flush()
			},
			"restart": func(*rapid.T) {
				s.Flush()
				s = newShard(0, config, l)
				s.load()
				if s.Failure() != nil {
					t.Fatal(s.Failure())
				}
				restarted++
			},
			"": func(*rapid.T) {
				for p := range int32(3) {
					want, code := int64(-1), ""
					if c, known := m.committed[p]; known {
						want = c.offset
					}
					for _, pending := range m.pending {
						if _, open := pending[p]; open {
							code = "unstable"
						}
					}
					offsets := s.groups["g"].fetch([]FetchTopic{{"t", []int32{p}}})
					if offsets[0].Offset != want {
						t.Fatalf("t-%d: offset %d, want %d", p, offsets[0].Offset, want)
					}
					if g := s.groups["g"]; g != nil {
						g.hideUnstable(offsets)
					}
					if got := fmt.Sprint(offsets[0].ErrorCode != 0); got != fmt.Sprint(code != "") {
						t.Fatalf("t-%d: unstable %s, want %q", p, got, code)
					}
					if code != "" {
						unstable++
					}
				}
			},
		})
	})
	t.Logf("%d settled, %d restarts, %d unstable", settled, restarted, unstable)
	if settled == 0 || restarted == 0 || unstable == 0 {
		t.Errorf("nothing was tried: %d settled, %d restarts, %d unstable", settled, restarted, unstable)
	}
}
