package telemetry

import (
	"cmp"
	"encoding/base64"
	"math"
	"slices"
	"strings"
	"time"
)

// Bounds of what is kept of clients' metrics.
const (
	maxSeries         = 20_000 // of all instances
	maxInstanceSeries = 2000
	maxLabels         = 16
	maxTextBytes      = 255 // of a name or a value of a label, and of a metric's name
)

// Labels that every sample has; an attribute of such a name gets a prefix.
const (
	InstanceLabel = "client_instance_id"
	ClientLabel   = "client_id"
	MetricLabel   = "metric"
	takenPrefix   = "attribute_"
)

// Sample is the latest number of one series. Its names are fit for Prometheus:
// valid UTF-8, labels of distinct names that begin with a letter; and no two
// samples of the same Sum have the same labels.
type Sample struct {
	InstanceID, ClientID, Metric string
	Labels                       []Label // read-only
	Value                        float64
	// Sum tells a number that only rises from one that goes up and down.
	Sum bool
}

// instanceSeries are the series of one client.
type instanceSeries struct {
	id      string // as Kafka shows it
	series  map[seriesKey]*Sample
	expires time.Time
}

// seriesKey is a metric's name and its labels in order.
type seriesKey struct {
	sum  bool
	text string
}

// board holds the series of all clients. Not safe for concurrent use: the
// Manager guards it.
type board struct {
	clients map[[16]byte]*instanceSeries
	count   int
	omitted int64 // numbers that were left out
}

func newBoard() *board { return &board{clients: map[[16]byte]*instanceSeries{}} }

// record takes over what a client pushed; the whole of it is dropped at expires.
func (b *board) record(id [16]byte, clientID string, r *reading, expires time.Time) {
	b.omitted += int64(r.skipped)
	c := b.clients[id]
	if c == nil {
		c = &instanceSeries{id: idText(id), series: map[seriesKey]*Sample{}}
	}
	c.expires = expires
	clientID = label(clientID)
	for n := range r.points {
		if !b.add(c, clientID, &r.points[n]) {
			b.omitted++
		}
	}
	if len(c.series) > 0 {
		b.clients[id] = c
	}
}

// add takes over one number; false when it cannot be shown or there is no room.
func (b *board) add(c *instanceSeries, clientID string, p *point) bool {
	metric := label(p.name)
	rises := p.sum && p.monotonic
	if metric == "" || rises && (math.IsNaN(p.value) || p.value < 0) {
		return false
	}
	labels := fitLabels(p.labels)
	key := keyOf(rises, metric, labels)
	s := c.series[key]
	if s == nil {
		if len(c.series) >= maxInstanceSeries || b.count >= maxSeries {
			return false
		}
		s = &Sample{InstanceID: c.id, Metric: metric, Labels: labels, Sum: rises}
		c.series[key] = s
		b.count++
	}
	s.ClientID = clientID
	if p.sum && p.delta {
		s.Value += p.value
	} else {
		s.Value = p.value
	}
	return true
}

// expire drops the clients whose time has come.
func (b *board) expire(now time.Time) {
	for id, c := range b.clients {
		if !now.Before(c.expires) {
			b.count -= len(c.series)
			delete(b.clients, id)
		}
	}
}

// samples are all of them, in no order. The slice is the caller's.
func (b *board) samples() []Sample {
	all := make([]Sample, 0, b.count)
	for _, c := range b.clients {
		for _, s := range c.series {
			all = append(all, *s)
		}
	}
	return all
}

// fitLabels makes labels fit for Prometheus, sorted by name. Of two that become
// the same name the first stays.
func fitLabels(labels []Label) []Label {
	fit := make([]Label, 0, len(labels))
	for _, l := range labels {
		name := labelName(l.Name)
		if name == "" || slices.ContainsFunc(fit, func(other Label) bool { return other.Name == name }) {
			continue
		}
		fit = append(fit, Label{name, label(l.Value)})
	}
	slices.SortFunc(fit, func(a, b Label) int { return cmp.Compare(a.Name, b.Name) })
	return fit
}

// labelName makes a name of letters, digits and underscores that begins with a
// letter, "" of one without any.
func labelName(name string) string {
	fit := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToValidUTF8(name, ""))
	fit = strings.TrimLeft(fit, "_")
	switch {
	case fit == "":
		return ""
	case fit[0] <= '9', fit == InstanceLabel, fit == ClientLabel, fit == MetricLabel:
		return takenPrefix + fit
	}
	return fit
}

// label makes a text a value of a label: valid UTF-8 of at most maxTextBytes.
func label(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) > maxTextBytes {
		text = strings.ToValidUTF8(text[:maxTextBytes], "") // a cut character goes
	}
	return text
}

func keyOf(sum bool, metric string, labels []Label) seriesKey {
	var text strings.Builder
	text.WriteString(metric)
	for _, l := range labels {
		text.WriteByte(0xff) // in no valid UTF-8
		text.WriteString(l.Name)
		text.WriteByte(0xfe)
		text.WriteString(l.Value)
	}
	return seriesKey{sum, text.String()}
}

// idText is a client instance id as Kafka shows it.
func idText(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }
