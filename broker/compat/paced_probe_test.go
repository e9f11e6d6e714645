package compat

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

const probeEvery = 2 * time.Millisecond

// pacedProbe produces one record each probeEvery to the topic "beside" and takes
// latencies from the intended times, whatever the client does in between.
type pacedProbe struct {
	client *kgo.Client
	cancel context.CancelFunc
	ended  chan struct{}

	mutex  sync.Mutex
	window *hdrhistogram.Histogram // of the records intended from now on, nil: they count nowhere
}

// startProbe starts one; stop ends it.
func startProbe(t *testing.T, addr string) *pacedProbe {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("beside"), kgo.ProducerLinger(0))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p := &pacedProbe{client: client, cancel: cancel, ended: make(chan struct{})}
	go p.run(ctx, t) // stop waits for it
	return p
}

func (p *pacedProbe) run(ctx context.Context, t *testing.T) {
	defer close(p.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for intended := time.Now(); ; intended = intended.Add(probeEvery) {
		timer.Reset(time.Until(intended))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		p.mutex.Lock()
		window := p.window
		p.mutex.Unlock()
		p.client.Produce(t.Context(), kgo.SliceRecord(make([]byte, 100)), func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
			if window == nil {
				return
			}
			p.mutex.Lock()
			defer p.mutex.Unlock()
			_ = window.RecordValue(min(int64(time.Since(intended)), int64(time.Minute))) // in range
		})
	}
}

// open begins a window of nanoseconds; it may be read once stop has returned.
func (p *pacedProbe) open() *hdrhistogram.Histogram {
	h := hdrhistogram.New(1, int64(time.Minute), 3)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.window = h
	return h
}

// close ends the window.
func (p *pacedProbe) close() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.window = nil
}

// stop returns when all that was sent is answered.
func (p *pacedProbe) stop(t *testing.T) {
	p.cancel()
	<-p.ended
	if err := p.client.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	p.client.Close()
}
