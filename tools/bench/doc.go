// Package bench owns an A/B measurement, from two revisions to a stored trial:
//
//	revisions → worktrees → two brokers built alike → blocks of four runs (ABBA or BAAB)
//	  → blocks that were disturbed are redrawn → one trial.Trial
//
// Every run has a fresh broker, a fresh data directory and a fresh client, and
// starts after the same steps: the run before has given its pages back and a
// probe has measured what first touch costs now. What disturbed it is measured
// beside it (noise.go) and decides, blind to the result, whether its block
// counts. tools/cli calls it; reports/verdict judges what it leaves.
package bench
