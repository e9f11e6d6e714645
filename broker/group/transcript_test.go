package group

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"fluxmq/broker/protocol"
	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var rewrite = flag.Bool("rewrite", false, "write the transcripts in testdata anew instead of comparing")

// TestTranscripts plays each testdata/*.txt to one group. A line is a command,
// the indented lines after it are what it caused; `#` starts a comment.
//
//	limits max=2 delay=3000        settings of the group, first if at all
//	join who v=9 id=… instance=… session=… rebalance=… type=… protocols=range:bytes,…
//	sync who generation=1 id=… instance=… type=… protocol=… assign=id:bytes,id:bytes
//	heartbeat generation=1 id=… instance=…
//	leave id=… [instance=…]; several: leave id=a id=b
//	commit t-0=5 generation=-1 id=… [metadata=…] [retention=…]
//	fetch [t-0 …]   describe   delete-offsets t-0   delete   drop-topic t   expire retention=…
//	advance 3000                   time passes, timers fire
//	restart                        a new group is made of the records so far
//
// and for consumer groups (consumer_stage_test.go):
//
//	consumer max=2 assignors=range,uniform policy=disabled interval=1000 heartbeat=5000 session=45000
//	topics t:3 u:2                 the cluster has these topics with so many partitions; those not named are gone
//	beat who id=… epoch=1 [names=t,u] [regex=t.*] [owned=t:0,t:1] [instance=…] [rack=…] [assignor=…] [rebalance=…]
//	describe-consumer
//
// and for streams groups (streams_stage_test.go):
//
//	streams max=2 delay=3000 interval=1000 standbys=1
//	topology 0/sources=t/changelogs=c …      what members that join from now on tell, see topologyOf
//	beat-streams who epoch=1 [topology=1] [owned=0:0,0:1] [standby=0:2] [process=…] [endpoint=…] [endpoints=1] [shutdown]
//	describe-streams
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("transcript differs (-rewrite to accept):\n%s", firstDifference(got, string(want)))
			}
		})
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		a, b := "(end)", "(end)"
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\n got: %s\nwant: %s", i+1, a, b)
		}
	}
	return ""
}

// stage is the shell around one group that a transcript needs: time, timers, tickets.
type stage struct {
	t       *testing.T
	limits  limits
	g       *group
	nowMs   int64
	timers  map[timerKey]int64
	tickets map[ticket]string
	next    ticket
	ids     int
	log     []record.Record
	out     bytes.Buffer
	// of consumer groups:
	topics   testTopics
	settings groupSettings
	// of streams groups:
	topology arguments
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, nowMs: 1000, timers: map[timerKey]int64{}, tickets: map[ticket]string{}}
	s.limits = limits{
		maxSize: 1000, maxPending: 100, newMemberTimeoutMs: 300_000,
		minSessionTimeoutMs: 6000, maxSessionTimeoutMs: 1_800_000,
		consumer: testConsumerLimits(), streams: streamsLimits{maxSize: 1000},
	}
	s.settings = groupSettings{sessionTimeoutMs: 45_000, heartbeatIntervalMs: 5000, streams: streamsSettings{sessionTimeoutMs: 45_000, heartbeatIntervalMs: 5000}}
	s.g = newGroup("g", &s.limits, s.nowMs)
	return s
}

func play(t *testing.T, text string) string {
	s := newStage(t)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue
		}
		fmt.Fprintln(&s.out, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s.command(strings.Fields(line))
	}
	return s.out.String()
}

func (s *stage) say(format string, args ...any) { fmt.Fprintf(&s.out, "  "+format+"\n", args...) }

// arguments are the key=value words of a command.
type arguments []string

func (a arguments) text(key, otherwise string) string {
	for _, w := range a {
		if v, is := strings.CutPrefix(w, key+"="); is {
			return v
		}
	}
	return otherwise
}

func (a arguments) optional(key string) *string {
	if v := a.text(key, "\x00"); v != "\x00" {
		return &v
	}
	return nil
}

func (a arguments) number(key string, otherwise int) int {
	n, err := strconv.Atoi(a.text(key, strconv.Itoa(otherwise)))
	if err != nil {
		panic(err)
	}
	return n
}

