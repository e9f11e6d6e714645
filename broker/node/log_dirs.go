package node

import (
	"context"
	"errors"
	"fmt"

	"fluxmq/broker/cluster"
	"fluxmq/broker/commitlog"
	"fluxmq/broker/partition"
)

// refuseOtherMetadata lets only the first log directory hold metadata: an
// order that names another one first would form a new cluster, to which all
// topics are unknown.
func refuseOtherMetadata(fs commitlog.FS, dirs []*commitlog.LogDir) error {
	for _, d := range dirs[1:] {
		holds, err := cluster.Holds(fs, d.Path)
		if err != nil {
			continue // its disk fails: it can still do so later
		}
		if holds {
			return fmt.Errorf("log.dirs: the metadata is in the first directory, %s, and %s holds metadata too; name the right one first, and remove what is not of this cluster", dirs[0].Path, d.Path)
		}
	}
	return nil
}

// closeUntouched releases directories in which no log was opened, and returns err.
func closeUntouched(err error, dirs []*commitlog.LogDir) error {
	for _, d := range dirs {
		err = errors.Join(err, d.Close(d.Clean))
	}
	return err
}

// onDirFailed is what a failed log directory means, by KIP-112: its partitions
// are offline and the others go on; without the directory of the metadata, or
// without any, the broker ends. nil with one directory: a log that fails there
// is offline alone, and the others are served as long as they can be.
func (n *Node) onDirFailed() func(path string, err error, left int) {
	dirs := n.settings.LogDirs
	if len(dirs) == 1 {
		return nil
	}
	return func(path string, err error, left int) {
		n.log.Error("A log directory failed; its partitions are offline", "path", path, "left", left, "error", err)
		if path != dirs[0] && left > 0 {
			return
		}
		select {
		case n.dirsLost <- fmt.Errorf("log directory %s, which holds the metadata or was the last, failed: %w", path, err):
		default: // another has ended the broker already
		}
	}
}

// onMetadataFailed takes the metadata's directory out of use. With one
// directory nothing comes of it: what is there is served as long as it can be.
func (n *Node) onMetadataFailed(err error) {
	if dirs := n.settings.LogDirs; len(dirs) > 1 {
		_ = n.partitions.FailDir(dirs[0], err) // told through onDirFailed
	}
}

// watchDirs ends the broker when its log directories cannot serve any more.
func (n *Node) watchDirs(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-n.dirsLost:
		return err
	}
}

// onMoved tells how the move of a log to another directory ended.
func (n *Node) onMoved(p *partition.Partition, from, to string, err error) {
	if err != nil {
		n.log.Error("Moving a log to another directory failed", "topic", p.Topic(), "partition", p.Index(), "from", from, "to", to, "error", err)
		return
	}
	n.log.Info("A log was moved to another directory", "topic", p.Topic(), "partition", p.Index(), "from", from, "to", to, "log_end_offset", p.Offsets().LogEnd)
}
