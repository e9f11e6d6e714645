// Package history owns the series of performance over commits: one point a
// commit, an index chained from A/B ratios against a pinned reference build, so
// that it survives a change of machine. It stores points (reports/points, in
// git), chains them, finds the commits where the level changes, and draws them.
// It measures nothing and judges no commit: the gate never asks it.
//
// Words: the reference is the pinned commit that every point was measured
// against, in the same minutes on the same machine. A link is the measured
// ratio of a new reference over the one that it replaced. A chain is what
// links hold together; its root is its oldest reference, whose index is 1.
// The index is head over root: of a cost, more is worse; of a throughput, better.
package history
