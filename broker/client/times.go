package client

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// dateTimeLayouts are ISO 8601 with the zones that Kafka's Utils.getDateTime
// takes; a fraction of a second may follow in any of them.
var dateTimeLayouts = []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07"}

// ParseDateTime reads YYYY-MM-DDTHH:mm:SS.sss with an optional zone (Z, +08,
// +0800, +08:00; none is UTC, as in Kafka) and returns unix ms.
func ParseDateTime(text string) (unixMs int64, err error) {
	_, clock, _ := strings.Cut(text, "T")
	zoned := text
	if !strings.ContainsAny(clock, "+-Z") {
		zoned += "Z"
	}
	for _, layout := range dateTimeLayouts {
		if t, err := time.Parse(layout, zoned); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, inputf("%q is no date and time: write YYYY-MM-DDTHH:mm:SS.sss, with a zone as Z or +08:00, or without for UTC", text)
}

// isoDuration is what Java's Duration.parse takes. No part has more than nine
// digits, so that their sum fits in milliseconds.
var isoDuration = regexp.MustCompile(`(?i)^([-+]?)P(?:([-+]?\d{1,9})D)?(T(?:([-+]?\d{1,9})H)?(?:([-+]?\d{1,9})M)?(?:([-+]?\d{1,9})(?:[.,](\d{0,9}))?S)?)?$`)

// ParseDuration reads an ISO 8601 duration PnDTnHnMnS, as Kafka's
// --by-duration does, and returns milliseconds.
func ParseDuration(text string) (ms int64, err error) {
	parts := isoDuration.FindStringSubmatch(text)
	if parts == nil || parts[2]+parts[4]+parts[5]+parts[6] == "" || strings.EqualFold(parts[3], "T") {
		return 0, inputf("%q is no ISO 8601 duration: write PnDTnHnMnS, for example P1DT12H or PT30M", text)
	}
	for n, unitMs := range map[int]int64{2: 24 * 3600 * 1000, 4: 3600 * 1000, 5: 60 * 1000, 6: 1000} {
		if parts[n] != "" {
			count, _ := strconv.ParseInt(parts[n], 10, 64) // the pattern lets only numbers of nine digits through
			ms += count * unitMs
		}
	}
	if fraction := parts[7]; fraction != "" {
		thousandths, _ := strconv.ParseInt((fraction + "00")[:3], 10, 64)
		if strings.HasPrefix(parts[6], "-") {
			thousandths = -thousandths
		}
		ms += thousandths
	}
	if parts[1] == "-" {
		ms = -ms
	}
	return ms, nil
}
