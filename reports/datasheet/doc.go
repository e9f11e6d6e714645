// Package datasheet owns the gate's own proof: the pool of raw blocks that a
// proof run leaves, and the datasheet made from it, which says what the gate
// sees on one class of machine and how often it is wrong. The proof's command
// appends to the pool; every report prints the datasheet's line. The package
// starts nothing and reads no clock: the same pool and the same seed give the
// same datasheet anywhere.
//
// Words: a dose is one fault at one strength, built into both arms and
// switched on in arm B ("cpu-5"); dose "none" is A/A, both arms the same. A
// session is one uninterrupted stretch of running. A direct gate was run on
// the machine; a resampled gate was drawn from blocks that the machine ran. A
// stretch is a run of adjacent blocks of one session, as long as the first look
// where the pool is large enough.
package datasheet
