package share

import "fluxmq/broker/coordinator/memlog"

type memoryLog = memlog.Log

var errDisk = memlog.ErrDisk
