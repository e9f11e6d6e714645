package kfake

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// Opt is what a test asks of its broker.
type Opt interface{ apply(*asked) }

type option func(*asked)

func (o option) apply(a *asked) { o(a) }

// asked is what all options of one broker come to.
type asked struct {
	topics   []seed
	settings map[string]string // of the broker, by Kafka's keys
	dataDir  string            // "" for one that goes with the broker
}

type seed struct {
	partitions int32
	topics     []string
}

// fakeDefaults are those of the fake which are not Kafka's and which its tests
// count on, and bounds low enough for intervals of milliseconds: a test that
// sets group.consumer.heartbeat.interval.ms to 100 does not know Kafka's
// least. They shorten what tests wait for, not what is served.
var fakeDefaults = map[string]string{
	"cluster.id":                                                  "kfake",
	"auto.create.topics.enable":                                   "false",
	"num.partitions":                                              "10",
	"log.message.timestamp.after.max.ms":                          "9223372036854775807",
	"log.segment.bytes":                                           "104857600",
	"group.initial.rebalance.delay.ms":                            "0",
	"group.consumer.min.heartbeat.interval.ms":                    "1",
	"group.consumer.min.session.timeout.ms":                       "1",
	"group.share.min.heartbeat.interval.ms":                       "1",
	"group.share.min.session.timeout.ms":                          "1",
	"group.share.min.record.lock.duration.ms":                     "1000",
	"group.consumer.assignment.interval.ms":                       "0",
	"group.share.assignment.interval.ms":                          "0",
	"group.share.heartbeat.interval.ms":                           "100",
	"transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
	"offsets.topic.num.partitions":                                "1",
	"transaction.state.log.num.partitions":                        "1",
	"share.coordinator.state.topic.num.partitions":                "1",
}

// settingsOf are the broker's settings: the fake's defaults, then what the
// test asked for. Its own inventions, which no Kafka has, are left out.
func settingsOf(a asked) map[string]string {
	settings := make(map[string]string, len(fakeDefaults)+len(a.settings))
	for _, all := range []map[string]string{fakeDefaults, a.settings} {
		for key, value := range all {
			if value == "" { // the fake's word for "the default"
				delete(settings, key)
				continue
			}
			settings[key] = value
		}
	}
	for key, least := range leastOf {
		if n, err := strconv.Atoi(settings[key]); err == nil && n < least {
			settings[key] = strconv.Itoa(least)
		}
	}
	for key := range settings {
		if inventions[key] || strings.HasPrefix(key, "kfake.") {
			delete(settings, key)
		}
	}
	return settings
}

// leastOf are bounds of Kafka that the fake does not have: a test that asks for less gets the least.
var leastOf = map[string]int{
	"group.share.record.lock.duration.ms": 1000,
	"log.segment.bytes":                   1 << 20,
}

// inventions are settings of the fake alone.
var inventions = map[string]bool{
	"share.record.lock.sweep.interval.ms": true, // ours, and Kafka's, expires a lock on its own timer
	"state.log.compact.bytes":             true,
	"offset.retention.ms":                 true,
}

// NumBrokers is heard and not done: there is one broker. Tests that name more
// than one are not turned (clients/turn.go); most name one, and those that name
// none, of which the fake starts three, get one.
func NumBrokers(int) Opt { return option(func(*asked) {}) }

// SeedTopics creates topics at the start; partitions below 1 is the default.
func SeedTopics(partitions int32, topics ...string) Opt {
	return option(func(a *asked) { a.topics = append(a.topics, seed{partitions, topics}) })
}

// BrokerConfigs are the broker's settings by Kafka's keys.
func BrokerConfigs(configs map[string]string) Opt {
	return option(func(a *asked) {
		for key, value := range configs {
			a.settings[key] = value
		}
	})
}

// ClusterID is what metadata says of the cluster.
func ClusterID(id string) Opt { return BrokerConfigs(map[string]string{"cluster.id": id}) }

// AllowAutoTopicCreation lets metadata requests create topics.
func AllowAutoTopicCreation() Opt {
	return BrokerConfigs(map[string]string{"auto.create.topics.enable": "true"})
}

// DefaultNumPartitions is how many partitions a topic has that asks for none.
func DefaultNumPartitions(n int) Opt {
	return BrokerConfigs(map[string]string{"num.partitions": strconv.Itoa(n)})
}

// GroupMinSessionTimeout is the shortest session a classic member may ask for.
func GroupMinSessionTimeout(d time.Duration) Opt {
	return BrokerConfigs(map[string]string{"group.min.session.timeout.ms": strconv.FormatInt(d.Milliseconds(), 10)})
}

// GroupMaxSessionTimeout is the longest session a classic member may ask for.
func GroupMaxSessionTimeout(d time.Duration) Opt {
	return BrokerConfigs(map[string]string{"group.max.session.timeout.ms": strconv.FormatInt(d.Milliseconds(), 10)})
}

// DataDir keeps the broker's data in a folder of the test, over restarts.
func DataDir(dir string) Opt { return option(func(a *asked) { a.dataDir = dir }) }

// SyncWrites is what our broker does by default (log.flush=acks).
func SyncWrites() Opt { return option(func(*asked) {}) }

// SleepOutOfOrder is what the proxy does between connections anyway. On one
// connection a request waits for the sleeper before it, as replies would.
func SleepOutOfOrder() Opt { return option(func(*asked) {}) }

// fs is where the fake keeps its data when tests restart it without a disk; here it is a folder that stays
// until the test binary ends.
type fs struct{ dir string }

func newMemFS() fs {
	dir, err := os.MkdirTemp(scratch(), "data-")
	if err != nil {
		panic("kfake: " + err.Error())
	}
	return fs{dir: dir}
}

func withFS(f fs) Opt { return DataDir(f.dir) }
