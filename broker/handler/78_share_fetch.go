package handler

import (
	"context"
	"fmt"
	"time"

	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/quota"
	"fluxmq/broker/share"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Ways of acquiring records (KIP-1206).
const (
	acquireBatches = 0 // whole batches of the log, until there are enough
	acquireExactly = 1 // no more records than asked for
)

// shareFetch is one ShareFetch request being answered.
type shareFetch struct {
	h        *Handler
	from     *Request
	request  *kmsg.ShareFetchRequest
	of       shareMember
	answers  []shareAnswers
	session  *shareSession // nil in the last request of one
	items    []shareItem
	spent    time.Duration // on fetching
	throttle time.Duration // found when it was answered
}

// shareItem is one partition that is fetched from.
type shareItem struct {
	sharePlace
	shared *share.Partition // nil when it cannot be
	err    error
	got    share.Fetched
}

// handleShareFetch answers ShareFetch (API key 78): a member says what it made
// of the records that it has, and acquires others.
func handleShareFetch(h *Handler, _ context.Context, r *Request, in kmsg.Request) Answer {
	f := &shareFetch{h: h, from: r, request: in.(*kmsg.ShareFetchRequest)}
	return Answer{
		Wait: func(ctx context.Context) kmsg.Response {
			response := kmsg.NewPtrShareFetchResponse()
			if err := f.run(ctx, response); err != nil {
				response.ErrorCode = protocol.CodeOf(err) // Kafka says no more
			}
			f.charge(response)
			return response
		},
		Throttled: func() time.Duration { return f.throttle },
	}
}

// run fills the response; an error refuses all of the request.
func (f *shareFetch) run(ctx context.Context, response *kmsg.ShareFetchResponse) (err error) {
	q := f.request
	if !f.h.servesShareGroups() {
		return errNoShareGroups
	}
	if f.of, err = shareMemberOf(q.GroupID, q.MemberID); err != nil {
		return err
	}
	f.read()
	if err = f.check(); err != nil {
		return err
	}
	held, err := f.openSession()
	if err != nil {
		return err
	}
	done := f.h.acknowledge(ctx, f.of, f.answers, q.IsRenewAck)
	switch {
	case f.session == nil:
		f.h.releaseShared(ctx, f.of, held)
	case !q.IsRenewAck: // a request that renews locks fetches nothing
		f.fetch(ctx)
	}
	response.AcquisitionLockTimeoutMillis = f.h.lockDurationMs(f.of.group)
	f.respond(done, response)
	return nil
}

// read takes the acknowledgements out of the request.
func (f *shareFetch) read() {
	for _, t := range f.request.Topics {
		for _, p := range t.Partitions {
			if len(p.AcknowledgementBatches) == 0 {
				continue
			}
			a := shareAnswers{sharePlace: sharePlace{t.TopicID, p.Partition}}
			for _, b := range p.AcknowledgementBatches {
				a.list = append(a.list, share.Acknowledgement{First: b.FirstOffset, Last: b.LastOffset, Types: b.AcknowledgeTypes})
			}
			f.answers = append(f.answers, a)
		}
	}
}

// check refuses requests that contradict themselves.
func (f *shareFetch) check() error {
	q := f.request
	invalid := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", protocol.ErrInvalidRequest, fmt.Sprintf(format, args...))
	}
	if q.ShareAcquireMode != acquireBatches && q.ShareAcquireMode != acquireExactly {
		return invalid("acquire mode %d", q.ShareAcquireMode)
	}
	if !q.IsRenewAck {
		return nil
	}
	if q.MaxWaitMillis != 0 || q.MinBytes != 0 || q.MaxBytes != 0 || q.MaxRecords != 0 {
		return invalid("a request that renews locks asks for records")
	}
	partitions := 0
	for _, t := range q.Topics {
		partitions += len(t.Partitions)
	}
	if partitions != len(f.answers) {
		return invalid("a request that renews locks names a partition without records")
	}
	return nil
}

