package reports

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// Row is one measure of the table, with a cell for each client.
type Row struct {
	Label string
	Cells []string
}

// failedCell stands where a client has no admissible number.
const failedCell = "FAILED"

// Columns are the clients' names.
func (s *Summary) Columns() []string {
	var names []string
	for _, c := range s.Clients {
		names = append(names, c.Client)
	}
	return names
}

// Rows are the measures of the table, the same for every view.
func (s *Summary) Rows() []Row {
	verb := "delivered"
	if s.consumes() {
		verb = "read"
	}
	rows := []Row{
		s.rates(verb+" msg/s", func(c ClientSummary) string { return formatSpread(c.Delivered, 1) }),
		s.rates(verb+" MB/s (raw)", func(c ClientSummary) string { return formatSpread(c.DeliveredBytes, 1e6) }),
		s.rates("client rate msg/s", func(c ClientSummary) string { return formatSpread(c.ClientRate, 1) }),
		s.rates("broker CPU-ns/msg", func(c ClientSummary) string { return formatSpread(c.BrokerCPUPerRecord, 1) }),
		s.rates("broker CPU-s/GB raw", func(c ClientSummary) string { return formatSpread(c.BrokerCPUPerRawGB, 1) }),
		s.rates("broker CPU-s/GB wire", func(c ClientSummary) string { return formatSpread(c.BrokerCPUPerLogGB, 1) }),
		s.rates("client CPU-ns/msg", func(c ClientSummary) string { return formatSpread(c.ClientCPUPerRecord, 1) }),
		s.rates("produce p50 / p99", func(c ClientSummary) string { return quantilePair(c.Produce, false) }),
		s.rates("produce p99.9 / max", func(c ClientSummary) string { return quantilePair(c.Produce, true) }),
	}
	if s.any(func(c ClientSummary) bool { return c.EndToEnd.Count > 0 }) {
		rows = append(rows,
			s.rates("end-to-end p50 / p99", func(c ClientSummary) string { return quantilePair(c.EndToEnd, false) }),
			s.rates("end-to-end p99.9 / max", func(c ClientSummary) string { return quantilePair(c.EndToEnd, true) }))
	}
	rows = append(rows,
		s.row("latency counts until", func(c ClientSummary) string { return OrDash(c.Meaning) }),
		s.row("broker peak RSS", func(c ClientSummary) string { return FormatMiB(c.BrokerPeakRSS) }),
		s.row("client peak RSS", func(c ClientSummary) string { return FormatMiB(c.ClientPeakRSS) }),
		s.row("broker start to ready ms", func(c ClientSummary) string { return formatSpread(c.StartToReadyMs, 1) }),
		s.row("sent / read back", func(c ClientSummary) string {
			return FormatCount(float64(c.Expected)) + " / " + FormatCount(float64(c.Read))
		}),
		s.row("lost / dup / reord / corrupt", ledgerCell),
		s.row("send errors", func(c ClientSummary) string { return FormatCount(float64(c.SendErrors)) }),
		s.row("compressed / raw", func(c ClientSummary) string {
			if c.CompressedRatio == 0 {
				return "–"
			}
			return fmt.Sprintf("%.3f", c.CompressedRatio)
		}),
		s.row("durability (log.flush)", func(c ClientSummary) string { return OrDash(c.Durability) }),
		s.row("validation", func(c ClientSummary) string { return OrDash(c.Validation) }),
		s.row("rounds (held / run)", roundsCell),
		s.rates("bottleneck", func(c ClientSummary) string { return OrDash(c.Bottleneck.Side) }),
		s.rates("CPU client/broker/idle/steal", func(c ClientSummary) string {
			b := c.Bottleneck
			if b.Client+b.Broker+b.Idle+b.Steal == 0 {
				return "–"
			}
			return fmt.Sprintf("%.0f / %.0f / %.0f / %.0f %%", b.Client*100, b.Broker*100, b.Idle*100, b.Steal*100)
		}),
	)
	return rows
}

// consumes tells whether the scenario measures reading.
func (s *Summary) consumes() bool {
	return len(s.Result.ArmRuns) > 0 && isConsume(s.Result.ArmRuns[0])
}

func (s *Summary) any(holds func(ClientSummary) bool) bool {
	for _, c := range s.Clients {
		if holds(c) {
			return true
		}
	}
	return false
}

func (s *Summary) row(label string, cell func(ClientSummary) string) Row {
	row := Row{Label: label}
	for _, c := range s.Clients {
		row.Cells = append(row.Cells, cell(c))
	}
	return row
}

// rates is a row of numbers that a failed client does not have.
func (s *Summary) rates(label string, cell func(ClientSummary) string) Row {
	return s.row(label, func(c ClientSummary) string {
		if c.Failed != "" {
			return failedCell
		}
		return cell(c)
	})
}

