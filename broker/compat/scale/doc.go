// Package scale is what was measured of large groups and of many: one Result
// of `make group-scale`, kept as a file, and its section of the page.
// broker/compat measures and saves it; broker/compat/report shows it. It
// starts nothing and knows no broker.
package scale
