package scenarios

import (
	"fmt"
	"strings"
)

// suggest is the hint after an unknown name: the nearest known one, or all of a short list.
func suggest(name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf(" (did you mean %s?)", near)
	}
	return ""
}

// nearest is the known name at the smallest edit distance from name, within a
// third of its length, else one that begins with it, else "".
func nearest(name string, known []string) string {
	best, bestDistance := "", max(2, len(name)/3)+1
	for _, candidate := range known {
		if d := editDistance(name, candidate); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	if best == "" && len(name) >= 3 {
		for _, candidate := range known {
			if strings.HasPrefix(candidate, name) {
				return candidate
			}
		}
	}
	return best
}

// editDistance counts the single-byte insertions, deletions and substitutions between a and b.
func editDistance(a, b string) int {
	previous := make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range len(a) {
		diagonal := previous[0]
		previous[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, previous[j+1] = previous[j+1], min(previous[j+1]+1, previous[j]+1, diagonal+cost)
		}
	}
	return previous[len(b)]
}
