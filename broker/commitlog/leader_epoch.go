package commitlog

import (
	"fmt"
	"sort"
)

// leaderEpochFile is Kafka's name of the checkpoint in a partition's directory.
const leaderEpochFile = "leader-epoch-checkpoint"

type epochEntry struct {
	epoch int32
	start int64 // the first offset written in that epoch
}

// epochCache says where each leader epoch began; sorted by both fields.
// Guarded by Log.mu.
type epochCache struct {
	entries []epochEntry
	dirty   bool // differs from the file
}

func (c *epochCache) latest() int32 {
	if len(c.entries) == 0 {
		return -1
	}
	return c.entries[len(c.entries)-1].epoch
}

// assign notes that epoch begins at start. An older or equal epoch changes
// nothing; entries that start at or after it had no records and go.
func (c *epochCache) assign(epoch int32, start int64) {
	if epoch < 0 || epoch <= c.latest() {
		return
	}
	c.truncate(start)
	c.entries = append(c.entries, epochEntry{epoch, start})
	c.dirty = true
}

// truncate forgets epochs that begin at or after end.
func (c *epochCache) truncate(end int64) {
	n := sort.Search(len(c.entries), func(i int) bool { return c.entries[i].start >= end })
	if n < len(c.entries) {
		c.entries, c.dirty = c.entries[:n], true
	}
}

// trim forgets epochs that ended at or before the log start offset; the one
// that is current there begins there now.
func (c *epochCache) trim(logStart int64) {
	n := sort.Search(len(c.entries), func(i int) bool { return c.entries[i].start > logStart })
	if n == 0 {
		return
	}
	if n > 1 || c.entries[0].start < logStart {
		c.entries = append(c.entries[:0:0], c.entries[n-1:]...)
		c.entries[0].start = logStart
		c.dirty = true
	}
}

// end answers OffsetForLeaderEpoch: the largest epoch not above the asked one
// and the offset where it ended; (-1, -1) when the log cannot tell.
func (c *epochCache) end(epoch int32, logEnd int64) (int32, int64) {
	if epoch < 0 || epoch > c.latest() {
		return -1, -1
	}
	if epoch == c.latest() {
		return epoch, logEnd
	}
	n := sort.Search(len(c.entries), func(i int) bool { return c.entries[i].epoch > epoch })
	if n == 0 {
		// KIP-101: older than all we know: it ended where the first we know began.
		return epoch, c.entries[0].start
	}
	return c.entries[n-1].epoch, c.entries[n].start
}

func (c *epochCache) encode() []byte {
	lines := make([]string, len(c.entries))
	for i, e := range c.entries {
		lines[i] = fmt.Sprintf("%d %d", e.epoch, e.start)
	}
	return checkpointBytes(lines)
}

func readEpochs(fsys FS, name string) ([]epochEntry, error) {
	lines, err := readCheckpoint(fsys, name)
	if err != nil {
		return nil, err
	}
	var entries []epochEntry
	for _, l := range lines {
		var e epochEntry
		if _, err := fmt.Sscanf(l, "%d %d", &e.epoch, &e.start); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", name, l, err)
		}
		if n := len(entries); e.epoch < 0 || e.start < 0 || n > 0 && (e.epoch <= entries[n-1].epoch || e.start < entries[n-1].start) {
			return nil, fmt.Errorf("%s: %q is out of order", name, l)
		}
		entries = append(entries, e)
	}
	return entries, nil
}
