package group

import "context"

// SharePartition names a partition that a share group has a state of, or shall
// have.
type SharePartition struct {
	Topic     [16]byte
	Name      string // of the topic
	Partition int32
	// Start is where the group begins; -1: where its settings say.
	Start int64
}

// ShareState is where the states of share partitions are stored: the room
// share, which this one does not know. Each answers for the partitions in
// their order, when that is durable, or soon after ctx ends. Called concurrently.
type ShareState interface {
	// Initialize makes the states new, at an epoch that fences older ones.
	Initialize(ctx context.Context, group string, epoch int32, partitions []SharePartition) []error
	// Delete forgets the states.
	Delete(ctx context.Context, group string, partitions []SharePartition) []error
}

// shareJob is partitions of one group whose states are to be made.
type shareJob struct {
	shard      *shard
	group      string
	epoch      int32
	partitions []SharePartition
}

// maxShareJobs bounds the jobs that wait; one that finds no room is begun anew by
// a heartbeat after group.share.initialize.retry.interval.ms.
const maxShareJobs = 1024

// runShareJobs makes states for members that wait for partitions, one job
// after the other, so that no shard waits for the other room. It ends with ctx.
func (c *Coordinator) runShareJobs(ctx context.Context) {
	defer close(c.jobsDone)
	for {
		select {
		case <-ctx.Done():
			return
		case job := <-c.settings.shareJobs:
			errs := c.shareState.Initialize(ctx, job.group, job.epoch, job.partitions)
			job.finish(ctx, errs)
		}
	}
}

// finish tells the group what became of a job.
func (j shareJob) finish(ctx context.Context, errs []error) {
	logger := j.shard.config.logger
	err := j.shard.Send(ctx, command{
		Run: func(s *shard) {
			if g := s.groups[j.group]; g != nil && g.share != nil {
				s.do(g, func(st *step) { g.shareInitialized(st, j.partitions, errs) })
			}
		},
		Refuse: func(error) {},
	})
	if err != nil {
		logger.Warn("a share group did not learn that its partitions are initialized", "group", j.group, "error", err)
	}
	for i, err := range errs {
		if err != nil {
			logger.Warn("a share partition could not be initialized", "group", j.group,
				"topic", j.partitions[i].Name, "partition", j.partitions[i].Partition, "error", err)
		}
	}
}

// initialize hands a job over when the record that tells of it is durable: a
// state that no group knows of would never be deleted.
func (s *shard) initialize(g *group, partitions []SharePartition) {
	job := shareJob{s, g.id, g.share.epoch, partitions}
	s.Answer(true, func(failure error) {
		if failure != nil {
			return
		}
		select {
		case s.config.shareJobs <- job:
		default: // see maxShareJobs
		}
	})
}
