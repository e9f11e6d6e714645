// Package logdump reads the files of a partition's directory as Kafka's
// DumpLogSegments does: batches and records of segments, entries of offset,
// time and transaction indexes, producer snapshots, leader epochs. It opens
// files for reading alone and takes no lock.
//
// cmd/fluxmq calls it (fluxmq log dump). It hands out one entry at a time, so
// that a dump needs as much memory as its largest batch (and a time index),
// and it checks as it goes: CRCs, offsets that go backwards, index entries
// that point at nothing. What it finds is a Problem, not an end of the dump.
package logdump
