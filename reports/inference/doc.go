// Package inference holds the statistics of the gate as pure functions:
// estimates, exact tests and intervals for paired differences, the boundaries
// of a group-sequential test, and bounds for rates. It knows nothing of
// brokers, files or clocks; randomness comes in as a source with a seed.
package inference
