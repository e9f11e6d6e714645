package protocol

// field is one field of a request as it lies on the wire. Shapes exist so
// that a body is walked, without allocating, before kmsg decodes it: kmsg
// allocates arrays from their declared counts.
type field struct {
	kind kind
	// size is the width in bytes of a fixed field.
	size int8
	// from and to are the versions that have the field, inclusive.
	from, to int16
	// nullFrom is the first version that may send null.
	nullFrom int16
	// of are the fields of an array's or structure's elements.
	of []field
}

type kind int8

const (
	fixed     kind = iota // size bytes
	text                  // 2-byte or compact length
	blob                  // 4-byte or compact length
	array                 // elements are structures, with tags of their own in flexible versions
	list                  // elements are single fields, without tags
	structure             // a nullable structure: int8 -1, or 1 and the fields
)

// The vocabulary of the table below.
var (
	i8     = field{kind: fixed, size: 1, to: never, nullFrom: never}
	i16    = field{kind: fixed, size: 2, to: never, nullFrom: never}
	i32    = field{kind: fixed, size: 4, to: never, nullFrom: never}
	i64    = field{kind: fixed, size: 8, to: never, nullFrom: never}
	uuid   = field{kind: fixed, size: 16, to: never, nullFrom: never}
	str    = field{kind: text, to: never, nullFrom: never}
	octets = field{kind: blob, to: never, nullFrom: never}
)

// What StreamsGroupHeartbeat has more than once.
var (
	internalTopic = []field{str, i32, i16, arrayOf(str, str)}
	tasks         = arrayOf(str, listOf(i32)).nullable(0)
)

func arrayOf(of ...field) field { return field{kind: array, to: never, nullFrom: never, of: of} }
func listOf(of field) field     { return field{kind: list, to: never, nullFrom: never, of: []field{of}} }
func maybe(of ...field) field   { return field{kind: structure, to: never, nullFrom: 0, of: of} }

func (f field) since(v int16) field    { f.from = v; return f }
func (f field) until(v int16) field    { f.to = v; return f }
func (f field) nullable(v int16) field { f.nullFrom = v; return f }

