package history

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"fluxmq/reports/trial"
)

// View is everything that the pages show, and what --json prints.
type View struct {
	Reference *Reference `json:"reference"` // nil: none is pinned
	Test      Test       `json:"test"`
	Workloads []Workload `json:"workloads"`
}

// Workload is one scenario with one client.
type Workload struct {
	Name    string   `json:"name"`
	Metrics []Series `json:"metrics"`
	// Notes are what a reader must know of the numbers: missing links, several hosts or builds.
	Notes []string `json:"notes"`
}

// Series is one metric; more than one chain: a link is missing, or the scenario's text changed.
type Series struct {
	Metric trial.Metric `json:"metric"`
	Chains []Chain      `json:"chains"`
}

// View reads the store, chains the points and looks for changes. scenario ""
// is all; otherwise a scenario, or SCENARIO/CLIENT.
func (s Store) View(scenario string, t Test) (*View, error) {
	v := &View{Test: t, Workloads: []Workload{}}
	var err error
	if v.Reference, err = s.Reference(); err != nil && !errors.Is(err, ErrNotPinned) {
		return nil, err
	}
	names, err := s.Workloads()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if only, _, _ := strings.Cut(name, "/"); scenario != "" && scenario != name && scenario != only {
			continue
		}
		points, err := s.Points(name)
		if err != nil {
			return nil, err
		}
		v.Workloads = append(v.Workloads, workload(name, points, t))
	}
	return v, nil
}

func workload(name string, points []Point, t Test) Workload {
	w := Workload{Name: name, Metrics: []Series{}, Notes: []string{}}
	for _, m := range trial.Metrics() {
		chains := Chains(points, m.Name)
		for i := range chains {
			chains[i].Find(m, t)
		}
		if len(chains) > 0 {
			w.Metrics = append(w.Metrics, Series{m, chains})
		}
	}
	if len(w.Metrics) > 0 && len(w.Metrics[0].Chains) > 1 {
		w.Notes = append(w.Notes, fmt.Sprintf("%d chains that no link joins: their indices must not be compared; either a link is to be measured (fluxbench history measure --link) or the scenario was changed", len(w.Metrics[0].Chains)))
	}
	hosts, builds := map[string]bool{}, map[string]map[string]bool{}
	for _, p := range points {
		hosts[p.Host] = true
		if builds[p.Reference] == nil {
			builds[p.Reference] = map[string]bool{}
		}
		builds[p.Reference][p.ReferenceSHA256] = true
	}
	if len(hosts) > 1 {
		w.Notes = append(w.Notes, fmt.Sprintf("measured on %d kinds of machine", len(hosts)))
	}
	for reference, hashes := range builds {
		if len(hashes) > 1 {
			w.Notes = append(w.Notes, fmt.Sprintf("reference %.12s was built in %d ways (another toolchain or profile): both sides of a trial were built alike, but ratios may differ between builds", reference, len(hashes)))
		}
	}
	slices.Sort(w.Notes)
	return w
}

// words says a change in one line, without its commit.
func (c Change) words() string {
	text := fmt.Sprintf("%s (%s to %s), p = %.2g, %d points before, %d after", percent(c.Size.Ratio), percent(c.Size.Low), percent(c.Size.High), c.P, c.Before, c.After)
	if c.AcrossReferences {
		text += "; the reference changed here too"
	}
	return text
}

func percent(ratio float64) string { return fmt.Sprintf("%+.1f %%", (ratio-1)*100) }
