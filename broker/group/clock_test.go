package group

import "time"

// fixedClock stands at one moment, in Unix milliseconds.
func fixedClock(ms int64) func() time.Time {
	return func() time.Time { return time.UnixMilli(ms) }
}
