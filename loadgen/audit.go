package loadgen

import (
	"slices"
	"sync/atomic"

	"fluxmq/reports"
)

// Kinds of findings.
const (
	kindLost       = "lost"
	kindDuplicated = "duplicated"
	kindReordered  = "reordered"
	kindCorrupt    = "corrupt"
)

const maxFindings = 100

// PartitionRange is the part of a partition's log that a run wrote: from the
// end offset before the first send to the end offset after the last.
type PartitionRange struct{ Start, End int64 }

// audit is the read side of the ledger: every record read is held against
// what was sent. Different partitions may be observed concurrently, one
// partition by one goroutine at a time.
type audit struct {
	runTag     uint64
	valueBytes int
	sent       []*sentLog
	counts     []uint64   // sequences to expect, per producer
	readAt     [][]uint32 // per producer and sequence: offset − partition start + 1 of the first reading, 0: not read
	partitions []*partitionAudit
	checked    int // partitions 0..checked-1 are read back
}

// partitionAudit is one partition's account.
type partitionAudit struct {
	PartitionRange
	ledger    reports.PartitionLedger
	foreign   int64
	producers []producerPosition
	findings  map[string][]reports.Finding // by kind, at most maxFindings each
}

// producerPosition is how far one producer's records were read in one
// partition. The duplicate finding that grows is kept by its last places.
type producerPosition struct {
	highest       int64 // highest sequence read; -1: none
	lastDuplicate lastSeen
	lastReordered lastSeen
}

// lastSeen tells whether the next finding continues the one before.
type lastSeen struct {
	index       int // in findings, -1: none
	offset      int64
	firstOffset int64
}

// newAudit expects counts[p] sequences of producer p. ranges are indexed by partition.
func newAudit(runTag uint64, valueBytes int, sent []*sentLog, counts []uint64, ranges []PartitionRange, checked int) *audit {
	a := &audit{runTag: runTag, valueBytes: valueBytes, sent: sent, counts: counts, checked: checked}
	for _, count := range counts {
		a.readAt = append(a.readAt, make([]uint32, count))
	}
	for p, r := range ranges {
		account := &partitionAudit{
			PartitionRange: r,
			ledger:         reports.PartitionLedger{Partition: int32(p), StartOffset: r.Start, EndOffset: r.End},
			producers:      make([]producerPosition, len(counts)),
			findings:       map[string][]reports.Finding{},
		}
		none := lastSeen{index: -1, offset: -1, firstOffset: -1}
		for i := range account.producers {
			account.producers[i] = producerPosition{highest: -1, lastDuplicate: none, lastReordered: none}
		}
		a.partitions = append(a.partitions, account)
	}
	return a
}

// observe takes one record as it was read.
func (a *audit) observe(partition int32, offset int64, value []byte) {
	p := a.partitions[partition]
	header, ok := ReadHeader(value, a.valueBytes)
	if ok && header.RunTag != a.runTag {
		p.foreign++
		return
	}
	p.ledger.Read++
	if !ok || int(header.Producer) >= len(a.counts) || header.Sequence >= a.counts[header.Producer] {
		p.corrupt(offset)
		return
	}
	place := uint32(min(offset-p.Start+1, 1<<32-1))
	at := &a.readAt[header.Producer][header.Sequence]
	position := &p.producers[header.Producer]
	if !atomic.CompareAndSwapUint32(at, 0, place) {
		p.ledger.Duplicated++
		p.extend(kindDuplicated, &position.lastDuplicate, header, offset, a.firstOffset(partition, header, atomic.LoadUint32(at)))
		return
	}
	if int64(header.Sequence) < position.highest {
		p.ledger.Reordered++
		p.extend(kindReordered, &position.lastReordered, header, offset, 0)
		return
	}
	position.highest = int64(header.Sequence)
}

// firstOffset is where the first copy of a record lies: in the partition that its send was acknowledged for, else in this one.
func (a *audit) firstOffset(partition int32, header ValueHeader, place uint32) int64 {
	if acknowledged, _ := a.sent[header.Producer].at(header.Sequence); acknowledged >= 0 && int(acknowledged) < len(a.partitions) {
		partition = acknowledged
	}
	return a.partitions[partition].Start + int64(place) - 1
}

// corrupt counts a record that is not what was sent, merging neighbours.
func (p *partitionAudit) corrupt(offset int64) {
	p.ledger.Corrupt++
	list := p.findings[kindCorrupt]
	if n := len(list); n > 0 && list[n-1].Offset+list[n-1].Count == offset {
		list[n-1].Count++
		return
	}
	p.add(reports.Finding{Kind: kindCorrupt, Partition: p.ledger.Partition, Offset: offset, Count: 1})
}

