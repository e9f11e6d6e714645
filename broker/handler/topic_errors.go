package handler

import (
	"errors"
	"strings"

	"fluxmq/broker/protocol"
)

// errorWords is what a response's error message says of an error: its words
// without the name of the code, which the code says; nil without an error.
func errorWords(err error) *string {
	if err == nil {
		return nil
	}
	text := err.Error()
	if known := (*protocol.Error)(nil); errors.As(err, &known) {
		text = strings.TrimPrefix(text, known.Name+": ")
	}
	return &text
}

// ownWords is errorWords where an error that says no more than its code has no message.
func ownWords(err error) *string {
	if _, bare := err.(*protocol.Error); bare {
		return nil
	}
	return errorWords(err)
}

// What Kafka answers about authorized operations when nothing authorizes:
// every operation that the resource knows, as a bit field of ACL operation
// codes; notAsked when the request did not want to know.
const (
	topicOperations   int32 = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11 // READ WRITE CREATE DELETE ALTER DESCRIBE DESCRIBE_CONFIGS ALTER_CONFIGS
	clusterOperations int32 = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12       // CREATE ALTER DESCRIBE CLUSTER_ACTION DESCRIBE_CONFIGS ALTER_CONFIGS IDEMPOTENT_WRITE
	notAsked          int32 = -1 << 31
)

func operations(asked bool, all int32) int32 {
	if asked {
		return all
	}
	return notAsked
}
