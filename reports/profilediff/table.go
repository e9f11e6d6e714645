package profilediff

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"fluxmq/reports"
)

//go:embed table.html.tmpl
var tableFile embed.FS

var table = template.Must(template.ParseFS(tableFile, "table.html.tmpl"))

var header = []string{"function", "base ns/msg", "head ns/msg", "difference (interval)", "with callees (interval)", ""}

// Rows are the table's cells, the same in every view. The last cell marks a
// function whose own CPU surely grew (▲) or shrank (▼).
func (d *Difference) Rows() []reports.Row {
	var rows []reports.Row
	for _, f := range d.Functions {
		mark := ""
		switch {
		case f.Flat.Grew():
			mark = "▲"
		case f.Flat.Shrank():
			mark = "▼"
		}
		rows = append(rows, reports.Row{Label: f.Name, Cells: []string{number(f.Flat.Base), number(f.Flat.Head), f.Flat.words(), f.Cumulative.words(), mark}})
	}
	return rows
}

// Title says what is listed and how to read it.
func (d *Difference) Title() string {
	title := fmt.Sprintf("%s: broker CPU by function, head − base, over %d blocks", d.Workload, d.Blocks)
	if d.Skipped > 0 {
		title += fmt.Sprintf(" (%d without profiles)", d.Skipped)
	}
	return title
}

// Note goes below the table.
func (d *Difference) Note() string {
	return fmt.Sprintf("The surest growth first (%s); %d of %d functions. %.3g %% intervals, each function's own: of many, some exclude zero by chance.",
		d.Ranked, len(d.Functions), d.Seen, d.Confidence*100)
}

// WriteTerminal prints the table with its title and note.
func (d *Difference) WriteTerminal(w io.Writer) error {
	fmt.Fprintf(w, "\n%s\n", d.Title())
	if err := reports.RenderTable(w, header, d.Rows(), false); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "  %s\n", d.Note())
	return err
}

// WriteMarkdown writes a section of a page.
func (d *Difference) WriteMarkdown(w io.Writer) error {
	fmt.Fprintf(w, "### %s\n\n", d.Title())
	if err := reports.RenderTable(w, header, d.Rows(), true); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", d.Note())
	return err
}

// HTML is a fragment for a page that has the style sheet of reports.NewPage.
func (d *Difference) HTML() (template.HTML, error) {
	var b strings.Builder
	err := table.Execute(&b, struct {
		*Difference
		Header []string
	}{d, header})
	return template.HTML(b.String()), err // made by html/template: names are escaped
}

func (c Change) words() string {
	if c.Low == nil {
		return fmt.Sprintf("%s (too few blocks)", signed(c.Difference))
	}
	return fmt.Sprintf("%s (%s to %s)", signed(c.Difference), signed(*c.Low), signed(*c.High))
}

func number(v float64) string { return fmt.Sprintf("%.1f", v) }

func signed(v float64) string { return fmt.Sprintf("%+.1f", v) }
