package handler

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"fluxmq/broker/partition"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"
)

// handleDescribeLogDirs answers DescribeLogDirs (API key 35): the one log
// directory, the sizes of the partitions in it, and from version 4 on the size
// and free space of its file system.
func handleDescribeLogDirs(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.DescribeLogDirsRequest)
	response := request.ResponseKind().(*kmsg.DescribeLogDirsResponse)
	dir := kmsg.DescribeLogDirsResponseDir{Dir: h.Config.LogDir, TotalBytes: -1, UsableBytes: -1}
	if path, err := filepath.Abs(dir.Dir); err == nil {
		dir.Dir = path
	}
	if request.Version >= 4 {
		dir.TotalBytes, dir.UsableBytes = fileSystemSpace(dir.Dir)
	}
	byTopic := map[string][]kmsg.DescribeLogDirsResponseDirTopicPartition{}
	h.eachAsked(request, func(p *partition.Partition) {
		byTopic[p.Topic()] = append(byTopic[p.Topic()], kmsg.DescribeLogDirsResponseDirTopicPartition{Partition: p.Index(), Size: p.SizeBytes()})
	})
	for topic, partitions := range byTopic {
		slices.SortFunc(partitions, func(a, b kmsg.DescribeLogDirsResponseDirTopicPartition) int {
			return int(a.Partition) - int(b.Partition)
		})
		dir.Topics = append(dir.Topics, kmsg.DescribeLogDirsResponseDirTopic{Topic: topic, Partitions: partitions})
	}
	slices.SortFunc(dir.Topics, func(a, b kmsg.DescribeLogDirsResponseDirTopic) int { return strings.Compare(a.Topic, b.Topic) })
	response.Dirs = []kmsg.DescribeLogDirsResponseDir{dir}
	return Answer{Response: response}
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