// extend adds one record to the finding that it continues, or opens one.
func (p *partitionAudit) extend(kind string, last *lastSeen, header ValueHeader, offset, firstOffset int64) {
	continues := last.index >= 0 && last.offset+1 == offset &&
		header.Sequence > p.findings[kind][last.index].LastSequence &&
		(kind != kindDuplicated || last.firstOffset+1 == firstOffset)
	if continues {
		f := &p.findings[kind][last.index]
		f.LastSequence = header.Sequence
		f.Count++
	} else {
		last.index = p.add(reports.Finding{
			Kind: kind, Partition: p.ledger.Partition, Offset: offset, Producer: header.Producer,
			FirstSequence: header.Sequence, LastSequence: header.Sequence, Count: 1, FirstOffset: firstOffset,
		})
	}
	last.offset, last.firstOffset = offset, firstOffset
}

// add keeps a finding while there is room; its index, or -1.
func (p *partitionAudit) add(f reports.Finding) int {
	list := p.findings[f.Kind]
	if len(list) >= maxFindings {
		return -1
	}
	p.findings[f.Kind] = append(list, f)
	return len(list)
}

// finish holds what was sent against what was read. Call it once, after the last observe.
func (a *audit) finish() reports.Ledger {
	ledger := reports.Ledger{Checked: true, Complete: a.checked >= len(a.partitions)}
	var nowhere []reports.Finding // lost records whose partition the client never told
	for producer := range a.counts {
		nowhere = append(nowhere, a.missing(producer, &ledger)...)
	}
	var all []reports.Finding
	for _, p := range a.partitions {
		ledger.Read += p.ledger.Read
		ledger.Lost += p.ledger.Lost
		ledger.Duplicated += p.ledger.Duplicated
		ledger.Reordered += p.ledger.Reordered
		ledger.Corrupt += p.ledger.Corrupt
		ledger.Foreign += p.foreign
		ledger.Partitions = append(ledger.Partitions, p.ledger)
		for _, kind := range []string{kindLost, kindDuplicated, kindReordered, kindCorrupt} {
			all = append(all, p.findings[kind]...)
		}
	}
	for _, f := range nowhere {
		ledger.Lost += f.Count
	}
	ledger.Findings = selectFindings(append(all, nowhere...))
	return ledger
}

// missing finds the ranges of one producer that were sent without error and
// never read. Sequences of one partition that follow each other there belong
// to one range, whatever the producer sent to other partitions in between.
func (a *audit) missing(producer int, ledger *reports.Ledger) []reports.Finding {
	type gap struct {
		open       reports.Finding
		lastOffset int64
	}
	gaps := make([]gap, len(a.partitions)+1) // the last: partition unknown
	for i := range gaps {
		gaps[i].lastOffset = -1
	}
	var nowhere []reports.Finding
	closeGap := func(g *gap) {
		if g.open.Count == 0 {
			return
		}
		if g.open.Partition < 0 {
			if len(nowhere) < maxFindings {
				nowhere = append(nowhere, g.open)
			} else {
				nowhere[maxFindings-1].LastSequence = g.open.LastSequence
				nowhere[maxFindings-1].Count += g.open.Count
			}
		} else {
			p := a.partitions[g.open.Partition]
			p.ledger.Lost += g.open.Count
			p.add(g.open)
		}
		g.open = reports.Finding{}
	}
	for sequence := range a.counts[producer] {
		partition, failed := a.sent[producer].at(sequence)
		known := partition >= 0 && int(partition) < len(a.partitions)
		place := a.readAt[producer][sequence]
		if known && !failed {
			a.partitions[partition].ledger.Sent++
		}
		if (known && int(partition) >= a.checked) || (!known && !ledger.Complete && place == 0) {
			continue // not in the sample
		}
		if !failed {
			ledger.Expected++
		}
		g := &gaps[len(a.partitions)]
		if known {
			g = &gaps[partition]
		}
		switch {
		case place != 0:
			closeGap(g)
			if known {
				g.lastOffset = a.partitions[partition].Start + int64(place) - 1
			}
		case failed: // neither expected nor missed
		case g.open.Count == 0:
			where := int32(-1)
			if known {
				where = partition
			}
			g.open = reports.Finding{Kind: kindLost, Partition: where, Offset: g.lastOffset, Producer: uint32(producer), FirstSequence: sequence, LastSequence: sequence, Count: 1}
		default:
			g.open.LastSequence = sequence
			g.open.Count++
		}
	}
	for i := range gaps {
		closeGap(&gaps[i])
	}
	return nowhere
}

// selectFindings keeps at most maxFindings: first the first of each kind and partition, then the others in their order.
func selectFindings(all []reports.Finding) []reports.Finding {
	type place struct {
		kind      string
		partition int32
	}
	seen := map[place]bool{}
	var first, rest []reports.Finding
	for _, f := range all {
		if key := (place{f.Kind, f.Partition}); !seen[key] {
			seen[key] = true
			first = append(first, f)
		} else {
			rest = append(rest, f)
		}
	}
	out := slices.Concat(first, rest)
	return out[:min(len(out), maxFindings)]
}
