package handler

import (
	"fmt"
	"strings"
	"testing"

	"fluxmq/broker/protocol"
	"fluxmq/broker/quota"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// quotaWords reads "user=u client-id=" as an entity; an empty name is the default.
func quotaWords(words string) (entity []kmsg.AlterClientQuotasRequestEntryEntity) {
	for _, word := range strings.Fields(words) {
		entityType, name, _ := strings.Cut(word, "=")
		c := kmsg.AlterClientQuotasRequestEntryEntity{Type: entityType}
		if name != "" {
			c.Name = &name
		}
		entity = append(entity, c)
	}
	return entity
}

// quotaEntry sets keys of an entity; a value of 0 removes.
func quotaEntry(words string, values map[string]float64) kmsg.AlterClientQuotasRequestEntry {
	entry := kmsg.AlterClientQuotasRequestEntry{Entity: quotaWords(words)}
	for key, value := range values {
		entry.Ops = append(entry.Ops, kmsg.AlterClientQuotasRequestEntryOp{Key: key, Value: value, Remove: value == 0})
	}
	return entry
}

func TestAlterClientQuotasAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	versions(t, protocol.KeyAlterClientQuotas, func(t *testing.T, v int16) {
		rate := float64(1000 + v)
		empty := quotaEntry("user=", map[string]float64{"producer_byte_rate": 1})
		empty.Entity[0].Name = ref("")
		request := &kmsg.AlterClientQuotasRequest{Entries: []kmsg.AlterClientQuotasRequestEntry{
			quotaEntry("user=u client-id=", map[string]float64{"producer_byte_rate": rate, "request_percentage": 12.5}),
			quotaEntry("client-id=c", map[string]float64{"speed": 1}),
			quotaEntry("user=twice", map[string]float64{"producer_byte_rate": 1}),
			quotaEntry("group=g", map[string]float64{"producer_byte_rate": 1}),
			empty,
			quotaEntry("", map[string]float64{"producer_byte_rate": 1}),
			quotaEntry("ip=10.0.0.1 user=u", map[string]float64{"connection_creation_rate": 1}),
			quotaEntry("user=twice", map[string]float64{"consumer_byte_rate": 1}),
			quotaEntry("ip=10.0.0.1", map[string]float64{"connection_creation_rate": 7}),
			quotaEntry("user=one user=other", map[string]float64{"producer_byte_rate": rate}),
		}}
		want := []struct {
			entity string
			err    *protocol.Error
		}{
			{"client-id= user=u", nil}, {"client-id=c", protocol.ErrInvalidRequest}, {"user=twice", protocol.ErrInvalidRequest},
			{"group=g", protocol.ErrInvalidRequest}, {"user=", protocol.ErrInvalidRequest}, {"", protocol.ErrInvalidRequest},
			{"ip=10.0.0.1 user=u", protocol.ErrInvalidRequest}, {"ip=10.0.0.1", nil}, {"user=other", nil},
		}
		for _, only := range []bool{true, false} {
			before := h.Metadata.Image().Quotas
			request.ValidateOnly = only
			got := ask[*kmsg.AlterClientQuotasResponse](t, h, v, request)
			if len(got.Entries) != len(want) {
				t.Fatalf("%+v", got.Entries)
			}
			for n, w := range want {
				var words []string
				for _, c := range got.Entries[n].Entity {
					name := ""
					if c.Name != nil {
						name = *c.Name
					}
					words = append(words, c.Type+"="+name)
				}
				if e := got.Entries[n]; e.ErrorCode != code(w.err) || (w.err == nil) != (e.ErrorMessage == nil) || strings.Join(words, " ") != w.entity {
					t.Errorf("%d: %v, error %d %v; want %s, %v", n, words, e.ErrorCode, e.ErrorMessage, w.entity, w.err)
				}
			}
			if altered := h.Metadata.Image().Quotas != before; altered == only {
				t.Errorf("validate only %v: altered %v", only, altered)
			}
		}
		quotas := h.Metadata.Image().Quotas
		if got := quotas.Limits(quota.Entity{User: quota.Named("u"), ClientID: quota.Default()}); got != (quota.Limits{quota.ProducerByteRate: rate, quota.RequestPercentage: 12.5}) || quotas.Len() != 3 {
			t.Errorf("%v of %v", got, quotas.Entities())
		}
		gone := &kmsg.AlterClientQuotasRequest{Entries: []kmsg.AlterClientQuotasRequestEntry{quotaEntry("user=other", map[string]float64{"producer_byte_rate": 0})}}
		if got := ask[*kmsg.AlterClientQuotasResponse](t, h, v, gone); got.Entries[0].ErrorCode != 0 || h.Metadata.Image().Quotas.Len() != 2 {
			t.Errorf("%+v, %v left", got.Entries, h.Metadata.Image().Quotas.Entities())
		}
	})
}

