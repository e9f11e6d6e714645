package kfake

import "sync"

// byData are the brokers that run, by the folder of their data. The fake holds
// no lock on its folder, and its tests of a crash start a second one beside
// the first, which they never close. Here the first is killed for that.
type byData struct {
	mu      sync.Mutex // guards brokers
	brokers map[string]*Cluster
}

var running = byData{brokers: map[string]*Cluster{}}

// takeOver makes c the broker of its folder and crashes the one that was.
func (b *byData) takeOver(c *Cluster) error {
	b.mu.Lock()
	before := b.brokers[c.dataDir]
	b.brokers[c.dataDir] = c
	b.mu.Unlock()
	if before == nil {
		return nil
	}
	return before.crash()
}

// left says that c is closed.
func (b *byData) left(c *Cluster) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.brokers[c.dataDir] == c {
		delete(b.brokers, c.dataDir)
	}
}
