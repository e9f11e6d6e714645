package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxmq/broker/compat/differential"
	"fluxmq/broker/compat/scale"
	"fluxmq/broker/compat/suite"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write the golden page anew; read the diff")

func sample() (differential.Result, []suite.Result) {
	d := func(path, ours, kafka, reason string) differential.Difference {
		return differential.Difference{Path: path, Ours: ours, Kafka: kafka, Reason: reason}
	}
	c := func(key int16, api string, version int16, name string, verdict differential.Verdict, ds ...differential.Difference) differential.Case {
		return differential.Case{API: api, Key: key, Version: version, Name: name, Verdict: verdict, Differences: ds}
	}
	return differential.Result{Version: differential.ResultVersion, Kafka: "4.3.1",
		APIs: []differential.Advertised{
			{Key: 0, Name: "Produce", Ours: &differential.Range{Min: 0, Max: 13}, Kafka: &differential.Range{Min: 0, Max: 13}},
			{Key: 3, Name: "Metadata", Ours: &differential.Range{Min: 0, Max: 13}, Kafka: &differential.Range{Min: 0, Max: 13}},
			{Key: 47, Name: "OffsetDelete", Ours: &differential.Range{}, Kafka: &differential.Range{}},
			{Key: 89, Name: "StreamsGroupDescribe", Kafka: &differential.Range{Min: 0, Max: 1}},
		},
		Cases: []differential.Case{
			c(0, "Produce", 3, "one record", differential.Same),
			c(3, "Metadata", 0, "created by asking", differential.Permitted, d("Topics[a].ErrorCode", "0 NONE", "3 UNKNOWN_TOPIC_OR_PARTITION", "It is there at once.")),
			c(3, "Metadata", 13, "created by asking", differential.Permitted, d("Topics[b].ErrorCode", "0 NONE", "5 LEADER_NOT_AVAILABLE", "It is there at once.")),
			c(3, "Metadata", 13, "an odd | name", differential.Different, d("Topics[x].Partitions[0].Leader", "1", strings.Repeat("ü|", 60), ""), d("Topics[y]#2.Partitions[3].Leader", "1", strings.Repeat("ü|", 60), "")),
			c(3, "Metadata", 0, "no reply", differential.Different, d("", "no reply", "closed", "")),
		}}, []suite.Result{{Suite: "sarama", Client: "sarama", Version: "v1.61.1", Covers: "groups", Passed: 4, Failed: 1, Skipped: 2, Seconds: 3, Failures: []string{"TestSarama/group"}}}
}

func TestPage(t *testing.T) {
	result, clients := sample()
	groups := scale.Groups{Version: scale.GroupsVersion, Commit: "abc", Cores: 2, Heartbeats: []scale.Heartbeats{{Protocol: "classic", Groups: 10, Connections: 2, IntervalMs: 3000, Windows: []scale.Window{{Seconds: 60, Beats: 120, Percent: 4}}}}}
	compaction := scale.Compaction{Commit: "def", Cores: 2, GiB: 10, Keys: 1000, Pairs: []scale.CompactionPair{{Held: scale.Latencies{P50: 1}, Working: scale.Latencies{P50: 2}}}}
	got := string(write(result, clients, groups, compaction))
	golden := filepath.Join("testdata", "page.md")
	if *rewrite {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// COMPATIBILITY.md is what the results in the repository say, to the byte.
func TestPageIsOfTheResults(t *testing.T) {
	want, err := pageOf("../results")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../COMPATIBILITY.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("it was written by hand, or not after the last run; `go run ./broker/compat/report` writes it\n-results +page:\n%s", diff)
	}
}
