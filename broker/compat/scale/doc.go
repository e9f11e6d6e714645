// Package scale is what was measured of large groups and of many, and of a large
// log that is compacted: one Groups of `make group-scale`, one Compaction of
// `make compaction-scale`, each kept as a file, and their sections of the page.
// broker/compat measures and saves; broker/compat/report shows. It starts nothing
// and knows no broker.
package scale
