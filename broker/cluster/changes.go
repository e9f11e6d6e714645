package cluster

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"fluxmq/broker/record"
)

// Kind says what a Change does. The list only grows: logs on disk hold the words.
type Kind string

// The kinds of changes.
const (
	clusterFormed        Kind = "cluster_formed"         // cluster_id; the first change of every log
	nodeStarted          Kind = "node_started"           // leader_epoch_base, after an unclean stop
	producerIDsReserved  Kind = "producer_ids_reserved"  // next_producer_id
	brokerConfigsAltered Kind = "broker_configs_altered" // every_node, configs: all that are set now
	topicCreated         Kind = "topic_created"          // topic, id, partitions, internal, configs
	topicDeleted         Kind = "topic_deleted"          // topic, id
	partitionsAdded      Kind = "partitions_added"       // topic, id, partitions: how many there are now
	topicConfigsAltered  Kind = "topic_configs_altered"  // topic, id, configs: all that are set now
	groupConfigsAltered  Kind = "group_configs_altered"  // group, configs: all that are set now
	clientQuotasAltered  Kind = "client_quotas_altered"  // entity, quotas: all that are set now
	clientMetricsAltered Kind = "client_metrics_altered" // subscription, configs: all that are set now
	featuresUpdated      Kind = "features_updated"       // levels: all that are set now, features_epoch
)

// Change is one record of the metadata log. Only the fields of its Kind are set.
type Change struct {
	Kind            Kind              `json:"kind"`
	ClusterID       string            `json:"cluster_id,omitempty"`
	LeaderEpochBase int32             `json:"leader_epoch_base,omitempty"`
	NextProducerID  int64             `json:"next_producer_id,omitempty"`
	Topic           string            `json:"topic,omitempty"`
	ID              string            `json:"id,omitempty"` // base64url without padding, as Kafka shows it
	Partitions      int32             `json:"partitions,omitempty"`
	Internal        bool              `json:"internal,omitempty"`
	EveryNode       bool              `json:"every_node,omitempty"`
	Group           string            `json:"group,omitempty"`
	Configs         map[string]string `json:"configs,omitempty"`
	// Entity is whom Quotas are of, by Kafka's type; a null name is the default.
	Entity map[string]*string `json:"entity,omitempty"`
	Quotas map[string]float64 `json:"quotas,omitempty"`
	// Subscription is whose Configs are those of client metrics.
	Subscription  string           `json:"subscription,omitempty"`
	Levels        map[string]int16 `json:"levels,omitempty"`
	FeaturesEpoch int64            `json:"features_epoch,omitempty"`
}

// ErrUnknownChange is in the chain when a log holds what this broker does not
// know; guessing would lose it, so the log is refused.
var ErrUnknownChange = errors.New("unknown change")

func encodeID(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// topicID decodes ID.
func (c *Change) topicID() (id [16]byte, err error) {
	b, err := base64.RawURLEncoding.DecodeString(c.ID)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%q is not a topic id", c.ID)
	}
	copy(id[:], b)
	if id == ([16]byte{}) {
		return id, errors.New("a topic id of zeros")
	}
	return id, nil
}

// encodeChanges makes one record batch of a command's changes, base offset 0.
func encodeChanges(changes []Change, unixMs int64) (record.Batch, error) {
	records := make([]record.Record, len(changes))
	for n := range changes {
		value, err := json.Marshal(&changes[n])
		if err != nil {
			return nil, err
		}
		records[n] = record.Record{Timestamp: unixMs, Value: value}
	}
	return record.Builder{ProducerID: -1}.Build(records)
}

// decodeChanges reads a batch that encodeChanges made.
func decodeChanges(b record.Batch, into []Change) ([]Change, error) {
	err := record.Records(b, maxMetadataBytes, func(r record.Record) error {
		in := json.NewDecoder(bytes.NewReader(r.Value))
		in.DisallowUnknownFields()
		var c Change
		if err := in.Decode(&c); err != nil {
			return fmt.Errorf("%w: offset %d: %v", ErrUnknownChange, r.Offset, err)
		}
		into = append(into, c)
		return nil
	})
	return into, err
}

// Names are the topics' names in order.
func (i *Image) Names() []string { return slices.Sorted(maps.Keys(i.Topics)) }
