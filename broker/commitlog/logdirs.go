package commitlog

import (
	"errors"
	"fmt"
)

// ErrOtherOwner means that a log directory is another node's or cluster's, or
// of a version that this broker does not know.
var ErrOtherOwner = errors.New("the log directory does not fit")

// FailedDir is a log directory that could not be opened because its disk fails.
type FailedDir struct {
	Path string
	Err  error
}

// OpenDirs opens the log directories of one node (Kafka's log.dirs, KIP-112).
// The first holds the cluster's metadata: without it nothing starts. One of the
// others whose disk fails is returned as failed, and the rest is used. What a
// person must put right is an error, whichever directory it is about: one that
// is locked, foreign, of another node or cluster, or there twice.
func OpenDirs(fsys FS, paths []string, id Identity, bootID string) (dirs []*LogDir, failed []FailedDir, err error) {
	defer func() {
		if err == nil {
			return
		}
		for _, d := range dirs {
			err = errors.Join(err, d.Close(d.Clean)) // no log was touched
		}
		dirs, failed = nil, nil
	}()
	seen := map[string]string{}
	for i, path := range paths {
		d, openErr := OpenDir(fsys, path, id, bootID)
		switch {
		case openErr == nil:
		case i == 0, errors.Is(openErr, ErrLocked), errors.Is(openErr, ErrForeignDir), errors.Is(openErr, ErrOtherOwner):
			return dirs, failed, openErr
		default:
			failed = append(failed, FailedDir{path, openErr})
			continue
		}
		dirs = append(dirs, d)
		id = dirs[0].Identity
		if other, twice := seen[d.DirectoryID]; twice && d.DirectoryID != "" {
			return dirs, failed, fmt.Errorf("%w: %s and %s have the same directory.id %s; one is a copy of the other", ErrOtherOwner, other, path, d.DirectoryID)
		}
		seen[d.DirectoryID] = path
	}
	// Leader epochs are the node's: a partition that moves must not get a lower one.
	epoch := int32(0)
	for _, d := range dirs {
		epoch = max(epoch, d.LeaderEpoch)
	}
	for _, d := range dirs {
		if err := d.raiseEpoch(epoch); err != nil {
			return dirs, failed, fmt.Errorf("log directory %s: %w", d.Path, err)
		}
	}
	return dirs, failed, nil
}

// raiseEpoch makes LeaderEpoch at least epoch, durably.
func (d *LogDir) raiseEpoch(epoch int32) error {
	if d.LeaderEpoch >= epoch {
		return nil
	}
	d.LeaderEpoch = epoch
	return d.writeState()
}
