package kfake

import (
	"fmt"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := os.RemoveAll(scratch()); err != nil {
		fmt.Fprintln(os.Stderr, "kfake:", err)
		code = max(code, 1)
	}
	if n := badEnds.Load(); n > 0 {
		fmt.Fprintf(os.Stderr, "kfake: %d brokers did not end well\n", n)
		code = max(code, 1)
	}
	os.Exit(code)
}
