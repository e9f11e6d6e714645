package txn

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"

	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describe is the transactional id as DescribeTransactions shows it.
func (t *transaction) describe() kmsg.DescribeTransactionsResponseTransactionState {
	d := kmsg.NewDescribeTransactionsResponseTransactionState()
	d.TransactionalID, d.State, d.TimeoutMillis, d.StartTimestamp = t.transactionalID, t.state.String(), t.timeoutMs, t.startMs
	d.ProducerID, d.ProducerEpoch = t.ID, t.Epoch
	for _, p := range t.sorted() {
		if n := len(d.Topics); n == 0 || d.Topics[n-1].Topic != p.Topic {
			topic := kmsg.NewDescribeTransactionsResponseTransactionStateTopic()
			topic.Topic = p.Topic
			d.Topics = append(d.Topics, topic)
		}
		last := &d.Topics[len(d.Topics)-1]
		last.Partitions = append(last.Partitions, p.Partition)
	}
	return d
}

// filter is what a ListTransactions asks for. All parts must let a
// transaction through; one that names nothing does.
type filter struct {
	states        []state
	filtersStates bool // also when no state that was named exists
	unknownStates []string
	producerIDs   []int64
	startedBefore int64 // Unix milliseconds
	longRunning   bool  // startedBefore counts
	pattern       *regexp.Regexp
}

func newFilter(in *kmsg.ListTransactionsRequest, nowMs int64) (*filter, error) {
	f := &filter{producerIDs: in.ProducerIDFilters, filtersStates: len(in.StateFilters) > 0}
	for _, name := range in.StateFilters {
		if i := slices.Index(stateNames[:], name); i >= 0 {
			f.states = append(f.states, state(i))
		} else {
			f.unknownStates = append(f.unknownStates, name)
		}
	}
	if in.DurationFilterMillis >= 0 {
		f.longRunning, f.startedBefore = true, nowMs-in.DurationFilterMillis
	}
	if p := in.TransactionalIDPattern; p != nil && *p != "" {
		// The whole id must match. Kafka's patterns are RE2's, as Go's are.
		if _, err := regexp.Compile(*p); err != nil {
			return nil, fmt.Errorf("%w: %w", protocol.ErrInvalidRegularExpression, err)
		}
		whole, err := regexp.Compile(`\A(?:` + *p + `)\z`)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", protocol.ErrInvalidRegularExpression, err)
		}
		f.pattern = whole
	}
	return f, nil
}

func (f *filter) admits(t *transaction) bool {
	switch {
	case len(f.producerIDs) > 0 && !slices.Contains(f.producerIDs, t.ID):
		return false
	case f.filtersStates && !slices.Contains(f.states, t.state):
		return false
	case f.longRunning && t.startMs >= f.startedBefore:
		return false
	}
	return f.pattern == nil || f.pattern.MatchString(t.transactionalID)
}

// list is ListTransactions for this shard.
func (s *shard) list(f *filter) []kmsg.ListTransactionsResponseTransactionState {
	var list []kmsg.ListTransactionsResponseTransactionState
	for id, t := range s.transactions {
		if !f.admits(t) {
			continue
		}
		e := kmsg.NewListTransactionsResponseTransactionState()
		e.TransactionalID, e.ProducerID, e.TransactionState = id, t.ID, t.state.String()
		list = append(list, e)
	}
	return list
}

func compareListed(a, b kmsg.ListTransactionsResponseTransactionState) int {
	return cmp.Compare(a.TransactionalID, b.TransactionalID)
}
