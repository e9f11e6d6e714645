package wire

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"fluxmq/loadgen"
	"fluxmq/reports"
)

const (
	fetchBytes  = 8 << 20
	fetchMost   = 256 << 20 // a batch larger than that cannot be ours
	idleLimit   = 15 * time.Second
	maxFindings = 100
)

// cycleAudit holds one partition's stored batches against the cycle. A batch
// is recognised by its checksum, which covers every byte that the broker may
// not change and is recomputed here; its place is counted in batches from the
// first one sent.
type cycleAudit struct {
	loadgen.PartitionRange
	producer uint32
	images   []batchImage
	byCRC    map[uint32]int
	sent     int64         // batches
	next     int64         // place of the next batch due
	missing  map[int64]int // places passed over, and their finding
	offsets  []int64       // of the last len(images) batches, by place
	last     int64         // offset of the last record read; -1: none
	position int64
	ledger   reports.PartitionLedger
	foreign  int64
	findings []reports.Finding
}

func newCycleAudit(partition int32, producer uint32, r loadgen.PartitionRange, images []batchImage, sent int64) *cycleAudit {
	a := &cycleAudit{
		PartitionRange: r, producer: producer, images: images, byCRC: map[uint32]int{}, sent: sent,
		missing: map[int64]int{}, offsets: make([]int64, len(images)), last: -1, position: r.Start,
		ledger: reports.PartitionLedger{Partition: partition, StartOffset: r.Start, EndOffset: r.End},
	}
	for i, image := range images {
		a.byCRC[image.crc] = i
	}
	a.ledger.Sent = a.records(sent)
	return a
}

// records are those of the first n batches sent.
func (a *cycleAudit) records(n int64) int64 {
	whole, rest := n/int64(len(a.images)), int(n%int64(len(a.images)))
	total := int64(0)
	for i, image := range a.images {
		total += whole * int64(image.records)
		if i < rest {
			total += int64(image.records)
		}
	}
	return total
}

// image is what was sent at a place.
func (a *cycleAudit) image(place int64) batchImage { return a.images[place%int64(len(a.images))] }

// observe takes one whole stored batch.
func (a *cycleAudit) observe(batch []byte) {
	base := int64(binary.BigEndian.Uint64(batch))
	records := int64(int32(binary.BigEndian.Uint32(batch[57:])))
	lastOffset := base + int64(int32(binary.BigEndian.Uint32(batch[23:])))
	stored := binary.BigEndian.Uint32(batch[17:])
	a.ledger.Read += records
	at, known := a.byCRC[stored]
	if crc32.Checksum(batch[21:], castagnoli) != stored || !known || a.images[at].records != int(records) || a.images[at].bytes != len(batch) || batch[16] != 2 {
		a.ledger.Corrupt += records
		a.add(reports.Finding{Kind: "corrupt", Partition: a.ledger.Partition, Offset: base, Count: records})
		a.next++ // it stands where the one that was due should
		a.last, a.position = lastOffset, lastOffset+1
		return
	}
	m := int64(len(a.images))
	forward := ((int64(at)-a.next)%m + m) % m
	switch {
	case forward == 0:
		a.take(base)
	case forward <= m/2 && a.next+forward < a.sent:
		a.skip(forward)
		a.take(base)
	default:
		a.again(a.next-(m-forward), base, records)
	}
	a.last, a.position = lastOffset, lastOffset+1
}

// take accepts the batch that was due.
func (a *cycleAudit) take(base int64) {
	if a.next >= a.sent { // the cycle goes on, the sender did not
		a.again(a.next-int64(len(a.images)), base, int64(a.image(a.next).records))
		return
	}
	a.offsets[a.next%int64(len(a.images))] = base
	a.next++
}

// skip counts the next n batches as lost, as one finding.
func (a *cycleAudit) skip(n int64) {
	first, last := a.image(a.next), a.image(a.next+n-1)
	count := a.records(a.next+n) - a.records(a.next)
	index := a.add(reports.Finding{
		Kind: "lost", Partition: a.ledger.Partition, Offset: a.last, Producer: a.producer,
		FirstSequence: first.firstSequence, LastSequence: last.firstSequence + uint64(last.records) - 1, Count: count,
	})
	a.ledger.Lost += count
	for place := a.next; place < a.next+n; place++ {
		if len(a.missing) < maxFindings {
			a.missing[place] = index
		}
	}
	a.next += n
}

