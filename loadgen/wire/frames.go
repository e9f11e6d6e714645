package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"fluxmq/loadgen"
	"fluxmq/scenarios"
)

const (
	batchHeaderBytes = 61
	clientID         = "fluxload-wire"

	cycleMaxBytes = 64 << 20 // of all connections' frames together
	cycleMost     = 32       // batches of one partition in a cycle
	cycleLeast    = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batchImage is what a stored batch is recognised by.
type batchImage struct {
	crc           uint32
	bytes         int
	records       int
	firstSequence uint64
}

// frame is one encoded Produce request of the cycle: one batch for one
// partition. Its correlation id is its index, so nothing is patched when it is sent.
type frame struct {
	from, to  int // in cycle.bytes
	slot      int // index into cycle.partitions
	records   int
	rawBytes  int // keys and values
	rawRecord int // encoded records before compression
	encoded   int // and after
}

// cycle is everything one connection sends, again and again.
type cycle struct {
	producer   uint32
	partitions []int32
	bytes      []byte
	frames     []frame
	images     [][]batchImage // per partition slot, in the order sent
}

// encoder makes cycles.
type encoder struct {
	job     scenarios.Job
	pool    *loadgen.Pool
	codec   *loadgen.Codec
	version int16
	batch   int // wanted bytes of a batch, header included
	acks    int16
	nowNs   int64
	records int // of the latest batch: where the next begins to search
	body    []byte
}

// encodeAll makes the cycle of every connection: the first alone, because it
// finds how many records fit, the others side by side.
func (e *encoder) encodeAll(owned [][]int32, perPartition int) ([]*cycle, error) {
	cycles := make([]*cycle, len(owned))
	var err error
	if cycles[0], err = e.encode(0, owned[0], perPartition); err != nil {
		return nil, err
	}
	failures := make([]error, len(owned))
	places := make(chan struct{}, runtime.NumCPU())
	var all sync.WaitGroup
	for i := 1; i < len(owned); i++ {
		places <- struct{}{}
		all.Go(func() { // ends with its cycle; awaited below
			defer func() { <-places }()
			own := *e
			own.body = nil
			if own.codec, failures[i] = loadgen.NewCodec(e.codec.Name); failures[i] == nil {
				cycles[i], failures[i] = own.encode(uint32(i), owned[i], perPartition)
			}
		})
	}
	all.Wait()
	return cycles, errors.Join(failures...)
}

// encode makes the cycle of one connection: perPartition batches for each of
// its partitions, taking turns.
func (e *encoder) encode(producer uint32, partitions []int32, perPartition int) (*cycle, error) {
	c := &cycle{producer: producer, partitions: partitions, images: make([][]batchImage, len(partitions))}
	rng := rand.New(rand.NewPCG(e.job.Payload.Seed, uint64(producer)))
	sequence := uint64(0)
	for i := range perPartition * len(partitions) {
		slot := i % len(partitions)
		batch, f, err := e.encodeBatch(producer, sequence, rng)
		if err != nil {
			return nil, err
		}
		c.images[slot] = append(c.images[slot], batchImage{
			crc: binary.BigEndian.Uint32(batch[17:]), bytes: len(batch), records: f.records, firstSequence: sequence,
		})
		sequence += uint64(f.records)
		f.slot, f.from = slot, len(c.bytes)
		c.bytes = e.appendRequest(c.bytes, batch, partitions[slot], int32(i))
		f.to = len(c.bytes)
		c.frames = append(c.frames, f)
	}
	return c, nil
}

func (e *encoder) appendRequest(dst, batch []byte, partition, correlation int32) []byte {
	request := kmsg.NewProduceRequest()
	request.SetVersion(e.version)
	request.Acks = e.acks
	request.TimeoutMillis = 30_000
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = e.job.Topic
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition, part.Records = partition, batch
	topic.Partitions = append(topic.Partitions, part)
	request.Topics = append(request.Topics, topic)
	// The formatter writes the length at the start of what it is given.
	return append(dst, kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).AppendRequest(nil, &request, correlation)...)
}

