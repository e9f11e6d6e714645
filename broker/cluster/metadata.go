package cluster

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/config"
	"fluxmq/broker/protocol"
)

// Metadata is the live door: it keeps the image, serialises commands, writes
// changes durably before publishing them. Safe for concurrent use.
type Metadata struct {
	// OnImage is called, in order, under the command lock, after a command's
	// changes are durable and before they are published and the command
	// returns, so that partitions exist when CreateTopics is answered. Image
	// still gives before while it runs; it must not call commands. An error
	// makes the command fail with KAFKA_STORAGE_ERROR; the change stays, and
	// the next start tries it again. node sets it before the first command;
	// what Open found is node's to bring about from Image.
	OnImage func(before, after *Image) error
	// OnFailed is called once, under the command lock, when the log failed and
	// takes no more. It must not block nor call commands; nil where nobody asks.
	OnFailed func(error)

	image atomic.Pointer[Image]
	end   atomic.Int64 // the offset after the log's last change
	o     Options

	// mu guards what follows and makes commands one after another. It is held
	// across the log's fdatasync and OnImage.
	mu      sync.Mutex
	log     *metadataLog
	failed  error // why the log takes no more; nil while it does
	deleted map[[16]byte]bool
	// Producer ids of the reserved block not handed out yet: [nextID, endID).
	nextID, endID int64
}

// Options are what Open needs besides a directory.
type Options struct {
	// Settings are the broker's static ones. Required.
	Settings *config.Node
	// ClusterID is what meta.properties says, "" for a new directory. It must
	// agree with the log's. A new cluster takes it, else Settings.ClusterID,
	// else a fresh one.
	ClusterID string
	// Unclean says that the last stop was not clean: LeaderEpochBase rises.
	Unclean bool
	// Random gives topic and cluster ids (default: crypto/rand), Now the
	// records' timestamps (default: time.Now).
	Random io.Reader
	Now    func() time.Time
	// Log is told what a person should know (default: slog.Default).
	Log *slog.Logger
}

// Open reads the metadata log under the log directory dir, making it for a new
// one. Errors: ErrDamaged, ErrUnknownChange, a cluster id that does not agree,
// topic settings that the broker's settings contradict, and I/O. Close it.
func Open(fsys commitlog.FS, dir string, o Options) (*Metadata, error) {
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	log, changes, err := openMetadataLog(fsys, dir, o.Log)
	if err != nil {
		return nil, fmt.Errorf("metadata log: %w", err)
	}
	m := &Metadata{o: o, log: log, deleted: map[[16]byte]bool{}}
	if err := m.start(fsys, changes); err != nil {
		return nil, errors.Join(fmt.Errorf("metadata log: %w", err), log.file.Close())
	}
	return m, nil
}

// start replays changes, forms the cluster when there is none, and notes an unclean stop.
func (m *Metadata) start(fsys commitlog.FS, changes []Change) error {
	image, err := (&Image{
		Node: thisBroker(m.o.Settings), Settings: m.o.Settings,
		Topics: map[string]*Topic{}, ByID: map[[16]byte]*Topic{}, collisions: map[string]string{},
	}).apply(changes, m.deleted)
	if err != nil {
		return err
	}
	m.image.Store(image)
	for _, id := range []string{m.o.ClusterID, m.o.Settings.ClusterID} {
		if id != "" && image.ClusterID != "" && id != image.ClusterID {
			return fmt.Errorf("the data belongs to cluster %s, not %s", image.ClusterID, id)
		}
	}
	if err := m.log.rewrite(fsys, image, m.o.Now().UnixMilli()); err != nil {
		return err
	}
	m.end.Store(m.log.nextOffset)
	if len(image.Ignored) > 0 {
		m.o.Log.Warn("Settings that were altered at run time do not fit the present ones and are not in force", "settings", image.Ignored)
	}
	var first []Change
	if image.ClusterID == "" {
		first = append(first, Change{Kind: clusterFormed, ClusterID: m.clusterID()})
	}
	if m.o.Unclean {
		first = append(first, Change{Kind: nodeStarted, LeaderEpochBase: image.LeaderEpochBase + 1})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.commit(first)
}

func thisBroker(n *config.Node) Broker {
	b := Broker{NodeID: n.NodeID, Rack: n.Rack}
	if len(n.AdvertisedListeners) > 0 {
		b.Host, b.Port = n.AdvertisedListeners[0].Host, int32(n.AdvertisedListeners[0].Port)
	}
	return b
}

// clusterID of a new cluster.
func (m *Metadata) clusterID() string {
	switch {
	case m.o.ClusterID != "":
		return m.o.ClusterID
	case m.o.Settings.ClusterID != "":
		return m.o.Settings.ClusterID
	}
	return encodeID(m.newID())
}

// newID is a random (version 4) UUID that no shell takes for an option: its
// text does not begin with a hyphen.
func (m *Metadata) newID() (id [16]byte) {
	for id == [16]byte{} || encodeID(id)[0] == '-' {
		if _, err := io.ReadFull(m.o.Random, id[:]); err != nil {
			panic("cluster: no randomness: " + err.Error()) // crypto/rand does not fail
		}
		id[6] = id[6]&0x0f | 0x40
		id[8] = id[8]&0x3f | 0x80
	}
	return id
}

// Image is the cluster as it is now. Immutable; one atomic load.
func (m *Metadata) Image() *Image { return m.image.Load() }

// EndOffset is the offset after the metadata log's last change, all of them
// durable. One atomic load.
func (m *Metadata) EndOffset() int64 { return m.end.Load() }

// Deleted tells whether the metadata log knows that the topic of this id was
// deleted: its directories may go. Of an id that was never a topic here it is false.
func (m *Metadata) Deleted(id [16]byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.deleted[id]
}

// Close closes the log. Commands fail afterwards; Image goes on working.
func (m *Metadata) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.log == nil {
		return nil
	}
	err := m.log.file.Close()
	m.log = nil
	return err
}

