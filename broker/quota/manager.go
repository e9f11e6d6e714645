package quota

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// idle is how long a sensor is kept that nothing is charged to; Kafka's hour.
	idle = time.Hour
	// sweepInterval is how often idle sensors are looked for, at most.
	sweepInterval = time.Minute
	// maxSensors bounds the sensors kept. Clients beyond share one for each kind.
	maxSensors = 10_000
	// shardCount spreads clients over locks; maxClients bounds what is
	// remembered of clients in all shards.
	shardCount = 16
	maxClients = 2 * maxSensors
)

// Options are a Manager's fixed settings.
type Options struct {
	// Samples and Window are quota.window.num and quota.window.size.seconds.
	Samples int
	Window  time.Duration
	// ControllerSamples and ControllerWindow are controller.quota.window.num
	// and controller.quota.window.size.seconds.
	ControllerSamples int
	ControllerWindow  time.Duration
	// Now is the clock, the system's when nil.
	Now func() time.Time
}

// Manager measures what clients use against what a Table allows them. Safe
// for concurrent use. A nil Manager limits nothing.
type Manager struct {
	now                  func() time.Time
	began                time.Time // that milliseconds count from
	windows, controllers windows

	table     atomic.Pointer[Table] // nil while nothing is limited
	seed      maphash.Seed
	shards    [shardCount]shard
	throttled [Kinds]atomic.Int64

	mu      sync.Mutex // guards what follows; taken before a shard's
	sensors map[sensorKey]*sensor
	sweptMs int64
}

// shard remembers what binds some of the clients.
type shard struct {
	mu      sync.Mutex // guards clients
	clients map[clientKey]*client
	_       [64]byte // keeps shards off each other's cache lines
}

type clientKey struct{ user, clientID string }

// client is what a table says of one client; immutable.
type client struct {
	table   *Table
	limits  Limits
	sensors [Kinds]*sensor // nil where there is no limit
}

// sensorKey is whom a sensor measures. With neither user nor client id it is
// the one that clients share when there are too many.
type sensorKey struct {
	kind           Kind
	user, clientID string
}

// New makes a manager that limits nothing until Set.
func New(o Options) *Manager {
	m := &Manager{
		now: o.Now, windows: newWindows(o.Samples, o.Window), controllers: newWindows(o.ControllerSamples, o.ControllerWindow),
		seed: maphash.MakeSeed(), sensors: map[sensorKey]*sensor{},
	}
	if m.now == nil {
		m.now = time.Now
	}
	m.began = m.now()
	for i := range m.shards {
		m.shards[i].clients = map[clientKey]*client{}
	}
	return m
}

// Set makes table what binds from now on. What was used before still counts.
func (m *Manager) Set(table *Table) { m.table.Store(table) }

// Active tells whether anything is limited: one atomic load.
func (m *Manager) Active() bool { return m != nil && m.table.Load() != nil }

// limiting is the table when it has a limit of that kind, else nil.
func (m *Manager) limiting(kind Kind) *Table {
	if m == nil {
		return nil
	}
	table := m.table.Load()
	if table == nil || !table.has[kind] {
		return nil
	}
	return table
}

func (m *Manager) nowMs() int64 { return m.now().Sub(m.began).Milliseconds() }

// Charge records an amount of ProducerByteRate or ConsumerByteRate, in bytes,
// and returns for how long the client is to be silenced; 0 is not at all.
// alone tells that the client had used nothing within all windows before. It
// does not keep clientID, and allocates only for a client not seen lately.
func (m *Manager) Charge(kind Kind, user string, clientID []byte, amount float64) (throttle time.Duration, alone bool) {
	table := m.limiting(kind)
	if table == nil {
		return 0, true
	}
	s, limit := m.find(table, kind, user, clientID)
	if s == nil {
		return 0, true
	}
	ms, alone := s.charge(m.windows, m.nowMs(), amount, limit)
	return m.count(kind, ms), alone
}

// Refund takes back what Charge recorded a moment ago.
func (m *Manager) Refund(kind Kind, user string, clientID []byte, amount float64) {
	table := m.limiting(kind)
	if table == nil {
		return
	}
	if s, _ := m.find(table, kind, user, clientID); s != nil {
		s.refund(m.windows, m.nowMs(), amount)
	}
}

// ChargeTime records time spent on a request (RequestPercentage) and returns
// for how long the client is to be silenced, a window at most (KIP-124).
func (m *Manager) ChargeTime(user string, clientID []byte, spent time.Duration) time.Duration {
	table := m.limiting(RequestPercentage)
	if table == nil {
		return 0
	}
	s, limit := m.find(table, RequestPercentage, user, clientID)
	if s == nil {
		return 0
	}
	percent := float64(spent) / float64(time.Second) * 100
	ms, _ := s.charge(m.windows, m.nowMs(), percent, limit)
	return m.count(RequestPercentage, min(ms, float64(m.windows.sizeMs)))
}

// MostBytes is how much a silent client may fetch at once without being
// throttled for it; what is larger would be refused again and again.
func (m *Manager) MostBytes(user string, clientID []byte) int64 {
	table := m.limiting(ConsumerByteRate)
	if table == nil {
		return math.MaxInt64
	}
	s, limit := m.find(table, ConsumerByteRate, user, clientID)
	most := limit * float64((m.windows.num-1)*m.windows.sizeMs) / 1000
	if s == nil || most >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(most)
}

