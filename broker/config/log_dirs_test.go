package config

import (
	"slices"
	"testing"
)

func TestLogDirs(t *testing.T) {
	for _, c := range []struct {
		why, text string
		want      []string
	}{
		{"one is kept as written", "./data", []string{"./data"}},
		{"a comma at the end names nothing", "./data,", []string{"./data"}},
		{"several are cleaned, in their order", " /b/ , /a//x,c", []string{"/b", "/a/x", "c"}},
	} {
		n := mustLoad(t, "log.dirs="+c.text)
		if !slices.Equal(n.LogDirs, c.want) || n.LogDir != c.want[0] {
			t.Errorf("%s: %q and first %q, want %q", c.why, n.LogDirs, n.LogDir, c.want)
		}
	}
}
