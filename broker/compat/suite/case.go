package suite

import "fmt"

// Outcome of a case.
type Outcome string

const (
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
)

// Case is one test of a client as its own runner counts them.
type Case struct {
	Name    string  `json:"case"`
	Outcome Outcome `json:"outcome"`
	Why     string  `json:"why"` // of a failure or a skip; may be empty
}

// failureLimit bounds how many failures a result names, nameLimit a name's bytes.
const (
	failureLimit = 50
	nameLimit    = 200
)

// Tally counts cases into a result, over what was counted before, and names those that failed.
func (r *Result) Tally(cases []Case) {
	for _, c := range cases {
		switch c.Outcome {
		case Passed:
			r.Passed++
		case Skipped:
			r.Skipped++
		default: // also an outcome that no runner has
			r.Failed++
			r.Failures = append(r.Failures, shorten(c.Name))
		}
	}
	if over := len(r.Failures) - failureLimit; over > 0 {
		r.Failures = append(r.Failures[:failureLimit], fmt.Sprintf("and %d more", over))
	}
}

// shorten keeps a name in one line of a page.
func shorten(name string) string {
	text := []rune(name)
	for i, r := range text {
		if r < ' ' {
			text[i] = ' '
		}
	}
	if len(text) > nameLimit {
		text = append(text[:nameLimit], '…')
	}
	return string(text)
}
