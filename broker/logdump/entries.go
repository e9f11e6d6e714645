package logdump

// Entry is one of the types of this file; each has a Kind, so that a stream of
// mixed entries can be told apart.
type Entry interface{ entry() }

// File comes before the entries of a file.
type File struct {
	Kind       string `json:"kind"` // "file"
	Path       string `json:"path"`
	Contents   string `json:"contents"`             // log, index, timeindex, txnindex, snapshot, leader-epochs
	BaseOffset *int64 `json:"baseOffset,omitempty"` // of the segment that the name says
}

// Batch is one record batch.
type Batch struct {
	Kind                 string `json:"kind"` // "batch"
	BaseOffset           int64  `json:"baseOffset"`
	LastOffset           int64  `json:"lastOffset"`
	Count                int32  `json:"count"`
	BaseSequence         int32  `json:"baseSequence"`
	LastSequence         int32  `json:"lastSequence"`
	ProducerID           int64  `json:"producerId"`
	ProducerEpoch        int16  `json:"producerEpoch"`
	PartitionLeaderEpoch int32  `json:"partitionLeaderEpoch"`
	IsTransactional      bool   `json:"isTransactional"`
	IsControl            bool   `json:"isControl"`
	DeleteHorizonMs      *int64 `json:"deleteHorizonMs"`
	Position             int64  `json:"position"`
	TimestampType        string `json:"timestampType"` // CreateTime or LogAppendTime
	MaxTimestampMs       int64  `json:"maxTimestampMs"`
	SizeBytes            int64  `json:"sizeBytes"`
	Magic                int8   `json:"magic"`
	Compression          string `json:"compression"`
	CRC                  uint32 `json:"crc"`
	IsValid              bool   `json:"isValid"`
}

// Record is one record of the batch before it.
type Record struct {
	Kind        string   `json:"kind"` // "record"
	Offset      int64    `json:"offset"`
	TimestampMs int64    `json:"timestampMs"`
	KeySize     int      `json:"keySize"`   // -1: null
	ValueSize   int      `json:"valueSize"` // -1: null
	Sequence    int32    `json:"sequence"`
	HeaderKeys  []string `json:"headerKeys"`
	// Control is the type of a control record: COMMIT, ABORT, LEADER_CHANGE …
	Control          string `json:"control,omitempty"`
	CoordinatorEpoch *int32 `json:"coordinatorEpoch,omitempty"` // of COMMIT and ABORT

	// Key, Value and Headers are valid during the visit; whoever prints decides how.
	Key     []byte   `json:"-"`
	Value   []byte   `json:"-"`
	Headers []Header `json:"-"`
}

// Header is one header of a record.
type Header struct {
	Key   string
	Value []byte // nil: null
}

// IndexEntry is one entry of an offset index.
type IndexEntry struct {
	Kind     string `json:"kind"` // "index"
	Offset   int64  `json:"offset"`
	Position int64  `json:"position"`
}

// TimeIndexEntry is one entry of a time index.
type TimeIndexEntry struct {
	Kind        string `json:"kind"` // "timeindex"
	TimestampMs int64  `json:"timestampMs"`
	Offset      int64  `json:"offset"`
}

// AbortedTransaction is one entry of a transaction index.
type AbortedTransaction struct {
	Kind             string `json:"kind"` // "txnindex"
	Version          int16  `json:"version"`
	ProducerID       int64  `json:"producerId"`
	FirstOffset      int64  `json:"firstOffset"`
	LastOffset       int64  `json:"lastOffset"`
	LastStableOffset int64  `json:"lastStableOffset"`
}

// Producer is one entry of a producer snapshot.
type Producer struct {
	Kind                  string `json:"kind"` // "producer"
	ProducerID            int64  `json:"producerId"`
	ProducerEpoch         int16  `json:"producerEpoch"`
	CoordinatorEpoch      int32  `json:"coordinatorEpoch"`
	CurrentTxnFirstOffset int64  `json:"currentTxnFirstOffset"` // -1: none is open
	FirstSequence         int32  `json:"firstSequence"`
	LastSequence          int32  `json:"lastSequence"`
	LastOffset            int64  `json:"lastOffset"`
	OffsetDelta           int32  `json:"offsetDelta"`
	TimestampMs           int64  `json:"timestampMs"`
}

// LeaderEpoch says where a leader epoch began.
type LeaderEpoch struct {
	Kind        string `json:"kind"` // "leader-epoch"
	Epoch       int32  `json:"epoch"`
	StartOffset int64  `json:"startOffset"`
}

// Tail is what follows the last whole batch.
type Tail struct {
	Kind      string `json:"kind"` // "tail"
	Position  int64  `json:"position"`
	SizeBytes int64  `json:"sizeBytes"`
	Zeros     bool   `json:"zeros"` // preallocated, unused
}

// Problem is something that is not as a log should be.
type Problem struct {
	Kind     string `json:"kind"` // "problem"
	Path     string `json:"path"`
	Position *int64 `json:"position,omitempty"`
	Problem  string `json:"problem"`
}

func (File) entry()               {}
func (Batch) entry()              {}
func (Record) entry()             {}
func (IndexEntry) entry()         {}
func (TimeIndexEntry) entry()     {}
func (AbortedTransaction) entry() {}
func (Producer) entry()           {}
func (LeaderEpoch) entry()        {}
func (Tail) entry()               {}
func (Problem) entry()            {}
