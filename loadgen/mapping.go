package loadgen

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Mapping turns literal Kafka properties into a client's own settings and
// keeps the account: what became of each, and which have no counterpart. A
// client takes the properties it knows; what nobody took is unmapped.
type Mapping struct {
	left      map[string]string
	effective map[string]string
	err       error
}

// NewMapping takes the properties of one map, or of several whose keys do not collide in meaning (the first wins).
func NewMapping(properties ...map[string]string) *Mapping {
	m := &Mapping{left: map[string]string{}, effective: map[string]string{}}
	for _, p := range properties {
		for key, text := range p {
			if _, ok := m.left[key]; !ok {
				m.left[key] = text
			}
		}
	}
	return m
}

// Text takes a property.
func (m *Mapping) Text(key string) (string, bool) {
	text, ok := m.left[key]
	delete(m.left, key)
	return text, ok
}

// Int takes a whole number.
func (m *Mapping) Int(key string) (int64, bool) {
	text, ok := m.Text(key)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		m.Fail(fmt.Errorf("%s must be a whole number, got %q", key, text))
	}
	return n, true
}

// Millis takes a duration in milliseconds.
func (m *Mapping) Millis(key string) (time.Duration, bool) {
	n, ok := m.Int(key)
	return time.Duration(n) * time.Millisecond, ok
}

// Bool takes a truth.
func (m *Mapping) Bool(key string) (value, ok bool) {
	text, ok := m.Text(key)
	if ok && text != "true" && text != "false" {
		m.Fail(fmt.Errorf("%s must be true or false, got %q", key, text))
	}
	return text == "true", ok
}

// Became notes what a taken property is in this client. Notes may also be made under names that are no property.
func (m *Mapping) Became(key, format string, args ...any) {
	m.effective[key] = fmt.Sprintf(format, args...)
}

// Absorb adds another mapping's account; keys that this one has too get the prefix.
func (m *Mapping) Absorb(other *Mapping, prefix string) {
	for key, text := range other.effective {
		if _, taken := m.effective[key]; taken {
			key = prefix + key
		}
		m.effective[key] = text
	}
	for key, text := range other.left {
		if _, taken := m.left[key]; taken {
			key = prefix + key
		}
		m.left[key] = text
	}
	m.Fail(other.err)
}

// WithKafkaDefaults gives the properties that shape the load the defaults of
// Kafka's own producer where a job names some properties but not these, so
// that one job means the same load in every client. A job that names none
// runs the client's own defaults.
func WithKafkaDefaults(producer map[string]string) map[string]string {
	if len(producer) == 0 {
		return nil
	}
	out := map[string]string{
		"acks": "all", "batch.size": "16384", "linger.ms": "5", "compression.type": "none", "buffer.memory": "33554432",
		"max.in.flight.requests.per.connection": "5", "delivery.timeout.ms": "120000", "request.timeout.ms": "30000",
	}
	for key, text := range producer {
		out[key] = text
	}
	return out
}

// Idempotent is what Kafka's producer makes of enable.idempotence, acks and
// max.in.flight.requests.per.connection: on by default where they allow it.
func Idempotent(producer map[string]string) bool {
	if text, ok := producer["enable.idempotence"]; ok {
		return text == "true"
	}
	inFlight, err := strconv.Atoi(producer["max.in.flight.requests.per.connection"])
	acks := producer["acks"]
	return (acks == "" || acks == "all" || acks == "-1") && (err != nil || inFlight <= 5)
}

// Fail keeps the first error.
func (m *Mapping) Fail(err error) {
	if m.err == nil && err != nil {
		m.err = err
	}
}

// Err is the first property that could not be read.
func (m *Mapping) Err() error { return m.err }

// Effective is the account of taken properties.
func (m *Mapping) Effective() map[string]string { return m.effective }

// Unmapped lists, sorted, the properties that nobody took.
func (m *Mapping) Unmapped() []string {
	out := make([]string, 0, len(m.left))
	for key := range m.left {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}
