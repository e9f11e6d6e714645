package txn

import (
	"encoding/hex"
	"errors"
	"maps"
	"testing"

	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// TestRecordBytes holds the bytes to what Apache Kafka 4 writes for the same
// content (TransactionLogKey 0, TransactionLogValue 1).
func TestRecordBytes(t *testing.T) {
	begun := newTransaction("x", 7, 9)
	begun.Epoch, begun.timeoutMs = 1, 60_000
	busy := newTransaction("x", 7, 9)
	busy.Epoch, busy.timeoutMs, busy.state, busy.startMs, busy.version = 32767, 10, prepareCommit, 8, 2
	busy.previousID, busy.nextID = 7, 8
	busy.partitions[TopicPartition{"t", 1}] = struct{}{}
	busy.partitions[TopicPartition{"s", 0}] = struct{}{}
	busy.partitions[TopicPartition{"t", 0}] = struct{}{}
	for _, c := range []struct {
		name, value string
		t           *transaction
	}{
		{
			name: "Empty: version, id, epoch, timeout, state, no partitions, times, no tags",
			t:    begun,
			value: "0001" + "0000000000000007" + "0001" + "0000ea60" + "00" + "00" +
				"0000000000000009" + "ffffffffffffffff" + "00",
		},
		{
			name: "PrepareCommit: partitions by topic, and the tags 0 (previous id), 1 (next id), 2 (client's version)",
			t:    busy,
			value: "0001" + "0000000000000007" + "7fff" + "0000000a" + "02" +
				"03" + "0273" + "02" + "00000000" + "00" + "0274" + "03" + "00000000" + "00000001" + "00" +
				"0000000000000009" + "0000000000000008" +
				"03" + "0008" + "0000000000000007" + "0108" + "0000000000000008" + "0202" + "0002",
		},
	} {
		r := transactionRecord(c.t, 11)
		if got := hex.EncodeToString(r.Key); got != "0000"+"000178" {
			t.Errorf("%s: key %s", c.name, got)
		}
		if got := hex.EncodeToString(r.Value); got != c.value {
			t.Errorf("%s: value\n got %s\nwant %s", c.name, got, c.value)
		}
		if r.Timestamp != 11 {
			t.Errorf("%s: timestamp %d", c.name, r.Timestamp)
		}
	}
	if r := tombstone("x", 1); r.Value != nil || hex.EncodeToString(r.Key) != "0000"+"000178" {
		t.Errorf("a tombstone is %x: %x", r.Key, r.Value)
	}
}

// TestRoundTrip: what is stored comes back, but for lastEpoch, which is not stored.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := newTransaction(rapid.StringN(1, 20, -1).Draw(t, "id"), rapid.Int64Min(0).Draw(t, "producer id"), rapid.Int64().Draw(t, "updated"))
		want.Epoch, want.timeoutMs = rapid.Int16Min(0).Draw(t, "epoch"), rapid.Int32().Draw(t, "timeout")
		want.previousID, want.nextID = rapid.Int64Min(-1).Draw(t, "previous"), rapid.Int64Min(-1).Draw(t, "next")
		want.state = state(rapid.IntRange(0, int(completeAbort)).Draw(t, "state"))
		want.startMs, want.version = rapid.Int64().Draw(t, "start"), rapid.Int16Range(0, 2).Draw(t, "version")
		if want.state != empty {
			for range rapid.IntRange(0, 5).Draw(t, "partitions") {
				p := TopicPartition{rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "topic"), rapid.Int32().Draw(t, "partition")}
				want.partitions[p] = struct{}{}
			}
		}
		r := transactionRecord(want, 1)
		id, got, err := decodeRecord(r.Key, r.Value)
		if err != nil || id != want.transactionalID {
			t.Fatalf("%q: %v", id, err)
		}
		if !same(got, want) {
			t.Fatalf("%+v came back as %+v", want, got)
		}
	})
}

