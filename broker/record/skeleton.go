// Package record reads, checks and writes record batches of format v2. It
// owns the byte layout; it does no I/O.
package record

// HeaderSize is the size in bytes of a v2 batch header up to and including
// the record count.
const HeaderSize = 61

// Batch is exactly one v2 record batch (12 + batchLength bytes). Getters and
// setters work by offset on the bytes; nothing is decoded or copied.
type Batch []byte

func (b Batch) BaseOffset() int64             { panic("not built") }
func (b Batch) SetBaseOffset(int64)           { panic("not built") }
func (b Batch) PartitionLeaderEpoch() int32   { panic("not built") }
func (b Batch) SetPartitionLeaderEpoch(int32) { panic("not built") }
func (b Batch) Attributes() int16             { panic("not built") }
func (b Batch) Codec() Codec                  { panic("not built") }
func (b Batch) IsTransactional() bool         { panic("not built") }
func (b Batch) IsControl() bool               { panic("not built") }
func (b Batch) LastOffsetDelta() int32        { panic("not built") }
func (b Batch) LastOffset() int64             { panic("not built") }
func (b Batch) BaseTimestamp() int64          { panic("not built") }
func (b Batch) MaxTimestamp() int64           { panic("not built") }
func (b Batch) ProducerID() int64             { panic("not built") }
func (b Batch) ProducerEpoch() int16          { panic("not built") }
func (b Batch) BaseSequence() int32           { panic("not built") }
func (b Batch) LastSequence() int32           { panic("not built") } // wraps at 2^31-1 as Kafka does
func (b Batch) Count() int32                  { panic("not built") }

// SetLogAppendTime sets the timestamp type bit and max timestamp and rewrites the CRC.
func (b Batch) SetLogAppendTime(unixMs int64) { panic("not built") }

// Codec is a compression codec id as in the batch attributes: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
type Codec int8

// Next splits the first batch off b, checking only that it is whole
// (ErrTruncated) and its declared length sane (ErrCorrupt).
func Next(b []byte) (first Batch, rest []byte, err error) { panic("not built") }

// Validation says how much of a produced batch is checked (`log.validation`).
type Validation uint8

const (
	// ValidateHeader checks the header, CRC-32C, lengths and counts.
	ValidateHeader Validation = iota
	// ValidateRecords also walks the records of uncompressed batches.
	ValidateRecords
	// ValidateFull also decompresses, bounded, and walks compressed ones.
	ValidateFull
)

// Validate checks one batch as a client may send it. Errors wrap
// ErrCorrupt, ErrInvalidRecord, ErrUnsupportedMagic or ErrUnsupportedCodec.
func Validate(b Batch, v Validation) error { panic("not built") }

// Record is one record of a batch; Key, Value and header bytes alias the
// (decompressed) batch. A nil Key or Value is a Kafka null.
type Record struct {
	Offset, Timestamp int64
	Key, Value        []byte
	Headers           []Header
}

// Header is one record header.
type Header struct {
	Key   string
	Value []byte
}

// Records decodes the records of a batch, decompressing when needed, never
// more than maxBytes of them.
func Records(b Batch, maxBytes int, visit func(Record) error) error { panic("not built") }

// Builder writes uncompressed or compressed batches for the broker's own topics and for tests.
type Builder struct {
	Codec                  Codec
	ProducerID             int64 // -1 for none
	ProducerEpoch          int16
	BaseSequence           int32
	Transactional, Control bool
}

// Build returns one whole batch with base offset 0 and epoch 0 holding rs (Offset ignored, Timestamp kept).
func (bd Builder) Build(rs []Record) (Batch, error) { panic("not built") }
