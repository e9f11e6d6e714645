// Package reports owns results: what one `fluxbench run` left, how it is kept,
// and every view made from it (terminal and Markdown table, one offline HTML
// file, Go benchmark format).
//
// A result is written once and never changed; a view is a pure function of a
// result and the histogram logs beside it, so it can be made again at any time.
// An A/B measurement is reports/trial, its judgement and its views are
// reports/verdict; what other programs read is reports/formats.
//
// The runner (tools/runner) fills results; nothing here starts a process,
// measures anything or reads a clock.
//
// Words: an arm-run is one broker process, one client process and one
// scenario, from start to verified end; a round is one arm-run of every client
// of the run; the window is the measured part of an arm-run.
package reports
