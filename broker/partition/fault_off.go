//go:build !faultinject

package partition

import "fluxmq/broker/commitlog"

func (p *Partition) writeFaulty([]byte, AppendOptions) (commitlog.AppendInfo, error) {
	panic("partition: faults are not built in")
}

func (p *Partition) appendedFaulty(int32) error { panic("partition: faults are not built in") }
