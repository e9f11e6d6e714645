// Package loadgen owns making load and measuring it: the phases of one
// arm-run (docs/load-contract.md), the record format, the pacer, the warm-up
// detector, the histograms and the ledger that proves delivery. cmd/fluxload
// is the program around it; franz, sarama and wire are the clients, each
// behind the Client interface. It never starts or judges a broker.
//
// Words: a worker is one producer thread of the job with its own client
// instance; a slot is a reusable buffer for one record in flight; the window
// is the measured part of the load; intended is the time at which the pacer
// wanted a record sent.
package loadgen
