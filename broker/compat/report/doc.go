// Command report writes COMPATIBILITY.md from results, so that no line of it
// is written by hand:
//
//	go run ./broker/compat/report    # from broker/compat/results
//
// The differential test keeps its result in results/differential.json, the
// clients' suites one file each in results/clients, the measurement of groups
// its own in results/group-scale.json. It runs in the root of the
// repository.
package main
