package config

import (
	"fmt"
	"strings"
	"time"
)

// shareGroupSettings are the broker keys of share groups (KIP-932): Kafka
// 4.3's with its defaults.
func shareGroupSettings() []Setting {
	return []Setting{
		dynamic(broker("group.share.assignment.interval.ms", Int, "1000", atLeast(0), "Least time between two target assignments of a share group, in milliseconds. Default of share.assignment.interval.ms.")),
		broker("group.share.assignors", List, "simple", listOf("simple").and(notEmpty()), "Server-side assignor of share groups. There is one; assignors of one's own cannot be loaded."),
		broker("group.share.delivery.count.limit", Int, "5", within(2, 10), "How often a record is delivered to a share group at most; then it is archived. Default of share.delivery.count.limit."),
		broker("group.share.heartbeat.interval.ms", Int, "5000", atLeast(1), "How often members of share groups are told to heartbeat, in milliseconds. Default of share.heartbeat.interval.ms."),
		broker("group.share.max.assignment.interval.ms", Int, "15000", atLeast(0), "Largest share.assignment.interval.ms a group may have."),
		broker("group.share.max.delivery.count.limit", Int, "10", within(5, 25), "Largest share.delivery.count.limit a group may have."),
		broker("group.share.max.heartbeat.interval.ms", Int, "15000", atLeast(1), "Largest share.heartbeat.interval.ms a group may have."),
		broker("group.share.max.partition.max.record.locks", Int, "4000", within(2000, 10000), "Largest share.partition.max.record.locks a group may have."),
		broker("group.share.max.record.lock.duration.ms", Int, "60000", within(30000, 3600000), "Largest share.record.lock.duration.ms a group may have."),
		broker("group.share.max.session.timeout.ms", Int, "60000", atLeast(1), "Largest share.session.timeout.ms a group may have."),
		broker("group.share.max.share.sessions", Int, "2000", atLeast(1), "Share sessions kept at once; a consumer beyond them is told SHARE_SESSION_LIMIT_REACHED and tries again."),
		broker("group.share.max.size", Int, "200", within(1, 1000), "Most members of one share group."),
		broker("group.share.min.assignment.interval.ms", Int, "0", atLeast(0), "Least share.assignment.interval.ms a group may have."),
		broker("group.share.min.delivery.count.limit", Int, "2", within(2, 5), "Least share.delivery.count.limit a group may have."),
		broker("group.share.min.heartbeat.interval.ms", Int, "5000", atLeast(1), "Least share.heartbeat.interval.ms a group may have."),
		broker("group.share.min.partition.max.record.locks", Int, "100", within(100, 2000), "Least share.partition.max.record.locks a group may have."),
		broker("group.share.min.record.lock.duration.ms", Int, "15000", within(1000, 30000), "Least share.record.lock.duration.ms a group may have."),
		broker("group.share.min.session.timeout.ms", Int, "45000", atLeast(1), "Least share.session.timeout.ms a group may have."),
		broker("group.share.partition.max.record.locks", Int, "2000", within(100, 10000), "Records of one partition that a share group may have in flight, from the first that is not finished on. Default of share.partition.max.record.locks."),
		broker("group.share.record.lock.duration.ms", Int, "30000", within(1000, 3600000), "How long a consumer of a share group has a record for itself, in milliseconds. Default of share.record.lock.duration.ms."),
		broker("group.share.session.timeout.ms", Int, "45000", atLeast(1), "After how long without a heartbeat a member of a share group is taken out, in milliseconds. Default of share.session.timeout.ms."),
		broker("share.coordinator.snapshot.update.records.per.snapshot", Int, "500", within(0, 500), "How many changes of a share partition's state are written between two whole ones."),
		broker("share.coordinator.state.topic.num.partitions", Int, "50", atLeast(1), "Partitions of __share_group_state, fixed when it is created."),
		broker("share.coordinator.state.topic.replication.factor", Short, "3", atLeast(1), "Replicas of __share_group_state; held to the number of live nodes, so that 3 works on one."),
		broker("share.coordinator.state.topic.segment.bytes", Int, "104857600", atLeast(1), "Segment size of __share_group_state, in bytes."),
		broker("share.coordinator.write.timeout.ms", Int, "5000", atLeast(1), "How long a change of a share partition's state may take to become durable, in milliseconds."),
		internal(broker("group.share.initialize.retry.interval.ms", Int, "30000", atLeast(1), "After how long a share partition that was not initialized is tried again, in milliseconds.")),
		internal(broker("share.coordinator.cold.partition.snapshot.interval.ms", Int, "300000", atLeast(1), "How often the state of share partitions that do not change is written anew, in milliseconds.")),
		internal(broker("share.coordinator.state.topic.prune.interval.ms", Int, "300000", atLeast(1), "How often what is not needed any more of __share_group_state is deleted, in milliseconds.")),
	}
}

func internal(s Setting) Setting {
	s.Internal = true
	return s
}

