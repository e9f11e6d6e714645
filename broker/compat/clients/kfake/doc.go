// Package kfake stands where franz-go's in-process fake stands when its own
// tests run: it has the fake's names and signatures, as far as a broker that
// is a process of its own can have them, and behind them a bin/fluxmq. The
// suite kfake of broker/compat/clients lays the fake's test files over this
// folder (`go test -overlay`) and so turns them on our broker; what they call
// and is not here cannot be turned, and the compiler is the one who says so.
//
// Clients reach the broker through a proxy in the test's process, in which the
// fake's controls and faults act; a request that none of them answers goes on as the
// bytes that came.
//
// Nothing of the fake is in it. Signatures are those of
// github.com/twmb/franz-go/pkg/kfake, version in clients/pins.go; behaviour is
// Kafka's. FLUXMQ_STAND_IN names the binary. Safe for concurrent use as the
// fake is. A method without an error to return panics when the broker, which
// is on loopback and a test's own, does not answer.
package kfake
