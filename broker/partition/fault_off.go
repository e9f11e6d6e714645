//go:build !faultinject

package partition

import "fluxmq/broker/commitlog"

// faultsBuilt is a constant, so that the compiler removes what depends on it.
const faultsBuilt = false

// FaultNotice is empty: this build cannot be told to misbehave.
func FaultNotice() string { return "" }

func (p *Partition) writeFaulty([]byte, AppendOptions) (commitlog.AppendInfo, error) {
	panic("partition: faults are not built in")
}
