package cluster

import (
	"errors"
	"fmt"
	"maps"

	"fluxmq/broker/config"
	"fluxmq/broker/protocol"
)

// MaxPartitionsPerRequest bounds what one request may create, as in Kafka. It
// keeps one mistyped number from filling the disk; it is no limit of the cluster.
const MaxPartitionsPerRequest = 10_000

// NewTopic is one topic to create.
type NewTopic struct {
	Name string
	// Partitions -1 is the default (num.partitions).
	Partitions int32
	// Replicas -1 is the default; 1 is what one node can hold; anything else
	// fails with INVALID_REPLICATION_FACTOR.
	Replicas int16
	// Assignment is partition → replicas, by hand; Partitions and Replicas are then -1.
	Assignment map[int32][]int32
	Configs    map[string]string
	// Internal topics are the broker's own; clients cannot ask for them.
	Internal bool
}

// createTopics decides each topic by itself: errs[n] tells why ts[n] cannot
// be, topics[n] what it would be. Topics of one command see each other, so
// that a name or a collision within it fails too. newID gives topic ids.
func createTopics(image *Image, ts []NewTopic, newID func() [16]byte) (changes []Change, topics []*Topic, errs []error) {
	topics, errs = make([]*Topic, len(ts)), make([]error, len(ts))
	taken := map[string]bool{}
	colliding := map[string]string{}
	total := int64(0)
	for n := range ts {
		t, err := createTopic(image, &ts[n])
		if err == nil {
			err = checkTaken(t.Name, taken, colliding)
		}
		if err == nil && total+int64(t.Partitions) > MaxPartitionsPerRequest {
			err = tooManyPartitions(total + int64(t.Partitions))
		}
		if err != nil {
			errs[n] = err
			continue
		}
		total += int64(t.Partitions)
		for t.ID == ([16]byte{}) || image.ByID[t.ID] != nil || reservedID(t.ID) {
			t.ID = newID()
		}
		topics[n] = t
		changes = append(changes, Change{Kind: topicCreated, Topic: t.Name, ID: encodeID(t.ID), Partitions: t.Partitions, Internal: t.Internal, Configs: t.Overrides})
	}
	return changes, topics, errs
}

// checkTaken compares a topic with those before it in its command and remembers it.
func checkTaken(name string, taken map[string]bool, colliding map[string]string) error {
	if taken[name] {
		return alreadyExists(name)
	}
	if key, ok := collisionKey(name); ok {
		if other := colliding[key]; other != "" {
			return collides(name, other)
		}
		colliding[key] = name
	}
	taken[name] = true
	return nil
}

// createTopic decides one topic against the image; the id is still missing.
func createTopic(image *Image, new *NewTopic) (*Topic, error) {
	if err := CheckTopicName(new.Name); err != nil {
		return nil, err
	}
	if Reserved(new.Name) && !new.Internal {
		return nil, fmt.Errorf("%w: %s is the broker's own topic; it is created when it is needed", protocol.ErrInvalidRequest, new.Name)
	}
	if image.Topics[new.Name] != nil {
		return nil, alreadyExists(new.Name)
	}
	if key, ok := collisionKey(new.Name); ok && image.collisions[key] != "" {
		return nil, collides(new.Name, image.collisions[key])
	}
	partitions, err := partitionCount(image, new)
	if err != nil {
		return nil, err
	}
	settings, err := config.ParseTopic(image.Settings, new.Configs)
	if err != nil {
		return nil, invalidConfig(err)
	}
	return &Topic{Name: new.Name, Partitions: partitions, Internal: new.Internal, Overrides: maps.Clone(new.Configs), Config: settings}, nil
}

// partitionCount checks counts, replicas and an assignment by hand.
func partitionCount(image *Image, new *NewTopic) (int32, error) {
	if len(new.Assignment) > 0 {
		if new.Replicas != -1 || new.Partitions != -1 {
			return 0, fmt.Errorf("%w: with an assignment by hand, the numbers of partitions and replicas must be -1", protocol.ErrInvalidRequest)
		}
		return int32(len(new.Assignment)), CheckAssignment(image, new.Assignment, 0)
	}
	switch {
	case new.Partitions == 0 || new.Partitions < -1:
		return 0, fmt.Errorf("%w: %d partitions; it must be at least 1, or -1 for the default", protocol.ErrInvalidPartitions, new.Partitions)
	case new.Replicas == 0 || new.Replicas < -1:
		return 0, fmt.Errorf("%w: %d replicas; it must be at least 1, or -1 for the default", protocol.ErrInvalidReplicationFactor, new.Replicas)
	case new.Replicas > 1:
		return 0, fmt.Errorf("%w: %d replicas; there is 1 broker", protocol.ErrInvalidReplicationFactor, new.Replicas)
	case new.Partitions == -1:
		return image.Settings.NumPartitions, nil
	case new.Partitions > MaxPartitionsPerRequest:
		return 0, tooManyPartitions(int64(new.Partitions))
	}
	return new.Partitions, nil
}

