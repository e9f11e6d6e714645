package config

import (
	"path/filepath"
	"strings"
)

// splitPaths reads a list of directories. At least one is returned: an empty
// list, which the rules refuse, is the empty path. Paths are cleaned, so that a
// path written in two ways is seen to be one.
func splitPaths(text string) []string {
	var paths []string
	for path := range strings.SplitSeq(text, ",") {
		if path = strings.TrimSpace(path); path != "" {
			paths = append(paths, filepath.Clean(path))
		}
	}
	if len(paths) == 0 {
		return []string{""}
	}
	if len(paths) == 1 {
		return []string{strings.TrimSpace(text)} // as written
	}
	return paths
}
