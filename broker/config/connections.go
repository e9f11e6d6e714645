package config

import (
	"net/netip"
	"strconv"
	"strings"
)

// addressLimits allows a list of address:count.
func addressLimits() Rule {
	return Rule{"a list of address:count", func(text string) bool {
		_, ok := parseAddressLimits(text)
		return ok
	}}
}

// parseAddressLimits reads how many connections each address may hold, by the
// address as text. localhost is the loopback address of both families; of an
// address given twice the last count holds.
func parseAddressLimits(text string) (limits map[string]int, ok bool) {
	limits = map[string]int{}
	for _, part := range SplitList(text) {
		colon := strings.LastIndexByte(part, ':') // an IPv6 address has colons, too
		if colon < 0 {
			return nil, false
		}
		count, err := strconv.ParseUint(strings.TrimSpace(part[colon+1:]), 10, 31)
		if err != nil {
			return nil, false
		}
		host := strings.TrimSpace(part[:colon])
		if strings.EqualFold(host, "localhost") {
			limits["127.0.0.1"], limits["::1"] = int(count), int(count)
			continue
		}
		address, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil {
			return nil, false
		}
		limits[address.Unmap().String()] = int(count)
	}
	return limits, true
}
