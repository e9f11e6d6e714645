package cluster

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/config"
	"fluxmq/broker/protocol"
	"fluxmq/broker/quota"

	"pgregory.net/rapid"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func options() Options {
	return Options{Settings: config.Default(), Random: rand.NewChaCha8([32]byte{1}), Now: func() time.Time { return time.UnixMilli(1000) }, Log: quiet()}
}

func open(t testing.TB, dir string) *Metadata {
	t.Helper()
	m, err := Open(commitlog.OS{}, dir, options())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func logPath(dir string) string { return filepath.Join(dir, metadataDir, metadataFile) }

// state is what of an image must survive.
type state struct {
	ClusterID            string
	Topics               map[string]Topic
	NodeConfigs, Configs map[string]string
	Groups               map[string]map[string]string
	Epoch                int32
	NextProducerID       int64
	Collisions           map[string]string
	ByID                 int
	Quotas               map[quota.Entity]quota.Limits
	Subscriptions        map[string]map[string]string
	Levels               map[string]int16
	FeaturesEpoch        int64
}

func stateOf(i *Image) state {
	s := state{ClusterID: i.ClusterID, Topics: map[string]Topic{}, NodeConfigs: map[string]string{}, Configs: map[string]string{}, Groups: map[string]map[string]string{},
		Epoch: i.LeaderEpochBase, NextProducerID: i.NextProducerID, Collisions: i.collisions, ByID: len(i.ByID), Quotas: i.Quotas.Copy(),
		Subscriptions: map[string]map[string]string{}, Levels: map[string]int16{}, FeaturesEpoch: i.FeaturesEpoch()}
	for name, subscription := range i.Subscriptions {
		s.Subscriptions[name] = subscription.Overrides
	}
	for _, f := range SupportedFeatures() {
		s.Levels[f.Name] = i.FeatureLevel(f.Name)
	}
	for name, t := range i.Topics {
		c := *t
		if len(c.Overrides) == 0 {
			c.Overrides = nil
		}
		s.Topics[name] = c
	}
	for id, g := range i.Groups {
		s.Groups[id] = g.Overrides
	}
	for k, v := range i.NodeConfigs {
		s.NodeConfigs[k] = v
	}
	for k, v := range i.ClusterConfigs {
		s.Configs[k] = v
	}
	return s
}

func TestSurvivesReopen(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir)
	topics, errs := m.CreateTopics([]NewTopic{{Name: "a", Partitions: 3, Replicas: 1, Configs: map[string]string{"retention.ms": "5"}}, {Name: "a b"}}, false)
	if errs[0] != nil || topics[0].Partitions != 3 || !errors.Is(errs[1], protocol.ErrInvalidTopicException) {
		t.Fatal(topics, errs)
	}
	if _, errs := m.CreateTopics([]NewTopic{{Name: "v", Partitions: 1, Replicas: 1}}, true); errs[0] != nil || m.Image().Topics["v"] != nil {
		t.Fatal("validate only", errs)
	}
	if err := m.CreatePartitions("a", 5, false); err != nil {
		t.Fatal(err)
	}
	if err := m.AlterConfigs(ConfigResource{Topic: "a"}, []ConfigChange{{OpSet, "segment.ms", text("9")}}, false, false); err != nil {
		t.Fatal(err)
	}
	if err := m.AlterConfigs(ConfigResource{}, []ConfigChange{{OpSet, "log.retention.ms", text("9")}}, false, false); err != nil {
		t.Fatal(err)
	}
	if err := m.AlterConfigs(ConfigResource{Group: "g"}, []ConfigChange{{OpSet, "consumer.session.timeout.ms", text("50000")}}, false, false); err != nil {
		t.Fatal(err)
	}
	if err := m.AlterConfigs(ConfigResource{Subscription: "s"}, []ConfigChange{{OpSet, "metrics", text("a")}}, false, false); err != nil {
		t.Fatal(err)
	}
	if err := m.UpdateFeatures([]FeatureUpdate{{GroupVersion, 0, SafeDowngrade}}, false); err != nil {
		t.Fatal(err)
	}
	again, err := m.EnsureTopic(NewTopic{Name: "a", Partitions: 1, Replicas: 1})
	if err != nil || again.Partitions != 5 {
		t.Fatal(again, err)
	}
	gone, err := m.EnsureTopic(NewTopic{Name: "gone", Partitions: 1, Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	errs = m.DeleteTopics([][16]byte{gone.ID, {99}, gone.ID})
	if errs[0] != nil || !errors.Is(errs[1], protocol.ErrUnknownTopicID) || !errors.Is(errs[2], protocol.ErrUnknownTopicID) {
		t.Fatal(errs)
	}
	first, err := m.NextProducerID()
	if err != nil || first != 0 {
		t.Fatal(first, err)
	}
	want := stateOf(m.Image())
	// No Close: a killed process does not close either.
	after := open(t, dir)
	defer after.Close()
	if got := stateOf(after.Image()); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !after.Deleted(gone.ID) || after.Deleted(again.ID) {
		t.Error("deleted topics are not known")
	}
	if next, err := after.NextProducerID(); err != nil || next != 1000 {
		t.Errorf("the first producer id after a restart is %d (%v), not of a new block", next, err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.CreatePartitions("a", 9, false); !errors.Is(err, protocol.ErrBrokerNotAvailable) {
		t.Errorf("after Close: %v", err)
	}
}

// TestEveryTornTail cuts the log at every byte: what opens is what was there
// after some number of commands, all of those whose bytes are whole.
func TestEveryTornTail(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir)
	sizes, states := []int64{0, m.log.size}, []state{{}, stateOf(m.Image())}
	for n, name := range []string{"a", "b", "c"} {
		if _, errs := m.CreateTopics([]NewTopic{{Name: name, Partitions: int32(n + 1), Replicas: 1}, {Name: name + name, Partitions: 1, Replicas: 1}}, false); errs[0] != nil {
			t.Fatal(errs)
		}
		sizes, states = append(sizes, m.log.size), append(states, stateOf(m.Image()))
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(logPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		for _, zeros := range []int{0, 100} { // a file system may leave a size without its bytes
			torn := append(bytes.Clone(whole[:cut]), make([]byte, zeros)...)
			changes, end, _, err := scan(torn)
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			n := 0
			for n+1 < len(sizes) && bytes.HasPrefix(torn, whole[:sizes[n+1]]) { // the last byte may be a zero
				n++
			}
			if end != sizes[n] {
				t.Fatalf("cut at %d: %d bytes kept, want %d", cut, end, sizes[n])
			}
			image, err := (&Image{Settings: config.Default(), Topics: map[string]*Topic{}, ByID: map[[16]byte]*Topic{}, collisions: map[string]string{}}).apply(changes, nil)
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if got := stateOf(image); n > 0 && !reflect.DeepEqual(got, states[n]) {
				t.Fatalf("cut at %d: got %+v, want %+v", cut, got, states[n])
			}
		}
	}
	// And through the door: the torn bytes are gone, and writing goes on.
	if err := os.WriteFile(logPath(dir), whole[:len(whole)-3], 0o600); err != nil {
		t.Fatal(err)
	}
	m = open(t, dir)
	if got := stateOf(m.Image()); !reflect.DeepEqual(got, states[3]) {
		t.Errorf("got %+v", got)
	}
	if _, err := m.EnsureTopic(NewTopic{Name: "new", Partitions: 1, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	want := stateOf(m.Image())
	m.Close()
	m = open(t, dir)
	defer m.Close()
	if got := stateOf(m.Image()); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestDamageInTheMiddle changes every byte but those of the last batch: the
// log is refused and left as it is. The partition leader epoch (4 bytes) is
// outside the CRC and says nothing here.
func TestDamageInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir)
	for _, name := range []string{"a", "b"} {
		if _, err := m.EnsureTopic(NewTopic{Name: name, Partitions: 1, Replicas: 1}); err != nil {
			t.Fatal(err)
		}
	}
	m.Close()
	whole, err := os.ReadFile(logPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	_, last, _, err := scan(whole[:len(whole)-1])
	if err != nil {
		t.Fatal(err)
	}
	starts := map[int]bool{0: true}
	for at := 0; at < len(whole); {
		b, _ := batchAt(whole[at:])
		at += len(b)
		starts[at] = true
	}
	start := 0
	for at := range int(last) {
		if starts[at] {
			start = at
		}
		if at-start >= 12 && at-start < 16 {
			continue
		}
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x5a
		if _, _, _, err := scan(damaged); !errors.Is(err, ErrDamaged) {
			t.Fatalf("byte %d of %d: %v", at, last, err)
		}
	}
	damaged := bytes.Clone(whole)
	damaged[70] ^= 1
	if err := os.WriteFile(logPath(dir), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(commitlog.OS{}, dir, options()); !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
	if left, err := os.ReadFile(logPath(dir)); err != nil || !bytes.Equal(left, damaged) {
		t.Fatalf("the damaged log was changed: %v", err)
	}
}

func TestNewerLogIsRefused(t *testing.T) {
	for _, value := range []string{`{"kind":"topic_renamed"}`, `{"kind":"topic_created","shards":3}`, `nonsense`} {
		b, err := encodeChanges([]Change{{Kind: clusterFormed, ClusterID: "x"}, {Kind: Kind(value)}}, 0)
		if err != nil {
			t.Fatal(err)
		}
		changes, _, _, err := scan(b)
		if err == nil {
			_, err = testImage(t).apply(changes[1:], nil)
		}
		if !errors.Is(err, ErrUnknownChange) {
			t.Errorf("%s: %v", value, err)
		}
	}
}

// brokenFS fails the n-th write or sync of the log from now on.
type brokenFS struct {
	commitlog.OS
	writes, syncs *int
}

type brokenFile struct {
	commitlog.File
	fs brokenFS
}

func (b brokenFS) OpenFile(name string, flag int) (commitlog.File, error) {
	f, err := b.OS.OpenFile(name, flag)
	return brokenFile{f, b}, err
}

var errDisk = errors.New("disk")

func (f brokenFile) WriteAt(b []byte, at int64) (int, error) {
	if *f.fs.writes--; *f.fs.writes == 0 {
		n, _ := f.File.WriteAt(b[:len(b)/2], at)
		return n, errDisk
	}
	return f.File.WriteAt(b, at)
}

func (f brokenFile) Datasync() error {
	if *f.fs.syncs--; *f.fs.syncs == 0 {
		return errDisk
	}
	return f.File.Datasync()
}

// TestDiskErrorIsFinal: after a failed write or sync nothing more is written or
// published, and what was published before is there after a restart.
func TestDiskErrorIsFinal(t *testing.T) {
	for _, broken := range []string{"write", "sync"} {
		t.Run(broken, func(t *testing.T) {
			dir := t.TempDir()
			writes, syncs := 0, 0
			m, err := Open(brokenFS{writes: &writes, syncs: &syncs}, dir, options())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.EnsureTopic(NewTopic{Name: "kept", Partitions: 1, Replicas: 1}); err != nil {
				t.Fatal(err)
			}
			if broken == "write" {
				writes = 1
			} else {
				syncs = 1
			}
			for range 3 {
				if _, err := m.EnsureTopic(NewTopic{Name: "lost", Partitions: 1, Replicas: 1}); !errors.Is(err, protocol.ErrKafkaStorageError) {
					t.Fatal(err)
				}
			}
			if _, err := m.NextProducerID(); !errors.Is(err, protocol.ErrKafkaStorageError) {
				t.Fatal(err)
			}
			if m.Image().Topics["lost"] != nil || m.Image().Topics["kept"] == nil {
				t.Fatal("the image shows what is not durable")
			}
			m.Close()
			after := open(t, dir)
			defer after.Close()
			if after.Image().Topics["kept"] == nil {
				t.Error("an acknowledged topic is gone")
			}
		})
	}
}

func TestOnImage(t *testing.T) {
	m := open(t, t.TempDir())
	defer m.Close()
	var seen []string
	m.OnImage = func(before, after *Image) error {
		for name := range after.Topics {
			if before.Topics[name] == nil {
				seen = append(seen, name)
				if m.Image() != before {
					t.Error("published before node was told")
				}
			}
		}
		if after.Topics["bad"] != nil {
			return errors.New("no space")
		}
		return nil
	}
	if _, err := m.EnsureTopic(NewTopic{Name: "good", Partitions: 1, Replicas: 1}); err != nil || len(seen) != 1 {
		t.Fatal(seen, err)
	}
	if _, err := m.EnsureTopic(NewTopic{Name: "bad", Partitions: 1, Replicas: 1}); !errors.Is(err, protocol.ErrKafkaStorageError) || !strings.Contains(err.Error(), "no space") {
		t.Fatal(err)
	}
	if m.Image().Topics["bad"] == nil {
		t.Error("the change is durable, so the image must show it")
	}
}

func TestClusterIDs(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir)
	id := m.Image().ClusterID
	if len(id) != 22 || id[0] == '-' {
		t.Errorf("minted %q", id)
	}
	m.Close()
	o := options()
	o.ClusterID = "another"
	if _, err := Open(commitlog.OS{}, dir, o); err == nil || !strings.Contains(err.Error(), id) {
		t.Errorf("a directory of another cluster is taken: %v", err)
	}
	o.ClusterID, o.Unclean = id, true
	for want := int32(1); want < 3; want++ {
		m, err := Open(commitlog.OS{}, dir, o)
		if err != nil || m.Image().LeaderEpochBase != want {
			t.Fatal(err, want)
		}
		m.Close()
	}
	o = options()
	o.ClusterID = "given"
	m, err := Open(commitlog.OS{}, t.TempDir(), o)
	if err != nil || m.Image().ClusterID != "given" {
		t.Fatal(err)
	}
	m.Close()
}

// TestRewrite: a log that is mostly history shrinks at open and says the same.
func TestRewrite(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir)
	if _, err := m.EnsureTopic(NewTopic{Name: "kept", Partitions: 4, Replicas: 1, Configs: map[string]string{"retention.ms": "1"}}); err != nil {
		t.Fatal(err)
	}
	if err := m.AlterConfigs(ConfigResource{Group: "g"}, []ConfigChange{{OpSet, "consumer.session.timeout.ms", text("50000")}}, false, false); err != nil {
		t.Fatal(err)
	}
	if err := m.AlterConfigs(ConfigResource{Subscription: "s"}, []ConfigChange{{OpSet, "metrics", text("a")}}, false, false); err != nil {
		t.Fatal(err)
	}
	if err := m.UpdateFeatures([]FeatureUpdate{{TransactionVersion, 1, UnsafeDowngrade}}, false); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	var churn []Change
	for n := range 20_000 {
		churn = append(churn, Change{Kind: producerIDsReserved, NextProducerID: int64(n)})
	}
	err := m.commit(churn)
	m.mu.Unlock()
	if err != nil || m.log.size < rewriteBytes {
		t.Fatal(err, m.log.size)
	}
	want := stateOf(m.Image())
	m.Close()
	for range 2 {
		m = open(t, dir)
		if got := stateOf(m.Image()); !reflect.DeepEqual(got, want) || m.log.size > 4096 {
			t.Fatalf("%d bytes, got %+v, want %+v", m.log.size, got, want)
		}
		if _, err := m.EnsureTopic(NewTopic{Name: "later", Partitions: 1, Replicas: 1}); err != nil {
			t.Fatal(err)
		}
		want = stateOf(m.Image())
		m.Close()
	}
}

// TestProducerIDsAreUnique, from many goroutines and over restarts.
func TestProducerIDsAreUnique(t *testing.T) {
	dir := t.TempDir()
	seen := map[int64]bool{}
	for range 3 {
		m := open(t, dir)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 4 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for range 600 {
					id, err := m.NextProducerID()
					mu.Lock()
					if err != nil || seen[id] {
						t.Errorf("id %d again (%v)", id, err)
					}
					seen[id] = true
					mu.Unlock()
				}
			}()
		}
		wg.Wait()
		m.Close()
	}
	if len(seen) != 3*4*600 {
		t.Errorf("%d ids", len(seen))
	}
}

// TestRandomCommands: whatever is asked, the log says the same as the image,
// and the image's invariants hold.
func TestRandomCommands(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			r.Fatal(err)
		}
		m := open(t, dir)
		names := rapid.SampledFrom([]string{"a", "b.x", "b_x", "c", "", OffsetsTopic})
		values := rapid.SampledFrom([]string{"1", "100", "-1", "compact", "delete", "x"})
		keys := rapid.SampledFrom([]string{"retention.ms", "cleanup.policy", "segment.ms", "log.retention.ms", "message.max.bytes", "nope"})
		r.Repeat(map[string]func(*rapid.T){
			"create": func(r *rapid.T) {
				m.CreateTopics([]NewTopic{{Name: names.Draw(r, "name"), Partitions: rapid.Int32Range(-2, 5).Draw(r, "n"), Replicas: 1, Internal: rapid.Bool().Draw(r, "internal")},
					{Name: names.Draw(r, "name"), Partitions: 1, Replicas: -1, Configs: map[string]string{keys.Draw(r, "key"): values.Draw(r, "value")}}}, rapid.Bool().Draw(r, "only"))
			},
			"delete": func(r *rapid.T) { _ = m.DeleteTopic(names.Draw(r, "name")) },
			"grow": func(r *rapid.T) {
				_ = m.CreatePartitions(names.Draw(r, "name"), rapid.Int32Range(-1, 9).Draw(r, "n"), false)
			},
			"alter": func(r *rapid.T) {
				value := values.Draw(r, "value")
				_ = m.AlterConfigs(ConfigResource{Topic: names.Draw(r, "name"), EveryNode: rapid.Bool().Draw(r, "every")},
					[]ConfigChange{{Operation(rapid.IntRange(0, 4).Draw(r, "op")), keys.Draw(r, "key"), &value}}, rapid.Bool().Draw(r, "replace"), rapid.Bool().Draw(r, "only"))
			},
			"restart": func(r *rapid.T) {
				want := stateOf(m.Image())
				m.Close()
				m = open(t, dir)
				if got := stateOf(m.Image()); !reflect.DeepEqual(got, want) {
					r.Fatalf("got  %+v\nwant %+v", got, want)
				}
			},
			"": func(r *rapid.T) {
				image := m.Image()
				if len(image.Topics) != len(image.ByID) {
					r.Fatal("names and ids differ")
				}
				if image.Topics["b.x"] != nil && image.Topics["b_x"] != nil {
					r.Fatal("colliding topics")
				}
				for name, topic := range image.Topics {
					if topic.Name != name || image.ByID[topic.ID] != topic || topic.Partitions < 1 || topic.Config == nil {
						r.Fatalf("topic %+v", topic)
					}
				}
			},
		})
		m.Close()
	})
}

func FuzzScan(f *testing.F) {
	b, _ := encodeChanges([]Change{{Kind: clusterFormed, ClusterID: "x"}}, 1)
	c, _ := encodeChanges([]Change{{Kind: topicCreated, Topic: "a", ID: encodeID([16]byte{1}), Partitions: 1}}, 1)
	c.SetBaseOffset(1)
	f.Add(append(bytes.Clone(b), c...))
	f.Add([]byte(b)[:70])
	f.Add(append(make([]byte, 5), c...))
	f.Fuzz(func(t *testing.T, content []byte) {
		_, end, next, err := scan(content)
		if err == nil && (end > int64(len(content)) || next < 0) {
			t.Fatalf("end %d of %d, next offset %d", end, len(content), next)
		}
	})
}
