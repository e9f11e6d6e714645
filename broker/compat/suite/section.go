package suite

import (
	"fmt"
	"math"
	"strings"
)

// inCell takes out what would end a cell of a table.
var inCell = strings.NewReplacer("|", "¦", "\n", " ")

// Section is the part of the page about clients: a table of all results, in
// their order, and the names of what failed. Without results it is empty.
func Section(results []Result) string {
	if len(results) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n## Clients\n\nEach suite takes its client from the client's own registry, at the version shown, and runs it against this broker.\n\n" +
		"| suite | client | version | what is tried | passed | failed | skipped | seconds |\n|---|---|---|---|--:|--:|--:|--:|\n")
	for _, r := range results {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d | %d | %d | %.0f |\n",
			r.Suite, inCell.Replace(r.Client), inCell.Replace(r.Version), inCell.Replace(r.Covers), r.Passed, r.Failed, r.Skipped, math.Ceil(r.Seconds))
	}
	heading := "\n### What failed\n\n| suite | cases |\n|---|---|\n"
	for _, r := range results {
		if r.Failed == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s| %s | %s |\n", heading, r.Suite, inCell.Replace(strings.Join(r.Failures, ", ")))
		heading = ""
	}
	return b.String()
}
