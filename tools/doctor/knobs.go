package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"fluxmq/reports"
	"fluxmq/tools/tune"
)

// knobTitles name the knobs whose own names are no conditions; sysctls are called what they are.
var knobTitles = map[string]string{
	"transparent_hugepage": "transparent huge pages", "scheduler": "I/O scheduler of the data disk", "read_ahead_kb": "read-ahead of the data disk (KiB)",
}

// knobWarnings are the knobs that spoil a number; the others explain one.
var knobWarnings = []string{"transparent_hugepage", "scheduler", "kernel.numa_balancing"}

// ownChecks are the knobs that a check of their own looks at.
var ownChecks = []string{"governor", "swap", "net.core.rmem_max", "net.core.wmem_max"}

// byKnob ends a requirement with the knob that meets it.
func byKnob(required, knob string) string { return required + " (tune: " + knob + ")" }

// knobChecks are the settings of package tune, one check each.
func knobChecks(rows []tune.Row) []reports.Check {
	var checks []reports.Check
	for _, row := range rows {
		group, _, _ := strings.Cut(row.Knob, "/")
		if slices.Contains(ownChecks, group) {
			continue
		}
		c := reports.Check{Condition: row.Knob, Required: byKnob(row.Wanted, row.Knob), Current: row.Current, Severity: Info, Passed: row.Status == tune.Already}
		if title := knobTitles[group]; title != "" {
			c.Condition = title
		}
		if slices.Contains(knobWarnings, group) {
			c.Severity = Warning
		}
		if row.Status == tune.NotPresent {
			c = notThere(c)
		}
		if row.Status == tune.Skipped && row.Reason != "" && !strings.HasPrefix(row.Reason, "cannot be written") {
			c.Current += "; " + row.Reason
		}
		checks = append(checks, c)
	}
	return checks
}

func (o Options) swap() reports.Check {
	c := reports.Check{Condition: "swap", Required: byKnob("off", "swap"), Current: "off", Severity: Warning, Passed: true}
	total, ok := o.meminfo("SwapTotal")
	if !ok {
		return notThere(c)
	}
	if total > 0 {
		free, _ := o.meminfo("SwapFree") // a kernel with SwapTotal has it
		c.Current, c.Passed = fmt.Sprintf("%s, %s used", gib(total), gib(total-free)), false
	}
	return c
}

// governor is one check over all CPUs.
func (o Options) governor(rows []tune.Row) reports.Check {
	c := reports.Check{Condition: "CPU governor", Required: byKnob("performance", "governor"), Severity: Warning, Passed: true}
	count := map[string]int{}
	var names []string
	for _, row := range rows {
		if !strings.HasPrefix(row.Knob, "governor/") {
			continue
		}
		if count[row.Current]++; count[row.Current] == 1 {
			names = append(names, row.Current)
		}
		c.Passed = c.Passed && row.Status == tune.Already
	}
	switch len(names) {
	case 0:
		return notThere(c)
	case 1:
		c.Current = names[0]
		return c
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%s on %d CPUs", name, count[name])
	}
	c.Current = strings.Join(names, ", ")
	return c
}

// socketBuffers asks for what the registry wants, or for what the scenario asks for when that is more.
func (o Options) socketBuffers(rows []tune.Row) reports.Check {
	need := max(o.SocketIn, tune.Wanted("net.core.rmem_max").Number())
	c := reports.Check{Condition: "socket buffer limits", Required: fmt.Sprintf("rmem_max, wmem_max ≥ %d (tune: net.core.rmem_max net.core.wmem_max)", need), Severity: Info, Passed: true}
	var values []string
	for _, row := range rows {
		if row.Knob != "net.core.rmem_max" && row.Knob != "net.core.wmem_max" {
			continue
		}
		if row.Status == tune.NotPresent {
			return notThere(c)
		}
		n, err := strconv.ParseInt(row.Current, 10, 64)
		c.Passed = c.Passed && err == nil && n >= need
		if o.SocketIn > 0 && (err != nil || n < o.SocketIn) {
			c.Severity = Warning // the scenario does not get what it asks for
		}
		values = append(values, row.Current)
	}
	c.Current = strings.Join(values, ", ")
	return c
}
