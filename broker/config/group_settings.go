package config

// consumerGroupSettings are the broker keys of consumer groups (KIP-848): Kafka
// 4.3's with its defaults, and one of ours.
func consumerGroupSettings() []Setting {
	return []Setting{
		dynamic(broker("group.consumer.assignment.interval.ms", Int, "1000", atLeast(0), "Least time between two target assignments of a consumer group, in milliseconds: members that come at once share one. Default of consumer.assignment.interval.ms.")),
		broker("group.consumer.assignors", List, "uniform,range", listOf("uniform", "range").and(notEmpty()), "Server-side assignors that consumer groups may use; the first is the one of members that ask for none. Assignors of one's own cannot be loaded."),
		broker("group.consumer.heartbeat.interval.ms", Int, "5000", atLeast(1), "How often members of consumer groups are told to heartbeat, in milliseconds. Default of consumer.heartbeat.interval.ms."),
		broker("group.consumer.max.assignment.interval.ms", Int, "15000", atLeast(0), "Largest consumer.assignment.interval.ms a group may have."),
		broker("group.consumer.max.heartbeat.interval.ms", Int, "15000", atLeast(1), "Largest consumer.heartbeat.interval.ms a group may have."),
		broker("group.consumer.max.session.timeout.ms", Int, "60000", atLeast(1), "Largest consumer.session.timeout.ms a group may have."),
		broker("group.consumer.max.size", Int, "2147483647", atLeast(1), "Most members of one consumer group."),
		broker("group.consumer.migration.policy", String, "bidirectional", anyCase(oneOf("bidirectional", "upgrade", "downgrade", "disabled")),
			"Whether a group with members may change its type: upgrade from classic to consumer, downgrade back, bidirectional or disabled. Empty groups always may."),
		broker("group.consumer.min.assignment.interval.ms", Int, "0", atLeast(0), "Least consumer.assignment.interval.ms a group may have."),
		broker("group.consumer.min.heartbeat.interval.ms", Int, "5000", atLeast(1), "Least consumer.heartbeat.interval.ms a group may have."),
		broker("group.consumer.min.session.timeout.ms", Int, "45000", atLeast(1), "Least consumer.session.timeout.ms a group may have."),
		broker("group.consumer.regex.refresh.interval.ms", Int, "600000", atLeast(10_000), "How often the topics that a subscribed regular expression matches are looked for again though none came or went, in milliseconds."),
		broker("group.consumer.session.timeout.ms", Int, "45000", atLeast(1), "After how long without a heartbeat a member of a consumer group is taken out, in milliseconds. Default of consumer.session.timeout.ms."),
		broker("fluxmq.group.consumer.settling.heartbeat.interval.ms", Int, "1000", atLeast(0),
			"Heartbeat interval of a consumer group's members in the 10 s after something changed, where it is the shorter one, in milliseconds: those that wait for partitions get them sooner. 0 is off, as in Kafka. Not a Kafka key."),
	}
}

// groupScopeSettings are the keys that a group may have of its own (resource
// type GROUP).
func groupScopeSettings() []Setting {
	settings := []Setting{
		{Name: "consumer.assignment.interval.ms", Type: Int, Default: "1000", Rule: atLeast(0), Synonyms: synonym("group.consumer.assignment.interval.ms"),
			Doc: "Least time between two target assignments of the group, in milliseconds."},
		{Name: "consumer.heartbeat.interval.ms", Type: Int, Default: "5000", Rule: atLeast(1), Synonyms: synonym("group.consumer.heartbeat.interval.ms"),
			Doc: "How often the members are told to heartbeat, in milliseconds."},
		{Name: "consumer.session.timeout.ms", Type: Int, Default: "45000", Rule: atLeast(1), Synonyms: synonym("group.consumer.session.timeout.ms"),
			Doc: "After how long without a heartbeat a member is taken out, in milliseconds."},
	}
	settings = append(settings, shareScopeSettings()...)
	settings = append(settings, streamsScopeSettings()...)
	for i := range settings {
		settings[i].Scope = GroupScope
		settings[i].Dynamic = true
	}
	return settings
}
