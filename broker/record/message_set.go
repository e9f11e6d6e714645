package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A message set is what clients from before Kafka 0.11 produce: messages of
// format v0 or v1 (magic 0 or 1) one after the other. It is never stored;
// AdmitMessageSet makes a batch of it.
//
//	 0        8       12      16  17  18         26 (18)      30 (22)
//	+--------+-------+-------+---+---+----------+------------+-----+--------------+-------
//	| offset | size  | CRC-32| m | at| timestamp| key length | key | value length | value
//	| int64  | int32 | uint32| a | tr| int64 ms | int32, -1  |     | int32, -1    |
//	|        |       | IEEE  |   |   | v1 only  | null       |     | null         |
//	+--------+-------+-------+---+---+----------+------------+-----+--------------+-------
//
// size counts what follows it. The CRC covers everything from byte 16 on.
// Attributes: bits 0-2 codec · 3 timestamp type (v1, 1 LogAppendTime).
//
// With a codec the value is a message set of its own, compressed as one; its
// messages must not be compressed again. Their offsets are absolute in v0 and in
// v1 relative to the first, the wrapper having the last one's. Some clients
// leave every offset 0. None of them is kept.

// Sizes and positions in a message.
const (
	messageOverhead      = 12 // offset and size
	posMessageCRC        = 12
	posMessageMagic      = 16
	posMessageAttributes = 17
	posMessageTimestamp  = 18
	// minMessageV0 and minMessageV1 are the sizes, as the size field counts, of a
	// message with neither key nor value.
	minMessageV0 = 14
	minMessageV1 = 22

	messageLogAppendTime = 0x08
)

// IsMessageSet tells whether b begins with a message of format v0 or v1.
func IsMessageSet(b []byte) bool {
	return len(b) > posMessageMagic && (b[posMessageMagic] == 0 || b[posMessageMagic] == 1)
}

// message is one message read in place.
type message struct {
	offset     int64
	magic      int8
	attributes int8
	timestamp  int64 // unix ms; -1 with magic 0
	key, value []byte
}

func (m *message) codec() Codec { return Codec(m.attributes & attrCodec) }

// isLogAppendTime tells that the sender set the timestamp type that only a broker may.
func (m *message) isLogAppendTime() bool {
	return m.magic > 0 && m.attributes&messageLogAppendTime != 0
}

// read fills m from the first message of b and returns its size, offset and
// size fields included. A set that ends within a message is ErrTruncated.
func (m *message) read(b []byte) (int, error) {
	if len(b) <= posMessageMagic {
		return 0, fmt.Errorf("%w: %d bytes left where a message begins", ErrTruncated, len(b))
	}
	size := int64(int32(binary.BigEndian.Uint32(b[8:]))) + messageOverhead
	m.magic = int8(b[posMessageMagic])
	least := int64(messageOverhead + minMessageV0)
	switch m.magic {
	case 0:
	case 1:
		least = messageOverhead + minMessageV1
	case Magic:
		return 0, fmt.Errorf("%w: a batch of format v2 behind messages of an older one", ErrInvalidRecord)
	default:
		return 0, fmt.Errorf("%w: magic %d", ErrCorrupt, m.magic)
	}
	if size < least {
		return 0, fmt.Errorf("%w: a message of %d bytes, the least of format v%d is %d", ErrCorrupt, size, m.magic, least)
	}
	if size > int64(len(b)) {
		return 0, fmt.Errorf("%w: a message of %d bytes, %d bytes left", ErrTruncated, size, len(b))
	}
	b = b[:size]
	if got, want := crc32.ChecksumIEEE(b[posMessageMagic:]), binary.BigEndian.Uint32(b[posMessageCRC:]); got != want {
		return 0, fmt.Errorf("%w: a message of CRC-32 %08x, stored %08x", ErrCorrupt, got, want)
	}
	m.offset = int64(binary.BigEndian.Uint64(b))
	m.attributes = int8(b[posMessageAttributes])
	m.timestamp = noTimestamp
	left := b[posMessageTimestamp:]
	if m.magic == 1 {
		m.timestamp = int64(binary.BigEndian.Uint64(left))
		left = left[8:]
	}
	var ok bool
	if m.key, left, ok = nullableBytes(left); !ok {
		return 0, fmt.Errorf("%w: a message's key does not fit", ErrInvalidRecord)
	}
	if m.value, left, ok = nullableBytes(left); !ok || len(left) != 0 {
		return 0, fmt.Errorf("%w: a message's value does not fit", ErrInvalidRecord)
	}
	return int(size), nil
}

// nullableBytes reads an int32 length and so many bytes; -1 is nil.
func nullableBytes(b []byte) (v, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	length := int32(binary.BigEndian.Uint32(b))
	b = b[4:]
	switch {
	case length == -1:
		return nil, b, true
	case length < 0 || int64(length) > int64(len(b)):
		return nil, nil, false
	}
	return b[:length:length], b[length:], true
}

