package datasheet

import (
	"fmt"
	"strings"

	"fluxmq/reports/trial"
)

// Line is what every later report says about the gate, in one or two sentences.
// With more than one workload it names the worst of each figure.
func (d *Datasheet) Line() string {
	text := fmt.Sprintf("On this class of machine (%s): false alarms %s, %s.", d.Machine, direct(d.Alarms), d.worstAlarms())
	text += " Sees " + d.seen() + "; smallest dose with 80 % power: " + d.smallest() + "."
	return text
}

// direct writes "0/10 direct (≤ 30.8 %)".
func direct(r *Rate) string {
	if r == nil {
		return notMeasured + " directly"
	}
	return fmt.Sprintf("%d/%d direct (≤ %s)", r.Hits, r.Of, percent(r.High))
}

func (d *Datasheet) worstAlarms() string {
	var worst FalseAlarms
	highest, measured := 0.0, 0
	for _, s := range d.Workloads {
		if s.Alarms.Resampled == nil {
			continue
		}
		measured++
		if _, high := s.Alarms.Resampled.bounds(); high >= highest {
			highest, worst = high, s.Alarms
		}
	}
	if measured == 0 {
		return notMeasured + " by resampling"
	}
	of := ""
	if measured > 1 {
		of = fmt.Sprintf("the worst of %d workloads, ", measured)
	}
	return fmt.Sprintf("%s resampled (≤ %s; %sseparate gates in the pool: %d)", percent(worst.Resampled.Share), percent(highest), of, worst.Apart)
}

// seen says how well the broker's CPU shows the dose of 5 %.
func (d *Datasheet) seen() string {
	hits, of := 0, 0
	var worst *Simulated
	lowest := 1.0
	for _, s := range d.Workloads {
		for _, dose := range s.Doses {
			row := dose.of(trial.BrokerCPU)
			if dose.Dose != coverageDose || row == nil {
				continue
			}
			if row.Direct != nil {
				hits, of = hits+row.Direct.Hits, of+row.Direct.Of
			}
			if row.Alone == nil {
				continue
			}
			if low, _ := row.Alone.bounds(); low <= lowest {
				lowest, worst = low, row.Alone
			}
		}
	}
	var parts []string
	if counted := newRate(hits, of); counted != nil {
		parts = append(parts, fmt.Sprintf("in %d/%d direct gates (≥ %s)", hits, of, percent(counted.Low)))
	} else {
		parts = append(parts, notMeasured+" directly")
	}
	if worst != nil {
		parts = append(parts, fmt.Sprintf("%s resampled (≥ %s)", percent(worst.Share), percent(lowest)))
	} else {
		parts = append(parts, notMeasured+" by resampling")
	}
	return "+5 % broker CPU: " + strings.Join(parts, ", ")
}

// smallest lists for each gated metric the dose of Sheet.Least; with several workloads the one with the larger true effect.
func (d *Datasheet) smallest() string {
	var order []string
	found := map[string]Least{}
	for _, s := range d.Workloads {
		for _, l := range s.Least {
			have, seen := found[l.Metric.Name]
			if !seen {
				order = append(order, l.Metric.Name)
			}
			if l.Dose != "" && (have.Effect == nil || l.Effect.Estimate > have.Effect.Estimate) {
				found[l.Metric.Name] = l
			} else if !seen {
				found[l.Metric.Name] = l
			}
		}
	}
	var parts []string
	for _, name := range order {
		if l := found[name]; l.Dose != "" {
			parts = append(parts, fmt.Sprintf("%s %s %% (%s)", l.Metric.Label, signed(l.Effect.Estimate), l.Dose))
		}
	}
	switch {
	case len(order) == 0:
		return notMeasured
	case len(parts) == 0:
		return "none of the doses"
	}
	return strings.Join(parts, ", ")
}

// Summary is the datasheet as a report folds it in: the line, what each gated
// metric can see, and where the rest is. Markdown.
func (d *Datasheet) Summary() string {
	var text strings.Builder
	p := &page{w: &text}
	p.text("%s\n\n", d.Line())
	for _, s := range d.Workloads {
		p.text("%s: ", s.Workload)
		var parts []string
		for _, n := range s.Null {
			if n.Shift != nil && n.Blocks > 0 {
				parts = append(parts, fmt.Sprintf("%s %s", n.Metric.Label, n.Shift.detectable(n.Shift.At80)))
			}
		}
		if len(parts) == 0 {
			p.text("what each metric can see is %s.\n\n", notMeasured)
			continue
		}
		p.text("seen in 80 %% of gates from this worsening on (A/A pool shifted by δ): %s.\n\n", strings.Join(parts, ", "))
	}
	caught, of := 0, 0
	for _, c := range d.Caught {
		if c.Yes != nil {
			of++
			if *c.Yes {
				caught++
			}
		}
	}
	if of > 0 {
		p.text("Injected slowdowns caught by the metric that must show them: %d of %d. ", caught, of)
	}
	p.text("The whole datasheet: `reports/proof/%s/%s`, commit %.12s.\n", d.Class, pageFile, d.Commit)
	return text.String()
}
