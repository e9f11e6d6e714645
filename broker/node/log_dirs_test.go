package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/commitlog/errfs"
	"fluxmq/broker/config"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// disks are a file system of which the disk below one path may fail.
type disks struct {
	errfs.FS
	failing atomic.Pointer[string]
}

func newDisks() *disks {
	d := new(disks)
	d.Inner = commitlog.OS{}
	d.Before = func(op, name string) error {
		if path := d.failing.Load(); path != nil && strings.HasPrefix(name, *path) {
			return fmt.Errorf("%s %s: input/output error", op, name)
		}
		return nil
	}
	return d
}

// fail makes every operation below path fail; "" heals it.
func (d *disks) fail(path string) {
	d.failing.Store(&path)
	if path == "" {
		d.failing.Store(nil)
	}
}

// runOn runs a node on log directories; wait returns how it ended, after stop or by itself.
func runOn(t *testing.T, d *disks, dirs ...string) (n *Node, stop func(), wait func() error) {
	t.Helper()
	n, err := openOn(d, dirs...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	// Ends with ctx, or when the node does; the clean-up waits for it.
	go func() { ended <- n.Run(ctx) }()
	wait = sync.OnceValue(func() error {
		select {
		case err := <-ended:
			return err
		case <-time.After(30 * time.Second):
			return errors.New("the node does not end")
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = wait() // a test that cares has looked
	})
	return n, cancel, wait
}

func openOn(d *disks, dirs ...string) (*Node, error) {
	settings, _, err := config.Load(config.Sources{Strict: true, Overrides: []string{
		"listeners=PLAINTEXT://127.0.0.1:0", "fluxmq.admin.listener=", "log.dirs=" + strings.Join(dirs, ","), "offsets.topic.num.partitions=1",
	}})
	if err != nil {
		return nil, err
	}
	return Open(Options{Settings: settings, Log: slog.New(slog.DiscardHandler), FS: d})
}

// produceTo writes one record and returns what the broker answered.
func produceTo(t *testing.T, n *Node, topic string, index int32, value string) error {
	t.Helper()
	c := newClient(t, n, "producer", kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordRetries(0), kgo.RecordDeliveryTimeout(5*time.Second), kgo.UnknownTopicRetries(-1))
	defer c.Close()
	return c.ProduceSync(ending(t), &kgo.Record{Topic: topic, Partition: index, Value: []byte(value)}).FirstErr()
}

// valuesOf reads a partition to its end.
func valuesOf(t *testing.T, n *Node, topic string, index int32) string {
	t.Helper()
	c := newClient(t, n, "consumer", kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {index: kgo.NewOffset().AtStart()}}))
	defer c.Close()
	ends, err := kadm.NewClient(c).ListEndOffsets(ending(t), topic)
	if err != nil || ends[topic][index].Err != nil {
		t.Fatalf("%v, %v", ends[topic][index], err)
	}
	var values []string
	for int64(len(values)) < ends[topic][index].Offset {
		fetches := c.PollFetches(ending(t))
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return strings.Join(values, " ")
}

// TestLogDirFails: the partitions of a directory whose disk fails are offline,
// the others are served, also by a start that finds it so; when it is back, all are.
func TestLogDirFails(t *testing.T) {
	root := t.TempDir()
	one, two := filepath.Join(root, "one"), filepath.Join(root, "two")
	d := newDisks()
	n, stop, wait := runOn(t, d, one, two)
	admin := kadm.NewClient(newClient(t, n, "admin"))
	if r, err := admin.CreateTopic(ending(t), 4, 1, nil, "t"); err != nil || r.Err != nil {
		t.Fatal(r, err)
	}
	in := map[string][]int32{}
	for index := range int32(4) {
		dir := n.partitions.Find([]byte("t"), index).LogDir()
		in[dir] = append(in[dir], index)
		if err := produceTo(t, n, "t", index, "before"); err != nil {
			t.Fatal(err)
		}
	}
	if len(in[one]) != 2 || len(in[two]) != 2 {
		t.Fatalf("%v", in)
	}
	d.fail(two)
	if err := produceTo(t, n, "t", in[two][0], "lost"); !errors.Is(err, kerr.KafkaStorageError) {
		t.Fatalf("produce to a disk that fails: %v", err)
	}
	look := func(n *Node, value string) {
		t.Helper()
		admin := kadm.NewClient(newClient(t, n, "admin"))
		for _, index := range in[one] {
			if err := produceTo(t, n, "t", index, value); err != nil {
				t.Errorf("partition %d, in the directory that works: %v", index, err)
			}
		}
		topics, err := admin.Metadata(ending(t), "t")
		if err != nil {
			t.Fatal(err)
		}
		for _, index := range in[two] { // also the one that nobody has written to
			if p := topics.Topics["t"].Partitions[index]; !errors.Is(p.Err, kerr.LeaderNotAvailable) || p.Leader != -1 || len(p.OfflineReplicas) != 1 {
				t.Errorf("partition %d: %+v", index, p)
			}
		}
		described, err := admin.DescribeAllLogDirs(ending(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		if dirs := described[0]; !errors.Is(dirs[two].Err, kerr.KafkaStorageError) || dirs[one].Err != nil || len(dirs[one].Topics["t"]) != 2 {
			t.Errorf("%+v", dirs)
		}
		var moved kadm.TopicsSet
		moved.Add("t", in[one][0])
		if answer, err := admin.AlterAllReplicaLogDirs(ending(t), kadm.AlterReplicaLogDirsReq{two: moved}); err != nil || !errors.Is(answer[0]["t"][in[one][0]].Err, kerr.KafkaStorageError) {
			t.Errorf("%+v, %v", answer, err)
		}
		if r, err := admin.CreateTopic(ending(t), 2, 1, nil, value); err != nil || r.Err != nil {
			t.Fatal(r, err)
		}
		for index := range int32(2) {
			if p := n.partitions.Find([]byte(value), index); p.LogDir() != one || p.Offline() != nil {
				t.Errorf("%s, made now, is in %s: %v", p, p.LogDir(), p.Offline())
			}
		}
		if failed := n.partitions.FailedDirs(); failed != 1 {
			t.Errorf("%d directories failed", failed)
		}
	}
	look(n, "meanwhile")
	stop()
	if err := wait(); err == nil || strings.Contains(err.Error(), "does not end") {
		t.Errorf("a stop with a directory that failed: %v", err)
	}
	n, stop, wait = runOn(t, d, one, two)
	look(n, "later")
	stop()
	if err := wait(); err == nil || strings.Contains(err.Error(), "does not end") {
		t.Errorf("a stop with partitions that are offline: %v", err)
	}
	d.fail("")
	n, stop, wait = runOn(t, d, one, two)
	for dir, want := range map[string]string{one: "before meanwhile later", two: "before"} {
		for _, index := range in[dir] {
			if got := valuesOf(t, n, "t", index); got != want && !(dir == two && index == in[two][0] && got == "before lost") { // it may have reached the disk
				t.Errorf("partition %d holds %q, expected %q", index, got, want)
			}
		}
	}
	stop()
	if err := wait(); err != nil {
		t.Errorf("all directories work: %v", err)
	}
}

// TestMetadataDirFails: without the directory of the metadata the broker ends by itself.
func TestMetadataDirFails(t *testing.T) {
	for _, c := range []struct {
		why, broken string // below the first directory
	}{
		{"a log in it", "/t-0"},
		{"its metadata", "/__cluster_metadata-0"},
	} {
		root := t.TempDir()
		one, two := filepath.Join(root, "one"), filepath.Join(root, "two")
		d := newDisks()
		n, _, wait := runOn(t, d, one, two)
		admin := kadm.NewClient(newClient(t, n, "admin"))
		if r, err := admin.CreateTopic(ending(t), 1, 1, nil, "t"); err != nil || r.Err != nil {
			t.Fatal(r, err)
		}
		if dir := n.partitions.Find([]byte("t"), 0).LogDir(); dir != one {
			t.Fatalf("the first partition is in %s", dir)
		}
		d.fail(one + c.broken)
		if c.broken == "/t-0" {
			if err := produceTo(t, n, "t", 0, "v"); err == nil {
				t.Errorf("%s: produced", c.why)
			}
		} else if r, err := admin.CreateTopic(ending(t), 1, 1, nil, "u"); err == nil && r.Err == nil {
			t.Errorf("%s: created", c.why)
		}
		if err := wait(); err == nil || !strings.Contains(err.Error(), "holds the metadata") {
			t.Errorf("%s: the broker ended with %v", c.why, err)
		}
	}
}

// TestLogDirsInAnotherOrder: the directory of the metadata comes first, or
// nothing starts and nothing changes.
func TestLogDirsInAnotherOrder(t *testing.T) {
	root := t.TempDir()
	one, two, fresh := filepath.Join(root, "one"), filepath.Join(root, "two"), filepath.Join(root, "fresh")
	d := newDisks()
	n, stop, wait := runOn(t, d, one, two)
	admin := kadm.NewClient(newClient(t, n, "admin"))
	if r, err := admin.CreateTopic(ending(t), 2, 1, nil, "t"); err != nil || r.Err != nil {
		t.Fatal(r, err)
	}
	if err := produceTo(t, n, "t", 1, "v"); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	for _, order := range [][]string{{two, one}, {fresh, one, two}} {
		if n, err := openOn(d, order...); err == nil || !strings.Contains(err.Error(), "name the right one first") {
			t.Errorf("%v: %v", order, err)
			if err == nil {
				_ = n.Close()
			}
		}
	}
	n, stop, wait = runOn(t, d, one, two, fresh)
	if got := valuesOf(t, n, "t", 1); got != "v" {
		t.Errorf("partition 1 holds %q", got)
	}
	if r, err := kadm.NewClient(newClient(t, n, "admin")).CreateTopic(ending(t), 1, 1, nil, "u"); err != nil || r.Err != nil {
		t.Fatal(r, err)
	}
	if dir := n.partitions.Find([]byte("u"), 0).LogDir(); dir != fresh {
		t.Errorf("a new partition is in %s, not in the empty directory", dir)
	}
	stop()
	if err := wait(); err != nil {
		t.Error(err)
	}
}
