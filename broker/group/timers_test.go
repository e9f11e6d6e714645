package group

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Timers are due at their deadlines, in whatever order they were set, moved
// and cancelled, and next never says to look later than that.
func TestTimersAreDueAtTheirDeadlines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		running, g := &timers{}, &group{id: "g"}
		model := map[timerKey]time.Time{}
		now := time.UnixMilli(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			key := timerKey{kind: sessionTimer, member: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "member")}
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				running.apply(g, now, timerChange{key: key, afterMs: -1})
				delete(model, key)
			case 1, 2:
				after := rapid.Int64Range(0, 50).Draw(t, "after")
				running.apply(g, now, timerChange{key: key, afterMs: after})
				model[key] = now.Add(time.Duration(after) * time.Millisecond)
			case 3:
				now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "ms")) * time.Millisecond)
			}
			for {
				due, is := running.due(now)
				if !is {
					break
				}
				if deadline, set := model[due.key]; !set || deadline.After(now) {
					t.Fatalf("%v is due at %v; it is set: %v, to %v", due.key, now, set, deadline)
				}
				delete(model, due.key)
			}
			look, any := running.next()
			for key, deadline := range model {
				if !deadline.After(now) {
					t.Fatalf("%v was due at %v and did not come at %v", key, deadline, now)
				}
				if !any || look.After(deadline) {
					t.Fatalf("the next look is at %v, %v is due at %v", look, key, deadline)
				}
			}
			if any != (len(model) > 0) {
				t.Fatalf("%d timers run; one does: %v", len(model), any)
			}
		}
	})
}
