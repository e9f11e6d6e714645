package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Type is a setting's type, with the numbers of DescribeConfigs (KIP-569).
type Type int8

// The types, in Kafka's order.
const (
	Boolean Type = iota + 1
	String
	Int
	Short
	Long
	Double
	List
	Class
	Password
)

// String is Kafka's name of the type.
func (t Type) String() string {
	return [...]string{"unknown", "boolean", "string", "int", "short", "long", "double", "list", "class", "password"}[t]
}

// parse checks that text is of the type; it returns a sentence without the key.
func (t Type) parse(text string) error {
	bits := 0
	switch t {
	case Boolean:
		if _, ok := parseBool(text); !ok {
			return fmt.Errorf("expected true or false")
		}
	case Short:
		bits = 16
	case Int:
		bits = 32
	case Long:
		bits = 64
	case Double:
		if f, err := strconv.ParseFloat(text, 64); err != nil || math.IsNaN(f) {
			return fmt.Errorf("not a number of type double")
		}
	}
	if bits != 0 {
		if _, err := strconv.ParseInt(text, 10, bits); err != nil {
			return fmt.Errorf("not a number of type %s", t)
		}
	}
	return nil
}

// parseBool knows true and false in any case, and nothing else, as Kafka does.
func parseBool(text string) (value, ok bool) {
	switch {
	case strings.EqualFold(text, "true"):
		return true, true
	case strings.EqualFold(text, "false"):
		return false, true
	}
	return false, false
}

// SplitList splits a LIST value at commas, trims the parts and drops
// duplicates; an empty value is an empty list.
func SplitList(text string) []string {
	var parts []string
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" || seen[part] {
			continue
		}
		seen[part] = true
		parts = append(parts, part)
	}
	return parts
}

// Rule is what a value must obey beyond its type.
type Rule struct {
	// Text says the rule, to follow "must be": "at least 1".
	Text  string
	check func(text string) bool
}

// Allows tells whether a value of the right type obeys the rule. The zero Rule allows all.
func (r Rule) Allows(text string) bool { return r.check == nil || r.check(text) }

// atLeast is a lower bound of a whole number.
func atLeast(low int64) Rule {
	return Rule{fmt.Sprintf("at least %d", low), func(text string) bool {
		v, err := strconv.ParseInt(text, 10, 64)
		return err == nil && v >= low
	}}
}

// between is a closed range of a number, whole or not.
func between(low, high float64) Rule {
	return Rule{fmt.Sprintf("between %v and %v", low, high), func(text string) bool {
		v, err := strconv.ParseFloat(text, 64)
		return err == nil && v >= low && v <= high
	}}
}

// within is a closed range of a whole number.
func within(low, high int64) Rule {
	return Rule{fmt.Sprintf("between %d and %d", low, high), func(text string) bool {
		v, err := strconv.ParseInt(text, 10, 64)
		return err == nil && v >= low && v <= high
	}}
}

// or adds one more allowed value to a rule.
func (r Rule) or(value string) Rule {
	return Rule{r.Text + " or equal to " + value, func(text string) bool { return text == value || r.Allows(text) }}
}

// and adds a second rule to a rule.
func (r Rule) and(other Rule) Rule {
	return Rule{r.Text + ", " + other.Text, func(text string) bool { return r.Allows(text) && other.Allows(text) }}
}

// anyCase applies a rule of words in lower case to words in any.
func anyCase(r Rule) Rule {
	return Rule{r.Text + ", in any case", func(text string) bool { return r.Allows(strings.ToLower(text)) }}
}

// oneOf is a closed set of words, case-sensitive.
func oneOf(words ...string) Rule {
	return Rule{"one of " + strings.Join(words, ", "), func(text string) bool {
		for _, word := range words {
			if word == text {
				return true
			}
		}
		return false
	}}
}

// listOf is a list whose parts are all of a closed set of words.
func listOf(words ...string) Rule {
	one := oneOf(words...)
	return Rule{"a list of " + strings.Join(words, ", "), func(text string) bool {
		for _, part := range SplitList(text) {
			if !one.Allows(part) {
				return false
			}
		}
		return true
	}}
}

// notEmpty refuses the empty string.
func notEmpty() Rule {
	return Rule{"not empty", func(text string) bool { return text != "" }}
}
