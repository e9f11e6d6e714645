// Package fault owns how a broker is made worse on purpose: slower, hungrier,
// or dishonest. It exists to prove that the harness finds what it must find.
//
// Only a build with the tag faultinject contains it. Elsewhere Built is a
// constant false, so that the compiler removes the callers' branches and the
// linker the rest. main reads FLUXMQ_FAULT and calls Start; partition (what
// happens to a batch) and handler (what happens to a request) ask Active. It
// imports nothing of ours and knows no batch and no request.
//
// FLUXMQ_FAULT joins kinds with +, as in "cpu:5+stall:20ms:1%":
//
//	drop-batch:N       one batch in N is acknowledged and not stored
//	duplicate-batch:N  one batch in N is stored twice
//	drop-record:N      one record in N is acknowledged and not stored
//	cpu:P              the process takes P percent more CPU time
//	alloc:N            N heap allocations of 16 bytes for each record produced
//	leak:BYTES         so many bytes kept for ever for each record produced
//	syscall:N          N system calls more for each batch produced
//	fsync:N            an fdatasync after one batch in N, before it is answered
//	mutex              one Produce request at a time in the whole broker
//	stall:DURATION:P%  P percent of the Produce requests wait so long before they are handled
//	response:P%        Produce and Fetch responses are P percent larger
//
// The package is not of the hot path's kind: it has a variable that changes
// (Active), and it sleeps.
package fault
