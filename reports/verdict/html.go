package verdict

import (
	_ "embed"
	"io"
	"strings"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

//go:embed verdict.html.tmpl
var pageText string

// page is parsed once; html/template escapes everything a trial can hold.
var page = reports.NewPage("verdict", pageText)

type pageData struct {
	Title, Outcome, Class, Reason, Unfiltered, Failure string
	Headings                                           []string
	Workloads                                          []workloadView
	Noise                                              []reports.Chart
	Rules, Rejected, Facts                             []reports.Row
	Preflight                                          []reports.Check
	Steal, Command, Origin, Datasheet, Difference      string
}

// workloadView is one workload on the page.
type workloadView struct {
	Name, Line string
	Forest     forest
	Header     []string
	Rows       []rowView
	Charts     []reports.Chart
}

// rowView is a table row with the colour of its verdict.
type rowView struct {
	reports.Row
	Class string
}

// WriteHTML writes the verdict as one file: no script, no request, both colour
// schemes. The datasheet and the difference of CPU profiles ("": none was taken) are shown as their text.
func WriteHTML(w io.Writer, t *trial.Trial, v *Verdict, datasheetMarkdown, differenceMarkdown string) error {
	lines := headings(t)
	data := pageData{
		Title: lines[0], Headings: lines[1:], Outcome: strings.ToUpper(v.Outcome), Class: outcomeClass(v.Outcome), Reason: v.Reason, Unfiltered: unfilteredLine(v), Failure: t.Failure,
		Noise: noisePlots(t), Rules: ruleFacts(t, v), Rejected: rejectedReasons(v), Facts: facts(t), Preflight: t.Preflight,
		Steal: stealDistribution(t), Command: commandLine(t), Origin: originLine(t), Datasheet: strings.TrimSpace(datasheetMarkdown), Difference: strings.TrimSpace(differenceMarkdown),
	}
	if data.Datasheet == "" {
		data.Datasheet = noDatasheet
	}
	for _, workload := range t.Workloads {
		rows := v.Of(workload.Name())
		view := workloadView{Name: workload.Name(), Line: workloadLine(workload), Forest: newForest(rows), Header: tableHeader(t), Charts: differencePlots(t, workload, rows)}
		for _, r := range rows {
			view.Rows = append(view.Rows, rowView{tableRow(r), outcomeClass(r.Outcome)})
		}
		data.Workloads = append(data.Workloads, view)
	}
	return page.Execute(w, data)
}

// facts are the machine and the binaries.
func facts(t *trial.Trial) []reports.Row {
	fact := func(label, value string) reports.Row {
		return reports.Row{Label: label, Cells: []string{reports.OrDash(value)}}
	}
	return []reports.Row{
		fact("machine", reports.MachineLine(t.Host)),
		fact("toolchain", t.Host.GoVersion),
		fact("base", sideName(t.Base)+", profile "+t.Base.Profile.Name+", broker sha256 "+short(t.Base.Broker.SHA256)),
		fact("head", sideName(t.Head)+", profile "+t.Head.Profile.Name+", broker sha256 "+short(t.Head.Broker.SHA256)),
		fact("only the base", sideSettings(t.Base)),
		fact("only the head", sideSettings(t.Head)),
	}
}

func short(sha256 string) string { return reports.ShortCommit(sha256) }
