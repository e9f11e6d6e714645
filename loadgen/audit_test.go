package loadgen

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"fluxmq/reports"
)

const (
	testTag        = 77
	testValueBytes = 64
)

// story is a run written down record by record: what was sent, and the logs that are read back.
type story struct {
	sent []*sentLog
	logs [][][]byte // per partition, the values in order
	base int64      // first offset of every partition
}

func newStory(producers, partitions int) *story {
	s := &story{logs: make([][][]byte, partitions), base: 1000}
	for range producers {
		s.sent = append(s.sent, &sentLog{})
	}
	return s
}

func value(producer int, sequence uint64) []byte {
	v := make([]byte, testValueBytes)
	PutHeader(v, ValueHeader{RunTag: testTag, Producer: uint32(producer), Sequence: sequence})
	return v
}

// send acknowledges count records of a producer in a partition and stores them.
func (s *story) send(producer, partition, count int) {
	for range count {
		sequence, _ := s.sent[producer].reserve()
		s.sent[producer].note(sequence, int32(partition), false)
		s.logs[partition] = append(s.logs[partition], value(producer, sequence))
	}
}

func (s *story) read(t interface{ Helper() }, checked int) reports.Ledger {
	var counts []uint64
	for _, log := range s.sent {
		counts = append(counts, log.count.Load())
	}
	var ranges []PartitionRange
	for _, log := range s.logs {
		ranges = append(ranges, PartitionRange{s.base, s.base + int64(len(log))})
	}
	a := newAudit(testTag, testValueBytes, s.sent, counts, ranges, checked)
	for p, log := range s.logs[:checked] {
		for i, v := range log {
			a.observe(int32(p), s.base+int64(i), v)
		}
	}
	return a.finish()
}

