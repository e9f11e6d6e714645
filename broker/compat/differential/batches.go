package differential

import (
	"encoding/binary"
	"slices"
	"strings"

	"fluxmq/broker/record"
)

// payload makes the records field of a partition; what it makes is the same
// bytes on both sides, but for identities that a broker gave out.
type payload func(s *scene) []byte

// entry is a record whose timestamp counts, in milliseconds, from the scene's begin.
func entry(atMs int64, key, value string) record.Record {
	return record.Record{Timestamp: atMs, Key: []byte(key), Value: []byte(value)}
}

// plain builds batches without a producer id.
var plain = record.Builder{ProducerID: -1}

// batch is one batch of those records. The records and the builder are only
// such that Build accepts them: a script's mistake panics.
func batch(b record.Builder, rs ...record.Record) payload {
	return func(s *scene) []byte {
		dated := slices.Clone(rs)
		for n := range dated {
			dated[n].Timestamp += s.begin
		}
		built, err := b.Build(dated)
		if err != nil {
			panic(err)
		}
		return built
	}
}

// values is a plain batch with a record for each value, a millisecond apart.
func values(vs ...string) payload {
	rs := make([]record.Record, len(vs))
	for n, v := range vs {
		rs[n] = entry(int64(n), "key", v)
	}
	return batch(plain, rs...)
}

// large is a plain batch of one record of that many bytes that do not compress to nothing.
func large(sizeBytes int) payload { return values(strings.Repeat("0123456789", sizeBytes/10)) }

// numbered is a batch of an idempotent or transactional producer whose id is
// kept under name, with n records from that sequence on.
func numbered(name string, epoch int16, sequence int32, n int, transactional bool) payload {
	return func(s *scene) []byte {
		rs := make([]record.Record, n)
		for i := range rs {
			rs[i] = entry(int64(i), "key", "value")
		}
		return batch(record.Builder{ProducerID: s.numbers[name], ProducerEpoch: epoch, BaseSequence: sequence, Transactional: transactional}, rs...)(s)
	}
}

// joined is one payload behind the other.
func joined(ps ...payload) payload {
	return func(s *scene) []byte {
		var all []byte
		for _, p := range ps {
			all = append(all, p(s)...)
		}
		return all
	}
}

func noRecords(*scene) []byte    { return nil }
func emptyRecords(*scene) []byte { return []byte{} }

// Where the header's fields begin; record.Batch draws them.
const (
	atBatchLength     = 8
	atMagic           = 16
	atCRC             = 17
	atAttributes      = 21
	atLastOffsetDelta = 23
	atProducerID      = 43
	atCount           = 57
)

// damaged is a payload after a change; the checksum stays what it was.
func damaged(p payload, change func(b []byte)) payload {
	return func(s *scene) []byte {
		b := p(s)
		change(b)
		return b
	}
}

// wrong is a payload after a change that a right checksum covers.
func wrong(p payload, change func(b []byte)) payload {
	return damaged(p, func(b []byte) {
		change(b)
		binary.BigEndian.PutUint32(b[atCRC:], record.Batch(b).ComputeCRC())
	})
}

func cut(p payload, keep func(size int) int) payload {
	return func(s *scene) []byte {
		b := p(s)
		return b[:keep(len(b))]
	}
}

// oldMessage is a message set of a format that Kafka no longer stores:
// offset, size, CRC (of zlib's polynomial, which is looked at later than the
// format), magic, attributes, [timestamp,] key, value.
func oldMessage(magic byte) payload {
	return func(*scene) []byte {
		body := []byte{0, 0, 0, 0, magic, 0}
		if magic == 1 {
			body = append(body, 0, 0, 0, 0, 0, 0, 0, 1)
		}
		body = append(body, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 'v')
		return append(binary.BigEndian.AppendUint32(make([]byte, 8), uint32(len(body))), body...)
	}
}