func quantilePair(q Quantiles, tail bool) string {
	switch {
	case q.Count == 0:
		return "–"
	case tail:
		return FormatNs(float64(q.P999)) + " / " + FormatNs(float64(q.Max))
	}
	return FormatNs(float64(q.P50)) + " / " + FormatNs(float64(q.P99))
}

func ledgerCell(c ClientSummary) string {
	text := fmt.Sprintf("%d / %d / %d / %d", c.Lost, c.Duplicated, c.Reordered, c.Corrupt)
	switch {
	case c.Unverified:
		text += " not verified"
	case c.Sampled:
		text += " (sample)"
	}
	return text
}

func roundsCell(c ClientSummary) string {
	text := fmt.Sprintf("%d / %d", c.Rounds, c.Planned)
	if c.NotSteady > 0 {
		text += fmt.Sprintf(", %d not steady", c.NotSteady)
	}
	return text
}

// OrDash writes – for what is not known.
func OrDash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}

// Title is the table's heading: "megabatch on fluxmq 0.1.0, profile default, commit 4c7ef61".
func (s *Summary) Title() string {
	r := s.Result
	title := fmt.Sprintf("%s on %s, profile %s, commit %s", r.Scenario.Name, r.Target.Label(), r.Profile.Name, ShortCommit(r.Commit))
	if r.Dirty {
		title += " (dirty)"
	}
	return title
}

// FormNote labels what must not be taken for an honest measurement; empty for the honest form.
func (s *Summary) FormNote() string {
	if s.Result.Scenario.Form == FormSeedExact {
		return "SEED-EXACT: the seed's form, one shot without warm-up; a curiosity, never compared with honest runs"
	}
	return ""
}

// Notes are the sentences that belong under the table.
func (s *Summary) Notes() []string {
	var notes []string
	if note := s.FormNote(); note != "" {
		notes = append(notes, note)
	}
	for _, c := range s.Clients {
		if c.Failed != "" {
			notes = append(notes, fmt.Sprintf("%s FAILED and has no throughput: %s", c.Client, c.Failed))
		}
		const shown = 20
		for i, f := range c.Findings {
			if i == shown {
				notes = append(notes, fmt.Sprintf("%s: %d more findings in result.json", c.Client, len(c.Findings)-shown))
				break
			}
			notes = append(notes, c.Client+" "+f.String())
		}
	}
	for _, check := range s.Result.Preflight {
		if !check.Passed && check.Severity != "info" {
			notes = append(notes, fmt.Sprintf("preflight %s (%s): required %s, was %s", check.Condition, check.Severity, check.Required, check.Current))
		}
	}
	notes = append(notes, s.Result.Profile.DegradedNotes...)
	for _, c := range s.Clients {
		if c.Failed == "" && c.Rounds < 3 && s.Result.Scenario.Form != FormSeedExact {
			notes = append(notes, fmt.Sprintf("fewer than 3 rounds (%d): the spread says little", c.Rounds))
			break
		}
	}
	notes = append(notes, unmappedNotes(s.Result)...)
	if s.Result.Failure != "" {
		notes = append(notes, s.Result.Failure)
	}
	return notes
}

func unmappedNotes(result *Result) []string {
	var notes []string
	seen := map[string]bool{}
	for _, run := range result.ArmRuns {
		if run.Result == nil || len(run.Result.Unmapped) == 0 || seen[run.Client] {
			continue
		}
		seen[run.Client] = true
		notes = append(notes, fmt.Sprintf("%s has no counterpart for: %s", run.Client, strings.Join(run.Result.Unmapped, ", ")))
	}
	return notes
}

// WriteTerminal prints title, table and notes for a terminal.
func (s *Summary) WriteTerminal(w io.Writer) error {
	fmt.Fprintf(w, "\n%s\n", s.Title())
	if err := RenderTable(w, append([]string{""}, s.Columns()...), s.Rows(), false); err != nil {
		return err
	}
	for _, note := range s.Notes() {
		if _, err := fmt.Fprintf(w, "  • %s\n", note); err != nil {
			return err
		}
	}
	return nil
}

// WriteMarkdown prints the page a person reads.
func (s *Summary) WriteMarkdown(w io.Writer) error {
	r := s.Result
	fmt.Fprintf(w, "# %s\n\n", s.Title())
	if note := s.FormNote(); note != "" {
		fmt.Fprintf(w, "**%s**\n\n", note)
	}
	fmt.Fprintf(w, "%s\n\n", r.Scenario.Question)
	if err := RenderTable(w, append([]string{"measure"}, s.Columns()...), s.Rows(), true); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nMedian (minimum–maximum) over rounds; latencies from histograms merged over rounds, counted from the intended send time.\n")
	if notes := s.Notes(); len(notes) > 0 {
		fmt.Fprintf(w, "\n")
		for _, note := range notes {
			fmt.Fprintf(w, "- %s\n", note)
		}
	}
	fmt.Fprintf(w, "\n## Machine and settings\n\n")
	for _, fact := range s.Facts() {
		fmt.Fprintf(w, "- %s: %s\n", fact.Label, fact.Cells[0])
	}
	fmt.Fprintf(w, "\n## Preflight\n\n")
	return RenderTable(w, []string{"condition", "required", "current", "severity", "passed"}, preflightRows(r.Preflight), true)
}

