// Package proof runs the gate's own test: gates and blocks of one broker
// binary on both sides, arm B told to be slower or wrong by a known dose, into
// a pool that grows from session to session. reports/datasheet analyses what
// it leaves. tools/cli calls it; it judges nothing.
package proof
