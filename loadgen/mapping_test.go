package loadgen

import (
	"slices"
	"testing"
)

func TestMappingKeepsTheAccount(t *testing.T) {
	m := NewMapping(map[string]string{"linger.ms": "5", "acks": "1", "interceptor.classes": "x", "batch.size": "big"})
	if d, ok := m.Millis("linger.ms"); !ok || d.Milliseconds() != 5 {
		t.Errorf("got %v %v", d, ok)
	}
	m.Became("linger.ms", "Linger(%v)", "5ms")
	if _, ok := m.Int("absent"); ok || m.Err() != nil {
		t.Error("an absent property is no error")
	}
	if m.Int("batch.size"); m.Err() == nil {
		t.Error("a property that is no number must be an error")
	}
	if got := m.Unmapped(); !slices.Equal(got, []string{"acks", "interceptor.classes"}) {
		t.Errorf("unmapped %v", got)
	}
	other := NewMapping(map[string]string{"acks": "z"})
	m.Absorb(other, "consumer ")
	if got := m.Unmapped(); !slices.Equal(got, []string{"acks", "consumer acks", "interceptor.classes"}) {
		t.Errorf("unmapped %v", got)
	}
}

func TestKafkaDefaults(t *testing.T) {
	if got := WithKafkaDefaults(nil); got != nil {
		t.Errorf("a job without properties runs the client's own defaults, got %v", got)
	}
	got := WithKafkaDefaults(map[string]string{"linger.ms": "0"})
	if got["linger.ms"] != "0" || got["compression.type"] != "none" || got["acks"] != "all" {
		t.Errorf("got %v", got)
	}
	table := []struct {
		properties map[string]string
		want       bool
	}{
		{map[string]string{}, true},
		{map[string]string{"acks": "all"}, true},
		{map[string]string{"acks": "1"}, false},
		{map[string]string{"acks": "0"}, false},
		{map[string]string{"max.in.flight.requests.per.connection": "6"}, false},
		{map[string]string{"enable.idempotence": "false"}, false},
		{map[string]string{"enable.idempotence": "true", "acks": "1"}, true}, // the client refuses that itself
	}
	for _, row := range table {
		if got := Idempotent(row.properties); got != row.want {
			t.Errorf("%v: got %v", row.properties, got)
		}
	}
}

func TestSlotsAreBounded(t *testing.T) {
	table := []struct {
		what                string
		workers, valueBytes int
		memory              int64
		want                int
	}{
		{"small records: by number", 8, 256, 0, maxSlotsInAll / 8},
		{"large records: by bytes", 4, 1 << 20, 0, minSlots},
		{"buffer.memory binds", 1, 1024, 1 << 20, 1024},
		{"never less than a few", 1, 1024, 1, minSlots},
	}
	for _, row := range table {
		if got := slotsFor(row.workers, row.valueBytes, row.memory); got != row.want {
			t.Errorf("%s: got %d, want %d", row.what, got, row.want)
		}
	}
}