// WritePreflight prints the doctor's table.
func WritePreflight(w io.Writer, checks []Check) error {
	return RenderTable(w, []string{"Condition", "Required", "Current", "Severity", "Passed"}, preflightRows(checks), false)
}

func preflightRows(checks []Check) []Row {
	var rows []Row
	for _, c := range checks {
		passed := "yes"
		if !c.Passed {
			passed = "NO"
		}
		rows = append(rows, Row{c.Condition, []string{c.Required, c.Current, c.Severity, passed}})
	}
	return rows
}

// Facts are the machine, the settings and the origin of a result.
func (s *Summary) Facts() []Row {
	r := s.Result
	fact := func(label, value string) Row { return Row{label, []string{OrDash(value)}} }
	facts := []Row{
		fact("run", r.ID+", "+time.Unix(0, r.StartedUnixNs).UTC().Format(time.RFC3339)),
		fact("command", strings.Join(r.Command, " ")),
		fact("scenario", fmt.Sprintf("%s, %s form, sha256 %.12s", r.Scenario.Name, r.Scenario.Form, r.Scenario.SHA256)),
		fact("changed by the command line", JoinMap(r.Scenario.Overrides)),
		fact("target", r.Target.Label()+versionSuffix(r.Target)),
		fact("broker settings", JoinMap(r.Target.Settings)),
		fact("profile", fmt.Sprintf("%s: build %s; env %s; broker under %s", r.Profile.Name,
			OrDash(strings.Join(append(r.Profile.BuildEnv, r.Profile.BuildArgs...), " ")), OrDash(strings.Join(r.Profile.Env, " ")), OrDash(strings.Join(r.Profile.BrokerPrefix, " ")))),
		fact("machine", MachineLine(r.Host)),
		fact("toolchain", strings.Trim(r.Host.GoVersion+", "+r.Host.JavaVersion, ", ")),
	}
	for _, b := range r.Binaries {
		facts = append(facts, fact(b.Role, fmt.Sprintf("%s, %s, sha256 %.12s", b.Name, FormatMiB(b.SizeBytes), b.SHA256)))
	}
	for _, c := range s.Clients {
		facts = append(facts, fact("client "+c.Client, c.ClientVersion))
	}
	return facts
}

// MachineLine says which machine it was.
func MachineLine(h HostFingerprint) string {
	return fmt.Sprintf("%d × %s (x86-64 %s), %s, %s, kernel %s, %s", h.CPUs, h.CPUModel, OrDash(h.CPUFlagsLevel),
		FormatMiB(int64(h.MemoryBytes)), OrDash(h.Virtualization), h.Kernel, h.Filesystem)
}

func versionSuffix(t TargetRecord) string {
	if t.Kind == TargetFluxMQ && t.Version != "" {
		return " " + t.Version
	}
	return ""
}

// ShortCommit is the first twelve digits.
func ShortCommit(commit string) string {
	if len(commit) > 12 {
		return commit[:12]
	}
	return commit
}

// RenderTable draws a grid whose first column is left-aligned text and the rest right-aligned.
func RenderTable(w io.Writer, header []string, rows []Row, markdown bool) error {
	aligns := make([]tw.Align, len(header))
	for i := range aligns {
		aligns[i] = tw.AlignRight
	}
	aligns[0] = tw.AlignLeft
	var draw tw.Renderer = renderer.NewBlueprint(tw.Rendition{Symbols: tw.NewSymbols(tw.StyleLight)})
	if markdown {
		draw = renderer.NewMarkdown()
	}
	table := tablewriter.NewTable(w,
		tablewriter.WithRenderer(draw),
		tablewriter.WithHeaderAutoFormat(tw.Off), tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoFormat(tw.Off), tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithHeaderAlignmentConfig(tw.CellAlignment{Global: tw.AlignRight, PerColumn: aligns}),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{Global: tw.AlignRight, PerColumn: aligns}),
	)
	table.Header(anySlice(header)...)
	for _, row := range rows {
		if err := table.Append(anySlice(append([]string{row.Label}, row.Cells...))...); err != nil {
			return fmt.Errorf("table: %w", err)
		}
	}
	return table.Render()
}

func anySlice(texts []string) []any {
	out := make([]any, len(texts))
	for i, t := range texts {
		out[i] = t
	}
	return out
}

// JoinMap writes settings in the order of their keys: k=v k=v.
func JoinMap(m map[string]string) string {
	var parts []string
	for _, k := range SortedKeys(m) {
		parts = append(parts, k+"="+m[k])
	}
	return strings.Join(parts, " ")
}