// requestShapes holds, by key, the shape of every advertised request except Produce
// and Fetch, which have decoders of their own. From Kafka's message
// definitions; a test holds it against kmsg at every version.
var requestShapes = [MaxKey + 1][]field{
	KeyListOffsets: {
		i32, i8.since(2),
		arrayOf(str, arrayOf(i32, i32.since(4), i64)),
		i32.since(10),
	},
	KeyMetadata: {
		arrayOf(uuid.since(10), str.nullable(10)).nullable(1),
		i8.since(4), i8.since(8).until(10), i8.since(8),
	},
	KeyOffsetCommit: {
		str, i32, str, str.since(7).nullable(7), i64.since(2).until(4),
		arrayOf(str.until(9), uuid.since(10), arrayOf(i32, i64, i32.since(6), str.nullable(0))),
	},
	KeyOffsetFetch: {
		str.until(7), arrayOf(str, listOf(i32)).until(7).nullable(2),
		arrayOf(
			str, str.since(9).nullable(9), i32.since(9),
			arrayOf(str.until(9), uuid.since(10), listOf(i32)).nullable(8),
		).since(8),
		i8.since(7),
	},
	KeyFindCoordinator: {str.until(3), i8.since(1), listOf(str).since(4)},
	KeyJoinGroup: {
		str, i32, i32.since(1), str, str.since(5).nullable(5), str,
		arrayOf(str, octets), str.since(8).nullable(8),
	},
	KeyHeartbeat:  {str, i32, str, str.since(3).nullable(3)},
	KeyLeaveGroup: {str, str.until(2), arrayOf(str, str.nullable(3), str.since(5).nullable(5)).since(3)},
	KeySyncGroup: {
		str, i32, str, str.since(3).nullable(3), str.since(5).nullable(5), str.since(5).nullable(5),
		arrayOf(str, octets),
	},
	KeyDescribeGroups: {listOf(str), i8.since(3)},
	KeyListGroups:     {listOf(str).since(4), listOf(str).since(5)},
	KeyApiVersions:    {str.since(3), str.since(3)},
	KeyCreateTopics: {
		arrayOf(str, i32, i16, arrayOf(i32, listOf(i32)), arrayOf(str, str.nullable(0))),
		i32, i8.since(1),
	},
	KeyDeleteTopics:         {arrayOf(str.nullable(6), uuid).since(6), listOf(str).until(5), i32},
	KeyDeleteRecords:        {arrayOf(str, arrayOf(i32, i64)), i32},
	KeyInitProducerID:       {str.nullable(0), i32, i64.since(3), i16.since(3)},
	KeyOffsetForLeaderEpoch: {i32.since(3), arrayOf(str, arrayOf(i32, i32.since(2), i32))},
	KeyAddPartitionsToTxn: {
		arrayOf(str, i64, i16, i8, arrayOf(str, listOf(i32))).since(4),
		str.until(3), i64.until(3), i16.until(3), arrayOf(str, listOf(i32)).until(3),
	},
	KeyAddOffsetsToTxn: {str, i64, i16, str},
	KeyEndTxn:          {str, i64, i16, i8},
	KeyWriteTxnMarkers: {arrayOf(i64, i16, i8, arrayOf(str, listOf(i32)), i32, i8.since(2))},
	KeyTxnOffsetCommit: {
		str, str, i64, i16, i32.since(3), str.since(3), str.since(3).nullable(3),
		arrayOf(str, arrayOf(i32, i64, i32.since(2), str.nullable(0))),
	},
	KeyDescribeConfigs:         {arrayOf(i8, str, listOf(str).nullable(0)), i8.since(1), i8.since(3)},
	KeyAlterConfigs:            {arrayOf(i8, str, arrayOf(str, str.nullable(0))), i8},
	KeyDescribeLogDirs:         {arrayOf(str, listOf(i32)).nullable(0)},
	KeyCreatePartitions:        {arrayOf(str, i32, arrayOf(listOf(i32)).nullable(0)), i32, i8},
	KeyDeleteGroups:            {listOf(str)},
	KeyIncrementalAlterConfigs: {arrayOf(i8, str, arrayOf(str, i8, str.nullable(0))), i8},
	KeyOffsetDelete:            {str, arrayOf(str, arrayOf(i32))},
	KeyDescribeClientQuotas:    {arrayOf(str, i8, str.nullable(0)), i8},
	KeyAlterClientQuotas:       {arrayOf(arrayOf(str, str.nullable(0)), arrayOf(str, i64, i8)), i8},
	KeyDescribeCluster:         {i8, i8.since(1), i8.since(2)},
	KeyDescribeProducers:       {arrayOf(str, listOf(i32))},
	KeyDescribeTransactions:    {listOf(str)},
	KeyListTransactions:        {listOf(str), listOf(i64), i64.since(1), str.since(2).nullable(2)},
	KeyConsumerGroupHeartbeat: {
		str, str, i32, str.nullable(0), str.nullable(0), i32, listOf(str).nullable(0), str.since(1).nullable(1),
		str.nullable(0), arrayOf(uuid, listOf(i32)).nullable(0),
	},
	KeyConsumerGroupDescribe:   {listOf(str), i8},
	KeyDescribeTopicPartitions: {arrayOf(str), i32, maybe(str, i32)},

	// Administration of a cluster, and client metrics.
	KeyDescribeACLs:                 {i8, str.nullable(0), i8.since(1), str.nullable(0), str.nullable(0), i8, i8},
	KeyCreateACLs:                   {arrayOf(i8, str, i8.since(1), str, str, i8, i8)},
	KeyDeleteACLs:                   {arrayOf(i8, str.nullable(0), i8.since(1), str.nullable(0), str.nullable(0), i8, i8)},
	KeyAlterReplicaLogDirs:          {arrayOf(str, arrayOf(str, listOf(i32)))},
	KeyElectLeaders:                 {i8.since(1), arrayOf(str, listOf(i32)).nullable(0), i32},
	KeyAlterPartitionReassignments:  {i32, i8.since(1), arrayOf(str, arrayOf(i32, listOf(i32).nullable(0)))},
	KeyListPartitionReassignments:   {i32, arrayOf(str, listOf(i32)).nullable(0)},
	KeyDescribeUserScramCredentials: {arrayOf(str).nullable(0)},
	KeyDescribeQuorum:               {arrayOf(str, arrayOf(i32))},
	KeyUpdateFeatures:               {i32, arrayOf(str, i16, i8.until(0), i8.since(1)), i8.since(1)},
	KeyGetTelemetrySubscriptions:    {uuid},
	KeyPushTelemetry:                {uuid, i32, i8, i8, octets},
	KeyListConfigResources:          {listOf(i8).since(1)},

	// Share groups.
	KeyShareGroupHeartbeat: {str, str, i32, str.nullable(0), listOf(str).nullable(0)},
	KeyShareGroupDescribe:  {listOf(str), i8},
	KeyShareFetch: {
		str.nullable(0), str.nullable(0), i32, i32, i32, i32, i32.since(1), i32.since(1), i8.since(2), i8.since(2),
		arrayOf(uuid, arrayOf(i32, i32.until(0), arrayOf(i64, i64, listOf(i8)))),
		arrayOf(uuid, listOf(i32)),
	},
	KeyShareAcknowledge: {
		str.nullable(0), str.nullable(0), i32, i8.since(2),
		arrayOf(uuid, arrayOf(i32, arrayOf(i64, i64, listOf(i8)))),
	},
	KeyInitializeShareGroupState: {str, arrayOf(uuid, arrayOf(i32, i32, i64))},
	KeyReadShareGroupState:       {str, arrayOf(uuid, arrayOf(i32, i32))},
	KeyWriteShareGroupState:      {str, arrayOf(uuid, arrayOf(i32, i32, i32, i64, i32.since(1), arrayOf(i64, i64, i8, i16)))},
	KeyDeleteShareGroupState:     {str, arrayOf(uuid, arrayOf(i32))},
	KeyReadShareGroupSummary:     {str, arrayOf(uuid, arrayOf(i32, i32))},
	KeyStreamsGroupHeartbeat: {
		str, str, i32, i32, str.nullable(0), str.nullable(0), i32,
		maybe(i32, arrayOf(
			str, listOf(str), listOf(str), arrayOf(internalTopic...), listOf(str), arrayOf(internalTopic...),
			arrayOf(listOf(i16), listOf(i16), listOf(i16)),
		)),
		tasks, tasks, tasks, str.nullable(0), maybe(str, i16), arrayOf(str, str).nullable(0),
		arrayOf(str, i32, i64).nullable(0), arrayOf(str, i32, i64).nullable(0), i8,
	},
	KeyStreamsGroupDescribe:      {listOf(str), i8},
	KeyDescribeShareGroupOffsets: {arrayOf(str, arrayOf(str, listOf(i32)).nullable(0))},
	KeyAlterShareGroupOffsets:    {str, arrayOf(str, arrayOf(i32, i64))},
	KeyDeleteShareGroupOffsets:   {str, arrayOf(str)},
}