// commit makes changes durable, tells node and publishes. m.mu is held.
func (m *Metadata) commit(changes []Change) error {
	if len(changes) == 0 {
		return nil
	}
	if m.log == nil {
		return fmt.Errorf("%w: the metadata log is closed", protocol.ErrBrokerNotAvailable)
	}
	if m.failed != nil {
		return m.failed
	}
	before := m.Image()
	after, err := before.apply(changes, m.deleted)
	if err != nil {
		return fmt.Errorf("%w: %w", protocol.ErrUnknownServerError, err)
	}
	if err := m.log.append(changes, m.o.Now().UnixMilli()); err != nil {
		// Final: what the file holds now is not known before the next start.
		m.failed = fmt.Errorf("%w: metadata log: %w", protocol.ErrKafkaStorageError, err)
		m.o.Log.Error("the metadata log failed; no topic or setting can change until the broker starts again", "error", err)
		if m.OnFailed != nil {
			m.OnFailed(m.failed)
		}
		return m.failed
	}
	m.end.Store(m.log.nextOffset)
	if m.OnImage != nil {
		err = m.OnImage(before, after)
	}
	m.image.Store(after)
	if err != nil && !errors.As(err, new(*protocol.Error)) {
		err = fmt.Errorf("%w: %w", protocol.ErrKafkaStorageError, err)
	}
	return err
}

// CreateTopics answers one (topic, error) per entry, errors being
// *protocol.Error wrapped with words. Entries are judged one by one; those
// that can be are created together. With validateOnly nothing is created and
// the topics are what would be.
func (m *Metadata) CreateTopics(ts []NewTopic, validateOnly bool) ([]*Topic, []error) {
	return m.AdmitTopics(ts, validateOnly, nil)
}

// AdmitTopics is CreateTopics for those topics that could be created and that
// admit, asked for one after another under the command lock, lets pass.
func (m *Metadata) AdmitTopics(ts []NewTopic, validateOnly bool, admit func(*Topic) error) ([]*Topic, []error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	changes, topics, errs := createTopics(m.Image(), ts, m.newID)
	if admit != nil {
		changes = admitTopics(changes, topics, errs, admit)
	}
	if validateOnly {
		return topics, errs
	}
	err := m.commit(changes)
	for n, t := range topics {
		switch {
		case t == nil:
		case err != nil:
			topics[n], errs[n] = nil, fmt.Errorf("creating topic %s: %w", t.Name, err)
		default:
			topics[n] = m.Image().Topics[t.Name]
		}
	}
	return topics, errs
}

// admitTopics asks admit for every topic and keeps the changes of those that
// may be; changes are in the order of topics.
func admitTopics(changes []Change, topics []*Topic, errs []error, admit func(*Topic) error) []Change {
	kept, next := changes[:0], 0
	for n, t := range topics {
		if t == nil {
			continue
		}
		if err := admit(t); err != nil {
			topics[n], errs[n] = nil, err
		} else {
			kept = append(kept, changes[next])
		}
		next++
	}
	return kept
}

