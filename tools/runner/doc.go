// Package runner owns a scenario run, from the plan to the stored result:
//
//	plan → builds → for each step: broker process → client process → verified end
//	     → one reports.Result a target
//
// tools/fluxbench calls it. It starts processes and stops every one of them
// again, by process group, whatever happens; it judges no numbers (reports
// does) and speaks Kafka only to ask whether a broker is ready.
//
// Words: a step is one planned arm-run; a target is what is measured: our
// broker, Apache Kafka, or an address. Steps run one after the other; a step
// has a fresh broker process, a fresh data directory and a fresh client.
package runner