func TestDescribeClientQuotasAtEveryVersion(t *testing.T) {
	h := topicHandler(t)
	exact, byDefault, whatever := kmsg.QuotasMatchTypeExact, kmsg.QuotasMatchTypeDefault, kmsg.QuotasMatchTypeAny
	type component = kmsg.DescribeClientQuotasRequestComponent
	describe := func(t *testing.T, v int16, strict bool, components ...component) *kmsg.DescribeClientQuotasResponse {
		t.Helper()
		return ask[*kmsg.DescribeClientQuotasResponse](t, h, v, &kmsg.DescribeClientQuotasRequest{Components: components, Strict: strict})
	}
	versions(t, protocol.KeyDescribeClientQuotas, func(t *testing.T, v int16) {
		if r := describe(t, v, false); r.ErrorCode != 0 || r.Entries == nil && v == 0 || len(r.Entries) != 0 && v == 0 {
			t.Errorf("nothing is set: %+v", r)
		}
		var set kmsg.AlterClientQuotasRequest
		for _, words := range []string{"client-id=", "client-id=c", "user=", "user=u", "user=u client-id=", "user=u client-id=c"} {
			set.Entries = append(set.Entries, quotaEntry(words, map[string]float64{"producer_byte_rate": 5, "consumer_byte_rate": 6}))
		}
		set.Entries = append(set.Entries, quotaEntry("ip=10.0.0.1", map[string]float64{"connection_creation_rate": 7}))
		for _, e := range ask[*kmsg.AlterClientQuotasResponse](t, h, 1, &set).Entries {
			if e.ErrorCode != 0 {
				t.Fatalf("%+v", e)
			}
		}
		for _, test := range []struct {
			name       string
			strict     bool
			components []component
			want       string
		}{
			{"everything", false, nil, "ip=10.0.0.1, client-id=, client-id=c, user=, user=u, client-id= user=u, client-id=c user=u"},
			{"exactly nothing", true, nil, ""},
			{"all with a user", false, []component{{EntityType: "user", MatchType: whatever}}, "user=, user=u, client-id= user=u, client-id=c user=u"},
			{"all with only a user", true, []component{{EntityType: "user", MatchType: whatever}}, "user=, user=u"},
			{"all of one user", false, []component{{EntityType: "user", MatchType: exact, Match: ref("u")}}, "user=u, client-id= user=u, client-id=c user=u"},
			{"one user", true, []component{{EntityType: "user", MatchType: exact, Match: ref("u")}}, "user=u"},
			{"the default user", false, []component{{EntityType: "user", MatchType: byDefault}}, "user="},
			{"both", true, []component{{EntityType: "user", MatchType: exact, Match: ref("u")}, {EntityType: "client-id", MatchType: byDefault}}, "client-id= user=u"},
			{"any client of a user", true, []component{{EntityType: "client-id", MatchType: whatever}, {EntityType: "user", MatchType: exact, Match: ref("u")}}, "client-id= user=u, client-id=c user=u"},
			{"an unknown name", false, []component{{EntityType: "user", MatchType: exact, Match: ref("nobody")}}, ""},
			{"an empty name is not the default", false, []component{{EntityType: "user", MatchType: exact, Match: ref("")}}, ""},
			{"addresses", true, []component{{EntityType: "ip", MatchType: whatever}}, "ip=10.0.0.1"},
		} {
			r := describe(t, v, test.strict, test.components...)
			var got []string
			for _, e := range r.Entries {
				var words []string
				for _, c := range e.Entity {
					name := ""
					if c.Name != nil {
						name = *c.Name
					}
					words = append(words, c.Type+"="+name)
				}
				got = append(got, strings.Join(words, " "))
				values := fmt.Sprint(e.Values)
				if c := e.Entity[0].Type; c != "ip" && (len(e.Values) != 2 || e.Values[0].Key != "producer_byte_rate" || e.Values[0].Value != 5 || e.Values[1].Value != 6) || c == "ip" && len(e.Values) != 1 {
					t.Errorf("%s: %v has %s", test.name, words, values)
				}
			}
			if r.ErrorCode != 0 || r.ErrorMessage == nil || *r.ErrorMessage != "" || strings.Join(got, ", ") != test.want {
				t.Errorf("%s: %q, error %d; want %q", test.name, got, r.ErrorCode, test.want)
			}
		}
		for _, test := range []struct {
			name       string
			components []component
			want       *protocol.Error
		}{
			{"no type", []component{{MatchType: whatever}}, protocol.ErrInvalidRequest},
			{"a type twice", []component{{EntityType: "user", MatchType: whatever}, {EntityType: "user", MatchType: byDefault}}, protocol.ErrInvalidRequest},
			{"an unknown type", []component{{EntityType: "group", MatchType: whatever}}, protocol.ErrUnsupportedVersion},
			{"no name to match", []component{{EntityType: "user", MatchType: exact}}, protocol.ErrInvalidRequest},
			{"a name of the default", []component{{EntityType: "user", MatchType: byDefault, Match: ref("u")}}, protocol.ErrInvalidRequest},
			{"a name of any", []component{{EntityType: "user", MatchType: whatever, Match: ref("u")}}, protocol.ErrInvalidRequest},
			{"an unknown match", []component{{EntityType: "user", MatchType: 3}}, protocol.ErrInvalidRequest},
			{"an address and a user", []component{{EntityType: "ip", MatchType: whatever}, {EntityType: "user", MatchType: whatever}}, protocol.ErrInvalidRequest},
		} {
			if r := describe(t, v, false, test.components...); r.ErrorCode != code(test.want) || r.ErrorMessage == nil || r.Entries != nil {
				t.Errorf("%s: %+v, want %v", test.name, r, test.want)
			}
		}
	})
}