func same(a, b *transaction) bool {
	x, y := *a, *b
	x.lastEpoch, y.lastEpoch = 0, 0
	if !maps.Equal(x.partitions, y.partitions) {
		return false
	}
	x.partitions, y.partitions = nil, nil
	return x.transactionalID == y.transactionalID && x.Producer == y.Producer && x.previousID == y.previousID && x.nextID == y.nextID &&
		x.timeoutMs == y.timeoutMs && x.state == y.state && x.startMs == y.startMs && x.updatedMs == y.updatedMs && x.version == y.version
}

// TestRecordsOfOtherVersions: version 0 is read; what is unknown is skipped.
func TestRecordsOfOtherVersions(t *testing.T) {
	old := kmsg.NewTxnMetadataValue()
	old.ProducerID, old.ProducerEpoch, old.TimeoutMillis, old.State = 7, 3, 10, 1
	old.Topics = []kmsg.TxnMetadataValueTopic{{Topic: "t", Partitions: []int32{4}}}
	_, tx, err := decodeRecord(recordKey("x"), old.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	if tx.Producer != (Producer{7, 3}) || tx.state != ongoing || names(tx.sorted()) != "t-4" || tx.previousID != -1 || tx.nextID != -1 || tx.version != 0 {
		t.Errorf("read %+v", tx)
	}
	dead := kmsg.NewTxnMetadataValue()
	dead.State = 6
	negative := kmsg.NewTxnMetadataValue()
	negative.ProducerID = -1
	for _, c := range []struct {
		name       string
		key, value []byte
		unknown    bool
	}{
		{"a newer key", []byte{0, 1, 0, 1, 'x'}, nil, true},
		{"a newer value", recordKey("x"), []byte{0, 2, 0}, true},
		{"a state that is never stored", recordKey("x"), dead.AppendTo(nil), true},
		{"no key", nil, nil, false},
		{"a short key", []byte{0, 0, 0, 9, 'x'}, nil, false},
		{"no value version", recordKey("x"), []byte{0}, false},
		{"a short value", recordKey("x"), []byte{0, 1, 0}, false},
		{"no producer", recordKey("x"), negative.AppendTo(nil), false},
	} {
		_, _, err := decodeRecord(c.key, c.value)
		if err == nil || errors.Is(err, errUnknownRecord) != c.unknown {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// FuzzReplayRecords: no bytes of a record make the coordinator panic, and what
// it took in it can write again.
func FuzzReplayRecords(f *testing.F) {
	tx := newTransaction("x", 7, 9)
	tx.Epoch, tx.state = 1, ongoing
	tx.partitions[TopicPartition{"t", 1}] = struct{}{}
	whole := transactionRecord(tx, 1)
	f.Add(whole.Key, whole.Value, true)
	f.Add(whole.Key, []byte{}, false)
	f.Add([]byte{0, 9}, []byte(nil), true)
	f.Fuzz(func(t *testing.T, key, value []byte, present bool) {
		if !present {
			value = nil
		}
		s := newShard(0, new(settings), &memoryLog{})
		if s.replay(key, value) != nil {
			return
		}
		for id, tx := range s.transactions {
			tx.describe()
			r := transactionRecord(tx, 2)
			again, back, err := decodeRecord(r.Key, r.Value)
			if err != nil || again != id || !same(back, tx) {
				t.Fatalf("the transaction that was read cannot be written: %v", err)
			}
			st := step{nowMs: 3, nextProducerID: func() (int64, error) { return 99, nil }}
			if tx.preparing() {
				tx.complete(&st)
			} else if tx.state == ongoing {
				if err := tx.fence(&st); err != nil {
					t.Fatal(err)
				}
			}
			replayRecords(t, st.records)
		}
	})
}

// replayRecords reads records as a restart does.
func replayRecords(t *testing.T, records []record.Record) *shard {
	t.Helper()
	s := newShard(0, new(settings), &memoryLog{})
	for _, r := range records {
		if err := s.replay(r.Key, r.Value); err != nil {
			t.Fatal(err)
		}
	}
	return s
}
