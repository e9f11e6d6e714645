package quota

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// clock is a clock that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_700_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// managed is a manager with Kafka's windows and these limits.
func managed(limits map[Entity]Limits) (*Manager, *clock) {
	c := newClock()
	m := New(Options{Samples: 11, Window: time.Second, ControllerSamples: 11, ControllerWindow: time.Second, Now: c.Now})
	m.Set(NewTable(limits))
	return m, c
}

const user = "ANONYMOUS"

func TestCharge(t *testing.T) {
	m, c := managed(map[Entity]Limits{
		{ClientID: Named("a")}:   {ProducerByteRate: 100, ConsumerByteRate: 50, RequestPercentage: 1},
		{ClientID: Default()}:    {ProducerByteRate: 10},
		{User: Named("someone")}: {ProducerByteRate: 1000},
	})
	produce := func(user, clientID string, amount float64) time.Duration {
		throttle, _ := m.Charge(ProducerByteRate, user, []byte(clientID), amount)
		return throttle
	}
	for _, s := range []struct {
		name string
		got  time.Duration
		want time.Duration
	}{
		{"within its limit", produce(user, "a", 1000), 0},
		{"another client has a sensor of its own", produce(user, "b", 100), 0},
		{"the default is each client's alone", produce(user, "c", 110), time.Second},
		{"who is known by the user's limit is not bound by the client's", produce("someone", "a", 9999), 0},
		{"all clients of a user share its limit", produce("someone", "z", 101), 100 * time.Millisecond},
		{"beyond its limit", produce(user, "a", 100), time.Second},
		{"no client id, no limit", produce(user, "", 1e9), 0},
		{"time is limited to a window, however much was spent", m.ChargeTime(user, []byte("a"), time.Minute), time.Second},
		{"time without a limit", m.ChargeTime(user, []byte("b"), time.Hour), 0},
		{"what does not fit into a reply is held to it", produce(user, "b", 1e30), (1<<31 - 1) * time.Millisecond},
	} {
		if s.got != s.want {
			t.Errorf("%s: %v, want %v", s.name, s.got, s.want)
		}
	}
	if got := m.MostBytes(user, []byte("a")); got != 500 {
		t.Errorf("a may fetch %d bytes at once", got)
	}
	if m.Throttled(ProducerByteRate) != 4 || m.Throttled(RequestPercentage) != 1 || m.Throttled(ConsumerByteRate) != 0 {
		t.Errorf("throttled %d, %d, %d", m.Throttled(ProducerByteRate), m.Throttled(RequestPercentage), m.Throttled(ConsumerByteRate))
	}
	// A refund, and a limit that changes: what was used still counts.
	c.advance(time.Hour)
	produce(user, "a", 1000)
	m.Charge(ProducerByteRate, user, []byte("a"), 400)
	m.Refund(ProducerByteRate, user, []byte("a"), 400)
	m.Set(NewTable(map[Entity]Limits{{ClientID: Named("a")}: {ProducerByteRate: 50}}))
	if got := produce(user, "a", 50); got != 11*time.Second {
		t.Errorf("at half the limit: %v", got)
	}
	m.Set(nil)
	if got := produce(user, "a", 1e9); got != 0 || m.Active() {
		t.Errorf("without limits: %v", got)
	}
}

func TestNilManagerLimitsNothing(t *testing.T) {
	var m *Manager
	throttle, alone := m.Charge(ProducerByteRate, user, []byte("a"), 1e9)
	m.Refund(ProducerByteRate, user, []byte("a"), 1)
	mutations := m.Mutations(user, []byte("a"), true)
	if throttle != 0 || !alone || m.Active() || m.ChargeTime(user, nil, time.Hour) != 0 || m.MostBytes(user, nil) < 1<<62 ||
		m.Connection(netip.MustParseAddr("10.0.0.1")) != 0 || !mutations.Take(1<<30) || mutations.Throttle() != 0 {
		t.Error("it limits")
	}
}

