package handler

import "sync/atomic"

// Stats counts what the data path did; read it at any time.
type Stats struct {
	// RecordsIn and BytesIn are what Produce requests wrote, BytesOut what
	// Fetch responses carried.
	RecordsIn, BytesIn, BytesOut atomic.Int64
	// FailedProduce and FailedFetch count partitions answered with an error.
	FailedProduce, FailedFetch atomic.Int64
	// Requests counts requests by API key.
	Requests [128]atomic.Int64
}
