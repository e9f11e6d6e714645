// Command report writes COMPATIBILITY.md from results, so that no line of it
// is written by hand:
//
//	go run ./broker/compat/report    # from broker/compat/results
//
// The differential test keeps its result in results/differential.json, the
// clients' suites one file each in results/clients, the measurements of groups
// and of compaction theirs in results/group-scale.json and
// results/compaction-scale.json. It runs in the root of the repository.
package main
