package commitlog

import (
	"sort"

	"fluxmq/broker/record"
)

// cleanedTransactions follows the transactions of a log that the cleaner reads
// front to back (Kafka's CleanedTransactionMetadata). Everything it is shown
// lies below the last stable offset, so every transaction has been decided.
//
// Records of aborted transactions go at once. A marker may go when no batch of
// its transaction is left, be it an empty one, and its delete horizon has passed.
type cleanedTransactions struct {
	// aborted are the transactions that an ABORT marker ended, by producer id,
	// in the order of the log.
	aborted map[int64][]abortedRange
	// seen are the producers with a batch since their last marker.
	seen map[int64]bool
}

// abortedRange are the offsets of an aborted transaction: its first batch's first
// and its marker's.
type abortedRange struct{ first, marker int64 }

func (t *cleanedTransactions) abort(producerID int64, r abortedRange) {
	if t.aborted == nil {
		t.aborted = make(map[int64][]abortedRange)
	}
	t.aborted[producerID] = append(t.aborted[producerID], r)
}

// isAborted tells whether a transactional batch belongs to an aborted transaction.
func (t *cleanedTransactions) isAborted(b record.Batch) bool {
	ranges := t.aborted[b.ProducerID()]
	offset := b.BaseOffset()
	i := sort.Search(len(ranges), func(i int) bool { return ranges[i].marker > offset })
	return i < len(ranges) && ranges[i].first <= offset
}

// data is told of each batch that is no control batch.
func (t *cleanedTransactions) data(b record.Batch) {
	if !b.IsTransactional() {
		return
	}
	if t.seen == nil {
		t.seen = make(map[int64]bool)
	}
	t.seen[b.ProducerID()] = true
}

// control is told of each control batch, and tells whether it may be discarded once
// its delete horizon has passed.
func (t *cleanedTransactions) control(b record.Batch) (discardable bool, err error) {
	if b.Count() == 0 {
		return true, nil // cleaned before, and kept for its producer's epoch alone
	}
	kind, _, err := record.ControlOf(b)
	if err != nil || kind != record.Abort && kind != record.Commit {
		return false, err
	}
	seen := t.seen[b.ProducerID()]
	delete(t.seen, b.ProducerID())
	return !seen, nil
}
