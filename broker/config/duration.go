package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// errNotDuration is what parseISODuration says of all it does not take.
var errNotDuration = errors.New("not a duration like P1DT2H3M4.5S, or a negative one")

// parseISODuration reads an ISO 8601 duration of days, hours, minutes and
// seconds, as java.time.Duration.parse does: letters in any case, a fraction
// only in the seconds, at least one part, a T only before one. Negative ones are refused,
// and what is longer than a Duration holds is the longest one.
func parseISODuration(text string) (time.Duration, error) {
	rest, found := strings.CutPrefix(strings.ToUpper(text), "P")
	if !found {
		return 0, errNotDuration
	}
	days, clock, hasClock := strings.Cut(rest, "T")
	if hasClock && clock == "" || rest == "" {
		return 0, errNotDuration
	}
	total := 0.0
	for _, part := range []struct {
		text  string
		units []durationUnit
	}{
		{days, []durationUnit{{'D', 24 * time.Hour}}},
		{clock, []durationUnit{{'H', time.Hour}, {'M', time.Minute}, {'S', time.Second}}},
	} {
		left := part.text
		for _, unit := range part.units {
			at := strings.IndexByte(left, unit.letter)
			if at < 0 {
				continue
			}
			number := left[:at]
			if strings.Trim(number, "0123456789") != "" && !(unit.letter == 'S' && isDecimal(number)) {
				return 0, errNotDuration
			}
			v, err := strconv.ParseFloat(number, 64)
			if err != nil {
				return 0, errNotDuration
			}
			total += v * float64(unit.size)
			left = left[at+1:]
		}
		if left != "" {
			return 0, errNotDuration
		}
	}
	if total >= math.MaxInt64 {
		return math.MaxInt64, nil
	}
	return time.Duration(total), nil
}

type durationUnit struct {
	letter byte
	size   time.Duration
}

// isDecimal tells whether a text is digits with one point among or behind them.
func isDecimal(text string) bool {
	whole, fraction, _ := strings.Cut(text, ".")
	return whole != "" && strings.Trim(whole+fraction, "0123456789") == ""
}
