//go:build faultinject

package partition

import (
	"fmt"
	"strings"
	"testing"

	"fluxmq/broker/commitlog/memfs"
	"fluxmq/broker/record"
)

// The fault is read once a process, so one test shows one kind; FLUXMQ_FAULT=duplicate-batch:3 shows the other.
func TestFaultDropsOrDoubles(t *testing.T) {
	fault := theFault()
	if fault == nil {
		if !strings.Contains(FaultNotice(), "not set") {
			t.Fatalf("notice: %q", FaultNotice())
		}
		t.Skip("FLUXMQ_FAULT is not set")
	}
	p := mustCreate(t, openWith(t, memfs.New(), FlushAcks), "t", 0, Config{})
	for i := range 9 {
		b := producedBatch(t, record.Builder{ProducerID: 1, BaseSequence: int32(i)}, 1, fmt.Sprint(i))
		if _, err := p.Append(b, AppendOptions{Acks: -1, CurrentLeaderEpoch: -1}); err != nil {
			t.Fatal(err)
		}
	}
	want := 9 + 9/int(fault.every)
	if fault.drop {
		want = 9 - 9/int(fault.every)
	}
	if got := readAll(t, p, 0, 1<<20); len(got) != want || want == 9 {
		t.Fatalf("%s: %d records of 9 stored, want %d", FaultNotice(), len(got), want)
	}
}
