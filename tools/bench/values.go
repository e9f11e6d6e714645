package bench

import (
	"fmt"

	"fluxmq/reports"
	"fluxmq/reports/trial"
)

// costValues reads the metrics of part cost out of its arm-run.
func costValues(run *reports.ArmRun, into map[string]float64) error {
	records := float64(run.Result.Records)
	if records <= 0 || !run.Broker.Measured {
		return fmt.Errorf("part %s measured nothing", trial.PartCost)
	}
	b := run.Broker
	into[trial.BrokerCPU] = float64(b.CPUNs) / records
	into[trial.ReadSyscalls] = float64(b.ReadSyscalls) / records
	into[trial.WriteSyscalls] = float64(b.WriteSyscalls) / records
	into[trial.ContextSwitches] = float64(b.VoluntarySwitch+b.PreemptedSwitch) / records
	into[trial.PeakRSS] = float64(b.PeakRSSBytes)
	into[trial.ClientCPU] = float64(run.Result.CPUUserNs+run.Result.CPUSystemNs) / records
	if r := b.Runtime; r != nil {
		for name, count := range map[string]int64{trial.BrokerAllocs: r.Allocations, trial.BrokerAllocBytes: r.AllocatedBytes, trial.ResponseBytes: r.SentBytes} {
			if count >= 0 { // -1: an older build that does not count it
				into[name] = float64(count) / records
			}
		}
	}
	latencies, err := reports.ReadLatencyLog(run.LatencyLog, run.Result.WindowStartUnixNs)
	if err != nil {
		return err
	}
	if q := latencies.Quantiles(reports.TagProduce); q.Count > 0 {
		into[trial.ProduceP50], into[trial.ProduceP99], into[trial.ProduceP999] = float64(q.P50), float64(q.P99), float64(q.P999)
	}
	return nil
}

// saturationValues reads the metrics of part saturation.
func saturationValues(run *reports.ArmRun, into map[string]float64) error {
	if run.Result.DeliveredRate <= 0 {
		return fmt.Errorf("part %s delivered nothing", trial.PartSaturation)
	}
	into[trial.Delivered] = run.Result.DeliveredRate
	if run.Broker.Measured && run.Result.Records > 0 {
		into[trial.SaturationCPU] = float64(run.Broker.CPUNs) / float64(run.Result.Records)
	}
	return nil
}

// addReference notes what the reference work cost while the part's window was open.
func addReference(run *trial.Run, part string, result *reports.ArmRun, beside *reference) {
	if result == nil || result.Result == nil {
		return
	}
	from := result.Result.WindowStartUnixNs
	if ns, ok := beside.mean(from, from+result.Broker.WindowNs); ok {
		if run.Noise.ReferenceNs == nil {
			run.Noise.ReferenceNs = map[string]float64{}
		}
		run.Noise.ReferenceNs[part] = ns
	}
}

// addLedger sums what a part sent and read back.
func addLedger(run *trial.Run, part *reports.ArmRun) {
	if part == nil || part.Result == nil {
		return
	}
	l := part.Result.Ledger
	run.Expected += l.Expected
	run.Read += l.Read
	run.Lost += l.Lost
	run.Duplicated += l.Duplicated
	run.Reordered += l.Reordered
	run.Corrupt += l.Corrupt
}
