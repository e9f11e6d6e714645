//go:build faultinject

package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// The sentence of a wrong fault comes even where settings must be known: it is no setting.
func TestFaultThatIsNotOne(t *testing.T) {
	t.Setenv("FLUXMQ_FAULT", "cpu:5+burn:1")
	_, err := execute(t.Context(), "--strict-config", "--port", "0", "--data-dir", filepath.Join(t.TempDir(), "data"), "--override", "fluxmq.admin.listener=")
	if !errors.As(err, new(usageError)) || !strings.Contains(err.Error(), `"burn"`) || !strings.Contains(err.Error(), "drop-batch:N") {
		t.Fatalf("%v", err)
	}
}
