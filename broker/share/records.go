package share

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"fluxmq/broker/protocol"
	"fluxmq/broker/record"
)

// The layout of __share_group_state is Kafka's, so that its tools read ours:
//
//	key   int16 kind: 0 a snapshot, 1 an update; then group, topic id, partition
//	value int16 version 0, then the fields; null is a tombstone
//
// A snapshot is the whole of a key's state, an update what one write changed
// of it. The topic is not compacted: what lies before the last snapshots of
// all keys is deleted.
const (
	snapshotKey  int16 = 0
	updateKey    int16 = 1
	valueVersion int16 = 0
)

// errUnknownRecord says that a record is of a kind or version that this
// coordinator does not know; replay skips it.
var errUnknownRecord = errors.New("unknown kind of share state record")

func recordKey(kind int16, k Key) []byte {
	key := protocol.AppendInt16(nil, kind)
	key = protocol.AppendInt16(key, int16(len(k.Group))) // checked to fit
	key = append(key, k.Group...)
	key = append(key, k.Topic[:]...)
	return protocol.AppendInt32(key, k.Partition)
}

// snapshotRecord stores a key as it is.
func snapshotRecord(k Key, st *stored, nowMs int64) record.Record {
	value := protocol.AppendInt16(nil, valueVersion)
	value = protocol.AppendInt32(value, st.snapshotEpoch)
	value = protocol.AppendInt32(value, st.Epoch)
	value = protocol.AppendInt32(value, st.LeaderEpoch)
	value = protocol.AppendInt64(value, st.Start)
	value = protocol.AppendInt64(value, st.createdMs)
	value = protocol.AppendInt64(value, st.writtenMs)
	value = appendBatches(value, st.Batches)
	return record.Record{Timestamp: nowMs, Key: recordKey(snapshotKey, k), Value: appendComplete(value, st.Complete)}
}

// updateRecord stores what a write changed.
func updateRecord(k Key, st *stored, batches []Batch, nowMs int64) record.Record {
	value := protocol.AppendInt16(nil, valueVersion)
	value = protocol.AppendInt32(value, st.snapshotEpoch)
	value = protocol.AppendInt32(value, st.LeaderEpoch)
	value = protocol.AppendInt64(value, st.Start)
	value = appendBatches(value, batches)
	return record.Record{Timestamp: nowMs, Key: recordKey(updateKey, k), Value: appendComplete(value, st.Complete)}
}

func tombstone(k Key, nowMs int64) record.Record {
	return record.Record{Timestamp: nowMs, Key: recordKey(snapshotKey, k)}
}

func appendBatches(dst []byte, list []Batch) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list))+1)
	for _, b := range list {
		dst = protocol.AppendInt64(dst, b.First)
		dst = protocol.AppendInt64(dst, b.Last)
		dst = append(dst, byte(b.State))
		dst = protocol.AppendInt16(dst, b.Count)
		dst = append(dst, 0)
	}
	return dst
}

// appendComplete ends a value: the delivery complete count is its only tagged field.
func appendComplete(dst []byte, count int32) []byte {
	if count == unknownComplete {
		return append(dst, 0)
	}
	return protocol.AppendInt32(append(dst, 1, 0, 4), count)
}

// batchSize is the least that a stored batch takes: two offsets, state, count, tags.
const batchSize = 8 + 8 + 1 + 2 + 1

// replayed is one decoded record.
type replayed struct {
	key  Key
	kind int16
	// present is false in a tombstone, which has nothing of the rest.
	present              bool
	snapshotEpoch        int32
	state                State // without Epoch in an update; LeaderEpoch and Start are -1 where it keeps them
	createdMs, writtenMs int64
}

// decodeRecord reads one record. It returns errUnknownRecord for kinds and
// versions it does not know and another error for bytes that do not decode; it
// never panics.
func decodeRecord(key, value []byte) (replayed, error) {
	k := protocol.NewFields(key)
	r := replayed{kind: k.Int16()}
	if !k.Failed() && r.kind != snapshotKey && r.kind != updateKey {
		return replayed{}, fmt.Errorf("%w: key version %d", errUnknownRecord, r.kind)
	}
	r.key = Key{Group: k.Plain(), Topic: k.ID(), Partition: k.Int32()}
	if err := k.End("key of a share partition"); err != nil || value == nil {
		return r, err
	}
	v := protocol.NewFields(value)
	if version := v.Int16(); version != valueVersion && !v.Failed() {
		return replayed{}, fmt.Errorf("%w: value version %d", errUnknownRecord, version)
	}
	r.present = true
	r.snapshotEpoch = v.Int32()
	if r.kind == snapshotKey {
		r.state.Epoch = v.Int32()
	}
	r.state.LeaderEpoch, r.state.Start = v.Int32(), v.Int64()
	if r.kind == snapshotKey {
		r.createdMs, r.writtenMs = v.Int64(), v.Int64()
	}
	for range v.Length(batchSize) {
		b := Batch{First: v.Int64(), Last: v.Int64(), State: DeliveryState(v.Int8()), Count: v.Int16()}
		v.Tags()
		if v.Failed() {
			break
		}
		if err := b.check(); err != nil {
			return replayed{}, fmt.Errorf("%s: %w", r.key, err)
		}
		r.state.Batches = append(r.state.Batches, b)
	}
	r.state.Complete = unknownComplete
	if tag, given := v.Tags(); given {
		r.state.Complete = tag.Int32()
		v.Include(tag)
	}
	if err := v.End("value"); err != nil {
		return replayed{}, fmt.Errorf("%s: %w", r.key, err)
	}
	return r, nil
}

// check refuses a batch that no share partition makes.
func (b Batch) check() error {
	switch {
	case b.First < 0 || b.Last < b.First || b.Last == math.MaxInt64:
		return fmt.Errorf("a batch from %d to %d", b.First, b.Last)
	case b.State != Available && !b.State.terminal():
		return fmt.Errorf("a batch of state %d", b.State)
	case b.Count < 0:
		return fmt.Errorf("a batch delivered %d times", b.Count)
	}
	return nil
}
