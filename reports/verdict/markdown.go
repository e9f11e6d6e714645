package verdict

import (
	"fmt"
	"io"
	"strings"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

// noDatasheet stands where the gate's own measured error rates would.
const noDatasheet = "This gate has no datasheet for this class of machine yet: make prove-gate"

// WriteMarkdown prints a comment for a pull request: the outcome in the first
// line, the rest folded. datasheet is Markdown of ours and is not escaped.
func WriteMarkdown(w io.Writer, t *trial.Trial, v *Verdict, datasheet string) error {
	fmt.Fprintf(w, "### %s: %s\n\n", strings.ToUpper(v.Outcome), escapeMarkdown(v.Reason))
	for _, line := range headings(t) {
		fmt.Fprintf(w, "%s\n", escapeMarkdown(line))
	}
	if t.Failure != "" {
		fmt.Fprintf(w, "\nThe trial ended early: %s\n", escapeMarkdown(t.Failure))
	}
	if line := unfilteredLine(v); line != "" {
		fmt.Fprintf(w, "\n%s\n", escapeMarkdown(line))
	}
	for _, workload := range t.Workloads {
		if err := foldWorkload(w, t, v, workload); err != nil {
			return err
		}
	}
	fold(w, "Rules in force")
	for _, fact := range ruleFacts(t, v) {
		fmt.Fprintf(w, "- %s: %s\n", escapeMarkdown(fact.Label), escapeMarkdown(fact.Cells[0]))
	}
	unfold(w)
	fold(w, fmt.Sprintf("Noise: %d blocks kept, %d rejected", v.Kept, sumOf(v.Rejected)))
	for _, r := range rejectedReasons(v) {
		fmt.Fprintf(w, "- rejected, %s: %s\n", escapeMarkdown(r.Label), r.Cells[0])
	}
	if text := stealDistribution(t); text != "" {
		fmt.Fprintf(w, "- steal: %s\n", text)
	}
	if v.Unfiltered != nil {
		fmt.Fprintf(w, "- over all sound blocks, rejected ones included: %s\n", escapeMarkdown(headline(v.Unfiltered)))
	}
	unfold(w)
	fold(w, "Command")
	fence := codeFence(commandLine(t))
	fmt.Fprintf(w, "%ssh\n%s\n%s\n\n%s\n", fence, commandLine(t), fence, escapeMarkdown(originLine(t)))
	unfold(w)
	fold(w, "Datasheet of this gate")
	if strings.TrimSpace(datasheet) == "" {
		datasheet = noDatasheet
	}
	fmt.Fprintf(w, "%s\n", strings.TrimSpace(datasheet))
	_, err := fmt.Fprint(w, "\n</details>\n")
	return err
}

func foldWorkload(w io.Writer, t *trial.Trial, v *Verdict, workload trial.Workload) error {
	fold(w, workloadLine(workload))
	rows := tableRows(v.Of(workload.Name()))
	for i := range rows {
		rows[i].Label = escapeMarkdown(rows[i].Label)
		for j := range rows[i].Cells {
			rows[i].Cells[j] = strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(rows[i].Cells[j])
		}
	}
	if len(rows) == 0 {
		fmt.Fprintln(w, "No metric was judged.")
	} else if err := reports.RenderTable(w, tableHeader(t), rows, true); err != nil {
		return err
	}
	unfold(w)
	return nil
}

// fold begins a collapsed part: GitHub reads Markdown in it only after a blank line.
func fold(w io.Writer, summary string) {
	fmt.Fprintf(w, "\n<details><summary>%s</summary>\n\n", escapeMarkdown(summary))
}

func unfold(w io.Writer) { fmt.Fprint(w, "\n</details>\n") }

// markdownText makes any text plain: no markup, no tag, no mention of a person.
var markdownText = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "#", `\#`, "|", `\|`, "~", `\~`, "$", `\$`,
	"&", "&amp;", "<", "&lt;", ">", "&gt;", "@", "@&#8203;")

func escapeMarkdown(text string) string { return markdownText.Replace(oneLine(text)) }

// codeFence is longer than every run of backticks in the text.
func codeFence(text string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence
}

func sumOf(counts map[string]int) int {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum
}