// again takes a batch of an earlier place: late when it was passed over, else a second copy.
func (a *cycleAudit) again(place, base, records int64) {
	image := a.image(max(place, 0))
	f := reports.Finding{
		Kind: "duplicated", Partition: a.ledger.Partition, Offset: base, Producer: a.producer,
		FirstSequence: image.firstSequence, LastSequence: image.firstSequence + uint64(image.records) - 1, Count: records,
	}
	index, late := a.missing[place]
	if !late {
		a.ledger.Duplicated += records
		if place >= 0 {
			f.FirstOffset = a.offsets[place%int64(len(a.images))]
		}
		a.add(f)
		return
	}
	delete(a.missing, place)
	a.ledger.Lost -= records
	a.ledger.Reordered += records
	if index >= 0 {
		a.findings[index].Count -= records
	}
	f.Kind = "reordered"
	a.add(f)
}

func (a *cycleAudit) add(f reports.Finding) int {
	if len(a.findings) >= maxFindings {
		return -1
	}
	a.findings = append(a.findings, f)
	return len(a.findings) - 1
}

// finish counts what never came.
func (a *cycleAudit) finish() {
	if a.next < a.sent {
		a.skip(a.sent - a.next)
	}
	a.findings = slices.DeleteFunc(a.findings, func(f reports.Finding) bool { return f.Count == 0 }) // found late after all
}

// mergeAudits is the ledger over all partitions; those below checked were read.
func mergeAudits(audits []*cycleAudit, checked int) reports.Ledger {
	ledger := reports.Ledger{Checked: true, Complete: checked >= len(audits)}
	var first, rest []reports.Finding
	for p, a := range audits {
		if p < checked {
			a.finish()
			ledger.Expected += a.ledger.Sent
		}
		ledger.Read += a.ledger.Read
		ledger.Lost += a.ledger.Lost
		ledger.Duplicated += a.ledger.Duplicated
		ledger.Reordered += a.ledger.Reordered
		ledger.Corrupt += a.ledger.Corrupt
		ledger.Foreign += a.foreign
		ledger.Partitions = append(ledger.Partitions, a.ledger)
		seen := map[string]bool{}
		for _, f := range a.findings {
			if seen[f.Kind] {
				rest = append(rest, f)
			} else {
				first = append(first, f)
			}
			seen[f.Kind] = true
		}
	}
	all := slices.Concat(first, rest)
	ledger.Findings = all[:min(len(all), maxFindings)]
	return ledger
}

// readBatches feeds the stored bytes of a partition to its audit, batch by
// batch. failure is why it did not reach the end.
func readBatches(ctx context.Context, broker *kgo.Broker, topic string, a *cycleAudit) (failure string) {
	lastProgress := time.Now()
	maxBytes := int32(fetchBytes)
	stopped := func(why string) string {
		return fmt.Sprintf("partition %d could be read to offset %d, its end offset is %d: %s", a.ledger.Partition, a.position, a.End, why)
	}
	for a.position < a.End {
		before := a.position
		data, err := fetch(ctx, broker, topic, a.ledger.Partition, a.position, maxBytes)
		if ctx.Err() != nil {
			return stopped("the time for it was over")
		}
		if err != nil {
			return stopped(err.Error())
		}
		for len(data) >= batchHeaderBytes {
			size := int64(int32(binary.BigEndian.Uint32(data[8:]))) + 12
			if size < batchHeaderBytes || size > fetchMost {
				return stopped(fmt.Sprintf("a batch claims %d bytes", size))
			}
			if size > int64(len(data)) {
				if a.position == before { // not even one fits
					maxBytes = int32(size) + batchHeaderBytes
				}
				break
			}
			if base := int64(binary.BigEndian.Uint64(data)); base >= a.End {
				return "" // beyond what this run wrote
			} else if base >= a.position {
				a.observe(data[:size])
			}
			data = data[size:]
		}
		if a.position > before {
			lastProgress = time.Now()
		} else if time.Since(lastProgress) > idleLimit {
			return stopped(fmt.Sprintf("nothing came for %v", idleLimit))
		}
	}
	return ""
}

// fetch asks for one partition's bytes from an offset on.
func fetch(ctx context.Context, broker *kgo.Broker, topic string, partition int32, offset int64, maxBytes int32) ([]byte, error) {
	request := kmsg.NewPtrFetchRequest()
	request.MaxWaitMillis, request.MinBytes, request.MaxBytes = 200, 1, maxBytes
	request.SessionEpoch = -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, maxBytes
	t.Partitions = append(t.Partitions, p)
	request.Topics = append(request.Topics, t)
	response, err := broker.RetriableRequest(ctx, request)
	if err != nil {
		return nil, err
	}
	fetched, ok := response.(*kmsg.FetchResponse)
	if !ok || len(fetched.Topics) != 1 || len(fetched.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("the response does not hold the one partition asked for")
	}
	if err := kerr.ErrorForCode(fetched.ErrorCode); err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(fetched.Topics[0].Partitions[0].ErrorCode); err != nil {
		return nil, err
	}
	return fetched.Topics[0].Partitions[0].RecordBatches, nil
}
