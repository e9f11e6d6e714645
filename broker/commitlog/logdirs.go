package commitlog

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
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
	id = knownIdentity(fsys, paths, id)
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
	for i := 0; i < len(dirs); i++ {
		err := dirs[i].raiseEpoch(epoch)
		switch {
		case err == nil:
		case i == 0:
			return dirs, failed, fmt.Errorf("log directory %s: %w", dirs[i].Path, err)
		default:
			failed = append(failed, FailedDir{dirs[i].Path, errors.Join(err, dirs[i].Close(false))})
			dirs = append(dirs[:i], dirs[i+1:]...)
			i--
		}
	}
	return dirs, failed, nil
}

// knownIdentity fills what id leaves open from the first directory that has an
// owner, so that a new one named before it is not made another cluster's.
// Whether all fit is found out when they are opened.
func knownIdentity(fsys FS, paths []string, id Identity) Identity {
	for _, path := range paths {
		b, err := readFile(fsys, filepath.Join(path, metaFile), maxSidecarBytes)
		if err != nil {
			continue
		}
		p := parseProperties(b)
		node, err := strconv.ParseInt(p["node.id"]+p["broker.id"], 10, 32)
		if err != nil || p["cluster.id"] == "" {
			continue
		}
		if id.ClusterID == "" {
			id.ClusterID = p["cluster.id"]
		}
		if id.NodeID < 0 {
			id.NodeID = int32(node)
		}
		return id
	}
	return id
}

// raiseEpoch makes LeaderEpoch at least epoch, durably.
func (d *LogDir) raiseEpoch(epoch int32) error {
	if d.LeaderEpoch >= epoch {
		return nil
	}
	d.LeaderEpoch = epoch
	return d.writeState()
}
