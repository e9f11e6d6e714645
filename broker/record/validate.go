package record

import "fmt"

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

// String is the value of `log.validation` that selects v.
func (v Validation) String() string {
	switch v {
	case ValidateHeader:
		return "header"
	case ValidateRecords:
		return "records"
	case ValidateFull:
		return "full"
	}
	return fmt.Sprintf("Validation(%d)", uint8(v))
}

// MaxDecompressedBytes bounds what one batch may decompress to where it must:
// with ValidateFull, and where an Admission looks into it.
const MaxDecompressedBytes = 128 << 20

// minRecordSize is the smallest record: length, attributes, timestamp delta,
// offset delta, key length, value length, header count; one byte each.
const minRecordSize = 7

// Validate checks one batch as a client may send it, in the order that lets
// the cheapest check refuse first. Errors wrap ErrCorrupt, ErrInvalidRecord,
// ErrUnsupportedMagic, ErrUnsupportedCodec or ErrTooLarge (ValidateFull).
//
// A client may set LogAppendTime: what comes of it is Admission's to say. From ValidateRecords on, a max timestamp that is not the records' own is
// put right in place, CRC included: Kafka does the same, and time look-up and
// retention rely on it. A valid batch costs no allocation up to ValidateRecords.
func Validate(b Batch, v Validation) error {
	if err := validateHeader(b); err != nil {
		return err
	}
	if err := validateClient(b); err != nil {
		return err
	}
	return validatePayload(b, v)
}

// ValidateInternal checks one batch that the broker itself wrote: control
// batches, LogAppendTime and any base offset are allowed.
func ValidateInternal(b Batch, v Validation) error {
	if err := validateHeader(b); err != nil {
		return err
	}
	return validatePayload(b, v)
}

// Verify checks that a stored batch is whole and unchanged: size, magic, CRC.
// Recovery and readers of the log use it; compaction may have left gaps in
// its offsets, and no records at all.
func Verify(b Batch) error {
	if len(b) < HeaderSize {
		return fmt.Errorf("%w: %d bytes, a batch header has %d", ErrCorrupt, len(b), HeaderSize)
	}
	if b.Magic() != Magic {
		return fmt.Errorf("%w: magic %d, want %d", ErrUnsupportedMagic, b.Magic(), Magic)
	}
	if size := b.SizeBytes(); size != int64(len(b)) {
		return fmt.Errorf("%w: declared size %d, got %d bytes", ErrCorrupt, size, len(b))
	}
	if got, want := b.ComputeCRC(), b.CRC(); got != want {
		return fmt.Errorf("%w: computed %08x, stored %08x", ErrChecksum, got, want)
	}
	return nil
}

// validateHeader checks what holds for every batch that is appended.
func validateHeader(b Batch) error {
	if err := Verify(b); err != nil {
		return err
	}
	if c := b.Codec(); c > Zstd {
		return fmt.Errorf("%w: codec %d", ErrUnsupportedCodec, c)
	}
	count := b.Count()
	if count <= 0 {
		return fmt.Errorf("%w: record count %d", ErrInvalidRecord, count)
	}
	if delta := b.LastOffsetDelta(); delta != count-1 {
		return fmt.Errorf("%w: last offset delta %d with %d records", ErrInvalidRecord, delta, count)
	}
	if b.Codec() == None && int64(count)*minRecordSize > int64(len(b)-HeaderSize) {
		return fmt.Errorf("%w: %d records cannot be in %d bytes", ErrInvalidRecord, count, len(b)-HeaderSize)
	}
	if id := b.ProducerID(); id >= 0 {
		if b.BaseSequence() < 0 && !b.IsControl() {
			return fmt.Errorf("%w: producer id %d with base sequence %d", ErrInvalidRecord, id, b.BaseSequence())
		}
	} else if b.IsTransactional() {
		return fmt.Errorf("%w: transactional without a producer id", ErrInvalidRecord)
	}
	return nil
}

// validateClient checks what only the broker may do.
func validateClient(b Batch) error {
	switch {
	case b.IsControl():
		return fmt.Errorf("%w: clients may not write control records", ErrInvalidRecord)
	case b.BaseOffset() != 0:
		return fmt.Errorf("%w: base offset %d, a produced batch has 0", ErrInvalidRecord, b.BaseOffset())
	case b.HasDeleteHorizon():
		return fmt.Errorf("%w: clients may not set a delete horizon", ErrInvalidRecord)
	}
	return nil
}

// validatePayload walks the records as far as v asks for it.
func validatePayload(b Batch, v Validation) error {
	payload := b.Payload()
	switch {
	case v == ValidateHeader, v == ValidateRecords && b.Codec() != None:
		return nil
	case b.Codec() != None:
		var err error
		if payload, err = Decompress(b.Codec(), payload, MaxDecompressedBytes); err != nil {
			return err
		}
	}
	maxTimestamp, err := walk(payload, b.Count(), b.BaseTimestamp())
	if err != nil {
		return err
	}
	if !b.IsLogAppendTime() && maxTimestamp != b.MaxTimestamp() {
		b.setMaxTimestamp(maxTimestamp)
	}
	return nil
}

// walk checks count records that fill payload exactly, their offset deltas
// running from 0 without a gap, and returns the largest timestamp.
func walk(payload []byte, count int32, baseTimestamp int64) (maxTimestamp int64, err error) {
	maxTimestamp = -1
	for i := int32(0); i < count; i++ {
		var r rawRecord
		size, reason := r.read(payload)
		if reason != "" {
			return 0, fmt.Errorf("%w: record %d of %d: %s", ErrInvalidRecord, i, count, reason)
		}
		if r.offsetDelta != i {
			return 0, fmt.Errorf("%w: record %d has offset delta %d", ErrInvalidRecord, i, r.offsetDelta)
		}
		maxTimestamp = max(maxTimestamp, baseTimestamp+r.timestampDelta)
		payload = payload[size:]
	}
	if len(payload) != 0 {
		return 0, fmt.Errorf("%w: %d bytes after the last record", ErrInvalidRecord, len(payload))
	}
	return maxTimestamp, nil
}
