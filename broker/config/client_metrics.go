package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ClientMetrics is one client metrics subscription (KIP-714) parsed once.
// Immutable.
type ClientMetrics struct {
	// Metrics are the beginnings of the names of the metrics that clients are
	// asked for; AllMetrics among them is all.
	Metrics []string
	// Interval is how often clients push, 100 ms to one hour.
	Interval time.Duration
	// Match are the conditions of which a client fulfils all; none is any client.
	Match []ClientMatch
}

// AllMetrics in ClientMetrics.Metrics asks for every metric.
const AllMetrics = "*"

// ClientMatch is a condition on one attribute of a client. The pattern matches
// the whole attribute.
type ClientMatch struct {
	Attribute string
	Pattern   *regexp.Regexp
}

// The attributes of a client that a subscription may match, Kafka's
// ClientMetricsConfigs.
const (
	ClientInstanceID      = "client_instance_id"
	ClientID              = "client_id"
	ClientSoftwareName    = "client_software_name"
	ClientSoftwareVersion = "client_software_version"
	ClientSourceAddress   = "client_source_address"
	ClientSourcePort      = "client_source_port"
)

var clientAttributes = []string{ClientInstanceID, ClientID, ClientSoftwareName, ClientSoftwareVersion, ClientSourceAddress, ClientSourcePort}

// defaultPushInterval is interval.ms of a subscription without one.
const defaultPushInterval = 5 * time.Minute

// DefaultPushInterval is how often a client that no subscription matches asks
// again, and interval.ms of a subscription without one.
func DefaultPushInterval() time.Duration { return defaultPushInterval }

func clientMetricsSettings() []Setting {
	interval := between(100, 3_600_000)
	interval.Text = "between 100 and 3600000"
	settings := []Setting{
		{Name: "interval.ms", Type: Int, Default: "300000", Rule: interval,
			Doc: "How often the clients push the metrics, in milliseconds. Of several subscriptions of a client the shortest interval holds."},
		{Name: "match", Type: List, Rule: clientMatches(),
			Doc: "Which clients are asked, as attribute=pattern: all patterns must match the whole of their attribute (" + strings.Join(clientAttributes, ", ") + "). Empty is every client. Patterns are Go's, which know no look-around and no back-references."},
		{Name: "metrics", Type: List,
			Doc: "Beginnings of the names of the metrics asked for; * is every metric, empty is none."},
	}
	for i := range settings {
		settings[i].Scope = ClientMetricsScope
		settings[i].Dynamic = true
	}
	return settings
}

// clientMatches allows what parseClientMatch reads.
func clientMatches() Rule {
	return Rule{"a list of attribute=pattern", func(text string) bool {
		for _, part := range SplitList(text) {
			if _, err := parseClientMatch(part); err != nil {
				return false
			}
		}
		return true
	}}
}

// maxPatternBytes bounds the pattern of a ClientMatch.
const maxPatternBytes = 1024

// parseClientMatch reads attribute=pattern. As in Kafka, a pattern holds no '='.
func parseClientMatch(text string) (ClientMatch, error) {
	attribute, pattern, _ := strings.Cut(text, "=")
	attribute, pattern = strings.TrimSpace(attribute), strings.TrimSpace(pattern)
	if !slices.Contains(clientAttributes, attribute) || pattern == "" || strings.Contains(pattern, "=") || len(pattern) > maxPatternBytes {
		return ClientMatch{}, fmt.Errorf("%w: %q is not attribute=pattern", ErrInvalid, text)
	}
	compiled, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return ClientMatch{}, fmt.Errorf("%w: %q: %w", ErrInvalid, text, err)
	}
	return ClientMatch{attribute, compiled}, nil
}

// CheckClientMetrics checks one setting of a subscription as AlterConfigs does.
// An unknown key's error wraps ErrUnknownKey, a refused value's ErrInvalid.
func CheckClientMetrics(key, value string) error {
	s := Find(ClientMetricsScope, key)
	if s == nil {
		text := ""
		if near := Suggest(ClientMetricsScope, key); near != "" {
			text = "; did you mean " + near + "?"
		}
		return fmt.Errorf("%w: client metrics subscriptions have no setting %q%s", ErrUnknownKey, key, text)
	}
	return s.Check(value)
}

// ParseClientMetrics reads the settings of a subscription. Of an attribute that
// is matched twice the last pattern holds, as in Kafka. Errors name key, value
// and rule.
func ParseClientMetrics(overrides map[string]string) (*ClientMetrics, error) {
	for _, s := range All(ClientMetricsScope) {
		if value, ok := overrides[s.Name]; ok {
			if err := s.Check(value); err != nil {
				return nil, err
			}
		}
	}
	for key := range overrides {
		if Find(ClientMetricsScope, key) == nil {
			return nil, CheckClientMetrics(key, "")
		}
	}
	c := &ClientMetrics{Interval: defaultPushInterval, Metrics: SplitList(overrides["metrics"])}
	if value, ok := overrides["interval.ms"]; ok {
		c.Interval = milliseconds(wholeNumber(strings.TrimSpace(value)))
	}
	for _, part := range SplitList(overrides["match"]) {
		match, err := parseClientMatch(part)
		if err != nil {
			return nil, err
		}
		c.Match = slices.DeleteFunc(c.Match, func(m ClientMatch) bool { return m.Attribute == match.Attribute })
		c.Match = append(c.Match, match)
	}
	return c, nil
}
