package broker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// placesOf is the directories that a topic's partitions are in, by index; a
// log that is being copied counts where it is copied from. moving counts those.
func placesOf(t testing.TB, adm *kadm.Client, topic string) (places map[int32]string, moving int) {
	t.Helper()
	brokers, err := adm.DescribeAllLogDirs(within(t, 10*time.Second), nil)
	if err != nil {
		t.Fatal(err)
	}
	places = map[int32]string{}
	for _, dirs := range brokers {
		for path, dir := range dirs {
			if dir.Err != nil {
				t.Fatalf("%s: %v", path, dir.Err)
			}
			for index, p := range dir.Topics[topic] {
				if p.IsFuture {
					moving++
				} else {
					places[index] = path
				}
			}
		}
	}
	return places, moving
}

// TestLogDirs: partitions are spread over two directories, a client moves one to
// the other while it is produced to, and a restart finds everything.
func TestLogDirs(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	config := Config{DataDir: one + "," + two, Properties: map[string]string{"offsets.topic.num.partitions": "2"}}
	b, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			_ = b.Close() // where the test ended before it did
		}
	})
	c := client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	adm := kadm.NewClient(c)
	createTopic(t, c, "t", 4, nil)
	places, _ := placesOf(t, adm, "t")
	count := map[string]int{}
	for _, dir := range places {
		count[dir]++
	}
	if count[one] != 2 || count[two] != 2 {
		t.Fatalf("partitions are in %v", places)
	}
	produce := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			if err := c.ProduceSync(within(t, 10*time.Second), &kgo.Record{Topic: "t", Partition: 0, Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	produce(0, 100)
	other := map[string]string{one: two, two: one}[places[0]]
	var moved kadm.TopicsSet
	moved.Add("t", 0)
	answer, err := adm.AlterAllReplicaLogDirs(within(t, 10*time.Second), kadm.AlterReplicaLogDirsReq{other: moved})
	if err != nil || answer[0]["t"][0].Err != nil {
		t.Fatalf("%+v, %v", answer, err)
	}
	deadline := time.Now().Add(30 * time.Second)
	sent := 100
	for {
		produce(sent, sent+5)
		sent += 5
		now, moving := placesOf(t, adm, "t")
		if now[0] == other && moving == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("partition 0 is in %s, %d logs move", now[0], moving)
		}
	}
	produce(sent, sent+5)
	sent += 5
	if _, err := os.Stat(filepath.Join(places[0], "t-0")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old directory is there: %v", err)
	}
	var nowhere kadm.TopicsSet
	nowhere.Add("t", 1)
	if answer, err := adm.AlterAllReplicaLogDirs(within(t, 10*time.Second), kadm.AlterReplicaLogDirsReq{"/elsewhere": nowhere}); err != nil || !errors.Is(answer[0]["t"][1].Err, kerr.LogDirNotFound) {
		t.Errorf("%+v, %v", answer, err)
	}
	c.Close()
	stopped = true
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	again := run(t, config)
	reader := client(t, again, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"t": {0: kgo.NewOffset().AtStart()}}))
	if now, _ := placesOf(t, kadm.NewClient(reader), "t"); now[0] != other {
		t.Errorf("after a restart partition 0 is in %s", now[0])
	}
	ctx := within(t, 20*time.Second)
	for i := 0; i < sent; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d records: %v", i, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if string(r.Value) != fmt.Sprint(i) || r.Offset != int64(i) {
				t.Fatalf("offset %d holds %q, want %d", r.Offset, r.Value, i)
			}
			i++
		})
	}
}
