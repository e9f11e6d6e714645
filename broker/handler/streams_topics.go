package handler

import (
	"fmt"
	"sync"
	"time"

	"fluxmq/broker/cluster"
	"fluxmq/broker/group"
)

const (
	// maxStreamsFailures bounds the topics of which it is known why they could not
	// be made.
	maxStreamsFailures = 1000
	// shownFailures is how many of them a reply names.
	shownFailures = 3
)

// streamsTopics makes the internal topics of Kafka Streams applications. One
// that could not be made is tried again only after a while: each member of each
// group that waits for it asks with every heartbeat.
type streamsTopics struct {
	mu     sync.Mutex // guards failed; held while topics are made, so that members that come at once do not fail each other
	failed map[string]streamsFailure
}

type streamsFailure struct {
	why   string
	until time.Time
}

// create makes those topics that are not there. It returns why some could not
// be made, "" when all are there. A failure counts for backoff.
func (s *streamsTopics) create(h *Handler, clientID []byte, topics []group.InternalTopic, backoff time.Duration, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	image := h.Metadata.Image()
	var news []cluster.NewTopic
	for _, t := range topics {
		if f, failed := s.failed[t.Name]; image.Topics[t.Name] == nil && (!failed || !now.Before(f.until)) {
			news = append(news, cluster.NewTopic{Name: t.Name, Partitions: t.Partitions, Replicas: t.Replicas, Configs: t.Configs})
			delete(s.failed, t.Name)
		}
	}
	if len(news) > 0 {
		allowance := h.Quotas.Mutations(anonymous, clientID, true)
		_, errs := h.Metadata.AdmitTopics(news, false, func(t *cluster.Topic) error { return mutate(&allowance, t.Partitions) })
		for i, err := range errs {
			if err != nil {
				s.note(news[i].Name, streamsFailure{err.Error(), now.Add(backoff)}, now)
			}
		}
	}
	shown, more := "", 0
	for _, t := range topics {
		f, failed := s.failed[t.Name]
		switch {
		case !failed:
		case more >= shownFailures:
			more++
		default:
			if shown != "" {
				shown += ", "
			}
			shown += fmt.Sprintf("%s (%s)", t.Name, f.why)
			more++
		}
	}
	if more > shownFailures {
		shown += fmt.Sprintf(" and %d more", more-shownFailures)
	}
	return shown
}

// note keeps a failure. Where there is no room, those that are over make way,
// then any other.
func (s *streamsTopics) note(topic string, f streamsFailure, now time.Time) {
	if s.failed == nil {
		s.failed = map[string]streamsFailure{}
	}
	if len(s.failed) >= maxStreamsFailures {
		for name, old := range s.failed {
			if !now.Before(old.until) {
				delete(s.failed, name)
			}
		}
	}
	for name := range s.failed {
		if len(s.failed) < maxStreamsFailures {
			break
		}
		delete(s.failed, name)
	}
	s.failed[topic] = f
}
