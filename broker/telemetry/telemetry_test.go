package telemetry

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"

	"pgregory.net/rapid"
)

// What follows writes protobuf, as far as the tests need it.

func varintField(number int, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(number)<<3|wireVarint), v)
}

func fixedField(number int, v uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.AppendUvarint(nil, uint64(number)<<3|wireFixed64), v)
}

// messageField is a field of a message that is made of these fields.
func messageField(number int, content ...[]byte) []byte {
	all := slices.Concat(content...)
	return append(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(number)<<3|wireBytes), uint64(len(all))), all...)
}

func textField(number int, s string) []byte { return messageField(number, []byte(s)) }

func attribute(number int, key string, value []byte) []byte {
	return messageField(number, textField(1, key), messageField(2, value))
}

func double(v float64) []byte { return fixedField(4, math.Float64bits(v)) }

// gauge is a metric with one point.
func gauge(name string, point ...[]byte) []byte {
	return messageField(2, textField(1, name), messageField(5, messageField(1, point...)))
}

func sum(name string, delta, monotonic bool, point ...[]byte) []byte {
	temporality, rises := uint64(2), uint64(0)
	if delta {
		temporality = temporalityDelta
	}
	if monotonic {
		rises = 1
	}
	return messageField(2, textField(1, name), messageField(7, messageField(1, point...), varintField(2, temporality), varintField(3, rises)))
}

// push is a MetricsData of these metrics, with a resource attribute of the client.
func push(metrics ...[]byte) []byte {
	return messageField(1, messageField(2, metrics...), messageField(1, attribute(1, "group_id", textField(1, "g"))))
}

func TestReadMetrics(t *testing.T) {
	read, err := readMetrics(push(
		gauge("rate", double(1.5), attribute(7, "topic", textField(1, "t")), attribute(7, "node", varintField(3, 7)), attribute(7, "list", messageField(5))),
		gauge("count", fixedField(6, uint64(math.MaxUint64))),
		sum("total", true, true, double(3)),
		sum("level", false, false, double(-2)),
		gauge("none", varintField(8, noRecordedValue), double(9)),
		messageField(2, textField(1, "histogram"), messageField(9)),
		messageField(2, textField(1, "empty")),
	))
	if err != nil {
		t.Fatal(err)
	}
	want := []point{
		{name: "rate", labels: []Label{{"group_id", "g"}, {"topic", "t"}, {"node", "7"}}, value: 1.5},
		{name: "count", labels: []Label{{"group_id", "g"}}, value: -1},
		{name: "total", labels: []Label{{"group_id", "g"}}, value: 3, sum: true, delta: true, monotonic: true},
		{name: "level", labels: []Label{{"group_id", "g"}}, value: -2, sum: true},
	}
	if read.skipped != 1 || !slices.EqualFunc(read.points, want, func(a, b point) bool {
		labels := slices.Equal(a.labels, b.labels)
		a.labels, b.labels = nil, nil
		return labels && a.name == b.name && a.value == b.value && a.sum == b.sum && a.delta == b.delta && a.monotonic == b.monotonic
	}) {
		t.Errorf("skipped %d\ngot  %+v\nwant %+v", read.skipped, read.points, want)
	}
}