func TestMutations(t *testing.T) {
	m, c := managed(map[Entity]Limits{{ClientID: Default()}: {ControllerMutationRate: 10}}) // a burst of 110
	strict := m.Mutations(user, []byte("a"), true)
	if !strict.Take(100) || !strict.Take(30) || strict.Take(1) || strict.Throttle() != 2*time.Second {
		t.Fatalf("throttle %v", strict.Throttle())
	}
	c.advance(1500 * time.Millisecond)
	if strict.Throttle() != 500*time.Millisecond {
		t.Errorf("the throttle does not count down: %v", strict.Throttle())
	}
	old := m.Mutations(user, []byte("a"), false)
	if !old.Take(5) || old.Throttle() != time.Second || !old.Take(10) || old.Throttle() != 2*time.Second {
		t.Errorf("an old client is not refused, but silenced: %v", old.Throttle())
	}
	c.advance(time.Hour)
	if old.Throttle() != 0 {
		t.Errorf("after an hour: %v", old.Throttle())
	}
	if other := m.Mutations(user, []byte("b"), true); !other.Take(110) || !other.Take(1) || other.Take(1) {
		t.Error("another client has tokens of its own")
	}
	if m.Throttled(ControllerMutationRate) != 3 {
		t.Errorf("%d requests were throttled", m.Throttled(ControllerMutationRate))
	}
}

func TestConnections(t *testing.T) {
	m, c := managed(map[Entity]Limits{{IP: Default()}: {ConnectionCreationRate: 5}, {IP: Named("10.0.0.9")}: {ConnectionCreationRate: 1}})
	one, mapped, nine := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::ffff:10.0.0.1"), netip.MustParseAddr("10.0.0.9")
	open := func(from netip.Addr, times int) (last time.Duration) {
		for range times {
			last = m.Connection(from)
		}
		return last
	}
	for n, s := range []struct{ got, want time.Duration }{
		{open(one, 49), 0}, {open(mapped, 1), 0}, {open(one, 1), 200 * time.Millisecond},
		{open(mapped, 100), 200 * time.Millisecond}, // what is turned away is not counted
		{open(nine, 10), 0}, {open(nine, 1), time.Second},
	} {
		if s.got != s.want {
			t.Errorf("step %d: %v, want %v", n, s.got, s.want)
		}
	}
	c.advance(11 * time.Second)
	if got := open(one, 50); got != 0 {
		t.Errorf("after all windows: %v", got)
	}
}

// A client that sends as fast as it may gets its quota over time. What it got
// differs by no more than what all windows hold once, and by a request and a
// window each time that all of them pass: so coarse are Kafka's rates.
func TestGreedyClientGetsItsQuota(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Float64Range(1, 1e9).Draw(t, "limit")
		num := rapid.IntRange(4, 20).Draw(t, "num")
		size := time.Duration(rapid.IntRange(1, 10).Draw(t, "seconds")) * time.Second
		parts := rapid.SliceOfN(rapid.Float64Range(0.01, 0.1), 1, 20).Draw(t, "parts") // of what all windows may hold
		c := newClock()
		m := New(Options{Samples: num, Window: size, Now: c.Now})
		m.Set(NewTable(map[Entity]Limits{{ClientID: Named("greedy")}: {ProducerByteRate: limit}}))
		whole := time.Duration(num) * size
		begin, total := c.Now(), 0.0
		for n := 0; c.Now().Sub(begin) < 20*whole; n++ {
			seconds := parts[n%len(parts)] * whole.Seconds()                  // of the limit
			c.advance(time.Duration(seconds * float64(100*time.Millisecond))) // it could send at ten times its limit
			throttle, _ := m.Charge(ProducerByteRate, user, []byte("greedy"), seconds*limit)
			total += seconds
			c.advance(throttle)
		}
		want := c.Now().Sub(begin).Seconds()
		if slack := whole.Seconds() + want*(slices.Max(parts)+1/float64(num)); total < want-slack || total > want+slack {
			t.Fatalf("in %v s it got the quota of %v s, want within %v", want, total, slack)
		}
	})
}

