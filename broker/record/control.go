package record

import (
	"encoding/binary"
	"fmt"
)

// ControlType is what a control record says.
type ControlType int16

// Kafka's control records. Types above LeaderChange belong to the metadata
// log of KRaft, which we do not keep; readers pass over them.
const (
	Abort        ControlType = 0
	Commit       ControlType = 1
	LeaderChange ControlType = 2
)

// String is Kafka's name of the type.
func (t ControlType) String() string {
	switch t {
	case Abort:
		return "ABORT"
	case Commit:
		return "COMMIT"
	case LeaderChange:
		return "LEADER_CHANGE"
	}
	return fmt.Sprintf("ControlType(%d)", int16(t))
}

// EndTransaction builds the marker batch that ends a producer's transaction:
// one control record, key {int16 version 0, int16 type}, value {int16
// version 0, int32 coordinator epoch}. t must be Abort or Commit.
func EndTransaction(t ControlType, producerID int64, producerEpoch int16, coordinatorEpoch int32, unixMs int64) (Batch, error) {
	if t != Abort && t != Commit {
		return nil, fmt.Errorf("record: %s does not end a transaction", t)
	}
	value := binary.BigEndian.AppendUint32([]byte{0, 0}, uint32(coordinatorEpoch))
	bd := Builder{ProducerID: producerID, ProducerEpoch: producerEpoch, BaseSequence: -1, Transactional: true, Control: true}
	return bd.Build([]Record{{Timestamp: unixMs, Key: controlKey(t), Value: value}})
}

// LeaderChanged builds the batch by which a new leader begins its epoch: key
// as above, value {int16 version 0, int32 leader id, voters, granting voters}
// in KRaft's flexible encoding.
func LeaderChanged(leaderID int32, voters []int32, unixMs int64) (Batch, error) {
	value := binary.BigEndian.AppendUint32([]byte{0, 0}, uint32(leaderID))
	for range 2 { // voters, then granting voters: the same while one node is the quorum
		value = binary.AppendUvarint(value, uint64(len(voters)+1))
		for _, v := range voters {
			value = binary.BigEndian.AppendUint32(value, uint32(v))
			value = append(value, 0) // no tags
		}
	}
	value = append(value, 0) // no tags
	return Builder{ProducerID: -1, Control: true}.Build([]Record{{Timestamp: unixMs, Key: controlKey(LeaderChange), Value: value}})
}

func controlKey(t ControlType) []byte {
	return binary.BigEndian.AppendUint16([]byte{0, 0}, uint16(t))
}

// maxControlBytes bounds what a control batch may decompress to.
const maxControlBytes = 1 << 20

// ControlOf returns the type of a control batch's record, and for Abort and
// Commit the coordinator epoch (otherwise -1). ErrInvalidRecord for any other
// batch, and for one that compaction has left without a record.
func ControlOf(b Batch) (t ControlType, coordinatorEpoch int32, err error) {
	it, err := NewIterator(b, maxControlBytes)
	if err != nil {
		return 0, -1, err
	}
	if !b.IsControl() || !it.Next() {
		return 0, -1, fmt.Errorf("%w: not a control batch with a record (%v)", ErrInvalidRecord, it.Err())
	}
	key := it.Key()
	if len(key) < 4 {
		return 0, -1, fmt.Errorf("%w: control record key of %d bytes", ErrInvalidRecord, len(key))
	}
	// Versions above 0 only add fields behind those read here.
	if version := int16(binary.BigEndian.Uint16(key)); version < 0 {
		return 0, -1, fmt.Errorf("%w: control record key of version %d", ErrInvalidRecord, version)
	}
	t = ControlType(binary.BigEndian.Uint16(key[2:]))
	if t > Commit || t < 0 {
		return t, -1, nil
	}
	value := it.Value()
	if len(value) < 6 {
		return t, -1, fmt.Errorf("%w: %s marker value of %d bytes", ErrInvalidRecord, t, len(value))
	}
	if version := int16(binary.BigEndian.Uint16(value)); version < 0 {
		return t, -1, fmt.Errorf("%w: %s marker value of version %d", ErrInvalidRecord, t, version)
	}
	return t, int32(binary.BigEndian.Uint32(value[2:])), nil
}
