package kfake

import (
	"testing"
	"time"

	"fluxmq/broker/record"
)

func TestSettings(t *testing.T) {
	a := asked{settings: map[string]string{}}
	for _, o := range []Opt{
		NumBrokers(1), SeedTopics(2, "a", "b"), DataDir("/data"), SyncWrites(), AllowAutoTopicCreation(), DefaultNumPartitions(3),
		GroupMinSessionTimeout(100 * time.Millisecond), GroupMaxSessionTimeout(time.Minute),
		BrokerConfigs(map[string]string{
			"group.share.record.lock.duration.ms": "100", "log.segment.bytes": "5000000", "share.record.lock.sweep.interval.ms": "7",
			"kfake.is_internal": "true", "group.initial.rebalance.delay.ms": "", "group.max.size": "5",
		}),
	} {
		o.apply(&a)
	}
	if a.dataDir != "/data" || len(a.topics) != 1 || a.topics[0].partitions != 2 || len(a.topics[0].topics) != 2 {
		t.Errorf("asked for %+v", a)
	}
	got := settingsOf(a)
	for key, want := range map[string]string{
		"auto.create.topics.enable":           "true",
		"num.partitions":                      "3",
		"group.min.session.timeout.ms":        "100",
		"group.max.session.timeout.ms":        "60000",
		"group.share.record.lock.duration.ms": "1000", // Kafka's least
		"log.segment.bytes":                   "5000000",
		"group.max.size":                      "5",
		"group.share.heartbeat.interval.ms":   fakeDefaults["group.share.heartbeat.interval.ms"],
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	for _, key := range []string{"share.record.lock.sweep.interval.ms", "kfake.is_internal", "group.initial.rebalance.delay.ms"} {
		if value, is := got[key]; is {
			t.Errorf("%s is %q, want none", key, value)
		}
	}
}

func TestSealBatch(t *testing.T) {
	want, err := record.Builder{ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1}.Build([]record.Record{{Timestamp: 1, Value: []byte("v")}})
	if err != nil {
		t.Fatal(err)
	}
	broken := append([]byte(nil), want...)
	for _, at := range []int{batchLengthAt, batchChecksumAt} {
		clear(broken[at : at+4])
	}
	if got := sealBatch(broken); string(got) != string(want) {
		t.Errorf("%x, want %x", got, want)
	}
}
