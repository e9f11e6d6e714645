package config

import (
	"fmt"
	"sort"
	"strings"
	"time"
)

// Group is one consumer group's settings parsed once: its own on the broker's.
// Immutable.
type Group struct {
	ConsumerSessionTimeout, ConsumerHeartbeatInterval, ConsumerAssignmentInterval time.Duration
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
	whole := func(key string) int64 {
		if value, ok := overrides[key]; ok {
			return wholeNumber(strings.TrimSpace(value))
		}
		value, _, _ := n.value(Find(GroupScope, key))
		return wholeNumber(value)
	}
	for _, name := range []string{"assignment.interval.ms", "heartbeat.interval.ms", "session.timeout.ms"} {
		value := whole("consumer." + name)
		for _, bound := range []string{"min", "max"} {
			key := "group.consumer." + bound + "." + name
			if limit := n.whole(key); bound == "min" && value < limit || bound == "max" && value > limit {
				return nil, fmt.Errorf("%w %d for consumer.%s: %s is %d", ErrInvalid, value, name, key, limit)
			}
		}
	}
	session, heartbeat := whole("consumer.session.timeout.ms"), whole("consumer.heartbeat.interval.ms")
	if session <= heartbeat {
		return nil, fmt.Errorf("%w %d for consumer.session.timeout.ms: must be more than consumer.heartbeat.interval.ms (%d)", ErrInvalid, session, heartbeat)
	}
	return &Group{
		ConsumerSessionTimeout:     milliseconds(session),
		ConsumerHeartbeatInterval:  milliseconds(heartbeat),
		ConsumerAssignmentInterval: milliseconds(whole("consumer.assignment.interval.ms")),
	}, nil
}
