package client

import (
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func at(n int64) *int64 { return &n }

func TestResetTarget(t *testing.T) {
	log := bounds{start: 10, end: 100, atTime: -1}
	for _, c := range []struct {
		why      string
		reset    Reset
		previous *int64
		planned  int64
		bounds   bounds
		want     int64
		noted    bool
	}{
		{"the first offset there is", Reset{To: ToEarliest}, nil, 0, log, 10, false},
		{"the end", Reset{To: ToLatest}, at(50), 0, log, 100, false},
		{"what is committed stays", Reset{To: ToCurrent}, at(50), 0, log, 50, false},
		{"nothing is committed: the end", Reset{To: ToCurrent}, nil, 0, log, 100, true},
		{"an offset within the log", Reset{To: ToOffset, Value: 30}, at(50), 0, log, 30, false},
		{"the end itself is within", Reset{To: ToOffset, Value: 100}, nil, 0, log, 100, false},
		{"an offset above the end", Reset{To: ToOffset, Value: 101}, nil, 0, log, 100, true},
		{"an offset below the start", Reset{To: ToOffset, Value: 9}, nil, 0, log, 10, true},
		{"back by some", Reset{To: ToShifted, Value: -20}, at(50), 0, log, 30, false},
		{"back by too many", Reset{To: ToShifted, Value: -45}, at(50), 0, log, 10, true},
		{"forward by too many", Reset{To: ToShifted, Value: 60}, at(50), 0, log, 100, true},
		{"by nothing", Reset{To: ToShifted}, at(50), 0, log, 50, false},
		{"no record at the time or after", Reset{To: ToTime, Value: 5}, nil, 0, log, 100, true},
		{"the record at the time", Reset{To: ToTime, Value: 5}, nil, 0, bounds{10, 100, 42}, 42, false},
		{"from a plan", Reset{To: ToPlanFile}, nil, 77, log, 77, false},
		{"from a plan above the end", Reset{To: ToPlanFile}, nil, 770, log, 100, true},
	} {
		got, note, err := c.reset.target(c.previous, c.planned, c.bounds)
		if err != nil || got != c.want || (note != "") != c.noted {
			t.Errorf("%s: %d, %q, %v; want %d", c.why, got, note, err, c.want)
		}
	}
	if _, _, err := (Reset{To: ToShifted, Value: 1}).target(nil, 0, log); err == nil {
		t.Error("nothing is shifted")
	}
	if _, _, err := (Reset{To: ToShifted, Value: 1<<63 - 1}).target(at(50), 0, log); err == nil {
		t.Error("a shift that overflows is taken")
	}
}

// No specification leaves the log.
func TestResetTargetStaysInLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := bounds{start: rapid.Int64Range(0, 1000).Draw(t, "start")}
		b.end = b.start + rapid.Int64Range(0, 1000).Draw(t, "length")
		b.atTime = rapid.Int64Range(b.start-1, b.end).Draw(t, "at time")
		if b.atTime < b.start {
			b.atTime = -1
		}
		previous := rapid.Int64Range(b.start, b.end).Draw(t, "committed")
		r := Reset{To: ResetTo(rapid.IntRange(int(ToEarliest), int(ToPlanFile)).Draw(t, "to")), Value: rapid.Int64().Draw(t, "value")}
		got, _, err := r.target(&previous, rapid.Int64().Draw(t, "planned"), b)
		if err != nil && r.To == ToShifted {
			return // an overflow
		}
		if err != nil || got < b.start || got > b.end {
			t.Fatalf("%+v of %d in %+v: %d, %v", r, previous, b, got, err)
		}
	})
}

func TestPlanFile(t *testing.T) {
	orders := func(partition int32, offset int64) PartitionOffset {
		return PartitionOffset{TopicPartition{"orders", partition}, offset}
	}
	for text, want := range map[string]map[string][]PartitionOffset{
		"orders,0,5\norders,1,6\n":           {"g": {orders(0, 5), orders(1, 6)}},
		"\"orders\", 0 ,5\r\n\n":             {"g": {orders(0, 5)}},
		"g,orders,0,5\nother,orders,1,6":     {"g": {orders(0, 5)}, "other": {orders(1, 6)}},
		`"g","orders",0,9223372036854775807`: {"g": {orders(0, 1<<63-1)}},
	} {
		if got, err := ParsePlan(text, []string{"g"}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "\n", "orders", "orders,0", "orders,x,5", "orders,0,x", "orders,0,-1", "orders,-1,5", "a,b,c,d,e", ",0,1", "g,orders,99999999999,1"} {
		if got, err := ParsePlan(text, []string{"g"}); !errors.Is(err, ErrInput) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := ParsePlan("orders,0,5", []string{"g", "h"}); !errors.Is(err, ErrInput) {
		t.Errorf("a plan of three columns for two groups: %v", err)
	}
}

// A plan that is written is read as it was.
func TestPlanFileRoundTrip(t *testing.T) {
	rows := []ResetOffset{
		{Group: "g", TopicPartition: TopicPartition{"orders", 0}, NewOffset: 7},
		{Group: "g", TopicPartition: TopicPartition{"orders", 1}, NewOffset: 0},
	}
	for _, groups := range [][]string{{"g"}, {"g", "h"}} {
		got, err := ParsePlan(FormatPlan(rows, groups), groups)
		if err != nil || len(got["g"]) != 2 || got["g"][0].Offset != 7 || got["g"][1].Partition != 1 {
			t.Errorf("%v: %v, %v", groups, got, err)
		}
	}
}
