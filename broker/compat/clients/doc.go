// Command clients runs real clients' tests against this broker and leaves one
// result a suite, from which broker/compat/report writes the page:
//
//	clients                              # every suite but the long ones
//	clients -quick -suites kcat,kafkajs
//	clients -list
//
// A suite installs its client from the client's own registry (Maven Central,
// PyPI, npm, the Go module proxy, Debian) into .cache/clients, at the version
// that pins.go names, starts bin/fluxmq, and has a time budget after which it
// and all it started are killed. What a suite printed is in
// .cache/clients/logs. Exit codes: 0, 1 when a case failed, 2 for a wrong
// call, 130 when interrupted. It runs in the root of the repository, after `make build`.
package main
