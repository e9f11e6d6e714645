package compat

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// seeded is chance from FLUXMQ_SEED, or from the clock; the log says which.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("FLUXMQ_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64) // a wrong seed is only another seed
	}
	t.Logf("FLUXMQ_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// moment waits for a moment within limit. Where a kill falls is chance: the
// wait is the point of such a test, not a condition.
func moment(rng *rand.Rand, limit time.Duration) {
	<-time.After(time.Duration(rng.Int64N(int64(limit))))
}

// fromEnvironment is a count that a variable may set.
func fromEnvironment(t *testing.T, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is no count", name, s)
	}
	return n
}
