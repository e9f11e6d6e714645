package differential

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fluxmq/broker/protocol"
	"fluxmq/broker/record"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// pair shows two replies as two brokers would have sent them.
func pair(api string, ours, kafka kmsg.Response) []Difference {
	a, b := newNormaliser(Peer{Name: "a", Address: "127.0.0.1:1111", DataDir: "/a"}), newNormaliser(Peer{Name: "b", Address: "127.0.0.1:2222", DataDir: "/b"})
	a.learnFrom(ours)
	b.learnFrom(kafka)
	return compare(a.show(api, "case", ours), b.show(api, "case", kafka))
}

func metadataReply(id byte, port int32, errorCode int16, topics ...string) *kmsg.MetadataResponse {
	r := kmsg.NewPtrMetadataResponse()
	b := kmsg.NewMetadataResponseBroker()
	b.NodeID, b.Host, b.Port = 1, "127.0.0.1", port
	r.Brokers = append(r.Brokers, b)
	for n, name := range topics {
		t := kmsg.NewMetadataResponseTopic()
		t.Topic, t.TopicID, t.ErrorCode = kmsg.StringPtr(name), [16]byte{id, byte(n)}, errorCode
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Replicas = []int32{1}
		t.Partitions = append(t.Partitions, p)
		r.Topics = append(r.Topics, t)
	}
	return r
}

