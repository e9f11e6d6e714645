package commitlog_test

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fluxmq/broker/commitlog"
)

// heldFS holds the first rename of a producer snapshot until release is closed.
type heldFS struct {
	commitlog.FS
	once             sync.Once
	reached, release chan struct{}
}

func (f *heldFS) Rename(from, to string) error {
	if strings.HasSuffix(to, ".snapshot") {
		f.once.Do(func() {
			close(f.reached)
			<-f.release
		})
	}
	return f.FS.Rename(from, to)
}

// TestRetentionOfASegmentThatIsBeingSealed: both write the snapshot behind it.
func TestRetentionOfASegmentThatIsBeingSealed(t *testing.T) {
	f := &heldFS{FS: commitlog.OS{}, reached: make(chan struct{}), release: make(chan struct{})}
	cfg := commitlog.Config{SegmentBytes: 2000, IndexIntervalBytes: 500, DeleteOld: true, RetentionBytes: 500}
	l := open(t, commitlog.Options{Dir: filepath.Join(t.TempDir(), "t-0"), Config: cfg, Files: commitlog.NewFiles(2), FS: f})
	for i := int64(0); l.Offsets().LogEnd < 8; i++ { // one segment is full
		appendTo(t, l, build(t, plain, i, 1, 300))
	}
	sealed, retained := make(chan error, 1), make(chan error, 1)
	go func() { sealed <- l.Seal() }() // both awaited below
	select {
	case <-f.reached:
	case err := <-sealed:
		t.Fatalf("nothing was sealed: %v", err)
	}
	go func() { _, err := l.Retain(l.Offsets().LogEnd); retained <- err }()
	select {
	case err := <-retained:
		retained <- err
	case <-time.After(100 * time.Millisecond): // it waits for Seal, as it should
	}
	close(f.release)
	if err := <-sealed; err != nil {
		t.Errorf("seal: %v", err)
	}
	if err := <-retained; err != nil {
		t.Errorf("retain: %v", err)
	}
	if o := l.Offsets(); o.LogStart == 0 {
		t.Error("retention took nothing")
	}
	appendTo(t, l, build(t, plain, 8, 1, 300))
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
