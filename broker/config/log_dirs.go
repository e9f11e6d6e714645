package config

import (
	"path/filepath"
	"strings"
)

// splitPaths reads a list of directories. At least one is returned: an empty
// list, which the rules refuse, is the empty path. Several are cleaned, so
// that one written in two ways is seen to be one.
func splitPaths(text string) []string {
	var paths []string
	for path := range strings.SplitSeq(text, ",") {
		if path = strings.TrimSpace(path); path != "" {
			paths = append(paths, path)
		}
	}
	switch len(paths) {
	case 0:
		return []string{""}
	case 1:
		return paths // as written
	}
	for i := range paths {
		paths[i] = filepath.Clean(paths[i])
	}
	return paths
}
