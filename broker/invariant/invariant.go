// Package invariant states what must hold while the broker runs. A broken
// invariant is a bug of ours and panics with its numbers; it is never the
// answer to bytes from outside, which get errors.
//
// The checks are in the program when it is built with `-tags invariants` or
// with the race detector, so that `make test` runs all of them, and cost
// nothing in a release: Enabled is a constant, and the compiler drops what it
// guards. Every room may call this package, from any goroutine.
package invariant

import "fmt"

// Check panics with the message when cond is false and checks are built in.
// Arguments are evaluated in any case; where that costs something, write
//
//	if invariant.Enabled {
//		invariant.Check(l.end == l.last.LastOffset()+1, "log end %d after batch ending at %d", l.end, l.last.LastOffset())
//	}
func Check(cond bool, format string, args ...any) {
	if Enabled && !cond {
		panic("invariant broken: " + fmt.Sprintf(format, args...))
	}
}
