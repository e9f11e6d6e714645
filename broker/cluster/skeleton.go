// Package cluster is what the cluster is: brokers, topics, configs, producer
// id blocks, features. An immutable image swapped by one atomic pointer, the
// changes that make a new one (kept in an append-only metadata log on disk),
// and the pure controller that decides them. One node for now.
package cluster

import "fluxmq/broker/config"

// Image is immutable; readers hold it as long as they like.
type Image struct {
	ClusterID   string
	Node        Broker
	Topics      map[string]*Topic // by name
	ByID        map[[16]byte]*Topic
	NodeConfigs map[string]string // dynamic broker settings
	// LeaderEpochBase rises by one on every unclean start.
}

// Broker is one node and where it is reached.
type Broker struct {
	NodeID int32
	Host   string
	Port   int32
}

// Topic in the image; immutable.
type Topic struct {
	Name       string
	ID         [16]byte
	Partitions int32
	Internal   bool
	Overrides  map[string]string
	Config     *config.Topic
}

// Metadata is the live door: it keeps the image, serialises commands, writes
// changes durably before publishing them. Safe for concurrent use.
type Metadata struct {
	// OnImage is called, in order, under the command lock, before a command
	// returns, so that partitions exist when CreateTopics is answered. node fills it.
	OnImage func(before, after *Image) error
}

func (m *Metadata) Image() *Image { panic("not built") }

// NewTopic is one topic to create. Partitions -1: the default; Replicas other
// than -1 and 1 fails with INVALID_REPLICATION_FACTOR.
type NewTopic struct {
	Name       string
	Partitions int32
	Replicas   int16
	Assignment map[int32][]int32
	Configs    map[string]string
	Internal   bool
}

// CreateTopics answers one (topic, error) per entry, errors being *protocol.Error wrapped with words.
func (m *Metadata) CreateTopics(ts []NewTopic, validateOnly bool) ([]*Topic, []error) {
	panic("not built")
}
func (m *Metadata) DeleteTopic(name string) error { panic("not built") }
func (m *Metadata) CreatePartitions(topic string, total int32, validateOnly bool) error {
	panic("not built")
}

// EnsureTopic is auto-creation (Metadata requests, coordinators): the topic, created if absent.
func (m *Metadata) EnsureTopic(t NewTopic) (*Topic, error) { panic("not built") }

// NextProducerID hands out ids from a durable block.
func (m *Metadata) NextProducerID() (int64, error) { panic("not built") }
