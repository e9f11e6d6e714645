package config

import (
	"fmt"
	"time"
)

// streamsGroupSettings are the broker keys of streams groups (KIP-1071): Kafka
// 4.3's with its defaults.
func streamsGroupSettings() []Setting {
	return []Setting{
		dynamic(broker("group.streams.assignment.interval.ms", Int, "1000", atLeast(0), "Least time between two target assignments of a streams group, in milliseconds. Default of streams.assignment.interval.ms.")),
		broker("group.streams.heartbeat.interval.ms", Int, "5000", atLeast(1), "How often members of streams groups are told to heartbeat, in milliseconds. Default of streams.heartbeat.interval.ms."),
		broker("group.streams.initial.rebalance.delay.ms", Int, "3000", atLeast(0), "How long a streams group that was empty waits for more members before it assigns tasks, in milliseconds. Default of streams.initial.rebalance.delay.ms."),
		broker("group.streams.max.assignment.interval.ms", Int, "15000", atLeast(0), "Largest streams.assignment.interval.ms a group may have."),
		broker("group.streams.max.heartbeat.interval.ms", Int, "15000", atLeast(1), "Largest streams.heartbeat.interval.ms a group may have."),
		broker("group.streams.max.session.timeout.ms", Int, "60000", atLeast(1), "Largest streams.session.timeout.ms a group may have."),
		broker("group.streams.max.size", Int, "2147483647", atLeast(1), "Most members of one streams group."),
		broker("group.streams.max.standby.replicas", Int, "2", atLeast(0), "Largest streams.num.standby.replicas a group may have."),
		broker("group.streams.min.assignment.interval.ms", Int, "0", atLeast(0), "Least streams.assignment.interval.ms a group may have."),
		broker("group.streams.min.heartbeat.interval.ms", Int, "5000", atLeast(1), "Least streams.heartbeat.interval.ms a group may have."),
		broker("group.streams.min.session.timeout.ms", Int, "45000", atLeast(1), "Least streams.session.timeout.ms a group may have."),
		broker("group.streams.num.standby.replicas", Int, "0", atLeast(0), "How many copies of the state of each task are kept besides the active one's. Default of streams.num.standby.replicas."),
		broker("group.streams.session.timeout.ms", Int, "45000", atLeast(1), "After how long without a heartbeat a member of a streams group is taken out, in milliseconds. Default of streams.session.timeout.ms."),
	}
}

// streamsScopeSettings are the keys that a streams group may have of its own.
func streamsScopeSettings() []Setting {
	return []Setting{
		{Name: "streams.assignment.interval.ms", Type: Int, Default: "1000", Rule: atLeast(0), Synonyms: synonym("group.streams.assignment.interval.ms"),
			Doc: "Least time between two target assignments of the streams group, in milliseconds."},
		{Name: "streams.heartbeat.interval.ms", Type: Int, Default: "5000", Rule: atLeast(1), Synonyms: synonym("group.streams.heartbeat.interval.ms"),
			Doc: "How often the members of the streams group are told to heartbeat, in milliseconds."},
		{Name: "streams.initial.rebalance.delay.ms", Type: Int, Default: "3000", Rule: atLeast(0), Synonyms: synonym("group.streams.initial.rebalance.delay.ms"),
			Doc: "How long the streams group waits for more members, when it was empty, before it assigns tasks, in milliseconds."},
		{Name: "streams.num.standby.replicas", Type: Int, Default: "0", Rule: atLeast(0), Synonyms: synonym("group.streams.num.standby.replicas"),
			Doc: "How many copies of the state of each task are kept besides the active one's."},
		{Name: "streams.session.timeout.ms", Type: Int, Default: "45000", Rule: atLeast(1), Synonyms: synonym("group.streams.session.timeout.ms"),
			Doc: "After how long without a heartbeat a member of the streams group is taken out, in milliseconds."},
	}
}

// StreamsGroup is one streams group's settings parsed once. Immutable.
type StreamsGroup struct {
	SessionTimeout, HeartbeatInterval, AssignmentInterval time.Duration
	// InitialDelay is how long the first assignment waits for more members.
	InitialDelay time.Duration
	// Standbys is how many copies of a task's state are kept besides the active one's.
	Standbys int32
}

// parseStreams holds the streams settings of a group to the broker's bounds.
// text resolves one key.
func parseStreams(n *Node, text func(key string) string) (StreamsGroup, error) {
	whole := func(key string) int64 { return wholeNumber(text(key)) }
	for _, name := range []string{"assignment.interval.ms", "heartbeat.interval.ms", "session.timeout.ms"} {
		if err := checkBounds(n, "streams", name, whole("streams."+name)); err != nil {
			return StreamsGroup{}, err
		}
	}
	standbys := whole("streams.num.standby.replicas")
	if most := n.whole("group.streams.max.standby.replicas"); standbys > most {
		return StreamsGroup{}, fmt.Errorf("%w %d for streams.num.standby.replicas: group.streams.max.standby.replicas is %d", ErrInvalid, standbys, most)
	}
	session, heartbeat := whole("streams.session.timeout.ms"), whole("streams.heartbeat.interval.ms")
	if session <= heartbeat {
		return StreamsGroup{}, fmt.Errorf("%w %d for streams.session.timeout.ms: must be more than streams.heartbeat.interval.ms (%d)", ErrInvalid, session, heartbeat)
	}
	return StreamsGroup{
		SessionTimeout:     milliseconds(session),
		HeartbeatInterval:  milliseconds(heartbeat),
		AssignmentInterval: milliseconds(whole("streams.assignment.interval.ms")),
		InitialDelay:       milliseconds(whole("streams.initial.rebalance.delay.ms")),
		Standbys:           int32(standbys),
	}, nil
}