func TestReadMetricsRefusals(t *testing.T) {
	for why, data := range map[string][]byte{
		"a length beyond the end":          {1<<3 | wireBytes, 200, 1},
		"a varint without an end":          {1<<3 | wireVarint, 0xff},
		"a group":                          {1<<3 | 3},
		"field 0":                          {0},
		"a fixed64 cut short":              {1<<3 | wireFixed64, 1, 2},
		"a fixed32 cut short":              {1<<3 | wireFixed32, 1},
		"a number where a message must be": varintField(1, 3),
		"a value of another type":          push(gauge("g", varintField(4, 1))),
		"an attribute that is a number":    push(gauge("g", varintField(7, 1), double(1))),
		"a bad message deep inside":        push(gauge("g", double(1), messageField(7, textField(1, "k"), messageField(2, []byte{0xff})))),
		"a temporality that is text":       push(messageField(2, textField(1, "s"), messageField(7, textField(2, "delta")))),
	} {
		if _, err := readMetrics(data); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

// TestPointsAreBounded: what is beyond the bound is counted, not kept.
func TestPointsAreBounded(t *testing.T) {
	points := messageField(1, double(1))
	read, err := readMetrics(push(messageField(2, textField(1, "g"), messageField(5, slices.Repeat(points, maxPoints+7)))))
	if err != nil || len(read.points) != maxPoints || read.skipped != 7 {
		t.Errorf("%d points, %d skipped, %v", len(read.points), read.skipped, err)
	}
}

func FuzzReadMetrics(f *testing.F) {
	f.Add(push(gauge("rate", double(1.5), attribute(7, "topic", textField(1, "t")))))
	f.Add(push(sum("total", true, true, fixedField(6, 3))))
	f.Add([]byte{1<<3 | wireBytes, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		read, err := readMetrics(data)
		if err != nil {
			return
		}
		b := newBoard()
		b.record([16]byte{1}, "client\xff", read, time.Unix(1, 0))
		seen := map[seriesKey]bool{}
		for _, s := range b.samples() {
			checkSample(t, s)
			key := keyOf(s.Sum, s.Metric, s.Labels)
			if seen[key] {
				t.Fatalf("two samples of %v", s)
			}
			seen[key] = true
		}
		if len(b.samples()) > maxInstanceSeries || len(read.points) > maxPoints {
			t.Fatal("a bound is not kept")
		}
	})
}

// checkSample wants a sample fit for Prometheus.
func checkSample(t interface{ Fatalf(string, ...any) }, s Sample) {
	last := ""
	for _, l := range s.Labels {
		first := l.Name[0] | 0x20
		if l.Name <= last || first < 'a' || first > 'z' || strings.Trim(l.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
			t.Fatalf("label %q behind %q", l.Name, last)
		}
		if l.Name == InstanceLabel || l.Name == ClientLabel || l.Name == MetricLabel {
			t.Fatalf("label %q is taken", l.Name)
		}
		last = l.Name
		if strings.ToValidUTF8(l.Value, "") != l.Value || len(l.Value) > maxTextBytes {
			t.Fatalf("value %q", l.Value)
		}
	}
	if s.Metric == "" || strings.ToValidUTF8(s.Metric+s.ClientID, "") != s.Metric+s.ClientID || s.InstanceID == "" {
		t.Fatalf("%+v", s)
	}
}

func TestBoard(t *testing.T) {
	b := newBoard()
	now := time.Unix(100, 0)
	a, other := [16]byte{1}, [16]byte{2}
	one := func(points ...point) *reading { return &reading{points: points} }
	value := func(metric string) (values []float64) {
		for _, s := range b.samples() {
			if s.Metric == metric {
				values = append(values, s.Value)
			}
		}
		slices.Sort(values)
		return values
	}
	total := point{name: "total", value: 3, sum: true, delta: true, monotonic: true}
	b.record(a, "c", one(point{name: "gauge", value: 1}, total, point{name: "level", value: 2, sum: true, delta: true}), now)
	b.record(a, "c", one(point{name: "gauge", value: 7}, total, point{name: "level", value: -5, sum: true, delta: true}), now)
	b.record(other, "c", one(total, point{name: "total", value: 50, sum: true, monotonic: true}), now.Add(time.Second))
	for metric, want := range map[string][]float64{"gauge": {7}, "total": {6, 50}, "level": {-3}} {
		if got := value(metric); !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", metric, got, want)
		}
	}
	b.record(a, "c", one(point{name: "total", value: -1, sum: true, delta: true, monotonic: true}, point{}, point{name: "total", value: math.NaN(), sum: true, monotonic: true}), now)
	if b.omitted != 3 {
		t.Errorf("%d left out; a sum does not fall, and what has no name has no place", b.omitted)
	}
	b.expire(now)
	if got := value("total"); !slices.Equal(got, []float64{50}) || b.count != 1 {
		t.Errorf("after the first client's time: %v, %d series", got, b.count)
	}
	b.expire(now.Add(time.Second))
	if len(b.clients) != 0 || b.count != 0 {
		t.Errorf("%d clients and %d series are left", len(b.clients), b.count)
	}
}

func TestSeriesAreBounded(t *testing.T) {
	b := newBoard()
	for id := range byte(30) {
		r := new(reading)
		for n := range maxInstanceSeries + 1 {
			r.points = append(r.points, point{name: "m", labels: []Label{{"n", string(rune('0' + n))}}})
		}
		b.record([16]byte{id}, "", r, time.Unix(1, 0))
	}
	if b.count != maxSeries || len(b.samples()) != maxSeries || len(b.clients) != maxSeries/maxInstanceSeries {
		t.Errorf("%d series of %d clients", b.count, len(b.clients))
	}
}

func TestLabels(t *testing.T) {
	for name, want := range map[string]string{
		"topic": "topic", "node-id": "node_id", "client_id": "attribute_client_id", "metric": "attribute_metric", "7up": "attribute_7up",
		"__name__": "name__", "größe": "gr__e", "": "", "--": "", "\xff": "",
	} {
		if got := labelName(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
	if got := fitLabels([]Label{{"b-c", "1"}, {"a", "2"}, {"b_c", "3"}, {"", "4"}}); !slices.Equal(got, []Label{{"a", "2"}, {"b_c", "1"}}) {
		t.Errorf("%v", got)
	}
	if got := label(strings.Repeat("x", maxTextBytes-1) + "ü"); got != strings.Repeat("x", maxTextBytes-1) {
		t.Errorf("%d bytes: a character is cut in two", len(got))
	}
}

// bench is a manager with a clock.
type bench struct {
	*Manager
	clock time.Time
}

func newBench() *bench {
	b := &bench{clock: time.Unix(1_700_000_000, 0)}
	b.Manager = New(Options{MaxBytes: 10_000, Now: func() time.Time { return b.clock }, Random: rand.NewChaCha8([32]byte{1})})
	return b
}

func subscription(t *testing.T, settings ...string) *config.ClientMetrics {
	t.Helper()
	overrides := map[string]string{}
	for _, s := range settings {
		key, value, _ := strings.Cut(s, "=")
		overrides[key] = value
	}
	c, err := config.ParseClientMetrics(overrides)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func named(id string) Client {
	return Client{ID: &id, Address: "127.0.0.1", Port: "4711", Connection: 1}
}

func TestSubscriptionsOfAClient(t *testing.T) {
	b := newBench()
	b.SetSubscriptions(map[string]*config.ClientMetrics{
		"all":     subscription(t, "metrics=org.apache.a,org.apache.b", "interval.ms=60000"),
		"java":    subscription(t, "metrics=org.apache.b,org.apache.c", "interval.ms=1000", "match=client_software_name=apache-kafka-java,client_software_version=3\\..*"),
		"one":     subscription(t, "metrics=*", "match=client_id=the one"),
		"far":     subscription(t, "metrics=far", "match=client_source_address=10\\..*"),
		"port":    subscription(t, "metrics=port", "match=client_source_port=4712"),
		"seldom":  subscription(t, "metrics=seldom", "interval.ms=3600000", "match=client_id=seldom"),
		"whole":   subscription(t, "metrics=part", "match=client_id=the"),
		"nothing": subscription(t, "interval.ms=50000", "match=client_id=quiet"),
	})
	java := named("j")
	java.SoftwareName, java.SoftwareVersion = "apache-kafka-java", "3.7.1"
	port := named("p")
	port.Port = "4712"
	anonymous := Client{Address: "127.0.0.1"}
	for n, c := range []struct {
		why      string
		client   Client
		metrics  string
		interval time.Duration
	}{
		{"any client", named("x"), "org.apache.a org.apache.b", time.Minute},
		{"a client of that software", java, "org.apache.a org.apache.b org.apache.c", time.Second},
		{"everything is everything", named("the one"), "*", time.Minute},
		{"a client from that port", port, "org.apache.a org.apache.b port", time.Minute},
		{"a client without an id", anonymous, "org.apache.a org.apache.b", time.Minute},
		{"the shortest interval, whatever it asks for", named("quiet"), "org.apache.a org.apache.b", 50 * time.Second},
	} {
		got, err := b.Get([16]byte{byte(n + 1)}, c.client)
		if err != nil || strings.Join(got.Metrics, " ") != c.metrics || got.Interval != c.interval || got.MaxBytes != 10_000 {
			t.Errorf("%s: %+v, %v", c.why, got, err)
		}
	}
	b.SetSubscriptions(map[string]*config.ClientMetrics{"seldom": subscription(t, "metrics=seldom", "interval.ms=3600000")})
	if got, err := b.Get([16]byte{9}, named("y")); err != nil || got.Interval != 5*time.Minute {
		t.Errorf("an interval beyond the default one: %+v, %v", got, err)
	}
	b.SetSubscriptions(nil)
	if got, err := b.Get([16]byte{}, named("z")); err != nil || len(got.Metrics) != 0 || got.Interval != 5*time.Minute || got.InstanceID[6]>>4 != 4 {
		t.Errorf("without subscriptions: %+v, %v", got, err)
	}
}

// TestConversation is what one client and the broker say, and when.
func TestConversation(t *testing.T) {
	b := newBench()
	b.SetSubscriptions(map[string]*config.ClientMetrics{"s": subscription(t, "metrics=*", "interval.ms=10000")})
	id := [16]byte{7}
	var granted Granted
	get := func() error {
		g, err := b.Get(id, named("c"))
		if err == nil {
			granted = g
		}
		return err
	}
	body := push(gauge("rate", double(1)))
	pushes := func(change ...func(*Push)) func() error {
		return func() error {
			p := Push{InstanceID: id, SubscriptionID: granted.SubscriptionID, Metrics: body}
			for _, c := range change {
				c(&p)
			}
			return b.Push(p, named("c"))
		}
	}
	terminating := func(p *Push) { p.Terminating = true }
	subscribe := func(metrics string) func() error {
		return func() error {
			b.SetSubscriptions(map[string]*config.ClientMetrics{"s": subscription(t, "metrics="+metrics, "interval.ms=10000")})
			return nil
		}
	}
	for _, step := range []struct {
		why   string
		after time.Duration
		do    func() error
		want  *protocol.Error
	}{
		{"it asks", 0, get, nil},
		{"it asks again at once", time.Second, get, protocol.ErrThrottlingQuotaExceeded},
		{"it pushes early, as clients do", time.Second, pushes(), nil},
		{"and again", time.Second, pushes(), protocol.ErrThrottlingQuotaExceeded},
		{"in time", 10 * time.Second, pushes(), nil},
		{"what is asked for changes", 0, subscribe("org.apache"), nil},
		{"it does not know yet", 10 * time.Second, pushes(), protocol.ErrUnknownSubscriptionID},
		{"it asks at once", 0, get, nil},
		{"an unknown codec", 10 * time.Second, pushes(func(p *Push) { p.Compression = 5 }), protocol.ErrUnsupportedCompressionType},
		{"it asks at once again", 0, get, nil},
		{"too much", 10 * time.Second, pushes(func(p *Push) { p.Metrics = make([]byte, 10_001) }), protocol.ErrTelemetryTooLarge},
		{"nonsense", 10 * time.Second, pushes(func(p *Push) { p.Metrics = []byte{1} }), protocol.ErrInvalidRecord},
		{"compressed nonsense", 10 * time.Second, pushes(func(p *Push) { p.Compression = 1 }), protocol.ErrInvalidRecord},
		{"nothing", 10 * time.Second, pushes(func(p *Push) { p.Metrics = nil }), nil},
		{"under an id that is none", 0, pushes(func(p *Push) { p.InstanceID = [16]byte{} }), protocol.ErrInvalidRequest},
		{"under a reserved id", 0, pushes(func(p *Push) { p.InstanceID = oneID }), protocol.ErrInvalidRequest},
		{"it ends, early too", time.Second, pushes(terminating), nil},
		{"and speaks after its end", 20 * time.Second, pushes(), protocol.ErrInvalidRequest},
		{"the last word does not last", 0, pushes(), nil},
	} {
		b.clock = b.clock.Add(step.after)
		if err := step.do(); protocol.CodeOf(err) != protocol.CodeOf(orNil(step.want)) {
			t.Errorf("%s: %v, want %v", step.why, err, step.want)
		}
	}
	stats := b.Stats()
	if stats.Instances != 1 || stats.Pushes["NONE"] != 5 || stats.Pushes["INVALID_RECORD"] != 2 || stats.Pushes["TELEMETRY_TOO_LARGE"] != 1 {
		t.Errorf("%+v", stats)
	}
	samples := b.Samples()
	if len(samples) != 1 || samples[0].ClientID != "c" || samples[0].Metric != "rate" || samples[0].InstanceID != idText(id) || samples[0].Value != 1 {
		t.Errorf("%+v", samples)
	}
	b.clock = b.clock.Add(time.Minute)
	b.Expire()
	if len(b.Samples()) != 0 || b.Stats().Instances != 0 {
		t.Error("a client that is gone is still shown")
	}
}

func orNil(e *protocol.Error) error {
	if e == nil {
		return nil
	}
	return e
}

// TestEveryCodec pushes compressed, and a bomb.
func TestEveryCodec(t *testing.T) {
	b := newBench()
	body := push(gauge("rate", double(4)), gauge("padding", attribute(7, "k", textField(1, strings.Repeat("x", 5000))), double(1)))
	for codec := record.None; codec <= record.Zstd; codec++ {
		id := [16]byte{byte(codec) + 1}
		granted, err := b.Get(id, named("c"))
		if err != nil {
			t.Fatal(err)
		}
		data, err := record.Compress(nil, codec, body)
		if err != nil {
			t.Fatal(err)
		}
		p := Push{InstanceID: id, SubscriptionID: granted.SubscriptionID, Compression: int8(codec), Metrics: data}
		if err := b.Push(p, named("c")); err != nil {
			t.Errorf("%s: %v", codec, err)
		}
		bomb, err := record.Compress(nil, codec, slices.Repeat(body, 200))
		if err != nil {
			t.Fatal(err)
		}
		b.clock = b.clock.Add(time.Hour)
		p.Metrics = bomb
		if err := b.Push(p, named("c")); !errors.Is(err, protocol.ErrTelemetryTooLarge) {
			t.Errorf("%s: %d bytes that are %d: %v", codec, len(bomb), 200*len(body), err)
		}
	}
	if got := len(b.Samples()); got != 10 {
		t.Errorf("%d samples of five clients", got)
	}
}

// TestDisconnected: a client that comes back on a new connection may ask at once.
func TestDisconnected(t *testing.T) {
	b := newBench()
	id := [16]byte{3}
	c := named("c")
	c.Connection = 5
	if _, err := b.Get(id, c); err != nil {
		t.Fatal(err)
	}
	b.Disconnected(4)
	if _, err := b.Get(id, c); !errors.Is(err, protocol.ErrThrottlingQuotaExceeded) {
		t.Errorf("another connection ended: %v", err)
	}
	b.Disconnected(5)
	b.Disconnected(5)
	if _, err := b.Get(id, c); err != nil || b.Stats().Instances != 1 || len(b.connections) != 1 {
		t.Errorf("%v, %+v", err, b.Stats())
	}
}

// TestRandomRequests holds the manager's bounds and its own books together,
// whatever is asked.
func TestRandomRequests(t *testing.T) {
	all := subscription(t, "metrics=*", "interval.ms=100")
	rapid.Check(t, func(r *rapid.T) {
		b := newBench()
		ids := rapid.Custom(func(r *rapid.T) [16]byte { return [16]byte{rapid.Byte().Draw(r, "id") % 6} })
		grants := map[[16]byte]int32{}
		client := func(r *rapid.T) Client {
			c := named("c")
			c.Connection = rapid.Uint64Range(1, 4).Draw(r, "connection")
			return c
		}
		r.Repeat(map[string]func(*rapid.T){
			"get": func(r *rapid.T) {
				if g, err := b.Get(ids.Draw(r, "instance"), client(r)); err == nil {
					if g.InstanceID == [16]byte{} {
						r.Fatal("an id of zeros is given")
					}
					grants[g.InstanceID] = g.SubscriptionID
				}
			},
			"push": func(r *rapid.T) {
				id := ids.Draw(r, "instance")
				_ = b.Push(Push{InstanceID: id, SubscriptionID: grants[id], Terminating: rapid.Bool().Draw(r, "end"), Metrics: push(gauge("g", double(1)))}, client(r))
			},
			"subscribe": func(r *rapid.T) {
				if rapid.Bool().Draw(r, "any") {
					b.SetSubscriptions(map[string]*config.ClientMetrics{"s": all})
				} else {
					b.SetSubscriptions(nil)
				}
			},
			"disconnect": func(r *rapid.T) { b.Disconnected(rapid.Uint64Range(1, 4).Draw(r, "connection")) },
			"pass": func(r *rapid.T) {
				b.clock = b.clock.Add(time.Duration(rapid.IntRange(0, 200_000).Draw(r, "ms")) * time.Millisecond)
			},
			"expire": func(r *rapid.T) { b.Expire() },
			"": func(r *rapid.T) {
				if b.heard.Len() != len(b.instances) {
					r.Fatalf("%d in the list, %d known", b.heard.Len(), len(b.instances))
				}
				for e := b.heard.Front(); e != nil; e = e.Next() {
					if i := e.Value.(*instance); b.instances[i.id] != i || i.place != e {
						r.Fatal("an instance is not where it is known to be")
					}
				}
				series := 0
				for _, c := range b.board.clients {
					series += len(c.series)
				}
				if series != b.board.count || len(b.connections) > 4 {
					r.Fatalf("%d series, counted %d; %d connections", series, b.board.count, len(b.connections))
				}
			},
		})
	})
}
