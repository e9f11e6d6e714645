package handler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// TopicPartition names a partition in a question to the transaction coordinator.
type TopicPartition struct {
	Topic string
	Index int32
}

// TransactionPartitions asks the transaction coordinator whether partitions
// belong to the ongoing transaction of a producer (KIP-890).
type TransactionPartitions struct {
	TransactionalID string
	ProducerID      int64
	ProducerEpoch   int16
	// Add makes them belong to it where they do not (transaction version 2);
	// else they must have been added by AddPartitionsToTxn.
	Add        bool
	Partitions []TopicPartition
}

const (
	// addsPartitions is the Produce version that adds its partitions to the
	// transaction, and tellsAbortable the one whose clients know TRANSACTION_ABORTABLE.
	addsPartitions int16 = 12
	tellsAbortable int16 = 11

	// verifyTimeout bounds a question to the coordinator, as Kafka's
	// request.timeout.ms between brokers does.
	verifyTimeout = 30 * time.Second
	// While the producer's last transaction is being completed, adding is tried
	// again addRetries times, every addBackoff: Kafka's
	// add.partitions.to.txn.retry.backoff.ms, for its .backoff.max.ms.
	addBackoff = 20 * time.Millisecond
	addRetries = 5
)

// verification is what is known of one partition of a transactional request.
type verification struct {
	partition *partition.Partition // nil where there is nothing to verify
	sequence  int32                // first of its batch
	guard     partition.Guard      // none when the transaction is open there already
	err       error                // why the batch is not written
}

// mustVerify lists the transactional batches of a request and begins the
// verifications that they need. It tells whether the coordinator is to be asked; if not
// the request can be carried out at once.
func (h *Handler) mustVerify(c *produceCall) bool {
	if refuseProduce(&c.request) != nil {
		return false // appendAll answers it
	}
	c.producerID = -1
	mixed := false
	for t := c.request.Topics(); t.Next(); {
		for t.NextPartition() {
			var v verification
			p, err := h.findProduced(&t)
			sent, refused := checkProduced(&c.request, t.Records())
			if err == nil && refused == nil {
				b := record.Batch(sent)
				if id, epoch := b.ProducerID(), b.ProducerEpoch(); b.IsTransactional() && id >= 0 {
					mixed = mixed || c.producerID >= 0 && (c.producerID != id || c.producerEpoch != epoch)
					c.producerID, c.producerEpoch = id, epoch
					v.partition, v.sequence = p, b.BaseSequence()
				}
			}
			c.verifications = append(c.verifications, v)
		}
	}
	if mixed {
		for i := range c.verifications {
			c.verifications[i].err = errManyProducers
		}
		return false
	}
	return c.beginVerifications()
}

// errManyProducers refuses a request as a whole, as Kafka does.
var errManyProducers = fmt.Errorf("%w: transactional records contained more than one producer id", protocol.ErrInvalidProducerIDMapping)

// beginVerifications tells whether there is a partition where the producer's
// transaction is not open yet.
func (c *produceCall) beginVerifications() bool {
	ask := false
	for i := range c.verifications {
		v := &c.verifications[i]
		if v.partition == nil {
			continue
		}
		v.guard, v.err = v.partition.BeginVerification(c.producerID, c.producerEpoch, v.sequence, c.request.Version >= addsPartitions)
		ask = ask || v.guard != 0
	}
	return ask
}

// produceVerified carries out a request after the coordinator has answered.
// That is the first of a transaction in some partition, and worth a copy of the frame,
// which is reused when Serve returns. Later requests of the connection wait
// for it: their sequences follow its own.
func (h *Handler) produceVerified(c *produceCall, r *Request, out *Response) {
	own := *r
	own.ClientID, own.Body = bytes.Clone(r.ClientID), bytes.Clone(r.Body)
	if err := c.request.Decode(own.Version, own.Body); err != nil {
		c.free()
		out.Close = err
		return
	}
	out.Serial = true
	out.Wait = func(ctx context.Context, out *Response) {
		h.verify(ctx, c)
		h.appendAll(c)
		c.throttle = h.chargeProduce(c, &own)
		out.Mute = c.throttle
		switch {
		case c.request.Acks == 0:
			out.Close = c.failed
			c.free()
		case len(c.durable) > 0:
			c.keep(&own)
			c.watch()
			c.waitDurable(ctx, out)
		default:
			out.Bytes = c.encode(out.Bytes, &own)
			c.free()
		}
	}
}