func pairs(list string) (out [][2]string) {
	for _, p := range strings.Split(list, ",") {
		if p == "" {
			continue
		}
		k, v, _ := strings.Cut(p, ":")
		out = append(out, [2]string{k, v})
	}
	return out
}

func partitionNamed(word string) (string, int32) {
	topic, number, _ := strings.Cut(word, "-")
	n, err := strconv.Atoi(number)
	if err != nil {
		panic(err)
	}
	return topic, int32(n)
}

func (s *stage) ticket(who string) ticket {
	s.next++
	s.tickets[s.next] = who
	return s.next
}

func (s *stage) command(words []string) {
	a := arguments(words[1:])
	switch words[0] {
	case "limits":
		s.limits.maxSize = a.number("max", s.limits.maxSize)
		s.limits.initialDelayMs = int64(a.number("delay", 0))
	case "join":
		s.join(a)
	case "sync":
		s.sync(a)
	case "heartbeat":
		in := kmsg.NewPtrHeartbeatRequest()
		in.Generation, in.MemberID, in.InstanceID = int32(a.number("generation", 1)), a.text("id", ""), a.optional("instance")
		s.do(func(st *step) { s.say("→ %s", codeName(s.g.heartbeat(st, in))) })
	case "leave":
		s.leave(a)
	case "commit":
		s.commit(a)
	case "fetch":
		var topics []FetchTopic
		for _, w := range a {
			topic, partition := partitionNamed(w)
			topics = append(topics, FetchTopic{topic, []int32{partition}})
		}
		for _, f := range s.g.fetch(topics) {
			s.say("→ %s-%d=%d epoch=%d metadata=%q", f.Topic, f.Partition, f.Offset, f.LeaderEpoch, f.Metadata)
		}
		return
	case "describe":
		d := s.g.describe()
		s.say("→ %s type=%q protocol=%q", d.State, d.ProtocolType, d.Protocol)
		for _, m := range d.Members {
			s.say("   %s client=%s%s metadata=%q assignment=%q", m.MemberID, m.ClientID, m.ClientHost, m.ProtocolMetadata, m.MemberAssignment)
		}
		return
	case "delete-offsets":
		var in []kmsg.OffsetDeleteRequestTopic
		for _, w := range a {
			topic, partition := partitionNamed(w)
			in = append(in, kmsg.OffsetDeleteRequestTopic{Topic: topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: partition}}})
		}
		s.do(func(st *step) {
			code, topics := s.g.deleteOffsets(st, in)
			s.say("→ %s", codeName(code))
			for _, t := range topics {
				s.say("   %s-%d %s", t.Topic, t.Partitions[0].Partition, codeName(t.Partitions[0].ErrorCode))
			}
		})
	case "delete":
		s.do(func(st *step) { s.say("→ %s", codeName(s.g.kill(st))) })
	case "drop-topic":
		s.do(func(st *step) { s.g.dropTopic(st, a[0]) })
	case "expire":
		s.do(func(st *step) { s.say("→ %d expired", s.g.expireOffsets(st, int64(a.number("retention", 0)))) })
	case "advance":
		n, err := strconv.Atoi(a[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.advance(int64(n))
	case "restart":
		s.restart()
	default:
		if !s.consumerCommand(words[0], a) && !s.streamsCommand(words[0], a) {
			s.t.Fatalf("unknown command %q", words[0])
		}
	}
	if s.g.consumer != nil {
		s.sayConsumer()
		return
	}
	if s.g.streams != nil {
		s.sayStreams()
		return
	}
	s.say("= %s generation=%d leader=%q members=%s", s.g.state, s.g.generation, s.g.leader, s.memberNames())
}

func (s *stage) memberNames() string {
	var names []string
	for _, m := range s.g.ordered() {
		names = append(names, m.id)
	}
	if len(s.g.pending) > 0 {
		names = append(names, fmt.Sprintf("(pending %d)", len(s.g.pending)))
	}
	return strings.Join(names, ",")
}