// shareScopeSettings are the keys that a share group may have of its own.
func shareScopeSettings() []Setting {
	return []Setting{
		{Name: "share.assignment.interval.ms", Type: Int, Default: "1000", Rule: atLeast(0), Synonyms: synonym("group.share.assignment.interval.ms"),
			Doc: "Least time between two target assignments of the share group, in milliseconds."},
		{Name: "share.auto.offset.reset", Type: String, Default: "latest", Rule: offsetReset(),
			Doc: "Where a share group begins in a partition that is new to it: earliest, latest, or by_duration: and an ISO 8601 duration, for the records of that time."},
		{Name: "share.delivery.count.limit", Type: Int, Default: "5", Rule: atLeast(2), Synonyms: synonym("group.share.delivery.count.limit"),
			Doc: "How often a record is delivered at most; then it is archived."},
		{Name: "share.heartbeat.interval.ms", Type: Int, Default: "5000", Rule: atLeast(1), Synonyms: synonym("group.share.heartbeat.interval.ms"),
			Doc: "How often the members of the share group are told to heartbeat, in milliseconds."},
		{Name: "share.isolation.level", Type: String, Default: "read_uncommitted", Rule: oneOf("read_committed", "read_uncommitted"),
			Doc: "Whether a share group is delivered records of transactions only when they are committed."},
		{Name: "share.partition.max.record.locks", Type: Int, Default: "2000", Rule: atLeast(100), Synonyms: synonym("group.share.partition.max.record.locks"),
			Doc: "Records of one partition that may be in flight, from the first that is not finished on."},
		{Name: "share.record.lock.duration.ms", Type: Int, Default: "30000", Rule: atLeast(1000), Synonyms: synonym("group.share.record.lock.duration.ms"),
			Doc: "How long a consumer has a record for itself, in milliseconds."},
		{Name: "share.renew.acknowledge.enable", Type: Boolean, Default: "true",
			Doc: "Whether a consumer may ask for more time for a record (KIP-1222)."},
		{Name: "share.session.timeout.ms", Type: Int, Default: "45000", Rule: atLeast(1), Synonyms: synonym("group.share.session.timeout.ms"),
			Doc: "After how long without a heartbeat a member of the share group is taken out, in milliseconds."},
	}
}

// ShareGroup is one share group's settings parsed once. Immutable.
type ShareGroup struct {
	SessionTimeout, HeartbeatInterval, AssignmentInterval time.Duration
	// LockDuration is how long a record is a consumer's alone.
	LockDuration time.Duration
	// DeliveryCountLimit is the delivery after which a record is archived.
	DeliveryCountLimit int16
	// MaxRecordLocks bounds the records in flight of one partition.
	MaxRecordLocks int32
	OffsetReset    OffsetReset
	ReadCommitted  bool
	RenewEnabled   bool
}

// OffsetReset is where a share group begins in a partition that is new to it:
// at the earliest record, at the latest, or (By is not 0) at the first one
// that is not older than that.
type OffsetReset struct {
	Earliest bool
	By       time.Duration
}

const byDuration = "by_duration:"

// parseOffsetReset reads what offsetReset allows.
func parseOffsetReset(text string) (OffsetReset, error) {
	switch {
	case text == "earliest":
		return OffsetReset{Earliest: true}, nil
	case text == "latest":
		return OffsetReset{}, nil
	case strings.HasPrefix(text, byDuration):
		by, err := parseISODuration(strings.TrimPrefix(text, byDuration))
		if err != nil {
			return OffsetReset{}, err
		}
		// Nothing is as old as now: the latest record, but for those that come now.
		return OffsetReset{By: max(by, time.Millisecond)}, nil
	}
	return OffsetReset{}, fmt.Errorf("not earliest, latest or %s", byDuration)
}

// offsetReset is the rule of share.auto.offset.reset.
func offsetReset() Rule {
	return Rule{"earliest, latest or by_duration:PnDTnHnMn.nS", func(text string) bool {
		_, err := parseOffsetReset(text)
		return err == nil
	}}
}

// parseShare holds the share settings of a group to the broker's bounds. text
// resolves one key.
func parseShare(n *Node, text func(key string) string) (ShareGroup, error) {
	whole := func(key string) int64 { return wholeNumber(text(key)) }
	for _, name := range []string{
		"assignment.interval.ms", "delivery.count.limit", "heartbeat.interval.ms", "partition.max.record.locks",
		"record.lock.duration.ms", "session.timeout.ms",
	} {
		if err := checkBounds(n, "share", name, whole("share."+name)); err != nil {
			return ShareGroup{}, err
		}
	}
	session, heartbeat := whole("share.session.timeout.ms"), whole("share.heartbeat.interval.ms")
	if session <= heartbeat {
		return ShareGroup{}, fmt.Errorf("%w %d for share.session.timeout.ms: must be more than share.heartbeat.interval.ms (%d)", ErrInvalid, session, heartbeat)
	}
	reset, err := parseOffsetReset(text("share.auto.offset.reset"))
	if err != nil {
		return ShareGroup{}, fmt.Errorf("%w for share.auto.offset.reset: %w", ErrInvalid, err)
	}
	renew, _ := parseBool(text("share.renew.acknowledge.enable"))
	return ShareGroup{
		SessionTimeout:     milliseconds(session),
		HeartbeatInterval:  milliseconds(heartbeat),
		AssignmentInterval: milliseconds(whole("share.assignment.interval.ms")),
		LockDuration:       milliseconds(whole("share.record.lock.duration.ms")),
		DeliveryCountLimit: int16(whole("share.delivery.count.limit")), // at most 25
		MaxRecordLocks:     int32(whole("share.partition.max.record.locks")),
		OffsetReset:        reset,
		ReadCommitted:      text("share.isolation.level") == "read_committed",
		RenewEnabled:       renew,
	}, nil
}

// checkBounds holds one setting of a group to the broker's bounds for the type of group.
func checkBounds(n *Node, kind, name string, value int64) error {
	for _, bound := range []string{"min", "max"} {
		key := "group." + kind + "." + bound + "." + name
		if limit := n.whole(key); bound == "min" && value < limit || bound == "max" && value > limit {
			return fmt.Errorf("%w %d for %s.%s: %s is %d", ErrInvalid, value, kind, name, key, limit)
		}
	}
	return nil
}
