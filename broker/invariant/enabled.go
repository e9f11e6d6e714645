//go:build invariants || race

package invariant

// Enabled tells whether checks are built in.
const Enabled = true
