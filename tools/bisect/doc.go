// Package bisect finds the commit that made something slower: git bisect run
// with the gate as its oracle. It owns the worktree that git bisects in, the
// meaning of the gate's exit codes for git, and the record of the steps.
//
//	Run (fluxbench bisect)
//	  ├─ gate --base GOOD --head BAD        is there anything to find?
//	  └─ git bisect run                     in a worktree without files
//	       └─ Step (fluxbench bisect-step)  once a commit
//	            └─ gate --base GOOD --head COMMIT
//
// The user's checkout is never touched: the gate builds what it measures in
// worktrees of its own, so git need not check out files here at all.
package bisect