func (s *stage) join(a arguments) {
	in := kmsg.NewPtrJoinGroupRequest()
	in.Version = int16(a.number("v", 9))
	in.MemberID, in.InstanceID = a.text("id", ""), a.optional("instance")
	in.SessionTimeoutMillis = int32(a.number("session", 10_000))
	in.RebalanceTimeoutMillis = int32(a.number("rebalance", 60_000))
	in.ProtocolType = a.text("type", "consumer")
	for _, p := range pairs(a.text("protocols", "range:"+a[0])) {
		in.Protocols = append(in.Protocols, kmsg.JoinGroupRequestProtocol{Name: p[0], Metadata: []byte(p[1])})
	}
	if names := a.optional("names"); names != nil {
		s.consumerProtocols(in, *names, a)
	}
	s.ids++
	who := a[0]
	s.do(func(st *step) {
		s.g.join(st, joinInput{in, Client{who, "/host"}, s.ticket(who), fmt.Sprintf("%s%d", who, s.ids)})
	})
}

func (s *stage) sync(a arguments) {
	in := kmsg.NewPtrSyncGroupRequest()
	in.Generation, in.MemberID, in.InstanceID = int32(a.number("generation", 1)), a.text("id", ""), a.optional("instance")
	in.ProtocolType, in.Protocol = a.optional("type"), a.optional("protocol")
	if assigned := a.optional("partitions"); assigned != nil {
		in.GroupAssignment = s.consumerAssignments(*assigned)
	}
	for _, p := range pairs(a.text("assign", "")) {
		in.GroupAssignment = append(in.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: p[0], MemberAssignment: []byte(p[1])})
	}
	s.do(func(st *step) { s.g.sync(st, syncInput{in, s.ticket(a[0])}) })
}

func (s *stage) leave(a arguments) {
	var in []kmsg.LeaveGroupRequestMember
	for _, w := range a {
		key, value, _ := strings.Cut(w, "=")
		if key == "id" {
			in = append(in, kmsg.LeaveGroupRequestMember{MemberID: value})
		} else {
			in[len(in)-1].InstanceID = &value
		}
	}
	s.do(func(st *step) {
		for _, m := range s.g.leave(st, in) {
			s.say("→ %q %s", m.MemberID, codeName(m.ErrorCode))
		}
	})
}

func (s *stage) commit(a arguments) {
	in := Commit{
		Group: "g", MemberID: a.text("id", ""), InstanceID: a.optional("instance"),
		Generation: int32(a.number("generation", -1)), RetentionMs: int64(a.number("retention", -1)),
		Version: int16(a.number("v", 9)),
	}
	for _, w := range a {
		name, value, _ := strings.Cut(w, "=")
		if !strings.Contains(name, "-") {
			continue
		}
		topic, partition := partitionNamed(name)
		offset, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		in.Offsets = append(in.Offsets, CommitOffset{Topic: topic, Partition: partition, Offset: offset, LeaderEpoch: 0, Metadata: a.text("metadata", "")})
	}
	s.do(func(st *step) {
		for _, code := range s.g.commit(st, in, 16) {
			s.say("→ %s", codeName(code))
		}
	})
}

// do runs one step and says what came of it.
func (s *stage) do(input func(*step)) {
	st := step{nowMs: s.nowMs, topics: s.topics, settings: s.settings}
	input(&st)
	for _, c := range st.timers {
		if c.afterMs < 0 {
			delete(s.timers, c.key)
		} else {
			s.timers[c.key] = s.nowMs + c.afterMs
		}
	}
	for _, r := range st.records {
		s.sayRecord(r)
	}
	s.log = append(s.log, st.records...)
	for _, r := range st.replies {
		who := s.tickets[r.to]
		if who == "" {
			s.t.Fatalf("reply to ticket %d, which nobody waits for", r.to)
		}
		delete(s.tickets, r.to)
		if r.join != nil {
			s.sayJoined(who, r.join)
		} else {
			s.say("%s ← sync %s assignment=%s", who, codeName(r.sync.ErrorCode), s.shownAssignment(r.sync.MemberAssignment))
		}
	}
}

