package group

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/partition"
)

const testPartitions = 4

// disk is a real log directory with __consumer_offsets on it and a coordinator over it.
type disk struct {
	set *partition.Set
	*Coordinator
}

// open opens the directory; the first time it makes the partitions, with
// small segments, so that a replay crosses from one to the next.
func open(t *testing.T, dir string, d partition.Durability) *disk {
	t.Helper()
	cfg := partition.Config{
		SegmentBytes: 16 << 10, SegmentIndexBytes: 1 << 20, IndexIntervalBytes: 4096, MaxMessageBytes: 1 << 20,
		SegmentAge: -1, Retention: -1, RetentionBytes: -1, Compact: true,
	}
	set, err := partition.OpenSet(partition.SetConfig{Dir: dir, Durability: d, ConfigFor: func(string) partition.Config { return cfg }})
	if err != nil {
		t.Fatal(err)
	}
	for i := range int32(testPartitions) {
		if _, err := set.Create(OffsetsTopic, partition.TopicID{1}, i, cfg); err != nil {
			t.Fatal(err)
		}
	}
	n := *config.Default()
	n.GroupInitialRebalanceDelay = 0
	n.OffsetsCommitTimeout = time.Minute
	c := New(Config{
		Node: &n, Partitions: func() int32 { return testPartitions },
		Log: func(i int32) Log {
			if p := set.Find([]byte(OffsetsTopic), i); p != nil {
				return PartitionLog(p)
			}
			return nil
		},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	ctx, cancel := context.WithTimeout(background, time.Minute)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return &disk{set, c}
}

func (d *disk) close(t *testing.T) {
	t.Helper()
	d.Coordinator.Close()
	if err := d.set.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestOnRealPartitions commits to many groups and finds all of it again, after
// a clean stop and after none: the copy of the directory is what kill -9 leaves.
func TestOnRealPartitions(t *testing.T) {
	for name, durability := range map[string]partition.Durability{
		"acks": partition.FlushAcks, "os": partition.FlushOS, "always": partition.FlushAlways,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d := open(t, dir, durability)
			member, generation := enter(t, d.Coordinator, "members")
			const groups, rounds = 16, 60
			for round := range rounds {
				var replies []*Reply[[]int16]
				for g := range groups {
					replies = append(replies, d.Commit(background, commitOf(fmt.Sprint("group-", g), "", -1, int64(round*100+g))))
				}
				for _, r := range replies {
					expect(t, "commit", codeName(r.Wait(background)[0]), "ok")
				}
			}
			expect(t, "commit of a member", codeName(d.Commit(background, commitOf("members", member, generation, 9)).Wait(background)[0]), "ok")
			expect(t, "delete", codeName(d.Delete(background, "group-3").Wait(background)), "ok")
			segments, err := filepath.Glob(filepath.Join(dir, OffsetsTopic+"-*", "*.log"))
			if err != nil || len(segments) <= testPartitions {
				t.Fatalf("%d segments in %d partitions: the replay crosses none (%v)", len(segments), testPartitions, err)
			}

			check := func(d *disk) {
				t.Helper()
				for g := range groups {
					want := fmt.Sprintf("ok t-3=%d", (rounds-1)*100+g)
					if g == 3 {
						want = "ok"
					}
					expect(t, fmt.Sprint("group ", g), fetched(d.Coordinator, fmt.Sprint("group-", g)), want)
				}
				expect(t, "members", fetched(d.Coordinator, "members"), "ok t-3=9")
				expect(t, "heartbeat", heartbeat(d.Coordinator, "members", member, generation), "ok")
			}
			killed := t.TempDir()
			if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			k := open(t, killed, durability)
			check(k)
			k.close(t)

			d.close(t)
			d = open(t, dir, durability)
			check(d)
			d.close(t)
		})
	}
}

// TestGroupsAreSpread: every partition that the hash can choose has its own shard.
func TestGroupsAreSpread(t *testing.T) {
	d := open(t, t.TempDir(), partition.FlushOS)
	defer d.close(t)
	for g := range 40 {
		expect(t, "commit", codeName(d.Commit(background, commitOf(fmt.Sprint("group-", g), "", -1, 1)).Wait(background)[0]), "ok")
	}
	for i := range int32(testPartitions) {
		if o := d.set.Find([]byte(OffsetsTopic), i).Offsets(); o.LogEnd == 0 {
			t.Errorf("partition %d holds nothing", i)
		}
	}
	if l := d.List(background, nil, nil); len(l.Groups) != 40 {
		t.Errorf("%d groups are listed, want 40", len(l.Groups))
	}
}