// encodeBatch fills one batch with as many records as fit into the wanted size after compression, at least one.
func (e *encoder) encodeBatch(producer uint32, sequence uint64, rng *rand.Rand) ([]byte, frame, error) {
	count := e.records
	if count == 0 {
		// The pool's ratio and the batch's own differ a little; the loop below corrects.
		count = int(float64(e.batch) / (float64(e.job.Payload.ValueBytes) * e.ratio()))
	}
	count = max(1, count)
	var body, compressed []byte
	var raw int
	fits := func(n int) (bool, error) {
		body, raw = e.appendRecords(e.body[:0], producer, sequence, n, rng)
		e.body = body
		var err error
		if compressed, err = e.codec.Encode(body); err != nil {
			return false, fmt.Errorf("wire: %s: %w", e.codec.Name, err)
		}
		return batchHeaderBytes+len(compressed) <= e.batch, nil
	}
	for range 32 {
		ok, err := fits(count)
		if err != nil {
			return nil, frame{}, err
		}
		size := batchHeaderBytes + len(compressed)
		if ok && (e.records != 0 || size > e.batch*98/100 || e.room(size, count) == 0) {
			break
		}
		if !ok && count == 1 {
			break
		}
		if ok {
			count += e.room(size, count)
		} else {
			count -= max(1, (size-e.batch)*count/size+1)
		}
		count = max(1, count)
	}
	e.records = count
	f := frame{records: count, rawBytes: raw, rawRecord: len(body), encoded: len(compressed)}
	return e.header(compressed, count), f, nil
}

// room is how many more records of the present size would fit.
func (e *encoder) room(size, count int) int { return (e.batch - size) * count / size }

func (e *encoder) ratio() float64 {
	if e.codec.Number == 0 {
		return 1
	}
	return e.pool.Ratio
}

// appendRecords encodes records of sequences from first on. raw is their keys' and values' bytes.
func (e *encoder) appendRecords(dst []byte, producer uint32, first uint64, count int, rng *rand.Rand) (out []byte, raw int) {
	value := make([]byte, e.job.Payload.ValueBytes)
	var record []byte
	for i := range count {
		sequence := first + uint64(i)
		copy(value[scenarios.RecordOverheadBytes:], e.pool.Bodies[sequence%uint64(len(e.pool.Bodies))])
		loadgen.PutHeader(value, loadgen.ValueHeader{RunTag: e.job.RunTag, Producer: producer, Sequence: sequence, IntendedUnixNs: e.nowNs + int64(sequence)})
		record = append(record[:0], 0) // attributes
		record = binary.AppendVarint(record, 0)
		record = binary.AppendVarint(record, int64(i))
		if len(e.pool.Keys) > 0 {
			key := e.pool.Keys[rng.IntN(len(e.pool.Keys))]
			record = binary.AppendVarint(record, int64(len(key)))
			record = append(record, key...)
			raw += len(key)
		} else {
			record = binary.AppendVarint(record, -1)
		}
		record = binary.AppendVarint(record, int64(len(value)))
		record = append(record, value...)
		record = append(record, 0) // no headers
		raw += len(value)
		dst = binary.AppendVarint(dst, int64(len(record)))
		dst = append(dst, record...)
	}
	return dst, raw
}

// header puts the record batch header before the records:
//
//	 0 8 base offset   8 4 length       12 4 leader epoch  16 1 magic       17 4 CRC-32C of 21…
//	21 2 attributes   23 4 last delta   27 8 base time     35 8 max time    43 8 producer id
//	51 2 epoch        53 4 base sequence 57 4 records
func (e *encoder) header(records []byte, count int) []byte {
	b := make([]byte, batchHeaderBytes, batchHeaderBytes+len(records))
	b = append(b, records...)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[12:], 1<<32-1) // leader epoch -1
	b[16] = 2
	binary.BigEndian.PutUint16(b[21:], uint16(e.codec.Number))
	binary.BigEndian.PutUint32(b[23:], uint32(count-1))
	binary.BigEndian.PutUint64(b[27:], uint64(e.nowNs/1e6))
	binary.BigEndian.PutUint64(b[35:], uint64(e.nowNs/1e6))
	for i := 43; i < 57; i++ {
		b[i] = 0xFF // no producer id, epoch or sequence
	}
	binary.BigEndian.PutUint32(b[57:], uint32(count))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return b
}