// Each fault is named by kind, partition, offset and range.
func TestLedgerFindings(t *testing.T) {
	type counts struct{ lost, duplicated, reordered, corrupt int64 }
	remove := func(log [][]byte, from, n int) [][]byte { return append(log[:from:from], log[from+n:]...) }
	insert := func(log [][]byte, at int, more ...[]byte) [][]byte {
		return append(append(append([][]byte{}, log[:at]...), more...), log[at:]...)
	}
	table := []struct {
		what    string
		change  func(s *story)
		want    counts
		finding *reports.Finding
	}{
		{"everything is there", func(*story) {}, counts{}, nil},
		{"a batch in the middle is gone", func(s *story) { s.logs[1] = remove(s.logs[1], 30, 10) }, counts{lost: 10},
			&reports.Finding{Kind: "lost", Partition: 1, Offset: 1029, Producer: 1, FirstSequence: 30, LastSequence: 39, Count: 10}},
		{"the first batch is gone", func(s *story) { s.logs[1] = remove(s.logs[1], 0, 10) }, counts{lost: 10},
			&reports.Finding{Kind: "lost", Partition: 1, Offset: -1, Producer: 1, FirstSequence: 0, LastSequence: 9, Count: 10}},
		{"the last batch is gone", func(s *story) { s.logs[1] = s.logs[1][:90] }, counts{lost: 10},
			&reports.Finding{Kind: "lost", Partition: 1, Offset: 1089, Producer: 1, FirstSequence: 90, LastSequence: 99, Count: 10}},
		{"a partition is empty", func(s *story) { s.logs[1] = nil }, counts{lost: 100},
			&reports.Finding{Kind: "lost", Partition: 1, Offset: -1, Producer: 1, FirstSequence: 0, LastSequence: 99, Count: 100}},
		{"a batch is stored twice", func(s *story) { s.logs[1] = insert(s.logs[1], 40, s.logs[1][30:40]...) }, counts{duplicated: 10},
			&reports.Finding{Kind: "duplicated", Partition: 1, Offset: 1040, FirstOffset: 1030, Producer: 1, FirstSequence: 30, LastSequence: 39, Count: 10}},
		{"a batch is stored again at the end", func(s *story) { s.logs[1] = append(s.logs[1], s.logs[1][0:5]...) }, counts{duplicated: 5},
			&reports.Finding{Kind: "duplicated", Partition: 1, Offset: 1100, FirstOffset: 1000, Producer: 1, FirstSequence: 0, LastSequence: 4, Count: 5}},
		{"a batch is also in another partition", func(s *story) { s.logs[0] = append(s.logs[0], s.logs[1][7:9]...) }, counts{duplicated: 2}, nil},
		{"two batches have changed places", func(s *story) {
			log := s.logs[1]
			s.logs[1] = append(append(append(append([][]byte{}, log[:10]...), log[20:30]...), log[10:20]...), log[30:]...)
		}, counts{reordered: 10},
			&reports.Finding{Kind: "reordered", Partition: 1, Offset: 1020, Producer: 1, FirstSequence: 10, LastSequence: 19, Count: 10}},
		{"a byte has changed", func(s *story) { s.logs[1][50] = append([]byte(nil), s.logs[1][50]...); s.logs[1][50][63] ^= 1 }, counts{lost: 1, corrupt: 1},
			&reports.Finding{Kind: "corrupt", Partition: 1, Offset: 1050, Count: 1}},
		{"a value is cut short", func(s *story) { s.logs[1][50] = s.logs[1][50][:40] }, counts{lost: 1, corrupt: 1},
			&reports.Finding{Kind: "corrupt", Partition: 1, Offset: 1050, Count: 1}},
		{"neighbours are corrupt", func(s *story) { s.logs[1][50], s.logs[1][51] = nil, nil }, counts{lost: 2, corrupt: 2},
			&reports.Finding{Kind: "corrupt", Partition: 1, Offset: 1050, Count: 2}},
		{"a record that was never sent", func(s *story) { s.logs[1] = append(s.logs[1], value(1, 100)) }, counts{corrupt: 1}, nil},
		{"a producer that does not exist", func(s *story) { s.logs[1] = append(s.logs[1], value(2, 0)) }, counts{corrupt: 1}, nil},
		{"another run's record", func(s *story) {
			v := make([]byte, testValueBytes)
			PutHeader(v, ValueHeader{RunTag: testTag + 1})
			s.logs[1] = append(s.logs[1], v)
		}, counts{}, nil},
	}
	for _, row := range table {
		t.Run(row.what, func(t *testing.T) {
			s := newStory(2, 2)
			s.send(0, 0, 50)
			s.send(1, 1, 100)
			row.change(s)
			l := s.read(t, 2)
			if got := (counts{l.Lost, l.Duplicated, l.Reordered, l.Corrupt}); got != row.want {
				t.Fatalf("got %+v, want %+v; findings %+v", got, row.want, l.Findings)
			}
			if l.Expected != 150 || !l.Complete || !l.Checked {
				t.Errorf("expected %d, complete %v", l.Expected, l.Complete)
			}
			if proven := row.want == (counts{}); l.Proven() != proven {
				t.Errorf("proven %v", l.Proven())
			}
			if row.finding == nil {
				return
			}
			for _, f := range l.Findings {
				if f == *row.finding {
					return
				}
			}
			t.Errorf("want %+v in %+v", *row.finding, l.Findings)
		})
	}
}

// A producer that takes turns over partitions, as sarama does: a lost batch is one finding, not one a record.
func TestLedgerMergesAcrossTurns(t *testing.T) {
	s := newStory(1, 3)
	for range 60 {
		for p := range 3 {
			s.send(0, p, 1)
		}
	}
	s.logs[2] = append(s.logs[2][:20:20], s.logs[2][30:]...)
	l := s.read(t, 3)
	want := reports.Finding{Kind: "lost", Partition: 2, Offset: 1019, FirstSequence: 62, LastSequence: 89, Count: 10}
	if len(l.Findings) != 1 || l.Findings[0] != want {
		t.Errorf("got %+v, want %+v", l.Findings, want)
	}
}

// Failed sends may be there or not, but never twice.
func TestLedgerFailedSends(t *testing.T) {
	s := newStory(1, 1)
	s.send(0, 0, 10)
	for _, stored := range []int{0, 1, 2} {
		sequence, _ := s.sent[0].reserve()
		s.sent[0].note(sequence, -1, true)
		for range stored {
			s.logs[0] = append(s.logs[0], value(0, sequence))
		}
	}
	l := s.read(t, 1)
	if l.Expected != 10 || l.Lost != 0 || l.Duplicated != 1 {
		t.Errorf("got %+v", l)
	}
}