// openSession finds, makes or ends the member's session; held are the
// partitions of one that ends.
func (f *shareFetch) openSession() (held []sharePlace, err error) {
	var added, forgotten []sharePlace
	for _, t := range f.request.Topics {
		for _, p := range t.Partitions {
			added = append(added, sharePlace{t.TopicID, p.Partition})
		}
	}
	for _, t := range f.request.ForgottenTopicsData {
		for _, p := range t.Partitions {
			forgotten = append(forgotten, sharePlace{t.TopicID, p})
		}
	}
	sessions := f.h.shareSessions
	switch epoch := f.request.ShareSessionEpoch; epoch {
	case finalShareEpoch:
		return sessions.close(f.of)
	case initialShareEpoch:
		if len(f.answers) > 0 { // nothing was acquired yet
			return nil, fmt.Errorf("%w: the first request of a share session acknowledges records", protocol.ErrInvalidRequest)
		}
		f.session, err = sessions.create(f.of, f.from.Connection, added)
		return nil, err
	default:
		if f.session, err = sessions.advance(f.of, epoch); err != nil {
			return nil, err
		}
		return nil, sessions.update(f.session, added, forgotten)
	}
}

// fetch acquires records from the session's partitions: what is there, or what
// comes before the time is over.
func (f *shareFetch) fetch(ctx context.Context) {
	f.open(ctx)
	var open []*shareItem
	for i := range f.items {
		if f.items[i].err == nil {
			open = append(open, &f.items[i])
		}
	}
	if len(open) == 0 || f.acquire(open, false) || f.request.MaxWaitMillis <= 0 {
		return
	}
	waiter := partition.NewWaiter()
	for _, item := range open {
		item.shared.Watch(waiter)
		defer item.shared.Forget(waiter)
	}
	timer := time.NewTimer(time.Duration(f.request.MaxWaitMillis) * time.Millisecond)
	defer timer.Stop()
	// What came between the first look and Watch woke nobody.
	for over := false; !f.acquire(open, over) && !over; {
		select {
		case <-waiter.C:
		case <-timer.C:
			over = true
		case <-ctx.Done():
			return // nobody would get what is acquired now
		}
	}
}

// open finds the session's partitions, and reads the states of those that
// nobody has fetched from yet.
func (f *shareFetch) open(ctx context.Context) {
	var keys []share.Key
	var at []int
	for _, place := range f.h.shareSessions.places(f.session) {
		item := shareItem{sharePlace: place}
		switch log, name := f.h.Partitions.FindByID(place.topic, place.partition); {
		case log == nil && name == "":
			item.err = protocol.ErrUnknownTopicID
		case log == nil:
			item.err = protocol.ErrUnknownTopicOrPartition
		default:
			keys, at = append(keys, place.key(f.of.group)), append(at, len(f.items))
		}
		f.items = append(f.items, item)
	}
	for i, opened := range f.h.Shares.Open(ctx, keys) {
		f.items[at[i]].shared, f.items[at[i]].err = opened.Partition, opened.Err
	}
}

// acquire takes what is available, up to the request's and the broker's
// limits. It reports whether there is something to answer with; over tells that
// little will do.
func (f *shareFetch) acquire(open []*shareItem, over bool) (answer bool) {
	q, begin := f.request, time.Now()
	defer func() { f.spent += time.Since(begin) }()
	left := min(int64(min(q.MaxBytes, f.h.Config.FetchMaxBytes)), f.h.Quotas.MostBytes(anonymous, f.from.ClientID))
	if !over && q.MinBytes > 1 {
		least, found := min(int64(q.MinBytes), left), int64(0)
		for _, item := range open {
			if found += item.shared.Readable(int(least)); found >= least {
				break
			}
		}
		if found < least {
			return false
		}
	}
	most, none := int64(q.MaxRecords), true
	for _, item := range open {
		if most <= 0 || left <= 0 && !none {
			break
		}
		item.got, item.err = item.shared.Fetch(share.Fetch{
			Member: f.of.member, MaxBytes: int(max(left, 0)), MinOneBatch: none,
			MaxRecords: most, Strict: q.ShareAcquireMode == acquireExactly, BatchSize: int64(q.BatchSize),
		})
		for _, b := range item.got.Acquired {
			most -= b.Last - b.First + 1
		}
		left -= int64(len(item.got.Records))
		none = none && len(item.got.Acquired) == 0
		answer = answer || item.err != nil
	}
	return answer || !none
}

