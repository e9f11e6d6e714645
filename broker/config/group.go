package config

import (
	"fmt"
	"sort"
	"strings"
	"time"
)

// Group is one group's settings parsed once: its own on the broker's. Which of
// them mean something its type decides. Immutable.
type Group struct {
	ConsumerSessionTimeout, ConsumerHeartbeatInterval, ConsumerAssignmentInterval time.Duration

	Share   ShareGroup
	Streams StreamsGroup
}

// CheckGroup checks one setting of a group as AlterConfigs does. An unknown
// key's error wraps ErrUnknownKey, a refused value's ErrInvalid.
func CheckGroup(key, value string) error {
	s := Find(GroupScope, key)
	if s == nil {
		text := ""
		if near := Suggest(GroupScope, key); near != "" {
			text = "; did you mean " + near + "?"
		}
		return fmt.Errorf("%w: groups have no setting %q%s", ErrUnknownKey, key, text)
	}
	return s.Check(value)
}

// ParseGroup applies a group's own settings to the broker's and holds the
// result to the broker's bounds. Errors name key, value and rule.
func ParseGroup(n *Node, overrides map[string]string) (*Group, error) {
	keys := make([]string, 0, len(overrides))
	for key := range overrides {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		if err := CheckGroup(key, overrides[key]); err != nil {
			return nil, err
		}
	}
	text := func(key string) string {
		if value, ok := overrides[key]; ok {
			return strings.TrimSpace(value)
		}
		value, _, _ := n.value(Find(GroupScope, key))
		return value
	}
	whole := func(key string) int64 { return wholeNumber(text(key)) }
	for _, name := range []string{"assignment.interval.ms", "heartbeat.interval.ms", "session.timeout.ms"} {
		if err := checkBounds(n, "consumer", name, whole("consumer."+name)); err != nil {
			return nil, err
		}
	}
	session, heartbeat := whole("consumer.session.timeout.ms"), whole("consumer.heartbeat.interval.ms")
	if session <= heartbeat {
		return nil, fmt.Errorf("%w %d for consumer.session.timeout.ms: must be more than consumer.heartbeat.interval.ms (%d)", ErrInvalid, session, heartbeat)
	}
	share, err := parseShare(n, text)
	if err != nil {
		return nil, err
	}
	streams, err := parseStreams(n, text)
	if err != nil {
		return nil, err
	}
	return &Group{
		ConsumerSessionTimeout:     milliseconds(session),
		ConsumerHeartbeatInterval:  milliseconds(heartbeat),
		ConsumerAssignmentInterval: milliseconds(whole("consumer.assignment.interval.ms")),
		Share:                      share,
		Streams:                    streams,
	}, nil
}
