package handler

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"
)

// handleDescribeLogDirs answers DescribeLogDirs (API key 35): every log
// directory with the sizes of the partitions in it, those that are being moved
// to it too, and from version 4 on the size and free space of its file system.
// A directory that failed has only an error, KAFKA_STORAGE_ERROR.
func handleDescribeLogDirs(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.DescribeLogDirsRequest)
	response := request.ResponseKind().(*kmsg.DescribeLogDirsResponse)
	held := map[string]heldLogs{}
	h.eachAsked(request, func(p *partition.Partition) {
		held[p.LogDir()] = held[p.LogDir()].add(p.Topic(), kmsg.DescribeLogDirsResponseDirTopicPartition{Partition: p.Index(), Size: p.SizeBytes()})
		if future, moves := p.Future(); moves {
			held[future.Dir] = held[future.Dir].add(p.Topic(), kmsg.DescribeLogDirsResponseDirTopicPartition{
				Partition: p.Index(), Size: future.SizeBytes, OffsetLag: future.OffsetLag, IsFuture: true,
			})
		}
	})
	for _, d := range h.Partitions.Dirs() {
		dir := kmsg.DescribeLogDirsResponseDir{Dir: d.Path, TotalBytes: -1, UsableBytes: -1}
		if path, err := filepath.Abs(d.Path); err == nil {
			dir.Dir = path
		}
		if d.Failed != nil {
			dir.ErrorCode = protocol.ErrKafkaStorageError.Code
			response.Dirs = append(response.Dirs, dir)
			continue
		}
		if request.Version >= 4 {
			dir.TotalBytes, dir.UsableBytes = fileSystemSpace(dir.Dir)
		}
		dir.Topics = held[d.Path].topics()
		response.Dirs = append(response.Dirs, dir)
	}
	return Answer{Response: response}
}

// heldLogs are the logs in one directory, by topic.
type heldLogs map[string][]kmsg.DescribeLogDirsResponseDirTopicPartition

func (l heldLogs) add(topic string, p kmsg.DescribeLogDirsResponseDirTopicPartition) heldLogs {
	if l == nil {
		l = heldLogs{}
	}
	l[topic] = append(l[topic], p)
	return l
}

// topics lists them in order.
func (l heldLogs) topics() []kmsg.DescribeLogDirsResponseDirTopic {
	var topics []kmsg.DescribeLogDirsResponseDirTopic
	for topic, partitions := range l {
		slices.SortFunc(partitions, func(a, b kmsg.DescribeLogDirsResponseDirTopicPartition) int {
			return int(a.Partition) - int(b.Partition)
		})
		topics = append(topics, kmsg.DescribeLogDirsResponseDirTopic{Topic: topic, Partitions: partitions})
	}
	slices.SortFunc(topics, func(a, b kmsg.DescribeLogDirsResponseDirTopic) int { return strings.Compare(a.Topic, b.Topic) })
	return topics
}

// eachAsked visits the partitions that a request names, each once, or all when it names none (null).
func (h *Handler) eachAsked(request *kmsg.DescribeLogDirsRequest, visit func(*partition.Partition)) {
	if request.Topics == nil {
		h.Partitions.Each(func(p *partition.Partition) bool {
			visit(p)
			return true
		})
		return
	}
	seen := map[*partition.Partition]bool{}
	for _, t := range request.Topics {
		for _, index := range t.Partitions {
			if p := h.Partitions.Find([]byte(t.Topic), index); p != nil && !seen[p] {
				seen[p] = true
				visit(p)
			}
		}
	}
}

// fileSystemSpace is the size and the space left to us of the file system of a
// directory, in bytes; -1 when it cannot be told.
func fileSystemSpace(dir string) (total, usable int64) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return -1, -1
	}
	return int64(s.Blocks) * s.Bsize, int64(s.Bavail) * s.Bsize
}