// maxElements bounds the array elements and tags of one control-plane request.
// An element may be 1 byte on the wire and 100 decoded; a request for every
// partition of a large broker has a tenth of this.
const maxElements = 1 << 20

// checkShape walks body as a request of that key and version. ErrMalformed
// unless body holds it whole and it has no more than maxElements. Bytes behind
// it are ignored, as in Kafka: librdkafka 2.16 sends Metadata version 13 for
// all topics with three of them.
func checkShape(key, version int16, body []byte) error {
	shape := requestShapes[key]
	if shape == nil {
		return ErrMalformed
	}
	w := shapeWalker{reader: reader{left: body}, version: version, flexible: flexible(key, version), budget: maxElements}
	w.fields(shape)
	w.tags()
	if w.failed {
		return ErrMalformed
	}
	return nil
}

type shapeWalker struct {
	reader
	version  int16
	flexible bool
	budget   int
}

func (w *shapeWalker) fields(shape []field) {
	for i := range shape {
		if w.failed {
			return
		}
		if f := &shape[i]; f.from <= w.version && w.version <= f.to {
			w.one(f)
		}
	}
}

func (w *shapeWalker) one(f *field) {
	isNull := false
	switch f.kind {
	case fixed:
		w.span(int(f.size))
	case text:
		isNull = w.text(w.flexible) == nil
	case blob:
		isNull = w.blob(w.flexible) == nil
	case structure:
		if presence := w.int8(); presence >= 0 {
			w.fields(f.of)
			w.tags()
		} else {
			isNull = true
		}
	case array, list:
		n := w.count(w.flexible, 1)
		isNull = n < 0
		w.spend(n)
		for i := 0; i < n && !w.failed; i++ {
			w.fields(f.of)
			if f.kind == array {
				w.tags()
			}
		}
	}
	if isNull && w.version < f.nullFrom {
		w.fail()
	}
}

func (w *shapeWalker) tags() {
	if !w.flexible {
		return
	}
	n := w.uvarint()
	if uint64(n) > uint64(len(w.left)) {
		w.fail()
	}
	w.spend(int(n))
	for ; n > 0 && !w.failed; n-- {
		w.tag()
	}
}

func (w *shapeWalker) spend(n int) {
	if w.budget -= max(n, 0); w.budget < 0 {
		w.fail()
	}
}