func (s *stage) sayJoined(who string, r *kmsg.JoinGroupResponse) {
	if r.ErrorCode != 0 {
		s.say("%s ← join %s id=%q", who, codeName(r.ErrorCode), r.MemberID)
		return
	}
	skip := ""
	if r.SkipAssignment {
		skip = " skip-assignment"
	}
	s.say("%s ← join generation=%d id=%s leader=%s protocol=%s%s", who, r.Generation, r.MemberID, r.LeaderID, *r.Protocol, skip)
	for _, m := range r.Members {
		s.say("     %s %q", m.MemberID, m.ProtocolMetadata)
	}
}

func (s *stage) sayRecord(r record.Record) {
	d, err := decodeRecord(r.Key, r.Value)
	switch {
	case err != nil:
		s.t.Fatal(err)
	case d.offset != nil && d.commit != nil:
		s.say("record %s-%d=%d expire=%d", d.offset.topic, d.offset.partition, d.commit.offset, d.commit.expireMs)
	case d.offset != nil:
		s.say("record %s-%d tombstone", d.offset.topic, d.offset.partition)
	case d.consumer != nil:
		s.say("record %s", s.shownRecord(d.consumer))
	case d.streams != nil:
		s.say("record %s", shownStreamsRecord(d.streams))
	case d.metadata != nil:
		s.say("record group generation=%d members=%d", d.metadata.Generation, len(d.metadata.Members))
	default:
		s.say("record group tombstone")
	}
}

func (s *stage) advance(ms int64) {
	until := s.nowMs + ms
	for {
		var due []timerKey
		for k, at := range s.timers {
			if at <= until {
				due = append(due, k)
			}
		}
		if len(due) == 0 {
			break
		}
		slices.SortFunc(due, func(a, b timerKey) int {
			return cmp.Or(cmp.Compare(s.timers[a], s.timers[b]), cmp.Compare(a.kind, b.kind), cmp.Compare(a.member, b.member))
		})
		k := due[0]
		s.nowMs = s.timers[k]
		delete(s.timers, k)
		s.say("%d ms: timer %s %s", s.nowMs-1000, [...]string{"join", "sync", "session", "revoke", "rejoin", "resync"}[k.kind], k.member)
		s.do(func(st *step) { s.g.expire(st, k) })
	}
	s.nowMs = until
}

// restart makes the group anew of its records, as a shard's load does.
func (s *stage) restart() {
	sh := newShard(0, &settings{limits: s.limits, now: fixedClock(s.nowMs)}, nil)
	for _, r := range s.log {
		if err := sh.replay(r.Key, r.Value); err != nil {
			s.t.Fatal(err)
		}
	}
	s.timers, s.tickets = map[timerKey]int64{}, map[ticket]string{}
	s.g = sh.groupOf("g")
	s.g.limits = &s.limits
	s.do(s.g.resume)
}

func codeName(code int16) string {
	for _, e := range []*protocol.Error{
		protocol.ErrUnknownMemberID, protocol.ErrIllegalGeneration, protocol.ErrRebalanceInProgress,
		protocol.ErrMemberIDRequired, protocol.ErrFencedInstanceID, protocol.ErrInconsistentGroupProtocol,
		protocol.ErrGroupMaxSizeReached, protocol.ErrCoordinatorNotAvailable, protocol.ErrNonEmptyGroup,
		protocol.ErrGroupIDNotFound, protocol.ErrGroupSubscribedToTopic, protocol.ErrOffsetMetadataTooLarge,
		protocol.ErrNotCoordinator, protocol.ErrInvalidSessionTimeout, protocol.ErrInvalidGroupID,
		protocol.ErrFencedMemberEpoch, protocol.ErrUnreleasedInstanceID, protocol.ErrUnsupportedAssignor,
		protocol.ErrStaleMemberEpoch, protocol.ErrInvalidRegularExpression, protocol.ErrUnsupportedVersion, protocol.ErrInvalidRequest,
		protocol.ErrStreamsInvalidTopology, protocol.ErrStreamsInvalidTopologyEpoch, protocol.ErrInvalidTxnState, protocol.ErrInvalidProducerEpoch, protocol.ErrUnstableOffsetCommit, protocol.ErrUnknownTopicOrPartition, protocol.ErrUnknownServerError,
	} {
		if e.Code == code {
			return e.Name
		}
	}
	if code == 0 {
		return "ok"
	}
	return strconv.Itoa(int(code))
}
