// Package suite is what a real client's tests against this broker leave
// behind: cases, read from what the client's own test runner prints, and one
// Result a suite, kept as a file. broker/compat/clients runs suites and saves
// results; broker/compat/report shows them. It starts nothing and knows no broker.
package suite
