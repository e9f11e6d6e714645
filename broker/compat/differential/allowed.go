package differential

import (
	"regexp"
	"strings"
)

// Allowance is a difference that is meant. It holds for an API in a range of
// versions, in the cases and at the paths that its patterns match whole; a *
// stands for any text. Ours and Kafka, when not empty, are patterns of the two values.
type Allowance struct {
	API                     string
	MinVersion, MaxVersion  int16
	Case, Path, Ours, Kafka string // an empty one matches everything
	// Reason says why a client is not hurt, and why we differ.
	Reason string
}

// AllowedLimit is how many differences may be explained away; more of them
// would mean that this is another broker.
const AllowedLimit = 20

// Allowances is the whole list. One that a full run never uses is an error:
// it would hide what comes later.
var Allowances = []Allowance{
	{API: "Metadata", MinVersion: 0, MaxVersion: 13, Case: "a topic that is created by asking", Path: "Topics[automatic].*",
		Reason: "The topic is there in the reply that creates it. Kafka creates it behind its reply, and the client asks again."},
	{API: "Produce", MinVersion: 3, MaxVersion: 13, Case: "null records", Kafka: string(silent),
		Reason: "Kafka fails inside and answers nothing, so that the client waits for its timeout; here it is INVALID_RECORD."},
	{API: "AlterConfigs", MinVersion: 0, MaxVersion: 2, Case: "of a topic twice", Kafka: string(silent),
		Reason: "Kafka fails inside and answers nothing, so that the client waits for its timeout; here it is INVALID_REQUEST."},
}

func (a Allowance) covers(c Case, d Difference) bool {
	return a.API == c.API && a.MinVersion <= c.Version && c.Version <= a.MaxVersion &&
		matches(a.Case, c.Name) && matches(a.Path, d.Path) && matches(a.Ours, d.Ours) && matches(a.Kafka, d.Kafka)
}

// matches: an empty pattern matches everything.
func matches(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	parts := strings.Split(pattern, "*")
	for n := range parts {
		parts[n] = regexp.QuoteMeta(parts[n])
	}
	return regexp.MustCompile("(?s)^" + strings.Join(parts, ".*") + "$").MatchString(text) // QuoteMeta leaves nothing that does not compile
}

// judge gives the case its verdict and its differences their reasons. used
// counts, by index in allowances, how often each was needed.
func judge(c *Case, allowances []Allowance, used []int) {
	c.Verdict = Same
	for n := range c.Differences {
		d := &c.Differences[n]
		for m, a := range allowances {
			if a.covers(*c, *d) {
				d.Reason = a.Reason
				used[m]++
				break
			}
		}
		switch {
		case d.Reason == "":
			c.Verdict = Different
		case c.Verdict == Same:
			c.Verdict = Permitted
		}
	}
}