// verify asks the coordinator and notes what it said, as a producer of that
// version is told it.
func (h *Handler) verify(ctx context.Context, c *produceCall) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	for retry := 0; h.askCoordinator(ctx, c) && c.request.Version >= addsPartitions && retry < addRetries; retry++ {
		select {
		case <-time.After(addBackoff):
		case <-ctx.Done():
		}
		// The markers of the last transaction have ended the verifications of this one.
		if ctx.Err() != nil || !c.beginVerifications() {
			break
		}
	}
	for i := range c.verifications {
		v := &c.verifications[i]
		if v.guard == 0 || v.err == nil {
			continue
		}
		v.err = verificationError(c.request.Version, v.err)
		if code := protocol.CodeOf(v.err); code != protocol.ErrNotEnoughReplicas.Code && code != protocol.ErrConcurrentTransactions.Code {
			v.partition.AbandonVerification(c.producerID, v.guard)
		}
	}
}

// askCoordinator asks once, about the partitions that have a guard. busy says
// that the coordinator is still completing the producer's last transaction.
func (h *Handler) askCoordinator(ctx context.Context, c *produceCall) (busy bool) {
	q := TransactionPartitions{
		TransactionalID: string(c.request.TransactionalID), ProducerID: c.producerID, ProducerEpoch: c.producerEpoch,
		Add: c.request.Version >= addsPartitions,
	}
	for i := range c.verifications {
		if v := &c.verifications[i]; v.guard != 0 {
			q.Partitions = append(q.Partitions, TopicPartition{v.partition.Topic(), v.partition.Index()})
		}
	}
	if len(q.Partitions) == 0 {
		return false
	}
	var answers []error
	silence := errNoCoordinator
	if h.VerifyTransaction != nil {
		answers = h.VerifyTransaction(ctx, q)
		silence = protocol.ErrCoordinatorNotAvailable
	}
	for i := range c.verifications {
		v := &c.verifications[i]
		if v.guard == 0 {
			continue
		}
		if v.err = silence; len(answers) > 0 {
			v.err, answers = answers[0], answers[1:]
		}
		busy = busy || errors.Is(v.err, protocol.ErrConcurrentTransactions)
	}
	return busy
}

// errNoCoordinator: without one no transaction can have been begun.
var errNoCoordinator = fmt.Errorf("%w: there is no transaction coordinator", protocol.ErrInvalidTxnState)

// verificationError is what Kafka tells a producer of that version of an error
// of the coordinator. Errors that old clients would not try again become
// NOT_ENOUGH_REPLICAS, which they do, without asking for metadata first.
func verificationError(version int16, err error) error {
	switch code := protocol.CodeOf(err); {
	case code == protocol.ErrProducerFenced.Code:
		return fmt.Errorf("%w: %w", protocol.ErrInvalidProducerEpoch, err)
	case code == protocol.ErrTransactionAbortable.Code && version < tellsAbortable:
		return fmt.Errorf("%w: %w", protocol.ErrInvalidTxnState, err)
	case code == protocol.ErrConcurrentTransactions.Code && version >= addsPartitions:
		return err
	case code == protocol.ErrConcurrentTransactions.Code,
		code == protocol.ErrNetworkException.Code,
		code == protocol.ErrCoordinatorLoadInProgress.Code,
		code == protocol.ErrCoordinatorNotAvailable.Code,
		code == protocol.ErrNotCoordinator.Code,
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: cannot verify that the partition was added to the transaction: %w", protocol.ErrNotEnoughReplicas, err)
	}
	return err
}
