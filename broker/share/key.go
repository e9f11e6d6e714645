package share

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"fluxmq/broker/protocol"
)

// Key names a partition as one group sees it (Kafka's SharePartitionKey).
type Key struct {
	Group     string
	Topic     [16]byte
	Partition int32
}

// String is what FindCoordinator names a key by: group:topic id:partition.
func (k Key) String() string {
	return k.Group + ":" + base64.RawURLEncoding.EncodeToString(k.Topic[:]) + ":" + strconv.Itoa(int(k.Partition))
}

// ParseKey reads what String writes; the name of a group may have colons in
// it. The error is INVALID_REQUEST.
func ParseKey(text string) (Key, error) {
	invalid := fmt.Errorf("%w: %q is not groupId:topicId:partition", protocol.ErrInvalidRequest, text)
	second := strings.LastIndexByte(text, ':')
	if second < 0 {
		return Key{}, invalid
	}
	first := strings.LastIndexByte(text[:second], ':')
	if first <= 0 {
		return Key{}, invalid
	}
	k := Key{Group: text[:first]}
	id, err := base64.RawURLEncoding.DecodeString(text[first+1 : second])
	if err != nil || len(id) != len(k.Topic) {
		return Key{}, invalid
	}
	partition, err := strconv.ParseInt(text[second+1:], 10, 32)
	if err != nil || partition < 0 {
		return Key{}, invalid
	}
	copy(k.Topic[:], id)
	k.Partition = int32(partition)
	return k, nil
}
