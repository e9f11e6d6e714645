package runner

import (
	"os"
	"time"

	"fluxmq/reports"
	"fluxmq/scenarios"
	"fluxmq/tools/runner/hoststats"
)

// mark is what the counters stood at when an event came.
type mark struct {
	set      bool
	at       time.Time
	cpuNs    int64 // broker, read first
	process  hoststats.Process
	machine  hoststats.Machine
	logBytes int64
	runtime  runtimeCounters
	kernelNs int64 // of all kernel threads
	ownNs    int64 // of this process
}

// takeMark reads every counter. The broker's own (over its admin HTTP) are read
// outside of the span of its CPU clock, because reading them costs CPU: before
// it at the window's open, after it at its close.
func takeMark(b *broker, topic string, opening bool) mark {
	m := mark{set: true}
	if opening {
		m.runtime = readRuntime(b.admin)
	}
	m.at = time.Now()
	if pid := b.pid(); pid > 0 {
		m.cpuNs, _ = hoststats.ProcessCPUNs(pid) // a dead broker ends the run elsewhere
		m.process, _ = hoststats.ReadProcess(pid)
	}
	if !opening { // at once: the client begins to read back, and that is not the window's
		m.runtime = readRuntime(b.admin)
	}
	m.machine = hoststats.ReadMachine()
	m.kernelNs = hoststats.KernelThreadNs()
	m.ownNs, _ = hoststats.ProcessCPUNs(os.Getpid()) // our own clock is always there
	m.logBytes = b.logBytes(topic)
	return m
}

// windowMarks follow the client's phases: the window opens with the phase
// measure and closes with the event delivered (mode consume: with the next phase).
type windowMarks struct {
	mode        string
	open, close mark
}

// see returns true when the event opened the window.
func (w *windowMarks) see(e event, take func(opening bool) mark) (opened bool) {
	switch {
	case e.Event == "phase" && e.Phase == "measure" && !w.open.set:
		w.open = take(true)
		return true
	case !w.open.set || w.close.set:
	case w.mode == scenarios.ModeConsume && e.Event == "phase", w.mode != scenarios.ModeConsume && e.Event == "delivered":
		w.close = take(false)
	}
	return false
}

// costs are the differences between the two marks.
func (w *windowMarks) costs(cpus int) (reports.BrokerCost, reports.MachineCost) {
	machine := reports.MachineCost{CPUs: cpus, IOPressure: -1, CPUPressure: -1}
	var cost reports.BrokerCost
	if !w.open.set || !w.close.set {
		return cost, machine
	}
	a, b := w.open, w.close
	m, n := a.machine, b.machine
	span := n.At.Sub(m.At)
	machine.UserNs, machine.SystemNs, machine.IdleNs = n.UserNs-m.UserNs, n.SystemNs-m.SystemNs, n.IdleNs-m.IdleNs
	machine.IOWaitNs, machine.StealNs = n.IOWaitNs-m.IOWaitNs, n.StealNs-m.StealNs
	machine.NetworkBytes, machine.DiskRead, machine.DiskWritten = n.NetworkBytes-m.NetworkBytes, n.DiskReadBytes-m.DiskReadBytes, n.DiskWriteBytes-m.DiskWriteBytes
	machine.KernelThreadNs, machine.HarnessNs = max(0, b.kernelNs-a.kernelNs), b.ownNs-a.ownNs
	machine.IOPressure, machine.CPUPressure = hoststats.Pressure(m.IOPressureNs, n.IOPressureNs, span), hoststats.Pressure(m.CPUPressureNs, n.CPUPressureNs, span)
	if a.cpuNs == 0 || b.cpuNs < a.cpuNs {
		return cost, machine
	}
	p, q := a.process, b.process
	cost.Measured = true
	cost.WindowNs, cost.CPUNs = int64(b.at.Sub(a.at)), b.cpuNs-a.cpuNs
	cost.CPUUserNs, cost.CPUSystemNs = hoststats.SplitCPU(cost.CPUNs, q.UserTicks-p.UserTicks, q.SystemTicks-p.SystemTicks)
	cost.VoluntarySwitch, cost.PreemptedSwitch = q.Voluntary-p.Voluntary, q.Involuntary-p.Involuntary
	cost.MinorFaults, cost.MajorFaults = q.MinorFaults-p.MinorFaults, q.MajorFaults-p.MajorFaults
	cost.DiskReadBytes, cost.DiskWriteBytes = q.DiskReadBytes-p.DiskReadBytes, q.DiskWriteBytes-p.DiskWriteBytes
	cost.ReadSyscalls, cost.WriteSyscalls, cost.Threads = q.ReadSyscalls-p.ReadSyscalls, q.WriteSyscalls-p.WriteSyscalls, q.Threads
	cost.LogBytesWindow = b.logBytes - a.logBytes
	cost.Runtime = b.runtime.since(a.runtime)
	return cost, machine
}
