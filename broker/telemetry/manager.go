package telemetry

import (
	"container/list"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

const (
	// maxInstances bounds the clients that are remembered; the one that was
	// heard of the longest ago makes room. Kafka's number.
	maxInstances = 16_384
	// minKept is how long a client is remembered at least. Kafka's.
	minKept = time.Minute
)

// Options are what a Manager is made of.
type Options struct {
	// MaxBytes is telemetry.max.bytes: of one push, before and after it is decompressed.
	MaxBytes int32
	// Now is the clock (default: time.Now), Random gives client instance ids
	// (default: crypto/rand).
	Now    func() time.Time
	Random io.Reader
}

// Manager is safe for concurrent use.
type Manager struct {
	maxBytes int32
	now      func() time.Time
	random   io.Reader

	mu            sync.Mutex // guards what follows; nothing is taken under it
	subscriptions map[string]*config.ClientMetrics
	version       int64 // rises with every change of subscriptions
	instances     map[[16]byte]*instance
	heard         *list.List          // of *instance, the last heard of first
	connections   map[uint64][16]byte // the instance that a connection brought
	board         *board
	pushes        map[string]int64 // by error
}

// New returns a Manager without subscriptions.
func New(o Options) *Manager {
	m := &Manager{
		maxBytes: o.MaxBytes, now: o.Now, random: o.Random,
		instances: map[[16]byte]*instance{}, heard: list.New(), connections: map[uint64][16]byte{},
		board: newBoard(), pushes: map[string]int64{},
	}
	if m.now == nil {
		m.now = time.Now
	}
	if m.random == nil {
		m.random = rand.Reader
	}
	return m
}

// SetSubscriptions makes these what clients are asked for. Each client hears of
// it with its next request. The map is the Manager's from now on.
func (m *Manager) SetSubscriptions(subscriptions map[string]*config.ClientMetrics) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.subscriptions = subscriptions
	m.version++
}

// Granted is what a client is asked for.
type Granted struct {
	InstanceID     [16]byte
	SubscriptionID int32
	// Metrics are the beginnings of names; "*" is all, none is nothing.
	Metrics  []string
	Interval time.Duration
	MaxBytes int32
}

// Get answers GetTelemetrySubscriptions: an id of zeros gets a new one. Errors:
// THROTTLING_QUOTA_EXCEEDED for a client that asks before its interval is over.
func (m *Manager) Get(id [16]byte, client Client) (Granted, error) {
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if id == [16]byte{} {
		id = m.newID()
	}
	i := m.instance(id, client, now)
	if err := i.mayGet(now); err != nil {
		return Granted{}, err
	}
	i.lastError = nil
	return Granted{InstanceID: id, SubscriptionID: i.subscriptionID, Metrics: i.metrics, Interval: i.interval, MaxBytes: m.maxBytes}, nil
}

// oneID is an id under which nobody can push: Kafka keeps it for itself.
var oneID = [16]byte{15: 1}

// newID is a random (version 4) id that no instance has. m.mu is held.
func (m *Manager) newID() (id [16]byte) {
	for id == [16]byte{} || m.instances[id] != nil {
		if _, err := io.ReadFull(m.random, id[:]); err != nil {
			panic("telemetry: no randomness: " + err.Error()) // crypto/rand does not fail
		}
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	}
	return id
}

// instance is the client of that id, made or evaluated anew where needed.
// m.mu is held.
func (m *Manager) instance(id [16]byte, client Client, now time.Time) *instance {
	i := m.instances[id]
	switch {
	case i == nil:
		i = newInstance(id, client, m.subscriptions, m.version)
		m.connections[client.Connection] = id
	case i.version < m.version:
		m.heard.Remove(i.place)
		i = newInstance(id, i.client, m.subscriptions, m.version)
		m.connections[client.Connection] = id
	}
	if i.place == nil {
		m.instances[id], i.place = i, m.heard.PushFront(i)
		if m.heard.Len() > maxInstances {
			m.forget(m.heard.Back().Value.(*instance))
		}
	}
	m.heard.MoveToFront(i.place)
	i.expires = now.Add(i.keptFor())
	return i
}

