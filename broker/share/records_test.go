package share

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"fluxmq/broker/record"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var exampleKey = Key{Group: "g", Topic: [16]byte{0x74}, Partition: 3}

const exampleKeyHex = "000167" + "74000000000000000000000000000000" + "00000003"

func hexOf(words ...string) string { return strings.ReplaceAll(strings.Join(words, ""), " ", "") }

// TestRecordBytes holds the bytes to what Apache Kafka 4.3 writes for the same
// content (ShareSnapshot and ShareUpdate version 0).
func TestRecordBytes(t *testing.T) {
	for _, c := range []struct {
		name       string
		record     record.Record
		key, value string
	}{
		{
			"a new state",
			snapshotRecord(exampleKey, &stored{State: State{Epoch: 1, Start: -1, Complete: -1}, createdMs: 1000, writtenMs: 1000}, 1000),
			"0000" + exampleKeyHex,
			hexOf("0000 00000000 00000001 00000000 ffffffffffffffff 00000000000003e8 00000000000003e8 01 00"),
		},
		{
			"a whole state, with the count of finished records as tagged field",
			snapshotRecord(exampleKey, &stored{
				State:         State{Epoch: 2, LeaderEpoch: 4, Start: 10, Complete: 5, Batches: []Batch{{10, 19, Available, 1}, {20, 29, Acknowledged, 3}}},
				snapshotEpoch: 3, createdMs: 1000, writtenMs: 2000,
			}, 2000),
			"0000" + exampleKeyHex,
			hexOf("0000 00000003 00000002 00000004 000000000000000a 00000000000003e8 00000000000007d0 03",
				"000000000000000a 0000000000000013 00 0001 00", "0000000000000014 000000000000001d 02 0003 00", "01 00 04 00000005"),
		},
		{
			"a change",
			updateRecord(exampleKey, &stored{State: State{LeaderEpoch: 4, Start: 12, Complete: -1}, snapshotEpoch: 3}, []Batch{{12, 15, Available, 1}}, 1),
			"0001" + exampleKeyHex,
			hexOf("0000 00000003 00000004 000000000000000c 02 000000000000000c 000000000000000f 00 0001 00 00"),
		},
		{"a key that goes", tombstone(exampleKey, 1), "0000" + exampleKeyHex, ""},
	} {
		if got := hex.EncodeToString(c.record.Key); got != c.key {
			t.Errorf("%s: key\n got %s\nwant %s", c.name, got, c.key)
		}
		if got := hex.EncodeToString(c.record.Value); got != c.value || (c.record.Value == nil) != (c.value == "") {
			t.Errorf("%s: value\n got %s\nwant %s", c.name, got, c.value)
		}
	}
}

// someStored draws a state that a shard may hold.
func someStored(t *rapid.T) (Key, *stored) {
	k := Key{Group: rapid.StringN(1, 20, 100).Draw(t, "group"), Partition: rapid.Int32Range(0, 100).Draw(t, "partition")}
	k.Topic[3] = rapid.Byte().Draw(t, "topic")
	st := &stored{snapshotEpoch: rapid.Int32Range(0, 9).Draw(t, "snapshot epoch"), createdMs: 7, writtenMs: 9}
	st.Epoch, st.LeaderEpoch = rapid.Int32Range(0, 9).Draw(t, "epoch"), rapid.Int32Range(0, 9).Draw(t, "leader epoch")
	st.Start, st.Complete = rapid.Int64Range(-1, 40).Draw(t, "start"), rapid.Int32Range(-1, 40).Draw(t, "complete")
	st.Batches = combine(st.Start, nil, someBatches(t, 6))
	return k, st
}

func TestRecordsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, st := someStored(t)
		whole := snapshotRecord(k, st, 1)
		r, err := decodeRecord(whole.Key, whole.Value)
		if err != nil || !r.present || r.kind != snapshotKey || r.key != k {
			t.Fatalf("read back as %+v: %v", r, err)
		}
		if r.createdMs != 7 || r.writtenMs != 9 || r.snapshotEpoch != st.snapshotEpoch || !cmp.Equal(r.state.Batches, st.Batches, equateEmpty) {
			t.Fatalf("%+v was read back as %+v", st, r)
		}
		if r.state.Batches = st.Batches; !cmp.Equal(r.state, st.State, equateEmpty) {
			t.Fatalf("%+v was read back as %+v", st, r)
		}
		part := updateRecord(k, st, st.Batches, 1)
		r, err = decodeRecord(part.Key, part.Value)
		if err != nil || r.kind != updateKey || r.key != k || r.state.Start != st.Start || r.state.Complete != st.Complete || r.state.LeaderEpoch != st.LeaderEpoch {
			t.Fatalf("%+v was read back as %+v: %v", st, r, err)
		}
		for _, one := range []record.Record{whole, part} {
			for _, size := range []int{0, len(one.Value) / 2, len(one.Value) - 1} {
				if _, err := decodeRecord(one.Key, one.Value[:size]); err == nil || errors.Is(err, errUnknownRecord) {
					t.Fatalf("%d of %d bytes: %v", size, len(one.Value), err)
				}
			}
			if _, err := decodeRecord(one.Key[:len(one.Key)-1], one.Value); err == nil {
				t.Fatal("a key that is cut short is read")
			}
		}
	})
}

// equateEmpty: a list that is empty and one that is not there are the same.
var equateEmpty = cmp.FilterValues(func(a, b []Batch) bool { return len(a) == 0 && len(b) == 0 }, cmp.Comparer(func(a, b []Batch) bool { return true }))

func TestForeignRecords(t *testing.T) {
	batch := func(text string) []byte {
		b, err := hex.DecodeString(hexOf("0000 00000003 00000004 000000000000000c 02", text, "00"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	update := recordKey(updateKey, exampleKey)
	for _, c := range []struct {
		name       string
		key, value []byte
		unknown    bool
	}{
		{"no key", nil, nil, false},
		{"another kind", recordKey(9, exampleKey), nil, true},
		{"a later value version", update, []byte{0, 1, 0}, true},
		{"an empty value", update, []byte{}, false},
		{"a batch that ends before it begins", update, batch("000000000000000c 000000000000000b 00 0001 00"), false},
		{"a batch of no offset", update, batch("ffffffffffffffff 000000000000000b 00 0001 00"), false},
		{"a state that is not stored", update, batch("000000000000000c 000000000000000f 01 0001 00"), false},
		{"a count below zero", update, batch("000000000000000c 000000000000000f 00 ffff 00"), false},
	} {
		if r, err := decodeRecord(c.key, c.value); err == nil || errors.Is(err, errUnknownRecord) != c.unknown {
			t.Errorf("%s: %+v, %v", c.name, r, err)
		}
	}
	if r, err := decodeRecord(update, batch("000000000000000c 000000000000000f 00 0001 01 07 02 ffff")); err != nil || len(r.state.Batches) != 1 {
		t.Errorf("a tagged field of a later Kafka: %+v, %v", r, err)
	}
}

// FuzzDecodeRecord: no bytes make the decoder panic, and what it takes it can
// write again and read as the same.
func FuzzDecodeRecord(f *testing.F) {
	example := &stored{State: State{Epoch: 2, LeaderEpoch: 4, Start: 10, Complete: 5, Batches: []Batch{{10, 19, Available, 1}, {20, 29, Acknowledged, 3}}}}
	for _, r := range []record.Record{snapshotRecord(exampleKey, example, 1), updateRecord(exampleKey, example, example.Batches, 1), tombstone(exampleKey, 1)} {
		f.Add(r.Key, r.Value)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r, err := decodeRecord(key, value)
		if err != nil || !r.present || r.kind != snapshotKey {
			return
		}
		st := &stored{State: r.state, snapshotEpoch: r.snapshotEpoch, createdMs: r.createdMs, writtenMs: r.writtenMs}
		written := snapshotRecord(r.key, st, 1)
		again, err := decodeRecord(written.Key, written.Value)
		if err != nil || again.key != r.key || !cmp.Equal(again.state, r.state, equateEmpty) {
			t.Fatalf("%+v became %+v: %v", r, again, err)
		}
		combine(r.state.Start, nil, r.state.Batches)
	})
}
