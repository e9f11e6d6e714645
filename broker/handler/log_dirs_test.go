package handler

import (
	"errors"
	"path/filepath"
	"testing"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// severalDirs gives a handler's topics, which have no partition yet, log directories:
// two that work and two that failed, one of them before the broker started.
func severalDirs(t *testing.T, h *Handler) (working [2]string, failed [2]string) {
	t.Helper()
	root := t.TempDir()
	one, two, lost, gone := filepath.Join(root, "one"), filepath.Join(root, "two"), filepath.Join(root, "lost"), filepath.Join(root, "gone")
	dirs, _, err := commitlog.OpenDirs(commitlog.OS{}, []string{one, two, lost}, commitlog.Identity{NodeID: 1}, "boot")
	if err != nil {
		t.Fatal(err)
	}
	set, err := partition.OpenSet(partition.SetConfig{
		LogDirs: dirs, Unopened: []commitlog.FailedDir{{Path: gone, Err: errors.New("input/output error")}}, Durability: partition.FlushOS,
		OnDirFailed: func(string, error, int) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Close() }) // it tells of the failed directory
	h.Partitions = set
	return [2]string{one, two}, [2]string{lost, gone}
}

// place makes a partition in a log directory.
func place(t *testing.T, h *Handler, topic string, index int32, dir string) *partition.Partition {
	t.Helper()
	if err := h.Partitions.MoveTo(topic, index, dir); !errors.Is(err, protocol.ErrReplicaNotAvailable) {
		t.Fatalf("a partition that is not there yet: %v", err)
	}
	p, err := h.Partitions.Create(topic, partition.TopicID{1, topic[0]}, index, partition.Config{SegmentBytes: 1 << 20, MaxMessageBytes: 1 << 20, RetentionBytes: -1, Retention: -1})
	if err != nil {
		t.Fatal(err)
	}
	if p.LogDir() != dir {
		t.Fatalf("%s is in %s, expected %s", p, p.LogDir(), dir)
	}
	return p
}

func TestSeveralLogDirsAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	own := h.Partitions
	t.Cleanup(func() { h.Partitions = own })
	working, failed := severalDirs(t, h)
	moving := place(t, h, "a", 0, working[0])
	place(t, h, "a", 1, working[1])
	bad := place(t, h, "b", 0, failed[0])
	if _, err := moving.Append(batch(t, 3), partition.AppendOptions{CurrentLeaderEpoch: -1}); err != nil {
		t.Fatal(err)
	}
	if err := h.Partitions.FailDir(failed[0], errors.New("input/output error")); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(bad.Offline(), protocol.ErrKafkaStorageError) {
		t.Fatalf("%s: %v", bad, bad.Offline())
	}
	versions(t, protocol.KeyAlterReplicaLogDirs, func(t *testing.T, v int16) {
		var dirs []kmsg.AlterReplicaLogDirsRequestDir
		for _, c := range []struct {
			dir, topic string
			index      int32
		}{
			{working[1], "a", 0}, {working[1], "b", 0}, {working[0], "new", 0}, {failed[0], "a", 0}, {failed[1], "a", 0}, {failed[1], "none", 0}, {"/elsewhere", "b", 0},
		} {
			dirs = append(dirs, kmsg.AlterReplicaLogDirsRequestDir{Dir: c.dir, Topics: []kmsg.AlterReplicaLogDirsRequestDirTopic{{Topic: c.topic, Partitions: []int32{c.index}}}})
		}
		got := ask[*kmsg.AlterReplicaLogDirsResponse](t, h, v, &kmsg.AlterReplicaLogDirsRequest{Dirs: dirs})
		want := map[string][]*protocol.Error{
			"a":    {nil, protocol.ErrKafkaStorageError, protocol.ErrKafkaStorageError},
			"b":    {protocol.ErrKafkaStorageError, protocol.ErrLogDirNotFound},
			"new":  {protocol.ErrUnknownTopicOrPartition},
			"none": {protocol.ErrKafkaStorageError},
		}
		if len(got.Topics) != len(want) {
			t.Fatalf("%+v", got)
		}
		for _, topic := range got.Topics {
			for n, e := range want[topic.Topic] {
				if len(topic.Partitions) != len(want[topic.Topic]) || topic.Partitions[n].ErrorCode != code(e) {
					t.Errorf("%s: %+v, want %v", topic.Topic, topic.Partitions, want[topic.Topic])
				}
			}
		}
	})
	// Nobody runs the move that was begun: it is seen as it is.
	versions(t, protocol.KeyDescribeLogDirs, func(t *testing.T, v int16) {
		got := ask[*kmsg.DescribeLogDirsResponse](t, h, v, &kmsg.DescribeLogDirsRequest{})
		if len(got.Dirs) != 4 {
			t.Fatalf("%+v", got)
		}
		byPath := map[string]kmsg.DescribeLogDirsResponseDir{}
		for _, d := range got.Dirs {
			byPath[d.Dir] = d
		}
		for _, path := range failed {
			if d, ok := byPath[path]; !ok || d.ErrorCode != code(protocol.ErrKafkaStorageError) || len(d.Topics) != 0 || v >= 4 && (d.TotalBytes != -1 || d.UsableBytes != -1) {
				t.Errorf("%s, which failed: %+v", path, d)
			}
		}
		one, two := byPath[working[0]], byPath[working[1]]
		if one.ErrorCode != 0 || len(one.Topics) != 1 || len(one.Topics[0].Partitions) != 1 || one.Topics[0].Partitions[0].IsFuture || one.Topics[0].Partitions[0].Size <= 0 {
			t.Errorf("%+v", one)
		}
		if two.ErrorCode != 0 || len(two.Topics) != 1 || len(two.Topics[0].Partitions) != 2 {
			t.Fatalf("%+v", two)
		}
		if p := two.Topics[0].Partitions[0]; p.Partition != 0 || !p.IsFuture || p.OffsetLag != 3 || p.Size != 0 {
			t.Errorf("the log that is being moved: %+v", p)
		}
		if p := two.Topics[0].Partitions[1]; p.Partition != 1 || p.IsFuture || p.OffsetLag != 0 {
			t.Errorf("%+v", p)
		}
		if v >= 4 && (one.TotalBytes <= 0 || one.UsableBytes <= 0) {
			t.Errorf("%d of %d bytes", one.UsableBytes, one.TotalBytes)
		}
	})
}
