package reports

import (
	_ "embed"
	"html/template"
	"io"
)

// sharedText defines what every page has: "head" (nothing may be loaded), "style" and "chart".
//
//go:embed page.html.tmpl
var sharedText string

//go:embed report.html.tmpl
var pageText string

// page is parsed once; html/template escapes everything a result can hold.
var page = NewPage("report", pageText)

// NewPage parses the text of one offline page, which may use the templates "head", "style" and "chart".
func NewPage(name, text string) *template.Template {
	return template.Must(template.Must(template.New(name).Parse(sharedText)).Parse(text))
}

type pageData struct {
	Title, Question, FormNote string
	Failed                    bool
	Columns                   []string
	Rows                      []Row
	Cards                     []card
	Charts                    []Chart
	Notes                     []string
	Facts                     []Row
	Preflight                 []Row
	Settings                  []settingsTable
	ScenarioText, ProfileText string
}

// card is the headline of one client.
type card struct{ Client, Class, Number, Unit, Below, Failed string }

// settingsTable is what one client made of the scenario's properties.
type settingsTable struct {
	Client string
	Rows   []Row
}

// WriteHTML writes the report as one file: no script, no request, both colour schemes.
func (s *Summary) WriteHTML(w io.Writer) error {
	r := s.Result
	data := pageData{
		Title: s.Title(), Question: r.Scenario.Question, FormNote: s.FormNote(), Failed: s.Failed() || r.Exit != 0,
		Columns: s.Columns(), Rows: s.Rows(), Notes: s.Notes(), Facts: s.Facts(), Preflight: preflightRows(r.Preflight),
		ScenarioText: r.Scenario.Text, ProfileText: r.Profile.Text,
	}
	for i, c := range s.Clients {
		data.Cards = append(data.Cards, s.headline(c, ColourClass(i)))
	}
	data.Charts = append(data.Charts, s.latencyChart(TagProduce, "Produce latency by percentile"))
	if s.any(func(c ClientSummary) bool { return c.EndToEnd.Count > 0 }) {
		data.Charts = append(data.Charts, s.latencyChart(TagEndToEnd, "End-to-end latency by percentile"))
	}
	data.Charts = append(data.Charts, s.throughputChart())
	cpu, memory := s.hostCharts()
	for i := range cpu {
		data.Charts = append(data.Charts, cpu[i], memory[i])
	}
	seen := map[string]bool{}
	for _, run := range r.ArmRuns {
		if run.Result == nil || seen[run.Client] {
			continue
		}
		seen[run.Client] = true
		table := settingsTable{Client: run.Client}
		for _, key := range SortedKeys(run.Result.Effective) {
			table.Rows = append(table.Rows, Row{key, []string{run.Result.Effective[key]}})
		}
		for _, key := range run.Result.Unmapped {
			table.Rows = append(table.Rows, Row{key, []string{"no counterpart in this client"}})
		}
		data.Settings = append(data.Settings, table)
	}
	return page.Execute(w, data)
}

func (s *Summary) headline(c ClientSummary, class string) card {
	if c.Failed != "" {
		return card{Client: c.Client, Class: class, Failed: c.Failed}
	}
	below := formatSpread(c.DeliveredBytes, 1e6) + " MB/s"
	if c.BrokerCPUPerRecord.N > 0 {
		below += " · broker " + FormatCount(c.BrokerCPUPerRecord.Median) + " CPU-ns/msg"
	}
	if c.Produce.Count > 0 {
		below += " · p99 " + FormatNs(float64(c.Produce.P99))
	}
	unit := "delivered msg/s"
	if s.consumes() {
		unit = "read msg/s"
	}
	return card{Client: c.Client, Class: class, Number: FormatCount(c.Delivered.Median), Unit: unit, Below: below}
}