// EnsureTopic is auto-creation (Metadata requests, coordinators): the topic,
// created if absent.
func (m *Metadata) EnsureTopic(t NewTopic) (*Topic, error) {
	if existing := m.Image().Topics[t.Name]; existing != nil {
		return existing, nil
	}
	topics, errs := m.CreateTopics([]NewTopic{t}, false)
	if errors.Is(errs[0], protocol.ErrTopicAlreadyExists) {
		if existing := m.Image().Topics[t.Name]; existing != nil {
			return existing, nil
		}
	}
	return topics[0], errs[0]
}

// DeleteTopic deletes a topic by name: UNKNOWN_TOPIC_OR_PARTITION when there
// is none, POLICY_VIOLATION for the broker's own.
func (m *Metadata) DeleteTopic(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	changes, err := deleteTopic(m.Image().Topics[name], name)
	if err != nil {
		return err
	}
	return m.commit(changes)
}

// DeleteTopics deletes the topics of these ids together, one error an id:
// UNKNOWN_TOPIC_ID when there is none, POLICY_VIOLATION for the broker's own.
func (m *Metadata) DeleteTopics(ids [][16]byte) []error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Change
	errs := make([]error, len(ids))
	seen := map[[16]byte]bool{}
	for n, id := range ids {
		t := m.Image().ByID[id]
		if t == nil || seen[id] {
			errs[n] = fmt.Errorf("%w: no topic has the id %s", protocol.ErrUnknownTopicID, encodeID(id))
			continue
		}
		seen[id] = true
		var changes []Change
		if changes, errs[n] = deleteTopic(t, t.Name); errs[n] == nil {
			all = append(all, changes...)
		}
	}
	if err := m.commit(all); err != nil {
		for n := range errs {
			if errs[n] == nil {
				errs[n] = err
			}
		}
	}
	return errs
}

// CreatePartitions grows a topic to total partitions: INVALID_PARTITIONS when
// that is no increase.
func (m *Metadata) CreatePartitions(topic string, total int32, validateOnly bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	changes, err := createPartitions(m.Image(), topic, total)
	if err != nil || validateOnly {
		return err
	}
	return m.commit(changes)
}

// AlterConfigs alters a resource's settings: with replace they are all that is
// set afterwards (AlterConfigs), without it each change is made to what is set
// (IncrementalAlterConfigs). It is done wholly or not at all. Errors:
// UNKNOWN_TOPIC_OR_PARTITION, INVALID_CONFIG, INVALID_REQUEST, POLICY_VIOLATION.
func (m *Metadata) AlterConfigs(resource ConfigResource, changes []ConfigChange, replace, validateOnly bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	decided, err := alterConfigs(m.Image(), resource, changes, replace)
	if err != nil || validateOnly {
		return err
	}
	return m.commit(decided)
}

// UpdateFeatures sets the levels of features, all of them or none:
// INVALID_UPDATE_VERSION for a feature or level that cannot be. With
// validateOnly nothing is set.
func (m *Metadata) UpdateFeatures(updates []FeatureUpdate, validateOnly bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	changes, err := updateFeatures(m.Image(), updates)
	if err != nil || validateOnly {
		return err
	}
	return m.commit(changes)
}

// AlterClientQuotas alters quotas, one error an alteration: INVALID_REQUEST for
// an entity, key or value that cannot be, and for an entity named twice. Those
// that can be are altered together. With validateOnly nothing is altered.
func (m *Metadata) AlterClientQuotas(alterations []QuotaAlteration, validateOnly bool) []error {
	m.mu.Lock()
	defer m.mu.Unlock()
	changes, errs := alterClientQuotas(m.Image(), alterations)
	if validateOnly {
		return errs
	}
	if err := m.commit(changes); err != nil {
		for n := range errs {
			if errs[n] == nil {
				errs[n] = err
			}
		}
	}
	return errs
}

// NextProducerID hands out ids from a durable block: no id is ever given
// twice, across restarts too. Ids of a block that a stop cut short are lost.
func (m *Metadata) NextProducerID() (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.nextID == m.endID {
		first := m.Image().NextProducerID
		if err := m.commit(reserveProducerIDs(m.Image())); err != nil {
			return -1, err
		}
		m.nextID, m.endID = first, first+producerIDBlock
	}
	m.nextID++
	return m.nextID - 1, nil
}