// Connection counts a connection from an address. When there are too many, it
// is not counted, and the time is returned for which it is to be left waiting
// before it is closed, a window at most (KIP-612).
func (m *Manager) Connection(from netip.Addr) time.Duration {
	table := m.limiting(ConnectionCreationRate)
	if table == nil {
		return 0
	}
	from = plain(from)
	limit := table.ofAddress(from)
	if limit == 0 {
		return 0
	}
	s, nowMs := m.sensor(sensorKey{kind: ConnectionCreationRate, clientID: from.String()}), m.nowMs()
	ms, _ := s.charge(m.windows, nowMs, 1, limit)
	if ms > 0 {
		s.refund(m.windows, nowMs, 1)
	}
	return m.count(ConnectionCreationRate, min(ms, float64(m.windows.sizeMs)))
}

// count counts a request that must wait and makes a time of its milliseconds.
func (m *Manager) count(kind Kind, ms float64) time.Duration {
	if ms <= 0 {
		return 0
	}
	m.throttled[kind].Add(1)
	return milliseconds(ms)
}

// milliseconds makes a time, which Kafka's replies hold as milliseconds in 32 bits.
func milliseconds(ms float64) time.Duration {
	return time.Duration(min(max(ms, 0), math.MaxInt32)) * time.Millisecond
}

// find is what binds a client in a kind: a limit and its sensor, or nil.
func (m *Manager) find(table *Table, kind Kind, user string, clientID []byte) (*sensor, float64) {
	s := &m.shards[maphash.Bytes(m.seed, clientID)%shardCount]
	s.mu.Lock()
	c := s.clients[clientKey{user, string(clientID)}]
	s.mu.Unlock()
	if c == nil || c.table != table {
		c = m.resolve(s, table, clientKey{user, string(clientID)})
	}
	return c.sensors[kind], c.limits[kind]
}

// resolve looks a client up in the table and remembers the outcome.
func (m *Manager) resolve(s *shard, table *Table, key clientKey) *client {
	c := &client{table: table}
	for kind := range ConnectionCreationRate { // the others are of clients
		if b, ok := table.find(kind, key.user, key.clientID); ok {
			c.limits[kind] = b.limit
			c.sensors[kind] = m.sensor(sensorKey{kind, b.user, b.clientID})
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.clients) >= maxClients/shardCount {
		clear(s.clients) // they are found again
	}
	s.clients[key] = c
	return c
}

// sensor finds or makes a sensor.
func (m *Manager) sensor(key sensorKey) *sensor {
	nowMs := m.nowMs()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sensors[key]
	if s == nil && len(m.sensors) >= maxSensors {
		m.sweep(nowMs)
		if len(m.sensors) >= maxSensors {
			key = sensorKey{kind: key.kind}
			s = m.sensors[key]
		}
	}
	if s == nil {
		s = new(sensor)
		m.sensors[key] = s
	}
	s.lastMs.Store(nowMs) // a sweep that comes now leaves it
	return s
}

// Expire drops sensors that nothing was charged to for an hour. Call it now
// and then; it looks at them once a minute at most.
func (m *Manager) Expire() {
	nowMs := m.nowMs()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(nowMs)
}

// sweep drops idle sensors, and with them what is remembered of clients, who
// may hold one of them. The mutex is held.
func (m *Manager) sweep(nowMs int64) {
	if nowMs-m.sweptMs < sweepInterval.Milliseconds() {
		return
	}
	m.sweptMs = nowMs
	before := len(m.sensors)
	for key, s := range m.sensors {
		if nowMs-s.lastMs.Load() > idle.Milliseconds() {
			delete(m.sensors, key)
		}
	}
	if len(m.sensors) == before {
		return
	}
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		clear(s.clients)
		s.mu.Unlock()
	}
}

// Usage is what one sensor measures of one client, or of all clients of a
// user (no ClientID), or of all users of a client id (no User).
type Usage struct {
	Kind           Kind
	User, ClientID string
	// Value is the rate: bytes a second, or percent of a processor. Of
	// ControllerMutationRate it is how many partitions are left to change at
	// once; below 0 when more were changed than allowed.
	Value float64
}

// Usages lists what is measured of clients, in no order; connections are left out.
func (m *Manager) Usages() []Usage {
	nowMs := m.nowMs()
	m.mu.Lock()
	defer m.mu.Unlock()
	usages := make([]Usage, 0, len(m.sensors))
	for key, s := range m.sensors {
		if key.kind == ConnectionCreationRate {
			continue
		}
		usages = append(usages, Usage{key.kind, key.user, key.clientID, s.read(key.kind, m.windowsOf(key.kind), nowMs)})
	}
	return usages
}

func (m *Manager) windowsOf(kind Kind) windows {
	if kind == ControllerMutationRate {
		return m.controllers
	}
	return m.windows
}

// Throttled is how many requests, or connections, a kind has throttled.
func (m *Manager) Throttled(kind Kind) int64 { return m.throttled[kind].Load() }