// CheckAssignment checks an assignment of partitions to nodes by hand: the
// partitions are consecutive from first on, and each has this node as its one
// replica. It fails with INVALID_REPLICA_ASSIGNMENT.
func CheckAssignment(image *Image, assignment map[int32][]int32, first int32) error {
	for n := range len(assignment) {
		partition := first + int32(n)
		replicas, ok := assignment[partition]
		switch {
		case !ok:
			return fmt.Errorf("%w: partitions must be consecutive from %d on; %d is missing", protocol.ErrInvalidReplicaAssignment, first, partition)
		case len(replicas) == 0:
			return fmt.Errorf("%w: partition %d has no replica", protocol.ErrInvalidReplicaAssignment, partition)
		case len(replicas) > 1:
			return fmt.Errorf("%w: partition %d has %d replicas; there is 1 broker", protocol.ErrInvalidReplicaAssignment, partition, len(replicas))
		case replicas[0] != image.Node.NodeID:
			return fmt.Errorf("%w: partition %d is assigned to node %d, which does not exist", protocol.ErrInvalidReplicaAssignment, partition, replicas[0])
		}
	}
	return nil
}

// createPartitions decides the growth of a topic to total partitions.
func createPartitions(image *Image, topic string, total int32) ([]Change, error) {
	t := image.Topics[topic]
	switch {
	case t == nil:
		return nil, unknownTopic(topic)
	case t.Internal:
		return nil, fmt.Errorf("%w: %s is the broker's own topic; its partitions are fixed", protocol.ErrPolicyViolation, topic)
	case total == t.Partitions:
		return nil, fmt.Errorf("%w: topic %s already has %d partitions", protocol.ErrInvalidPartitions, topic, total)
	case total < t.Partitions:
		return nil, fmt.Errorf("%w: topic %s has %d partitions; %d would be no increase", protocol.ErrInvalidPartitions, topic, t.Partitions, total)
	case int64(total)-int64(t.Partitions) > MaxPartitionsPerRequest:
		return nil, tooManyPartitions(int64(total) - int64(t.Partitions))
	}
	return []Change{{Kind: partitionsAdded, Topic: t.Name, ID: encodeID(t.ID), Partitions: total}}, nil
}

// deleteTopic decides the deletion of a topic; nil is a topic that was not found.
func deleteTopic(t *Topic, asked string) ([]Change, error) {
	switch {
	case t == nil:
		return nil, unknownTopic(asked)
	case t.Internal:
		return nil, fmt.Errorf("%w: %s is the broker's own topic; it cannot be deleted", protocol.ErrPolicyViolation, t.Name)
	}
	return []Change{{Kind: topicDeleted, Topic: t.Name, ID: encodeID(t.ID)}}, nil
}

// reserveProducerIDs decides the next block of producer ids.
func reserveProducerIDs(image *Image) []Change {
	return []Change{{Kind: producerIDsReserved, NextProducerID: image.NextProducerID + producerIDBlock}}
}

// producerIDBlock is how many producer ids one durable write reserves; Kafka's number.
const producerIDBlock = 1000

// reservedID tells Kafka's own ids: zero is "none", one is the metadata topic.
func reservedID(id [16]byte) bool {
	return id == [16]byte{} || id == [16]byte{15: 1}
}

func alreadyExists(name string) error {
	return fmt.Errorf("%w: topic %s already exists", protocol.ErrTopicAlreadyExists, name)
}

func collides(name, other string) error {
	return fmt.Errorf("%w: topic %s collides with %s: '.' and '_' look the same in metric names", protocol.ErrInvalidTopicException, name, other)
}

func unknownTopic(name string) error {
	return fmt.Errorf("%w: topic %s does not exist", protocol.ErrUnknownTopicOrPartition, name)
}

func tooManyPartitions(count int64) error {
	return fmt.Errorf("%w: %d partitions in one request; at most %d are created", protocol.ErrPolicyViolation, count, MaxPartitionsPerRequest)
}

// invalidConfig gives a setting's error its Kafka code.
func invalidConfig(err error) error {
	if errors.As(err, new(*protocol.Error)) {
		return err
	}
	return fmt.Errorf("%w: %w", protocol.ErrInvalidConfig, err)
}
