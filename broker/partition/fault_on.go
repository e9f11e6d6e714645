//go:build faultinject

package partition

import (
	"fluxmq/broker/commitlog"
	"fluxmq/broker/fault"
	"fluxmq/broker/record"
)

// writeFaulty loses or doubles a client's batches and records. Sequences are
// not checked then, or an idempotent producer would notice the loss before the
// ledger does.
func (p *Partition) writeFaulty(batches []byte, o AppendOptions) (commitlog.AppendInfo, error) {
	options := p.logOptions(o)
	f := fault.Active()
	if f == nil || o.Internal || !f.DropBatch.On() && !f.DuplicateBatch.On() && !f.DropRecord.On() {
		return p.log().Append(batches, options)
	}
	options.Trusted = true
	b, _, err := record.Next(batches)
	if err != nil {
		return commitlog.AppendInfo{}, err
	}
	count := b.Count()
	doubled := f.DuplicateBatch.Hits(1) > 0
	lost := int32(f.DropRecord.Hits(int64(count)))
	if f.DropBatch.Hits(1) > 0 || lost >= count {
		end := p.log().Offsets().LogEnd
		// LastOffset is below the log end, so that an acks=all reply waits for nothing that will not come.
		return commitlog.AppendInfo{BaseOffset: end, LastOffset: end - 1, Records: count}, nil
	}
	if lost > 0 {
		if batches, err = b.WithoutLast(lost); err != nil {
			return commitlog.AppendInfo{}, err
		}
	}
	info, err := p.log().Append(batches, options)
	if err == nil && doubled {
		_, err = p.log().Append(batches, options)
	}
	info.Records = count // the counters tell nothing of it
	return info, err
}

// appendedFaulty takes memory, system calls and an fdatasync for a client's
// batch that was written. It runs outside the mutex. Concurrent batches of one
// partition may share an fdatasync.
func (p *Partition) appendedFaulty(records int32) error {
	f := fault.Active()
	if f == nil {
		return nil
	}
	if err := f.Waste(records); err != nil {
		return err
	}
	if f.Fsync.Hits(1) == 0 {
		return nil
	}
	return p.syncLog()
}