func TestLedgerUnknownPartition(t *testing.T) {
	s := newStory(1, 1)
	for range 3 {
		_, _ = s.sent[0].reserve()
	}
	s.logs[0] = [][]byte{value(0, 0), value(0, 2)}
	l := s.read(t, 1)
	want := reports.Finding{Kind: "lost", Partition: -1, Offset: -1, FirstSequence: 1, LastSequence: 1, Count: 1}
	if l.Lost != 1 || len(l.Findings) != 1 || l.Findings[0].Count != want.Count || l.Findings[0].Partition != want.Partition || l.Findings[0].FirstSequence != 1 {
		t.Errorf("got %+v", l)
	}
}

func TestLedgerSample(t *testing.T) {
	s := newStory(1, 4)
	for p := range 4 {
		s.send(0, p, 10)
	}
	s.logs[3] = nil // not in the sample: nobody knows
	l := s.read(t, 2)
	if l.Complete || l.Expected != 20 || l.Read != 20 || !l.Proven() {
		t.Errorf("got %+v", l)
	}
}

// However many faults there are, the first of each kind and partition comes first and the list is bounded.
func TestFindingsAreBounded(t *testing.T) {
	s := newStory(1, 2)
	s.send(0, 0, 1000)
	s.send(0, 1, 1000)
	for i := 0; i < 1000; i += 2 {
		s.logs[0][i] = nil
	}
	s.logs[1][999] = nil
	l := s.read(t, 2)
	if l.Corrupt != 501 || l.Lost != 501 || len(l.Findings) != maxFindings {
		t.Fatalf("corrupt %d, lost %d, %d findings", l.Corrupt, l.Lost, len(l.Findings))
	}
	seen := map[string]bool{}
	for _, f := range l.Findings[:4] {
		seen[fmt.Sprint(f.Kind, f.Partition)] = true
	}
	if len(seen) != 4 {
		t.Errorf("the first four must be one of each kind and partition: %+v", l.Findings[:4])
	}
}

// Against a model that keeps everything: whatever is dropped, doubled and damaged, the counts agree.
func TestLedgerAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		producers, partitions := rapid.IntRange(1, 3).Draw(t, "producers"), rapid.IntRange(1, 4).Draw(t, "partitions")
		s := newStory(producers, partitions)
		for range rapid.IntRange(0, 30).Draw(t, "batches") {
			s.send(rapid.IntRange(0, producers-1).Draw(t, "producer"), rapid.IntRange(0, partitions-1).Draw(t, "partition"), rapid.IntRange(1, 5).Draw(t, "records"))
		}
		var lost, duplicated, corrupt int64
		for p, log := range s.logs {
			var stored [][]byte
			for _, v := range log {
				switch rapid.IntRange(0, 9).Draw(t, "fate") {
				case 0:
					lost++
				case 1:
					duplicated++
					stored = append(stored, v, v)
				case 2:
					broken := append([]byte(nil), v...)
					broken[rapid.IntRange(0, len(v)-1).Draw(t, "byte")] ^= 0x10
					stored = append(stored, broken)
					lost++
					corrupt++
				default:
					stored = append(stored, v)
				}
			}
			s.logs[p] = stored
		}
		l := s.read(t, partitions)
		if l.Lost != lost || l.Duplicated != duplicated || l.Corrupt != corrupt || l.Reordered != 0 {
			t.Fatalf("got lost %d duplicated %d corrupt %d reordered %d, want %d %d %d 0", l.Lost, l.Duplicated, l.Corrupt, l.Reordered, lost, duplicated, corrupt)
		}
		total := int64(0)
		for _, f := range l.Findings {
			total += f.Count
		}
		if len(l.Findings) < maxFindings && total != lost+duplicated+corrupt {
			t.Fatalf("findings hold %d records of %d", total, lost+duplicated+corrupt)
		}
	})
}

func TestSentLogIsBounded(t *testing.T) {
	l := &sentLog{}
	l.count.Store(chunksPerWorker * chunkSequences)
	if _, err := l.reserve(); !errors.Is(err, ErrTooManyRecords) {
		t.Errorf("got %v", err)
	}
	l.count.Store(chunkSequences - 1)
	l.chunks[0].Store(new(sentChunk))
	for _, want := range []uint64{chunkSequences - 1, chunkSequences} {
		if got, err := l.reserve(); got != want || err != nil {
			t.Errorf("got %d, %v", got, err)
		}
	}
	l.note(chunkSequences, 5, true)
	if p, failed := l.at(chunkSequences); p != 5 || !failed {
		t.Errorf("got %d, %v", p, failed)
	}
}
