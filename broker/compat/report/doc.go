// Command report writes COMPATIBILITY.md from results, so that no line of it
// is written by hand:
//
//	go run ./broker/compat/report                      # from broker/compat/results
//	go test -json ./broker/compat | go run ./broker/compat/report -tests -
//
// The differential test keeps its result in results/differential.json; with
// -tests the events of `go test -json` are shown as text, counted by suite and
// kept in results/suites.json. It runs in the root of the repository.
package main