// AdmitMessageSet checks a message set and returns the batch that is stored in
// its place: the same keys, values and timestamps (-1 from v0) in the topic's compression
// or else the set's own, without a producer id. Errors are those of Admit. set is not changed.
// It takes a copy of a, so that the caller's need not be on the heap for the sake of a conversion.
func (a Admission) AdmitMessageSet(set []byte) (Batch, error) {
	var first message
	size, err := first.read(set)
	if err != nil {
		return nil, err
	}
	c := conversion{admission: &a, magic: first.magic, newest: noTimestamp}
	if codec := first.codec(); codec == None {
		err = c.addPlain(set)
	} else {
		err = c.addCompressed(&first, size, len(set))
	}
	if err != nil {
		return nil, err
	}
	if c.refused != nil {
		return nil, c.refused
	}
	compression := Compression{Codec: first.codec()}
	if a.Recompress != nil {
		compression = *a.Recompress
	}
	b, err := Builder{ProducerID: -1}.assemble(compression, c.payload, c.count, c.base, c.newest)
	if err != nil {
		return nil, err
	}
	if err := a.checkSize(len(b)); err != nil {
		return nil, err
	}
	return b, nil
}

// conversion gathers the records of a message set.
type conversion struct {
	admission    *Admission
	magic        int8
	count        int32
	base, newest int64 // timestamps: the first one, and the largest
	payload, one []byte
	refused      *RefusedError
}

// addPlain adds the messages of a set that is not compressed.
func (c *conversion) addPlain(set []byte) error {
	var m message
	for len(set) > 0 {
		size, err := m.read(set)
		if err != nil {
			return err
		}
		if err := c.admission.checkSize(size); err != nil {
			return err
		}
		if m.codec() != None {
			return fmt.Errorf("%w: a compressed message is not the only one of its set", ErrInvalidRecord)
		}
		if err := c.add(&m, m.isLogAppendTime()); err != nil {
			return err
		}
		set = set[size:]
	}
	return nil
}

// addCompressed adds the messages that one message wraps, which is all that
// the set of setSize bytes may hold.
func (c *conversion) addCompressed(wrapper *message, size, setSize int) error {
	if err := c.admission.checkSize(size); err != nil {
		return err
	}
	codec, value := wrapper.codec(), wrapper.value
	switch {
	case codec == Zstd:
		return fmt.Errorf("%w: in a message of format v%d", ErrOldZstd, wrapper.magic)
	case codec > Zstd:
		return fmt.Errorf("%w: codec %d in a message of format v%d", ErrUnsupportedCodec, codec, wrapper.magic)
	case size != setSize:
		return fmt.Errorf("%w: a compressed message is not the only one of its set", ErrInvalidRecord)
	case value == nil:
		return fmt.Errorf("%w: a compressed message without a value", ErrInvalidRecord)
	case codec == LZ4 && wrapper.magic == 0:
		value = withLZ4Checksum(value)
	}
	inner, err := Decompress(codec, value, MaxDecompressedBytes)
	if err != nil {
		return err
	}
	var m message
	for len(inner) > 0 {
		size, err := m.read(inner)
		if err != nil {
			return fmt.Errorf("in a compressed message: %w", err)
		}
		if m.codec() != None {
			return fmt.Errorf("%w: a compressed message within another", ErrInvalidRecord)
		}
		claimed := wrapper.isLogAppendTime() // the wrapper's type counts, and its time then
		if claimed {
			m.timestamp = wrapper.timestamp
		}
		if err := c.add(&m, claimed); err != nil {
			return err
		}
		inner = inner[size:]
	}
	if c.count == 0 && c.refused == nil {
		return fmt.Errorf("%w: a compressed message that wraps none", ErrInvalidRecord)
	}
	// m is the last one. librdkafka may leave the wrapper's offset 0.
	if c.magic == 1 && wrapper.offset != 0 && wrapper.offset < m.offset {
		return fmt.Errorf("%w: a compressed message of offset %d, the last one within it has %d", ErrInvalidRecord, wrapper.offset, m.offset)
	}
	return nil
}

// add makes a record of a message. claimed says that the client set LogAppendTime
// as its timestamp's type. Once one is refused the rest are only looked at.
func (c *conversion) add(m *message, claimed bool) error {
	switch {
	case m.magic != c.magic:
		return fmt.Errorf("%w: messages of formats v%d and v%d in one set", ErrInvalidRecord, c.magic, m.magic)
	case m.timestamp < noTimestamp:
		return fmt.Errorf("%w: timestamp %d", ErrInvalidTimestamp, m.timestamp)
	}
	c.refused = c.admission.check(c.refused, c.count, m.key != nil, m.timestamp, claimed)
	if c.count == 0 {
		c.base = m.timestamp
	}
	if c.refused == nil {
		c.newest = max(c.newest, m.timestamp)
		c.one = appendRecordBody(c.one[:0], &Record{Key: m.key, Value: m.value}, m.timestamp-c.base, c.count)
		c.payload = binary.AppendVarint(c.payload, int64(len(c.one)))
		c.payload = append(c.payload, c.one...)
	}
	c.count++
	return nil
}
