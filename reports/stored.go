package reports

import (
	"fmt"
	"io"
	"slices"

	"fluxmq/reports/inference"
)

// Stored sets two stored results beside each other that did not run
// interleaved: what differs between them may be the hour as well as the
// commit. It describes and decides nothing.
type Stored struct {
	A, B    *Summary
	Unlike  []string // why they should not be compared; empty: they are alike
	Clients []StoredClient
}

// StoredClient is one client in both results.
type StoredClient struct {
	Client string
	Rows   []StoredRow
	Failed string
}

// StoredRow is one measure. Ratio is B/A of the medians; P the two-sided
// Mann–Whitney p over the rounds, unpaired.
type StoredRow struct {
	Label  string
	A, B   Spread
	Ratio  float64
	P      float64
	format func(float64) string
}

// Unlike lists what makes two results incomparable, in words that name both values.
func Unlike(a, b *Result) []string {
	var unlike []string
	add := func(what string, x, y any) {
		if fmt.Sprint(x) != fmt.Sprint(y) {
			unlike = append(unlike, fmt.Sprintf("%s: %v and %v", what, x, y))
		}
	}
	add("scenario", a.Scenario.Name, b.Scenario.Name)
	add("form", a.Scenario.Form, b.Scenario.Form)
	if a.Scenario.Name == b.Scenario.Name && a.Scenario.SHA256 != b.Scenario.SHA256 {
		unlike = append(unlike, "scenario file: its text changed between them")
	}
	add("overrides", a.Scenario.Overrides, b.Scenario.Overrides)
	add("clients", a.Clients, b.Clients)
	add("client versions", clientVersions(a), clientVersions(b))
	add("target", a.Target.Label(), b.Target.Label())
	add("durability", a.Target.Durability, b.Target.Durability)
	add("validation", a.Target.Validation, b.Target.Validation)
	add("broker settings", a.Target.Settings, b.Target.Settings)
	add("profile", a.Profile.Name, b.Profile.Name)
	add("CPU", a.Host.CPUModel, b.Host.CPUModel)
	add("CPUs", a.Host.CPUs, b.Host.CPUs)
	add("memory MiB", a.Host.MemoryBytes>>20, b.Host.MemoryBytes>>20)
	add("kernel", a.Host.Kernel, b.Host.Kernel)
	add("host", a.Host.Hostname, b.Host.Hostname)
	add("file system", a.Host.Filesystem, b.Host.Filesystem)
	add("virtualization", a.Host.Virtualization, b.Host.Virtualization)
	return unlike
}

// clientVersions of the arm-runs, each once, by client.
func clientVersions(r *Result) []string {
	var versions []string
	for _, run := range r.ArmRuns {
		if run.Result != nil && !slices.Contains(versions, run.Result.ClientVersion) {
			versions = append(versions, run.Result.ClientVersion)
		}
	}
	slices.Sort(versions)
	return versions
}

// CompareStored compares by client what both results hold.
func CompareStored(a, b *Summary, dirA, dirB string) (*Stored, error) {
	s := &Stored{A: a, B: b, Unlike: Unlike(a.Result, b.Result)}
	for _, client := range a.Result.Clients {
		if !slices.Contains(b.Result.Clients, client) {
			continue
		}
		one := StoredClient{Client: client}
		as, err := measures(a.Result, client, dirA)
		if err != nil {
			return nil, err
		}
		bs, err := measures(b.Result, client, dirB)
		if err != nil {
			return nil, err
		}
		for _, m := range compared {
			x, y := as[m.label], bs[m.label]
			if len(x) > 0 && len(y) > 0 {
				one.Rows = append(one.Rows, StoredRow{m.label, spreadOf(x), spreadOf(y), inference.Median(y) / inference.Median(x), inference.MannWhitney(x, y), m.format})
			}
		}
		if len(one.Rows) == 0 {
			one.Failed = "no round ended well in both"
		}
		s.Clients = append(s.Clients, one)
	}
	return s, nil
}

// measures reads every measure of a client's sound rounds.
func measures(r *Result, client, dir string) (map[string][]float64, error) {
	values := map[string][]float64{}
	for _, run := range r.ArmRuns {
		if run.Client != client || !run.Sound() {
			continue
		}
		latencies, err := armLatencies(run, dir)
		if err != nil {
			return nil, err
		}
		for _, m := range compared {
			if v := m.value(run, latencies); v > 0 {
				values[m.label] = append(values[m.label], v)
			}
		}
	}
	return values, nil
}

// WriteTerminal prints the comparison and what it is worth.
func (s *Stored) WriteTerminal(w io.Writer) error {
	for _, why := range s.Unlike {
		fmt.Fprintf(w, "UNLIKE %s\n", why)
	}
	a, b := ShortCommit(s.A.Result.Commit)+dirtySuffix(s.A.Result.Dirty), ShortCommit(s.B.Result.Commit)+dirtySuffix(s.B.Result.Dirty)
	header := []string{"client", "measure", "A " + a, "B " + b, "B/A", "p (unpaired)"}
	var rows []Row
	for _, c := range s.Clients {
		if c.Failed != "" {
			rows = append(rows, Row{c.Client, []string{"FAILED: " + c.Failed, "", "", "", ""}})
		}
		for _, r := range c.Rows {
			rows = append(rows, Row{c.Client, []string{r.Label, spreadText(r.A, r.format), spreadText(r.B, r.format), fmt.Sprintf("%.3f", r.Ratio), fmt.Sprintf("%.3f", r.P)}})
		}
	}
	if err := RenderTable(w, header, rows, false); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "Stored results of different minutes: the machine's drift is in the ratio. For a verdict: fluxbench compare --base REV, or gate.")
	return err
}