func TestCompareReplies(t *testing.T) {
	heartbeat := func(code int16) *kmsg.HeartbeatResponse {
		r := kmsg.NewPtrHeartbeatResponse()
		r.ErrorCode = code
		return r
	}
	member := func(id, leader string) *kmsg.JoinGroupResponse {
		r := kmsg.NewPtrJoinGroupResponse()
		r.MemberID, r.LeaderID = id, leader
		return r
	}
	producer := func(id int64, epoch int16) *kmsg.InitProducerIDResponse {
		r := kmsg.NewPtrInitProducerIDResponse()
		r.ProducerID, r.ProducerEpoch = id, epoch
		return r
	}
	coordinator := func(message *string) *kmsg.FindCoordinatorResponse {
		r := kmsg.NewPtrFindCoordinatorResponse()
		r.ErrorMessage = message
		return r
	}
	fetched := func(b []byte) *kmsg.FetchResponse {
		p := kmsg.NewFetchResponseTopicPartition()
		p.RecordBatches = b
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.Partitions = "t", append(topic.Partitions, p)
		r := kmsg.NewPtrFetchResponse()
		r.Topics = append(r.Topics, topic)
		return r
	}
	altered := func(types ...string) *kmsg.AlterClientQuotasResponse {
		var e kmsg.AlterClientQuotasResponseEntry
		for _, kind := range types {
			e.Entity = append(e.Entity, kmsg.AlterClientQuotasResponseEntryEntity{Type: kind})
		}
		return &kmsg.AlterClientQuotasResponse{Entries: []kmsg.AlterClientQuotasResponseEntry{e}}
	}
	first := values("a", "b")(&scene{})
	second := bytes.Clone(first)
	record.Batch(second).SetBaseOffset(2)
	idA, idB := "differential-01234567-89ab-cdef-0123-456789abcdef", "differential-76543210-89ab-cdef-0123-456789abcdef"
	for name, test := range map[string]struct {
		api         string
		ours, kafka kmsg.Response
		want        []Difference
	}{
		"nothing differs":                       {"Heartbeat", heartbeat(0), heartbeat(0), nil},
		"an error code has a name":              {"Heartbeat", heartbeat(0), heartbeat(27), []Difference{{Path: "ErrorCode", Ours: "0 NONE", Kafka: "27 REBALANCE_IN_PROGRESS"}}},
		"topic ids, ports and order may differ": {"Metadata", metadataReply(7, 1111, 0, "x", "y"), metadataReply(9, 2222, 0, "y", "x"), nil},
		"a port that is not the broker's shows": {"Metadata", metadataReply(7, 4444, 0), metadataReply(9, 2222, 0), []Difference{{Path: "Brokers[1].Port", Ours: "4444", Kafka: "<port>"}}},
		"an element that is missing is one difference": {"Metadata", metadataReply(7, 1111, 0, "x"), metadataReply(9, 2222, 0, "x", "y"), []Difference{{Path: "Topics[y]", Ours: absent,
			Kafka: `{ErrorCode:0 NONE Topic:"y" TopicID:<id of y> IsInternal:false Partitions:{[0]:{ErrorCode:0 NONE Partition:0 Leader:0 LeaderEpoch:-1 Replicas:[1] ISR:null OfflineReplicas:null}} AuthorizedOperations:-2147483648}`}}},
		"the same element twice is two":                              {"Metadata", metadataReply(7, 1111, 3, "x", "x"), metadataReply(9, 2222, 3, "x"), []Difference{{Path: "Topics[x]#2", Kafka: absent}}},
		"member ids differ":                                          {"JoinGroup", member(idA, idA), member(idB, idB), nil},
		"member ids of another form":                                 {"JoinGroup", member("a-1", "a-1"), member(idB, idB), []Difference{{Path: "LeaderID"}, {Path: "MemberID"}}},
		"producer ids differ":                                        {"InitProducerId", producer(1000, 0), producer(4, 0), nil},
		"a producer id or none":                                      {"InitProducerId", producer(-1, 0), producer(4, 1), []Difference{{Path: "ProducerID", Ours: "-1", Kafka: "<producer from InitProducerId: case>"}, {Path: "ProducerEpoch", Ours: "0", Kafka: "1"}}},
		"the parts of whom a quota is for may come in another order": {"AlterClientQuotas", altered("ip", "user"), altered("user", "ip"), nil},
		"other words":                                                {"FindCoordinator", coordinator(kmsg.StringPtr("no")), coordinator(kmsg.StringPtr("never")), nil},
		"no words":                                                   {"FindCoordinator", coordinator(nil), coordinator(kmsg.StringPtr("")), []Difference{{Path: "ErrorMessage", Ours: "null", Kafka: `""`}}},
		"a batch that is cut is none":                                {"Fetch", fetched(append(bytes.Clone(first), second[:20]...)), fetched(first), nil},
		"a batch more":                                               {"Fetch", fetched(append(bytes.Clone(first), second...)), fetched(first), []Difference{{Path: "Topics[t].Partitions[0].RecordBatches[2]", Kafka: absent}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := pair(test.api, test.ours, test.kafka)
			for n := range min(len(got), len(test.want)) { // what the table leaves out is not looked at
				if test.want[n].Ours == "" {
					got[n].Ours = ""
				}
				if test.want[n].Kafka == "" {
					got[n].Kafka = ""
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	allowances := []Allowance{
		{API: "Metadata", MinVersion: 1, MaxVersion: 5, Path: "Topics[*].ErrorCode", Ours: "0 NONE", Reason: "on purpose"},
		{API: "Metadata", MinVersion: 0, MaxVersion: 13, Path: "Topics", Case: "other case", Reason: "never"},
		{API: "Heartbeat|SyncGroup", MinVersion: 0, MaxVersion: 4, Path: "a[*]|b|c.d", Kafka: "no", Reason: "one of several"},
	}
	d := Difference{Path: "Topics[a.b].ErrorCode", Ours: "0 NONE", Kafka: "3 UNKNOWN_TOPIC_OR_PARTITION"}
	for _, test := range []struct {
		why     string
		c       Case
		want    Verdict
		reasons int // of the API
	}{
		{"no differences", Case{API: "Metadata", Version: 1}, Same, 0},
		{"an allowed one", Case{API: "Metadata", Version: 5, Differences: []Difference{d}}, Permitted, 1},
		{"beyond the versions", Case{API: "Metadata", Version: 6, Differences: []Difference{d}}, Different, 0},
		{"another API", Case{API: "Fetch", Version: 1, Differences: []Difference{d}}, Different, 0},
		{"another value", Case{API: "Metadata", Version: 1, Differences: []Difference{{Path: d.Path, Ours: "7"}}}, Different, 0},
		{"another path beside it", Case{API: "Metadata", Version: 1, Differences: []Difference{d, {Path: "Topics[x].Topic", Ours: "0 NONE"}, d}}, Different, 2},
		{"one of several APIs and paths", Case{API: "SyncGroup", Differences: []Difference{{Path: "a[1]", Kafka: "no"}, {Path: "c.d", Kafka: "no"}}}, Permitted, 2},
		{"a path that only begins or ends like one of several", Case{API: "Heartbeat", Differences: []Difference{{Path: "b.c", Kafka: "no"}, {Path: "x.b", Kafka: "no"}, {Path: "cxd", Kafka: "no"}}}, Different, 0},
		{"no API of several", Case{API: "Sync", Differences: []Difference{{Path: "b", Kafka: "no"}}}, Different, 0},
	} {
		used := map[use]int{}
		judge(&test.c, allowances, used)
		if test.c.Verdict != test.want || used[use{0, test.c.API}]+used[use{2, test.c.API}] != test.reasons || len(used) != min(test.reasons, 1) {
			t.Errorf("%s: %s, used %v; want %s, %d", test.why, test.c.Verdict, used, test.want, test.reasons)
		}
	}
}

// The list of allowed differences is short, says why and has no entry twice.
func TestAllowances(t *testing.T) {
	if len(Allowances) > AllowedLimit {
		t.Errorf("%d differences are allowed, %d at most may be", len(Allowances), AllowedLimit)
	}
	seen := map[Allowance]bool{}
	for _, a := range Allowances {
		if seen[a] {
			t.Errorf("twice: %+v", a)
		}
		seen[a] = true
		if a.Path+a.Case+a.Ours+a.Kafka == "" || len(a.Reason) < 20 || a.MinVersion > a.MaxVersion {
			t.Errorf("an allowance needs something it covers, a reason and versions: %+v", a)
		}
	}
}

// Every API that is advertised has cases of its own at its lowest and at its
// highest version, and no two cases of an API have one name.
func TestEveryAPIHasCases(t *testing.T) {
	served := ranges{}
	for _, api := range protocol.APIs() {
		served[api.Key] = Range{api.MinVersion, api.MaxVersion}
	}
	for _, pass := range []Pass{Lowest, Highest} {
		s := newScene(Peer{}, pass, served, time.UnixMilli(1_700_000_000_000))
		count, names := map[int16]int{}, map[string]bool{}
		for _, sc := range append(scripts(), generic(served, pass)) {
			for _, st := range sc.steps {
				var request kmsg.Request
				if st.await {
					request = s.waiting[st.on]
				} else {
					request = st.request(s)
					request.SetVersion(s.version(st, request.Key()))
					if body := request.AppendTo(nil); st.body != nil {
						st.body(body)
					}
				}
				if request == nil {
					t.Fatalf("%s: %s awaits what nothing has sent", sc.name, st.name)
				}
				if st.send {
					s.waiting[st.on] = request
				}
				if st.quiet || st.send {
					continue
				}
				name := nameOf(request.Key()) + " " + st.name
				if names[name] {
					t.Errorf("%s: two cases of the name %q", sc.name, name)
				}
				names[name] = true
				if sc.name != "generic" && request.GetVersion() >= st.from {
					count[request.Key()]++
				}
			}
		}
		for _, api := range protocol.APIs() {
			if count[api.Key] == 0 {
				t.Errorf("%s: no case asks %s", pass.Name, api.Name)
			}
		}
	}
}

func TestSkipTags(t *testing.T) {
	for name, test := range map[string]struct {
		in, rest []byte
		fails    bool
	}{
		"none":              {in: []byte{0, 9}, rest: []byte{9}},
		"one":               {in: []byte{1, 5, 2, 7, 7, 9}, rest: []byte{9}},
		"two":               {in: []byte{2, 0, 0, 1, 1, 7, 9}, rest: []byte{9}},
		"nothing":           {in: nil, fails: true},
		"a count alone":     {in: []byte{1}, fails: true},
		"a tag alone":       {in: []byte{1, 5}, fails: true},
		"a size too large":  {in: []byte{1, 5, 9, 7}, fails: true},
		"an endless varint": {in: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, fails: true},
	} {
		rest, err := skipTags(test.in)
		if (err != nil) != test.fails || !bytes.Equal(rest, test.rest) {
			t.Errorf("%s: %v, %v", name, rest, err)
		}
	}
}

func TestDecode(t *testing.T) {
	request := kmsg.NewPtrApiVersionsRequest()
	request.SetVersion(3)
	refused := kmsg.NewPtrApiVersionsResponse()
	refused.ErrorCode = unsupportedVersion
	frame := refused.AppendTo(binary.BigEndian.AppendUint32(nil, 7)) // in version 0, as KIP-511 wants it
	reply, err := decode(request, 7, frame)
	if err != nil || reply.GetVersion() != 0 || reply.(*kmsg.ApiVersionsResponse).ErrorCode != unsupportedVersion {
		t.Errorf("a refused version: %+v, %v", reply, err)
	}
	if _, err := decode(request, 8, frame); !errors.Is(err, errGarbled) {
		t.Errorf("another correlation id: %v", err)
	}
	for size := range len(frame) {
		if _, err := decode(request, 7, frame[:size]); !errors.Is(err, errGarbled) {
			t.Errorf("%d bytes of %d: %v", size, len(frame), err)
		}
	}
}

func TestResultIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "result.json")
	want := Result{Version: ResultVersion, Kafka: "4.3.1", APIs: []Advertised{{Key: 3, Name: "Metadata", Ours: &Range{0, 13}}, {Key: 4, Name: "Other", Kafka: &Range{1, 2}}},
		Cases: []Case{{API: "Metadata", Key: 3, Version: 1, Name: "<a> & b", Verdict: Different, Differences: []Difference{{Path: "X", Ours: "1", Kafka: "2"}}}, {API: "Metadata", Key: 3, Name: "c", Verdict: Same}}}
	for _, r := range []Result{want, {Version: ResultVersion}} {
		if err := r.Save(path); err != nil {
			t.Fatal(err)
		}
		got, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Cases) == 0 {
			r.APIs, r.Cases = []Advertised{}, []Case{}
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Errorf("-saved +loaded:\n%s", diff)
		}
	}
	for name, text := range map[string]string{"another version": `{"version":9}`, "an unknown field": `{"version":1,"x":1}`, "no JSON": "x"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); !errors.Is(err, ErrResult) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
