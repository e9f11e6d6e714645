package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// FormatCount writes a number with thousands separators and three significant digits at least: 1,234,567; 12.3; 0.041.
func FormatCount(v float64) string {
	switch {
	case v == 0:
		return "0"
	case math.Abs(v) >= 100:
		return groupThousands(strconv.FormatFloat(math.Round(v), 'f', 0, 64))
	case math.Abs(v) >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case math.Abs(v) >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

func groupThousands(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}

// formatSpread writes "median (min–max)", or the median alone for one round; "–" for none.
func formatSpread(s Spread, scale float64) string {
	switch {
	case s.N == 0:
		return "–"
	case s.N == 1:
		return FormatCount(s.Median / scale)
	}
	return fmt.Sprintf("%s (%s–%s)", FormatCount(s.Median/scale), FormatCount(s.Min/scale), FormatCount(s.Max/scale))
}

// FormatNs writes a duration in the unit that fits: "812 ns", "19.4 µs", "3.21 ms", "1.07 s".
func FormatNs(ns float64) string {
	switch {
	case ns < 1e3:
		return fmt.Sprintf("%.0f ns", ns)
	case ns < 1e6:
		return threeDigits(ns/1e3) + " µs"
	case ns < 1e9:
		return threeDigits(ns/1e6) + " ms"
	}
	return threeDigits(ns/1e9) + " s"
}

func threeDigits(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// FormatMiB writes bytes in MiB.
func FormatMiB(bytes int64) string {
	if bytes == 0 {
		return "–"
	}
	return threeDigits(float64(bytes)/(1<<20)) + " MiB"
}
