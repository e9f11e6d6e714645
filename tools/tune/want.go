package tune

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

type rule int

const (
	ruleNone rule = iota
	ruleAtLeast
	ruleAtMost
	ruleLastAtLeast // of several numbers the last: tcp_rmem is "min default max"
	ruleOneOf
	ruleOff // swap
)

// Want is what a knob should be. A value that is better than wanted stays.
type Want struct {
	rule   rule
	number int64
	words  []string // the first is what is written
}

func atLeast(n int64) Want       { return Want{rule: ruleAtLeast, number: n} }
func atMost(n int64) Want        { return Want{rule: ruleAtMost, number: n} }
func lastAtLeast(n int64) Want   { return Want{rule: ruleLastAtLeast, number: n} }
func oneOf(words ...string) Want { return Want{rule: ruleOneOf, words: words} }

// Number is the bound of a wanted size; 0 for words.
func (w Want) Number() int64 { return w.number }

// String is the want as a table shows it.
func (w Want) String() string {
	switch w.rule {
	case ruleAtLeast:
		return fmt.Sprintf("≥ %d", w.number)
	case ruleAtMost:
		return fmt.Sprintf("≤ %d", w.number)
	case ruleLastAtLeast:
		return fmt.Sprintf("max ≥ %d", w.number)
	case ruleOneOf:
		return strings.Join(w.words, " or ")
	case ruleOff:
		return swapOff
	}
	return "–"
}

// Holds tells whether a current value is good enough. What is no number where one is wanted is not.
func (w Want) Holds(current string) bool {
	switch w.rule {
	case ruleAtLeast, ruleLastAtLeast:
		n, ok := w.compared(current)
		return ok && n >= w.number
	case ruleAtMost:
		n, ok := w.compared(current)
		return ok && n <= w.number
	case ruleOneOf:
		return slices.Contains(w.words, current)
	case ruleOff:
		return current == swapOff
	}
	return false
}

// Value is what to write over a current value that does not hold.
func (w Want) Value(current string) (string, error) {
	switch w.rule {
	case ruleOneOf:
		return w.words[0], nil
	case ruleOff:
		return swapOff, nil
	}
	if _, ok := w.compared(current); !ok {
		return "", fmt.Errorf("the current value %q is not what this kernel setting is known to hold", current)
	}
	fields := strings.Fields(current)
	fields[len(fields)-1] = strconv.FormatInt(w.number, 10)
	return strings.Join(fields, " "), nil
}

// compared is the number of a current value that the want is about.
func (w Want) compared(current string) (int64, bool) {
	fields, count := strings.Fields(current), 1
	if w.rule == ruleLastAtLeast {
		count = 3
	}
	if len(fields) != count {
		return 0, false
	}
	n, err := strconv.ParseInt(fields[len(fields)-1], 10, 64)
	return n, err == nil
}
