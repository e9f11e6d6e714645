package node

import (
	"context"
	"errors"
	"fmt"

	"fluxmq/broker/partition"
)

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
	if err != nil && !errors.Is(err, context.Canceled) {
		n.log.Error("Moving a log to another directory failed", "topic", p.Topic(), "partition", p.Index(), "from", from, "to", to, "error", err)
		return
	}
	n.log.Info("A log was moved to another directory", "topic", p.Topic(), "partition", p.Index(), "from", from, "to", to, "log_end_offset", p.Offsets().LogEnd)
}
