package share

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

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
	key := appendInt16(nil, kind)
	key = appendInt16(key, int16(len(k.Group))) // checked to fit
	key = append(key, k.Group...)
	key = append(key, k.Topic[:]...)
	return appendInt32(key, k.Partition)
}

// snapshotRecord stores a key as it is.
func snapshotRecord(k Key, st *stored, nowMs int64) record.Record {
	value := appendInt16(nil, valueVersion)
	value = appendInt32(value, st.snapshotEpoch)
	value = appendInt32(value, st.Epoch)
	value = appendInt32(value, st.LeaderEpoch)
	value = appendInt64(value, st.Start)
	value = appendInt64(value, st.createdMs)
	value = appendInt64(value, st.writtenMs)
	value = appendBatches(value, st.Batches)
	return record.Record{Timestamp: nowMs, Key: recordKey(snapshotKey, k), Value: appendComplete(value, st.Complete)}
}

// updateRecord stores what a write changed.
func updateRecord(k Key, st *stored, batches []Batch, nowMs int64) record.Record {
	value := appendInt16(nil, valueVersion)
	value = appendInt32(value, st.snapshotEpoch)
	value = appendInt32(value, st.LeaderEpoch)
	value = appendInt64(value, st.Start)
	value = appendBatches(value, batches)
	return record.Record{Timestamp: nowMs, Key: recordKey(updateKey, k), Value: appendComplete(value, st.Complete)}
}

func tombstone(k Key, nowMs int64) record.Record {
	return record.Record{Timestamp: nowMs, Key: recordKey(snapshotKey, k)}
}

func appendBatches(dst []byte, list []Batch) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list))+1)
	for _, b := range list {
		dst = appendInt64(dst, b.First)
		dst = appendInt64(dst, b.Last)
		dst = append(dst, byte(b.State))
		dst = appendInt16(dst, b.Count)
		dst = append(dst, 0)
	}
	return dst
}

// appendComplete ends a value: the delivery complete count is its only tagged field.
func appendComplete(dst []byte, count int32) []byte {
	if count == unknownComplete {
		return append(dst, 0)
	}
	return appendInt32(append(dst, 1, 0, 4), count)
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
	k := fields{left: key}
	r := replayed{kind: k.int16()}
	if !k.bad && r.kind != snapshotKey && r.kind != updateKey {
		return replayed{}, fmt.Errorf("%w: key version %d", errUnknownRecord, r.kind)
	}
	r.key = Key{Group: k.plain(), Topic: k.id(), Partition: k.int32()}
	if err := k.end("key of a share partition"); err != nil || value == nil {
		return r, err
	}
	v := fields{left: value}
	if version := v.int16(); version != valueVersion && !v.bad {
		return replayed{}, fmt.Errorf("%w: value version %d", errUnknownRecord, version)
	}
	r.present = true
	r.snapshotEpoch = v.int32()
	if r.kind == snapshotKey {
		r.state.Epoch = v.int32()
	}
	r.state.LeaderEpoch, r.state.Start = v.int32(), v.int64()
	if r.kind == snapshotKey {
		r.createdMs, r.writtenMs = v.int64(), v.int64()
	}
	for range v.length(batchSize) {
		b := Batch{First: v.int64(), Last: v.int64(), State: DeliveryState(v.int8()), Count: v.int16()}
		v.tags()
		if v.bad {
			break
		}
		if err := b.check(); err != nil {
			return replayed{}, fmt.Errorf("%s: %w", r.key, err)
		}
		r.state.Batches = append(r.state.Batches, b)
	}
	r.state.Complete = unknownComplete
	if tag, given := v.tags(); given {
		r.state.Complete = tag.int32()
		v.bad = v.bad || tag.bad
	}
	if err := v.end("value"); err != nil {
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
