//go:build faultinject

package record

import (
	"bytes"
	"fmt"
	"testing"
)

func TestFaultBatchWithoutItsLastRecords(t *testing.T) {
	for codec := None; codec <= Zstd; codec++ {
		t.Run(codec.String(), func(t *testing.T) {
			var records []Record
			for i := range 10 {
				// The last one is the newest.
				records = append(records, Record{
					Timestamp: 1_000 + int64(i), Key: fmt.Append(nil, i), Value: bytes.Repeat([]byte{'a' + byte(i)}, 200),
					Headers: []Header{{Key: "h", Value: []byte("v")}},
				})
			}
			whole, err := Builder{Codec: codec, ProducerID: 7, ProducerEpoch: 2, BaseSequence: 30}.Build(records)
			if err != nil {
				t.Fatal(err)
			}
			for n := int32(1); n < 10; n++ {
				rest, err := whole.WithoutLast(n)
				if err != nil {
					t.Fatal(err)
				}
				want := rest.CRC()
				if err := Validate(rest, ValidateFull); err != nil {
					t.Fatalf("without %d: %v", n, err)
				}
				// Validate would have put a wrong max timestamp right.
				if rest.CRC() != want || rest.MaxTimestamp() != 1_009-int64(n) || rest.Count() != 10-n || rest.Codec() != codec ||
					rest.ProducerID() != 7 || rest.ProducerEpoch() != 2 || rest.BaseSequence() != 30 || rest.BaseTimestamp() != 1_000 {
					t.Fatalf("without %d: the header is % x", n, rest[:HeaderSize])
				}
				at := 0
				err = Records(rest, 1<<20, func(r Record) error {
					if !bytes.Equal(r.Value, records[at].Value) || !bytes.Equal(r.Key, records[at].Key) || r.Timestamp != records[at].Timestamp || len(r.Headers) != 1 {
						t.Errorf("without %d: record %d is %+v", n, at, r)
					}
					at++
					return nil
				})
				if err != nil || at != int(10-n) {
					t.Fatalf("without %d: %d records, %v", n, at, err)
				}
			}
			for _, n := range []int32{-1, 0, 10, 11} {
				if _, err := whole.WithoutLast(n); err == nil {
					t.Errorf("%d of 10 were left out", n)
				}
			}
			whole.SetLogAppendTime(5_000)
			if rest, err := whole.WithoutLast(1); err != nil || rest.MaxTimestamp() != 5_000 || ValidateInternal(rest, ValidateFull) != nil {
				t.Fatalf("with LogAppendTime: %d, %v", rest.MaxTimestamp(), err)
			}
		})
	}
}
