package handler

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"fluxmq/broker/cluster"
	"fluxmq/broker/protocol"
	"fluxmq/broker/quota"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleAlterClientQuotas answers AlterClientQuotas (API key 49, KIP-546):
// entities are altered one by one, each wholly or not at all. As in Kafka, an
// entity that is given twice gets one answer, an error; unlike in Kafka, which
// carries the first of them out all the same, it is not altered then.
func handleAlterClientQuotas(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.AlterClientQuotasRequest)
	response := request.ResponseKind().(*kmsg.AlterClientQuotasResponse)
	places := map[quota.Entity]int{} // in response.Entries
	var alterations []cluster.QuotaAlteration
	for _, entry := range request.Entries {
		entity, named, err := alteredEntity(entry.Entity)
		at, answered := places[entity]
		if err != nil || !answered {
			at = len(response.Entries)
			response.Entries = append(response.Entries, kmsg.AlterClientQuotasResponseEntry{
				ErrorCode: protocol.CodeOf(err), ErrorMessage: errorWords(err), Entity: named,
			})
		}
		if err == nil {
			places[entity] = at
			alterations = append(alterations, quotaAlteration(entity, entry.Ops))
		}
	}
	for n, err := range h.Metadata.AlterClientQuotas(alterations, request.ValidateOnly) {
		out := &response.Entries[places[alterations[n].Entity]]
		out.ErrorCode, out.ErrorMessage = protocol.CodeOf(err), errorWords(err)
	}
	return Answer{Response: response}
}

// alteredEntity reads an entity, and returns it as the response names it. Of a
// type given twice the last name counts, as in Kafka.
func alteredEntity(components []kmsg.AlterClientQuotasRequestEntryEntity) (entity quota.Entity, named []kmsg.AlterClientQuotasResponseEntryEntity, err error) {
	names := map[string]*string{}
	for _, c := range components {
		names[c.Type] = c.Name
	}
	for _, entityType := range slices.Sorted(maps.Keys(names)) {
		name := names[entityType]
		named = append(named, kmsg.AlterClientQuotasResponseEntryEntity{Type: entityType, Name: name})
		part := entity.Part(entityType)
		switch {
		case err != nil:
		case part == nil:
			err = fmt.Errorf("%w: the entity type %q is not known", protocol.ErrInvalidRequest, entityType)
		case name == nil:
			*part = quota.Default()
		case *name == "":
			err = fmt.Errorf("%w: the name of a %s is empty", protocol.ErrInvalidRequest, entityType)
		default:
			*part = quota.Named(strings.ToValidUTF8(*name, "\uFFFD")) // what a log of JSON gives back
		}
	}
	return entity, named, err
}

func quotaAlteration(entity quota.Entity, ops []kmsg.AlterClientQuotasRequestEntryOp) cluster.QuotaAlteration {
	a := cluster.QuotaAlteration{Entity: entity}
	for _, op := range ops {
		a.Changes = append(a.Changes, cluster.QuotaChange{Key: op.Key, Value: op.Value, Remove: op.Remove})
	}
	return a
}
