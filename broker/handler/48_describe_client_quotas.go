package handler

import (
	"context"
	"fmt"

	"fluxmq/broker/protocol"
	"fluxmq/broker/quota"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDescribeClientQuotas answers DescribeClientQuotas (API key 48,
// KIP-546): the entities that have every part that the request asks for, and
// no other with strict, in the order of their names.
func handleDescribeClientQuotas(h *Handler, _ context.Context, _ *Request, in kmsg.Request) Answer {
	request := in.(*kmsg.DescribeClientQuotasRequest)
	response := request.ResponseKind().(*kmsg.DescribeClientQuotasResponse)
	if err := checkQuotaFilter(request.Components); err != nil {
		response.ErrorCode, response.ErrorMessage = protocol.CodeOf(err), errorWords(err)
		return Answer{Response: response}
	}
	// None is not null, neither of entries nor of messages.
	response.Entries, response.ErrorMessage = []kmsg.DescribeClientQuotasResponseEntry{}, new(string)
	quotas := h.Metadata.Image().Quotas
	for _, entity := range quotas.Entities() {
		if quotaMatches(entity, request.Components, request.Strict) {
			response.Entries = append(response.Entries, describedQuota(entity, quotas.Limits(entity)))
		}
	}
	return Answer{Response: response}
}

// checkQuotaFilter refuses what Kafka refuses, and in its order.
func checkQuotaFilter(components []kmsg.DescribeClientQuotasRequestComponent) error {
	asked := map[string]bool{}
	for _, c := range components {
		switch {
		case c.EntityType == "":
			return fmt.Errorf("%w: an entity type is empty", protocol.ErrInvalidRequest)
		case asked[c.EntityType]:
			return fmt.Errorf("%w: the entity type %s is given twice", protocol.ErrInvalidRequest, c.EntityType)
		case new(quota.Entity).Part(c.EntityType) == nil:
			return fmt.Errorf("%w: the entity type %q is not known", protocol.ErrUnsupportedVersion, c.EntityType)
		}
		asked[c.EntityType] = true
		switch c.MatchType {
		case kmsg.QuotasMatchTypeExact:
			if c.Match == nil {
				return fmt.Errorf("%w: %s is to match a name, and none is given", protocol.ErrInvalidRequest, c.EntityType)
			}
		case kmsg.QuotasMatchTypeDefault, kmsg.QuotasMatchTypeAny:
			if c.Match != nil {
				return fmt.Errorf("%w: %s is to match no name, and one is given", protocol.ErrInvalidRequest, c.EntityType)
			}
		default:
			return fmt.Errorf("%w: match type %d is not known", protocol.ErrInvalidRequest, int8(c.MatchType))
		}
	}
	if asked[quota.IPType] && len(asked) > 1 {
		return fmt.Errorf("%w: an ip is not combined with a user or client-id", protocol.ErrInvalidRequest)
	}
	return nil
}

// quotaMatches tells whether an entity has every part asked for, and with
// strict no other part. Any name includes the default, as in Kafka.
func quotaMatches(entity quota.Entity, components []kmsg.DescribeClientQuotasRequestComponent, strict bool) bool {
	for _, c := range components {
		part := *entity.Part(c.EntityType)
		switch {
		case !part.Given:
			return false
		case c.MatchType == kmsg.QuotasMatchTypeExact && (part.Name == "" || part.Name != *c.Match):
			return false
		case c.MatchType == kmsg.QuotasMatchTypeDefault && part.Name != "":
			return false
		}
	}
	return !strict || len(entity.Components()) == len(components)
}

func describedQuota(entity quota.Entity, limits quota.Limits) kmsg.DescribeClientQuotasResponseEntry {
	var out kmsg.DescribeClientQuotasResponseEntry
	for _, c := range entity.Components() {
		out.Entity = append(out.Entity, kmsg.DescribeClientQuotasResponseEntryEntity{Type: c.Type, Name: partName(c.Part)})
	}
	for kind, limit := range limits {
		if limit > 0 {
			out.Values = append(out.Values, kmsg.DescribeClientQuotasResponseEntryValue{Key: quota.Kind(kind).String(), Value: limit})
		}
	}
	return out
}

// partName is a part's name on the wire, null for the default.
func partName(p quota.Part) *string {
	if p.Name == "" {
		return nil
	}
	return &p.Name
}
