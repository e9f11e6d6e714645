package main

import "time"

// clients are the suites in the order in which they run: by maker, the quick ones first.
func clients() []client {
	return []client{
		kcat(),
		librdkafka(),
		kafkaJS(),
		sarama(),
		franzGo(),
		franzGoFaults(),
		kfake(),
		javaClient("java-4", newestJavaClient, ""),
		javaClient("java-3", java3Client, "client-3"),
		javaClient("java-2", java2Client, "client-2"),
		kafkaTools(),
		connect(),
		streams(),
		exactlyOnce(),
	}
}

// quickly are settings that shorten what tests wait for, not what is served.
var quickly = []string{
	"group.initial.rebalance.delay.ms=0",
	"group.consumer.min.heartbeat.interval.ms=200", "group.consumer.heartbeat.interval.ms=200",
	"transaction.abort.timed.out.transaction.cleanup.interval.ms=200",
}

// perKill is what one kill of Kafka Streams and one of the broker may take with all that follows.
const perKill = 60 * time.Second
