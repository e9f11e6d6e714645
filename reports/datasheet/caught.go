package datasheet

import "slices"

// Caught says whether a dose was called by the metrics that must call it.
type Caught struct {
	Dose     string   `json:"dose"`
	Workload string   `json:"workload"`
	Expected []string `json:"expected" jsonschema:"names of the metrics that should show it; at least one gated one must call"`
	// Direct counts the direct gates that an expected metric called; CalledBy all direct calls by metric.
	Direct   *Rate          `json:"direct"`
	CalledBy map[string]int `json:"called_by"`
	// Power is the resampled power of the best expected metric, named in Best.
	Power *Simulated `json:"power"`
	Best  string     `json:"best"`
	// Shown are the expected metrics that are not gated and whose true effect's interval lies above 0.
	Shown []string `json:"shown"`
	// Yes: at least 80 % of the direct gates, or of the resampled ones where no direct gate ran. nil: not measured.
	Yes *bool `json:"caught"`
}

// newCaught judges one dose of one workload by the table of faults.
func newCaught(d Dose, gates []Gate, workload string) Caught {
	kind, _ := kindOf(d.Dose)
	judged, _ := judgedGates(gates)
	c := Caught{Dose: d.Dose, Workload: workload, Expected: kind.expected, CalledBy: map[string]int{}}
	for _, g := range judged {
		for _, name := range g.CalledBy {
			c.CalledBy[name]++
		}
	}
	c.Direct = newRate(count(judged, func(g Gate) bool {
		return slices.ContainsFunc(g.CalledBy, func(name string) bool { return slices.Contains(kind.expected, name) })
	}), len(judged))
	for _, name := range kind.expected {
		row := d.of(name)
		switch {
		case row == nil:
		case !row.Metric.Gated && row.Effect != nil && row.Effect.Low > 0:
			c.Shown = append(c.Shown, name)
		case row.Alone != nil && (c.Power == nil || row.Alone.Share > c.Power.Share):
			c.Power, c.Best = row.Alone, name
		}
	}
	if len(kind.expected) == 0 {
		return c // the table does not know the fault
	}
	if c.Direct != nil {
		c.Yes = new(c.Direct.Share >= enoughPower)
	} else if c.Power != nil {
		c.Yes = new(c.Power.Share >= enoughPower)
	}
	return c
}

// Broken is one correctness fault of one workload: every run must end with exit 6.
type Broken struct {
	Fault      string `json:"fault"`
	Workload   string `json:"workload"`
	Runs       int    `json:"runs"`
	Caught     int    `json:"caught" jsonschema:"runs that ended with exit 6"`
	Expected   int64  `json:"expected" jsonschema:"records acknowledged, all runs"`
	Read       int64  `json:"read" jsonschema:"records read back"`
	Lost       int64  `json:"lost" jsonschema:"whose offsets are gone; one taken out of a batch makes those behind it corrupt instead"`
	Duplicated int64  `json:"duplicated"`
}

// newBroken sums the runs of each fault and workload in the order of the table.
func newBroken(faults []Fault) []Broken {
	var all []Broken
	for _, f := range faults {
		at := slices.IndexFunc(all, func(b Broken) bool { return b.Fault == f.Fault && b.Workload == f.Workload })
		if at < 0 {
			at = len(all)
			all = append(all, Broken{Fault: f.Fault, Workload: f.Workload})
		}
		b := &all[at]
		b.Runs++
		if f.Exit == exitCorrectness {
			b.Caught++
		}
		b.Expected, b.Read, b.Lost, b.Duplicated = b.Expected+f.Expected, b.Read+f.Read, b.Lost+f.Lost, b.Duplicated+f.Duplicated
	}
	slices.SortStableFunc(all, func(a, b Broken) int { return compareDoses(a.Fault, b.Fault) })
	return all
}
