package differential

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// script is a list of steps in an order that builds on state.
type script struct {
	name string
	// needs are API keys without which the script makes no sense; our broker
	// must advertise them all, or it is left out.
	needs []int16
	steps []step
}

// step is one request, asked of both brokers, and how.
type step struct {
	// name is the case's; an API has it once.
	name    string
	request func(s *scene) kmsg.Request
	// body changes the encoded body before it is sent: for what kmsg cannot say.
	body func(whole []byte) []byte

	// from is the first version in which the step has a meaning: it is left out below.
	from int16
	// atLeast asks at that version where the pass is at a lower one.
	atLeast int16
	// version asks at a version of its own choice.
	version func(Range) int16

	// on names the connection; each is dialled when first used.
	on string
	// fresh dials anew.
	fresh bool
	// send does not wait for the reply; a later step with await and the same on reads it.
	send, await bool
	// unanswered requests get no reply (acks=0).
	unanswered bool
	// patience bounds the wait for the reply; replyPatience when zero.
	patience time.Duration
	// until asks again until it holds; the last reply is the one compared.
	until func(kmsg.Response) bool
	// quiet steps make state and are not compared, only their until must come true.
	quiet bool
	// keep takes what later steps need from the reply.
	keep func(s *scene, reply kmsg.Response)
}

// Run takes both brokers, fresh, through every script and returns the cases,
// not judged yet, and what each broker advertises. The error is that a
// broker is gone or that a script is wrong; differences are not errors.
func Run(ours, kafka Peer, pass Pass, begin time.Time) ([]Case, []Advertised, error) {
	served, err := advertised(ours)
	if err != nil {
		return nil, nil, err
	}
	theirs, err := advertised(kafka)
	if err != nil {
		return nil, nil, err
	}
	r := run{ours: newScene(ours, pass, served, begin), kafka: newScene(kafka, pass, served, begin), names: map[string]bool{}}
	defer r.ours.close()
	defer r.kafka.close()
	for _, s := range append(scripts(), generic(served, pass)) {
		if err := r.script(s); err != nil {
			return r.cases, nil, fmt.Errorf("pass %s, script %s: %w", pass.Name, s.name, err)
		}
	}
	return r.cases, merge(served, theirs), nil
}

// scripts in the order in which they are played; later ones use topics of earlier ones.
func scripts() []script {
	return []script{
		versionsScript, topicsScript, clusterScript, partitionsScript, configsScript,
		produceScript, doubtfulScript, producersScript, fetchScript, sessionsScript, offsetsScript,
		coordinatorScript, groupScript, rebalanceScript, staticMembersScript, groupOffsetsScript,
		transactionsScript, transactionAdminScript, consumerGroupScript, shareGroupScript, streamsGroupScript,
		quotasScript, adminScript, telemetryScript, securityScript,
		deleteScript,
	}
}

// merge is the union of both lists, by key.
func merge(ours, kafka ranges) []Advertised {
	var all []Advertised
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		a := Advertised{Key: key, Name: nameOf(key)}
		if r, is := ours[key]; is {
			a.Ours = &r
		}
		if r, is := kafka[key]; is {
			a.Kafka = &r
		}
		if a.Ours != nil || a.Kafka != nil {
			all = append(all, a)
		}
	}
	return all
}

// run is one pass under way.
type run struct {
	ours, kafka *scene
	names       map[string]bool // "API case" of those done
	cases       []Case
}

func (r *run) script(s script) error {
	for _, key := range s.needs {
		if _, served := r.ours.served[key]; !served {
			return nil
		}
	}
	for _, st := range s.steps {
		if err := r.step(st); err != nil {
			return fmt.Errorf("step %q: %w", st.name, err)
		}
	}
	return nil
}

var errTwice = errors.New("the API has two cases of that name")

func (r *run) step(st step) error {
	key, version, skip := r.target(st)
	if skip {
		return nil
	}
	ours, err := r.ours.perform(st)
	if err != nil {
		return err
	}
	kafka, err := r.kafka.perform(st)
	if err != nil {
		return err
	}
	c := Case{API: nameOf(key), Key: key, Version: version, Name: st.name}
	a, b := r.ours.tree(c, ours.outcome), r.kafka.tree(c, kafka.outcome) // also of quiet steps: identities get their names
	settled := ours.settled && kafka.settled
	switch {
	case !settled:
		c.Differences = []Difference{{Path: "(settling)", Ours: settling(ours), Kafka: settling(kafka)}}
	case st.quiet || st.send:
		return nil
	default:
		c.Differences = compare(a, b)
	}
	name := c.API + " " + c.Name
	if r.names[name] {
		return errTwice
	}
	r.names[name] = true
	r.cases = append(r.cases, c)
	return nil
}

// target is the API and version of a step, and whether it is left out.
func (r *run) target(st step) (key, version int16, skip bool) {
	var request kmsg.Request
	if st.await {
		if request = r.ours.waiting[st.on]; request == nil {
			return 0, 0, true // the step that sends was left out
		}
		return request.Key(), request.GetVersion(), false
	}
	key = st.request(r.ours).Key()
	if _, served := r.ours.served[key]; !served {
		return 0, 0, true
	}
	version = r.ours.version(st, key)
	return key, version, version < st.from
}

func settling(p performed) string {
	switch {
	case p.settled:
		return "settled"
	case p.outcome.reply == nil:
		return "not settled: " + string(p.outcome.fate)
	}
	return fmt.Sprintf("not settled: %.300s", fmt.Sprintf("%+v", p.outcome.reply))
}

// tree shows an outcome: the reply, or a leaf that says what happened instead.
func (s *scene) tree(c Case, out outcome) *tree {
	switch {
	case out.garbled != nil:
		return leaf("%v", out.garbled)
	case out.reply == nil:
		return leaf("%s", out.fate)
	}
	return s.shown.show(c.API, c.Name, out.reply)
}
