package tune

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed page.md
var pageText string

// Markdown is docs/tuning.md: the page's text with the registry in it.
func Markdown() string {
	var refused, byHand, knobs strings.Builder
	for _, n := range never {
		fmt.Fprintf(&refused, "- `%s` – %s.\n", n.Line, n.Why)
	}
	for _, a := range advice {
		fmt.Fprintf(&byHand, "- `%s` – %s.\n", a.Do, a.Why)
	}
	knobs.WriteString("| Knob | Wanted | Why | Asked for by | Risk |\n|---|---|---|---|---|\n")
	for _, s := range specs {
		fmt.Fprintf(&knobs, "| `%s` | %s | %s | %s | %s |\n", s.Name, s.Want, s.Why, s.Source, s.Risk)
	}
	return strings.NewReplacer("{{never}}", refused.String(), "{{advice}}", byHand.String(), "{{knobs}}\n", knobs.String()).Replace(pageText)
}