func TestSensorsExpire(t *testing.T) {
	m, c := managed(map[Entity]Limits{{ClientID: Default()}: {ProducerByteRate: 1}})
	charge := func(clientID string) { m.Charge(ProducerByteRate, user, []byte(clientID), 1) }
	charge("idle")
	charge("busy")
	for range 7 {
		c.advance(10 * time.Minute)
		charge("busy")
		m.Expire()
	}
	if usages := m.Usages(); len(usages) != 1 || usages[0].ClientID != "busy" || usages[0].Kind != ProducerByteRate || usages[0].Value <= 0 {
		t.Errorf("%+v", usages)
	}
	remembered := 0
	for i := range m.shards {
		remembered += len(m.shards[i].clients)
	}
	if remembered > 1 {
		t.Errorf("%d clients are remembered", remembered)
	}
	charge("idle")
	if len(m.Usages()) != 2 {
		t.Error("who comes back has no sensor")
	}
}

func TestSensorsAreBounded(t *testing.T) {
	m, c := managed(map[Entity]Limits{{ClientID: Default()}: {ProducerByteRate: 1}})
	charge := func(n int) time.Duration {
		throttle, _ := m.Charge(ProducerByteRate, user, fmt.Appendf(nil, "client-%d", n), 10)
		return throttle
	}
	for n := range maxSensors {
		if throttle := charge(n); throttle != 0 {
			t.Fatalf("client %d: %v", n, throttle)
		}
	}
	if first, second := charge(maxSensors), charge(maxSensors+1); first != 0 || second != 10*time.Second {
		t.Errorf("clients beyond the bound share a sensor: %v, %v", first, second)
	}
	for n := range 3 * maxSensors {
		charge(2*maxSensors + n)
	}
	remembered := 0
	for i := range m.shards {
		remembered += len(m.shards[i].clients)
	}
	if len(m.sensors) > maxSensors+Kinds || remembered > maxClients {
		t.Errorf("%d sensors, %d clients", len(m.sensors), remembered)
	}
	c.advance(2 * time.Hour)
	if charge(-1); len(m.sensors) != 1 {
		t.Errorf("%d sensors after two hours of silence", len(m.sensors))
	}
}

func TestChargesDoNotAllocate(t *testing.T) {
	m, _ := managed(nil)
	clientID := []byte("a-client-id-longer-than-any-small-buffer-on-the-stack-would-be-for-strings")
	charge := func() {
		m.Active()
		m.Charge(ProducerByteRate, user, clientID, 1)
		m.Charge(ConsumerByteRate, user, clientID, 1)
		m.ChargeTime(user, clientID, time.Microsecond)
		m.MostBytes(user, clientID)
	}
	for name, limits := range map[string]map[Entity]Limits{
		"nothing set":      nil,
		"set for another":  {{ClientID: Named("b")}: {ProducerByteRate: 1, ConsumerByteRate: 1, RequestPercentage: 1}},
		"set for everyone": {{ClientID: Default()}: {ProducerByteRate: 1, ConsumerByteRate: 1, RequestPercentage: 1}},
	} {
		m.Set(NewTable(limits))
		charge()
		if n := testing.AllocsPerRun(1000, charge); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	m, c := managed(nil)
	tables := []*Table{
		nil,
		NewTable(map[Entity]Limits{{ClientID: Default()}: {ProducerByteRate: 1, ControllerMutationRate: 1}}),
		NewTable(map[Entity]Limits{{User: Default()}: {ProducerByteRate: 5, RequestPercentage: 1}, {IP: Default()}: {ConnectionCreationRate: 1}}),
	}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for n := range 500 {
				clientID := fmt.Appendf(nil, "c%d", n%7)
				m.Charge(ProducerByteRate, user, clientID, 1)
				m.Refund(ProducerByteRate, user, clientID, 1)
				m.ChargeTime(user, clientID, time.Second)
				mutations := m.Mutations(user, clientID, n%2 == 0)
				mutations.Take(1)
				m.Connection(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}))
				if worker == 0 {
					m.Set(tables[n%len(tables)])
					c.advance(time.Minute)
					m.Expire()
					m.Usages()
				}
			}
		})
	}
	all.Wait()
	m.Set(tables[1])
	if throttle, _ := m.Charge(ProducerByteRate, user, []byte("fresh"), 11); throttle != time.Second {
		t.Errorf("afterwards: %v", throttle)
	}
}