// respond writes what was acknowledged and what was fetched. A partition that
// was new to the session is named once, also if there is nothing to say of it.
func (f *shareFetch) respond(done []shareAnswered, response *kmsg.ShareFetchResponse) {
	broker, elsewhere := f.h.advertised(f.h.Metadata.Image(), f.from), false
	places := map[sharePlace]*kmsg.ShareFetchResponseTopicPartition{}
	var order []sharePlace
	of := func(place sharePlace) *kmsg.ShareFetchResponseTopicPartition {
		one := places[place]
		if one == nil {
			fresh := kmsg.NewShareFetchResponseTopicPartition()
			one = &fresh
			one.Partition, one.Records = place.partition, []byte{}
			one.AcquiredRecords = []kmsg.ShareFetchResponseTopicPartitionAcquiredRecord{}
			places[place] = one
			order = append(order, place)
		}
		return one
	}
	lead := func(one *kmsg.ShareFetchResponseTopicPartition, code int16, log *partition.Partition) {
		if isElsewhere(code) && log != nil {
			one.CurrentLeader.LeaderID, one.CurrentLeader.LeaderEpoch = broker.NodeID, log.LeaderEpoch()
			elsewhere = true
		}
	}
	for _, d := range done {
		one := of(d.sharePlace)
		if one.AcknowledgeErrorCode == 0 {
			one.AcknowledgeErrorCode, one.AcknowledgeErrorMessage = protocol.CodeOf(d.err), d.words
			lead(one, one.AcknowledgeErrorCode, d.log)
		}
	}
	for i := range f.items {
		item := &f.items[i]
		if told := f.h.shareSessions.tell(f.session, item.sharePlace); told && item.err == nil && len(item.got.Acquired) == 0 {
			continue
		}
		one := of(item.sharePlace)
		if one.ErrorCode = protocol.CodeOf(item.err); item.err != nil {
			if item.shared != nil {
				lead(one, one.ErrorCode, item.shared.Log())
			}
			continue
		}
		if one.Records = item.got.Records; one.Records == nil {
			one.Records = []byte{}
		}
		for _, b := range item.got.Acquired {
			one.AcquiredRecords = append(one.AcquiredRecords, kmsg.ShareFetchResponseTopicPartitionAcquiredRecord{
				FirstOffset: b.First, LastOffset: b.Last, DeliveryCount: b.Count,
			})
		}
		f.h.counters(item.shared.Log()).Traffic.BytesOut.Add(int64(len(one.Records)))
	}
	f.list(order, places, response)
	if elsewhere {
		e := endpointOf(broker)
		response.NodeEndpoints = []kmsg.ShareFetchResponseNodeEndpoint{{NodeID: e.NodeID, Host: e.Host, Port: e.Port, Rack: e.Rack}}
	}
}

// list puts partitions under their topics.
func (f *shareFetch) list(order []sharePlace, places map[sharePlace]*kmsg.ShareFetchResponseTopicPartition, response *kmsg.ShareFetchResponse) {
	at := map[[16]byte]int{}
	for _, place := range order {
		i, known := at[place.topic]
		if !known {
			i = len(response.Topics)
			at[place.topic] = i
			topic := kmsg.NewShareFetchResponseTopic()
			topic.TopicID = place.topic
			response.Topics = append(response.Topics, topic)
		}
		response.Topics[i].Partitions = append(response.Topics[i].Partitions, *places[place])
	}
}

// charge counts the response against the client's quotas. What is acquired is
// sent all the same, for nobody else would get it: the client waits after it.
func (f *shareFetch) charge(response *kmsg.ShareFetchResponse) {
	if !f.h.Quotas.Active() {
		return
	}
	size := 0
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			size += len(p.Records)
		}
	}
	f.throttle = f.h.Quotas.ChargeTime(anonymous, f.from.ClientID, f.spent)
	if size > 0 {
		forBytes, _ := f.h.Quotas.Charge(quota.ConsumerByteRate, anonymous, f.from.ClientID, float64(size))
		f.throttle = max(f.throttle, forBytes)
	}
}
