//go:build faultinject

package partition

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"fluxmq/broker/commitlog"
	"fluxmq/broker/record"
)

// faultsBuilt: this build loses or doubles batches when FLUXMQ_FAULT says so.
// It exists to prove that the ledger finds it.
const faultsBuilt = true

type fault struct {
	drop  bool // acknowledge every nth batch without storing it; else store it twice
	every int64
	seen  atomic.Int64
}

var theFault = sync.OnceValue(func() *fault {
	kind, count, ok := strings.Cut(os.Getenv("FLUXMQ_FAULT"), ":")
	if kind == "" {
		return nil
	}
	n, err := strconv.ParseInt(count, 10, 64)
	if !ok || err != nil || n <= 0 || kind != "drop-batch" && kind != "duplicate-batch" {
		panic(fmt.Sprintf("FLUXMQ_FAULT is %q, want drop-batch:N or duplicate-batch:N", os.Getenv("FLUXMQ_FAULT")))
	}
	return &fault{drop: kind == "drop-batch", every: n}
})

// FaultNotice is what node must log at start: this broker breaks its promises.
func FaultNotice() string {
	f := theFault()
	switch {
	case f == nil:
		return "This is a faultinject build; FLUXMQ_FAULT is not set, so it behaves"
	case f.drop:
		return fmt.Sprintf("FAULT INJECTION: one batch in %d is acknowledged and NOT STORED", f.every)
	default:
		return fmt.Sprintf("FAULT INJECTION: one batch in %d is STORED TWICE", f.every)
	}
}

// writeFaulty drops or doubles every nth client batch. Sequences are not
// checked, or an idempotent producer would notice the loss before the ledger does.
func (p *Partition) writeFaulty(batches []byte, o AppendOptions) (commitlog.AppendInfo, error) {
	options := commitlog.AppendOptions{LeaderEpoch: p.epoch, Trusted: o.Internal}
	f := theFault()
	if f == nil || o.Internal {
		return p.log.Append(batches, options)
	}
	options.Trusted = true
	hit := f.seen.Add(1)%f.every == 0
	if hit && f.drop {
		b, _, err := record.Next(batches)
		if err != nil {
			return commitlog.AppendInfo{}, err
		}
		end := p.log.Offsets().LogEnd
		// LastOffset is below the log end, so that an acks=all reply waits for nothing that will not come.
		return commitlog.AppendInfo{BaseOffset: end, LastOffset: end - 1, Records: b.Count()}, nil
	}
	info, err := p.log.Append(batches, options)
	if err == nil && hit {
		_, err = p.log.Append(batches, options)
	}
	return info, err
}
