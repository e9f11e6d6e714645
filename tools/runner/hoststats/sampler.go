package hoststats

import (
	"sync"
	"time"

	"fluxmq/reports"
)

// Sampler takes one sample a second of the machine, the broker and the client,
// from Start to Stop. SetClient may be called from any goroutine meanwhile.
type Sampler struct {
	broker int // pid, 0: none of ours

	mu     sync.Mutex // guards client
	client int

	stop    chan struct{}
	done    chan struct{}
	samples []reports.HostSample // owned by the goroutine until done is closed
}

// maxSamples bounds the memory of a run that never ends: a day of seconds.
const maxSamples = 86_400

// Start begins to sample. brokerPID 0 leaves the broker's columns empty.
func Start(brokerPID int) *Sampler {
	s := &Sampler{broker: brokerPID, stop: make(chan struct{}), done: make(chan struct{})}
	// Ends at Stop, which waits for it.
	go s.loop()
	return s
}

// SetClient names the client's process from now on.
func (s *Sampler) SetClient(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = pid
}

// Stop ends the sampling and returns the samples. It is called once.
func (s *Sampler) Stop() []reports.HostSample {
	close(s.stop)
	<-s.done
	return s.samples
}

func (s *Sampler) loop() {
	defer close(s.done)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	last := s.read()
	for len(s.samples) < maxSamples {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
		}
		now := s.read()
		s.samples = append(s.samples, between(last, now))
		last = now
	}
	<-s.stop
}

// reading is the machine and the two processes at one moment; a process that is gone keeps zeros.
type reading struct {
	machine        Machine
	broker, client Process
	clientPID      int
}

func (s *Sampler) read() reading {
	s.mu.Lock()
	client := s.client
	s.mu.Unlock()
	r := reading{machine: ReadMachine(), clientPID: client}
	if s.broker > 0 {
		r.broker, _ = ReadProcess(s.broker) // gone: zeros
	}
	if client > 0 {
		r.client, _ = ReadProcess(client)
	}
	return r
}

func between(a, b reading) reports.HostSample {
	m, n := a.machine, b.machine
	elapsed := n.At.Sub(m.At)
	cores := func(ns int64) float64 { return max(0, float64(ns)/float64(elapsed)) }
	sample := reports.HostSample{
		UnixNs: n.At.UnixNano(), Seconds: elapsed.Seconds(),
		UserCores: cores(n.UserNs - m.UserNs), SystemCores: cores(n.SystemNs - m.SystemNs), IdleCores: cores(n.IdleNs - m.IdleNs),
		IOWaitCores: cores(n.IOWaitNs - m.IOWaitNs), StealCores: cores(n.StealNs - m.StealNs),
		BrokerRSSBytes: b.broker.RSSBytes, ClientRSSBytes: b.client.RSSBytes,
		AvailableBytes: n.AvailableBytes, DirtyBytes: n.DirtyBytes,
		ContextSwitches: n.ContextSwitches - m.ContextSwitches, PageFaults: n.PageFaults - m.PageFaults,
		DiskReadBytes: n.DiskReadBytes - m.DiskReadBytes, DiskWriteBytes: n.DiskWriteBytes - m.DiskWriteBytes,
		NetworkBytes: n.NetworkBytes - m.NetworkBytes,
		CPUPressure:  Pressure(m.CPUPressureNs, n.CPUPressureNs, elapsed), IOPressure: Pressure(m.IOPressureNs, n.IOPressureNs, elapsed),
		MemoryPressure: Pressure(m.MemoryPressure, n.MemoryPressure, elapsed), CgroupThrottleNs: n.ThrottledNs - m.ThrottledNs,
	}
	if a.broker.CPUNs > 0 && b.broker.CPUNs > 0 {
		sample.BrokerCores = cores(b.broker.CPUNs - a.broker.CPUNs)
		sample.BrokerSwitches = b.broker.Voluntary + b.broker.Involuntary - a.broker.Voluntary - a.broker.Involuntary
	}
	if b.client.CPUNs > 0 && a.clientPID == b.clientPID {
		sample.ClientCores = cores(b.client.CPUNs - a.client.CPUNs)
	}
	return sample
}

// Pressure is the share of a span that two PSI totals stand for; -1 when there is no PSI.
func Pressure(from, to int64, span time.Duration) float64 {
	if from < 0 || to < 0 || span <= 0 {
		return -1
	}
	return float64(to-from) / float64(span)
}
