package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"fluxmq/broker/compat/differential"
	"fluxmq/broker/compat/scale"
	"fluxmq/broker/compat/suite"
)

// write is the whole page.
func write(result differential.Result, clients []suite.Result, groups scale.Groups, compaction scale.Compaction) []byte {
	var b bytes.Buffer
	b.WriteString("# Compatibility\n\nWritten by `make compat`, `make group-scale` and `make compaction-scale` from `broker/compat/results`; what is changed here by hand is lost.\n")
	b.WriteString(suite.Section(clients))
	b.WriteString(groups.Section())
	b.WriteString(compaction.Section())
	if len(result.APIs) > 0 {
		writeAPIs(&b, result)
		writeAllowed(&b, result.Cases)
		writeOpen(&b, result.Cases)
	}
	return b.Bytes()
}

// verdicts counts cases.
type verdicts struct{ same, allowed, different int }

func (v *verdicts) add(c differential.Case) {
	switch c.Verdict {
	case differential.Same:
		v.same++
	case differential.Permitted:
		v.allowed++
	default:
		v.different++
	}
}

func writeAPIs(b *bytes.Buffer, result differential.Result) {
	var all verdicts
	byAPI := map[int16]*verdicts{}
	for _, c := range result.Cases {
		if byAPI[c.Key] == nil {
			byAPI[c.Key] = &verdicts{}
		}
		byAPI[c.Key].add(c)
		all.add(c)
	}
	fmt.Fprintf(b, "\n## APIs\n\nThe same %d requests to this broker and to Apache Kafka %s, each API at its lowest and its highest version, with wrong fields, wrong states and bytes that are no request: %d answered the same, "+
		"%d with a difference that is meant, %d with one that is not.\n\n", len(result.Cases), result.Kafka, all.same, all.allowed, all.different)
	b.WriteString("| key | API | versions | in Kafka | requests | same | meant | different |\n|--:|---|---|---|--:|--:|--:|--:|\n")
	for _, a := range result.APIs {
		v := byAPI[a.Key]
		if v == nil {
			v = &verdicts{}
		}
		fmt.Fprintf(b, "| %d | %s | %s | %s | %d | %d | %d | %d |\n", a.Key, a.Name, versions(a.Ours), versions(a.Kafka), v.same+v.allowed+v.different, v.same, v.allowed, v.different)
	}
}

// versions as a table shows them.
func versions(r *differential.Range) string {
	switch {
	case r == nil:
		return "–"
	case r.Min == r.Max:
		return fmt.Sprint(r.Min)
	}
	return fmt.Sprintf("%d–%d", r.Min, r.Max)
}

// element is what stands in brackets in a path.
var element = regexp.MustCompile(`\[[^]]*\](?:#\d+)?`)

// place is where replies differ, without which topic or member it is.
func place(path string) string {
	if path == "" {
		return "the reply"
	}
	return element.ReplaceAllString(path, "[…]")
}

// seen is a kind of difference and what it was seen in.
type seen struct {
	api, path, reason string
	ours, kafka       string // of the first
	names             string // of the first case
	minimum, maximum  int16  // versions
	times             int
}

// gather brings differences of one API, place and reason together, in order of appearance.
// Without a reason the values must be the same too.
func gather(cases []differential.Case, want func(differential.Difference) bool) []*seen {
	var order []*seen
	index := map[string]*seen{}
	for _, c := range cases {
		for _, d := range c.Differences {
			if !want(d) {
				continue
			}
			key := c.API + "|" + place(d.Path) + "|" + d.Reason
			if d.Reason == "" {
				key += d.Ours + "|" + d.Kafka
			}
			s := index[key]
			if s == nil {
				s = &seen{api: c.API, path: place(d.Path), reason: d.Reason, ours: d.Ours, kafka: d.Kafka, names: c.Name, minimum: c.Version, maximum: c.Version}
				index[key] = s
				order = append(order, s)
			}
			s.times++
			s.minimum, s.maximum = min(s.minimum, c.Version), max(s.maximum, c.Version)
		}
	}
	return order
}

func writeAllowed(b *bytes.Buffer, cases []differential.Case) {
	found := gather(cases, func(d differential.Difference) bool { return d.Reason != "" })
	if len(found) == 0 {
		return
	}
	b.WriteString("\n## Differences that are meant\n\n| API | versions | where | here, for example | Kafka | times | why |\n|---|---|---|---|---|--:|---|\n")
	for _, s := range found {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %d | %s |\n", s.api, versions(&differential.Range{Min: s.minimum, Max: s.maximum}), s.path, cell(s.ours), cell(s.kafka), s.times, inCell.Replace(s.reason))
	}
}

func writeOpen(b *bytes.Buffer, cases []differential.Case) {
	found := gather(cases, func(d differential.Difference) bool { return d.Reason == "" })
	if len(found) == 0 {
		return
	}
	b.WriteString("\n## Differences that are not meant\n\n| API | versions | case, the first | where | here | Kafka | times |\n|---|---|---|---|---|---|--:|\n")
	for _, s := range found {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %d |\n", s.api, versions(&differential.Range{Min: s.minimum, Max: s.maximum}), inCell.Replace(s.names), s.path, cell(s.ours), cell(s.kafka), s.times)
	}
}

// cellLimit bounds what a table shows of a value, in bytes; the result has more.
const cellLimit = 80

// inCell takes out what would end a table's cell or the code in it.
var inCell = strings.NewReplacer("|", "¦", "`", "'", "\n", " ")

func cell(text string) string {
	if len(text) > cellLimit {
		text = strings.ToValidUTF8(text[:cellLimit], "") + "…"
	}
	return "`" + inCell.Replace(text) + "`"
}
