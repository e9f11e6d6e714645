package txn

import (
	"bytes"
	"errors"
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
)

var rewrite = flag.Bool("rewrite", false, "write the transcripts in testdata anew instead of comparing")

// TestTranscripts plays each testdata/*.txt to one transactional id. A line is
// a command, the indented lines after it are what it caused; `#` starts a
// comment. A producer is written id/epoch.
//
//	init [timeout=60000] [p=1/0]   InitProducerId; p is what the producer holds (KIP-360)
//	add p=1/0 t-0 t-1 [v=0]        AddPartitionsToTxn; v is the transaction version (2)
//	verify p=1/0 t-0               the same with verifyOnly
//	end commit p=1/0 [v=0]         EndTxn, or end abort
//	written                        all markers are written
//	advance 3000                   time passes; a transaction whose time is up is aborted
//	expire 1000                    transactional.id.expiration.ms
//	epoch 32766                    as if so many epochs had gone by
//	ids off, ids on                whether producer ids are to be had
//	restart                        all that is known is what the log says
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

// stage is the shell around one transactional id that a transcript needs.
type stage struct {
	t      *testing.T
	tx     *transaction // nil while it is not known
	nowMs  int64
	nextID int64
	noIDs  bool
	log    []record.Record
	out    bytes.Buffer
}

func play(t *testing.T, text string) string {
	s := &stage{t: t, nowMs: 1000, nextID: 1}
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

// arguments are the words of a command.
type arguments []string

func (a arguments) text(key, otherwise string) string {
	for _, w := range a {
		if v, is := strings.CutPrefix(w, key+"="); is {
			return v
		}
	}
	return otherwise
}

func (a arguments) number(key string, otherwise int) int {
	n, err := strconv.Atoi(a.text(key, strconv.Itoa(otherwise)))
	if err != nil {
		panic(err)
	}
	return n
}

func (a arguments) producer() Producer {
	var p Producer
	if _, err := fmt.Sscanf(a.text("p", "-1/-1"), "%d/%d", &p.ID, &p.Epoch); err != nil {
		panic(err)
	}
	return p
}

func (a arguments) partitions() (list []TopicPartition) {
	for _, w := range a {
		topic, number, is := strings.Cut(w, "-")
		if n, err := strconv.Atoi(number); is && err == nil && !strings.Contains(w, "=") {
			list = append(list, TopicPartition{topic, int32(n)})
		}
	}
	return list
}

var errNoIDs = errors.New("no producer ids")

func (s *stage) nextProducerID() (int64, error) {
	if s.noIDs {
		return -1, errNoIDs
	}
	s.nextID++
	return s.nextID - 1, nil
}

func (s *stage) command(words []string) {
	a := arguments(words[1:])
	switch words[0] {
	case "init":
		s.init(a)
	case "add":
		s.do(func(st *step, t *transaction) error {
			return t.addPartitions(st, a.producer(), a.partitions(), int16(a.number("v", 2)))
		})
	case "verify":
		s.do(func(_ *step, t *transaction) error {
			verdicts, err := t.verify(a.producer(), a.partitions())
			for i, p := range a.partitions() {
				if err == nil {
					s.say("%s-%d %s", p.Topic, p.Partition, errorName(verdicts[i]))
				}
			}
			return err
		})
	case "end":
		s.do(func(st *step, t *transaction) error {
			p, err := t.end(st, a.producer(), a[0] == "commit", int16(a.number("v", 2)))
			if err == nil && p != noProducer {
				s.say("→ %s", p)
			}
			return err
		})
	case "written":
		s.do(func(st *step, t *transaction) error {
			t.complete(st)
			return nil
		})
	case "advance":
		n, err := strconv.Atoi(a[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.nowMs += int64(n)
		s.do(func(st *step, t *transaction) error {
			if !t.timedOut(s.nowMs) {
				return nil
			}
			s.say("timed out")
			return t.fence(st)
		})
	case "expire":
		n, err := strconv.Atoi(a[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.say("→ %v", s.tx.expired(s.nowMs, int64(n)))
	case "epoch":
		s.tx.Epoch = int16(arguments{"e=" + a[0]}.number("e", 0))
	case "ids":
		s.noIDs = a[0] == "off"
	case "restart":
		s.restart()
	default:
		s.t.Fatalf("unknown command %q", words[0])
	}
	s.sayState()
}

func (s *stage) init(a arguments) {
	if s.tx == nil {
		id, err := s.nextProducerID()
		if err != nil {
			s.say("→ %v", err)
			return
		}
		s.tx = newTransaction("x", id, s.nowMs)
	}
	in := initInput{timeoutMs: int32(a.number("timeout", 60_000))}
	if p := a.producer(); p != noProducer {
		in.expected = &p
	}
	s.do(func(st *step, t *transaction) error {
		p, err := t.initProducerID(st, in)
		if err == nil {
			s.say("→ %s", p)
		}
		return err
	})
}

// do runs one step and says what came of it.
func (s *stage) do(input func(*step, *transaction) error) {
	st := step{nowMs: s.nowMs, nextProducerID: s.nextProducerID}
	if s.tx == nil {
		s.say("→ %v", protocol.ErrInvalidProducerIDMapping)
		return
	}
	if err := input(&st, s.tx); err != nil {
		s.say("→ %v", err)
	}
	for _, r := range st.records {
		_, t, err := decodeRecord(r.Key, r.Value)
		if err != nil {
			s.t.Fatal(err)
		}
		s.say("record %s %s", t.state, t.Producer)
	}
	s.log = append(s.log, st.records...)
	if st.decided {
		o := s.tx.outcome()
		s.say("markers commit=%v %s version=%d %s", o.commit, o.producer, o.version, names(o.partitions))
	}
}

func (s *stage) sayState() {
	t := s.tx
	if t == nil {
		s.say("= unknown")
		return
	}
	line := fmt.Sprintf("= %s %s previous=%d next=%d last=%d", t.state, t.Producer, t.previousID, t.nextID, t.lastEpoch)
	if len(t.partitions) > 0 {
		line += " " + names(t.sorted())
	}
	s.say("%s", line)
}

func (s *stage) restart() {
	sh := newShard(0, new(settings), &memoryLog{})
	for _, r := range s.log {
		if err := sh.replay(r.Key, r.Value); err != nil {
			s.t.Fatal(err)
		}
	}
	s.tx = sh.transactions["x"]
}

// String is how tests write a producer.
func (p Producer) String() string { return fmt.Sprintf("%d/%d", p.ID, p.Epoch) }

func names(list []TopicPartition) string {
	var out []string
	for _, p := range list {
		out = append(out, fmt.Sprintf("%s-%d", p.Topic, p.Partition))
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

// errorName is "ok" for no error.
func errorName(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}

func codeName(code int16) string {
	for _, e := range []*protocol.Error{
		protocol.ErrConcurrentTransactions, protocol.ErrInvalidProducerIDMapping, protocol.ErrProducerFenced,
		protocol.ErrInvalidTxnState, protocol.ErrTransactionAbortable, protocol.ErrInvalidTransactionTimeout,
		protocol.ErrInvalidRequest, protocol.ErrNotCoordinator, protocol.ErrCoordinatorNotAvailable,
		protocol.ErrCoordinatorLoadInProgress, protocol.ErrTransactionalIDNotFound, protocol.ErrInvalidProducerEpoch,
		protocol.ErrInvalidRegularExpression,
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