// forget drops an instance; what it pushed stays until its own time. m.mu is held.
func (m *Manager) forget(i *instance) {
	m.heard.Remove(i.place)
	delete(m.instances, i.id)
}

// Push is a PushTelemetry request.
type Push struct {
	InstanceID     [16]byte
	SubscriptionID int32
	// Terminating says that the client is about to end: it pushes no more.
	Terminating bool
	// Compression is the codec of Metrics, as in record batches; Metrics is an
	// OTLP MetricsData message.
	Compression int8
	Metrics     []byte
}

// Push takes what a client pushed. Errors: INVALID_REQUEST for an id that is
// none and after the last push, THROTTLING_QUOTA_EXCEEDED before the interval is
// over, UNKNOWN_SUBSCRIPTION_ID when the client must ask anew what for,
// UNSUPPORTED_COMPRESSION_TYPE, TELEMETRY_TOO_LARGE (as pushed, or
// decompressed), INVALID_RECORD for what cannot be read.
func (m *Manager) Push(p Push, client Client) error {
	err := m.push(p, client)
	name := "NONE"
	if known := (*protocol.Error)(nil); errors.As(err, &known) {
		name = known.Name
	}
	m.mu.Lock()
	m.pushes[name]++
	m.mu.Unlock()
	return err
}

func (m *Manager) push(p Push, client Client) error {
	if p.InstanceID == [16]byte{} || p.InstanceID == oneID {
		return protocol.ErrInvalidRequest
	}
	now := m.now()
	if err := m.admit(&p, client, now); err != nil || len(p.Metrics) == 0 {
		return err
	}
	read, err := m.read(&p) // without the lock: it may take a while
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.instances[p.InstanceID]
	if i != nil {
		i.lastError = err
	}
	if err != nil {
		return err
	}
	kept := minKept
	if i != nil {
		kept = i.keptFor()
	}
	id := ""
	if client.ID != nil {
		id = *client.ID
	}
	m.board.record(p.InstanceID, id, read, now.Add(kept))
	return nil
}

// admit decides whether a push is taken, and remembers that.
func (m *Manager) admit(p *Push, client Client, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.instance(p.InstanceID, client, now)
	err := i.mayPush(p, now, int(m.maxBytes))
	i.terminating = p.Terminating
	i.lastError = err
	if err == nil {
		return nil
	}
	return err
}

// read decompresses and decodes a push.
func (m *Manager) read(p *Push) (*reading, *protocol.Error) {
	data, err := record.Decompress(record.Codec(p.Compression), p.Metrics, int(m.maxBytes))
	switch {
	case errors.Is(err, record.ErrTooLarge):
		return nil, protocol.ErrTelemetryTooLarge
	case err != nil:
		return nil, protocol.ErrInvalidRecord
	}
	read, err := readMetrics(data)
	if err != nil {
		return nil, protocol.ErrInvalidRecord
	}
	return read, nil
}

// Disconnected forgets the client that a connection brought, as Kafka does:
// when it comes back it may ask and push at once.
func (m *Manager) Disconnected(connection uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id, known := m.connections[connection]
	if !known {
		return
	}
	delete(m.connections, connection)
	if i := m.instances[id]; i != nil {
		m.forget(i)
	}
}

// Expire drops clients that were not heard of for three intervals, and what
// they pushed. Call it now and then.
func (m *Manager) Expire() {
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for e := m.heard.Back(); e != nil; {
		i := e.Value.(*instance)
		e = e.Prev()
		if !now.Before(i.expires) {
			m.forget(i)
		}
	}
	m.board.expire(now)
}

// Samples are the latest numbers of all clients, in no order. The slice is the
// caller's, the labels are shared.
func (m *Manager) Samples() []Sample {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.board.samples()
}

// Stats count what the Manager has and did.
type Stats struct {
	Instances int
	// Pushes are those answered, by Kafka's name of the error; NONE is success.
	Pushes map[string]int64
	// Omitted are numbers that were pushed and are not shown.
	Omitted int64
}

// Stats are the counts since the start. The map is the caller's.
func (m *Manager) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	pushes := make(map[string]int64, len(m.pushes))
	for name, n := range m.pushes {
		pushes[name] = n
	}
	return Stats{Instances: len(m.instances), Pushes: pushes, Omitted: m.board.omitted}
}
