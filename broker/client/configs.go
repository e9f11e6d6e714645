package client

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// EntityType is what settings belong to.
type EntityType string

// The entities whose settings can be seen and altered.
const (
	TopicEntity         EntityType = "topic"
	BrokerEntity        EntityType = "broker"
	GroupEntity         EntityType = "group"          // KIP-848, KIP-932
	ClientMetricsEntity EntityType = "client-metrics" // KIP-714
)

// EntityTypes lists them, for help and completion.
func EntityTypes() []string {
	return []string{string(TopicEntity), string(BrokerEntity), string(GroupEntity), string(ClientMetricsEntity)}
}

func (t EntityType) wire() kmsg.ConfigResourceType {
	switch t {
	case TopicEntity:
		return kmsg.ConfigResourceTypeTopic
	case BrokerEntity:
		return kmsg.ConfigResourceTypeBroker
	case GroupEntity:
		return kmsg.ConfigResourceTypeGroupConfig
	case ClientMetricsEntity:
		return kmsg.ConfigResourceTypeClientMetrics
	}
	return kmsg.ConfigResourceTypeUnknown
}

func entityTypeOf(wire kmsg.ConfigResourceType) (EntityType, bool) {
	for _, name := range EntityTypes() {
		if t := EntityType(name); t.wire() == wire {
			return t, true
		}
	}
	return "", false
}

// Entity is one owner of settings. The broker entity named "default" is every
// broker of the cluster (Kafka's --entity-default).
type Entity struct {
	Type EntityType `json:"type"`
	Name string     `json:"name"`
}

// defaultBroker is the name that stands for every broker.
const defaultBroker = "default"

// ParseEntity checks type and name.
func ParseEntity(kind, name string) (Entity, error) {
	e := Entity{EntityType(strings.TrimSuffix(kind, "s")), name}
	if kind == string(ClientMetricsEntity) {
		e.Type = ClientMetricsEntity
	}
	switch {
	case e.Type.wire() == kmsg.ConfigResourceTypeUnknown:
		return Entity{}, inputf("%q is no entity type; there are %s", kind, strings.Join(EntityTypes(), ", "))
	case name == "":
		return Entity{}, inputf("the %s has no name", e.Type)
	case e.Type == BrokerEntity && name != defaultBroker:
		if id, err := strconv.ParseInt(name, 10, 32); err != nil || id < 0 {
			return Entity{}, inputf("broker %q: name a node id, or %s for all brokers", name, defaultBroker)
		}
	}
	return e, nil
}

// String is the entity as errors name it.
func (e Entity) String() string { return string(e.Type) + " " + e.Name }

func (e Entity) wireName() string {
	if e.Type == BrokerEntity && e.Name == defaultBroker {
		return ""
	}
	return e.Name
}

// Config is one setting of an entity.
type Config struct {
	Key       string  `json:"key"`
	Value     *string `json:"value"`  // nil when sensitive
	Source    string  `json:"source"` // Kafka's ConfigSource
	ReadOnly  bool    `json:"readOnly"`
	Sensitive bool    `json:"sensitive"`
	Type      string  `json:"type"`
	Doc       string  `json:"documentation,omitempty"`
	// Synonyms are where the value comes from, in order of precedence.
	Synonyms []Synonym `json:"synonyms,omitempty"`
}

// Synonym is one layer of a setting.
type Synonym struct {
	Key    string  `json:"key"`
	Value  *string `json:"value"`
	Source string  `json:"source"`
}

// IsAltered tells that somebody set the value.
func (c *Config) IsAltered() bool { return c.Source != kmsg.ConfigSourceDefaultConfig.String() }

// altered are the settings that somebody set.
func altered(configs []Config) map[string]string {
	values := map[string]string{}
	for _, c := range configs {
		if c.IsAltered() && c.Value != nil {
			values[c.Key] = *c.Value
		}
	}
	return values
}

// DescribeConfigs returns the settings of an entity by key; some keys, or all
// when none is named. documented adds sentences and synonyms.
func (c *Client) DescribeConfigs(ctx context.Context, e Entity, documented bool, keys ...string) ([]Config, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	request := kmsg.NewPtrDescribeConfigsRequest()
	request.IncludeDocumentation, request.IncludeSynonyms = documented, documented
	found, err := c.describe(ctx, request, []Entity{e}, keys)
	if err != nil {
		return nil, err
	}
	configs := found[e]
	for _, key := range keys {
		if !slices.ContainsFunc(configs, func(c Config) bool { return c.Key == key }) {
			return nil, refused(e.String(), kerr.InvalidConfig, "it has no setting "+key)
		}
	}
	return configs, nil
}

// describeConfigs is all settings of many entities, without documentation.
func (c *Client) describeConfigs(ctx context.Context, entities []Entity) (map[Entity][]Config, error) {
	return c.describe(ctx, kmsg.NewPtrDescribeConfigsRequest(), entities, nil)
}

func (c *Client) describe(ctx context.Context, request *kmsg.DescribeConfigsRequest, entities []Entity, keys []string) (map[Entity][]Config, error) {
	found := map[Entity][]Config{}
	if len(entities) == 0 {
		return found, nil
	}
	for _, e := range entities {
		resource := kmsg.NewDescribeConfigsRequestResource()
		resource.ResourceType, resource.ResourceName = e.Type.wire(), e.wireName()
		if len(keys) > 0 {
			resource.ConfigNames = keys
		}
		request.Resources = append(request.Resources, resource)
	}
	subject := "describing settings"
	if len(entities) == 1 {
		subject = entities[0].String()
	}
	for _, shard := range c.kafka.RequestSharded(ctx, request) {
		if shard.Err != nil {
			return nil, refused(subject, shard.Err, "")
		}
		for _, r := range shard.Resp.(*kmsg.DescribeConfigsResponse).Resources {
			e, ok := c.entityOf(r.ResourceType, r.ResourceName)
			if !ok {
				continue
			}
			if err := refused(e.String(), kerr.ErrorForCode(r.ErrorCode), deref(r.ErrorMessage)); err != nil {
				return nil, err
			}
			found[e] = []Config{}
			for _, entry := range r.Configs {
				config := Config{
					Key: entry.Name, Value: entry.Value, Source: entry.Source.String(), ReadOnly: entry.ReadOnly,
					Sensitive: entry.IsSensitive, Type: entry.ConfigType.String(), Doc: deref(entry.Documentation),
				}
				for _, s := range entry.ConfigSynonyms {
					config.Synonyms = append(config.Synonyms, Synonym{s.Name, s.Value, s.Source.String()})
				}
				found[e] = append(found[e], config)
			}
			slices.SortFunc(found[e], func(a, b Config) int { return cmp.Compare(a.Key, b.Key) })
		}
	}
	return found, nil
}

func (c *Client) entityOf(wire kmsg.ConfigResourceType, name string) (Entity, bool) {
	kind, ok := entityTypeOf(wire)
	if kind == BrokerEntity && name == "" {
		name = defaultBroker
	}
	return Entity{kind, name}, ok
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// AlteredConfig is what became of one key.
type AlteredConfig struct {
	Entity
	Key    string  `json:"key"`
	Value  *string `json:"value,omitempty"` // nil when deleted
	Status string  `json:"status"`          // set, deleted, valid or refused
	Error  string  `json:"error,omitempty"`
}

// AlterConfigs sets and deletes keys of one entity in one step: all of them or
// none. The keys that are not named stay as they are (KIP-339).
func (c *Client) AlterConfigs(ctx context.Context, e Entity, set map[string]string, remove []string, validateOnly bool) ([]AlteredConfig, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = e.Type.wire(), e.wireName()
	var results []AlteredConfig
	for _, key := range slices.Sorted(maps.Keys(set)) {
		value := set[key]
		results = append(results, AlteredConfig{Entity: e, Key: key, Value: &value, Status: "set"})
	}
	for _, key := range remove {
		if _, both := set[key]; both {
			return nil, inputf("%s is to be set and deleted", key)
		}
		results = append(results, AlteredConfig{Entity: e, Key: key, Status: "deleted"})
	}
	if len(results) == 0 {
		return nil, inputf("no setting is named")
	}
	for _, r := range results {
		change := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		change.Name, change.Value = r.Key, r.Value
		if r.Value == nil {
			change.Op = kmsg.IncrementalAlterConfigOpDelete
		}
		resource.Configs = append(resource.Configs, change)
	}
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	request.ValidateOnly, request.Resources = validateOnly, append(request.Resources, resource)
	var err error
	for _, shard := range c.kafka.RequestSharded(ctx, request) {
		if shard.Err != nil {
			return nil, refused(e.String(), shard.Err, "")
		}
		for _, r := range shard.Resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
			if refusal := refused(e.String(), kerr.ErrorForCode(r.ErrorCode), deref(r.ErrorMessage)); refusal != nil {
				err = refusal
			}
		}
	}
	for n := range results {
		switch {
		case err != nil:
			results[n].Status, results[n].Error = "refused", reason(err)
		case validateOnly:
			results[n].Status = "valid"
		}
	}
	return results, err
}

// EntityConfigs is an entity with the settings that somebody set on it.
type EntityConfigs struct {
	Entity
	Altered map[string]string `json:"altered"`
}

// ListEntities lists the entities of a type with what is set on each. Groups
// and client metrics come from ListConfigResources (Kafka 4.1 on): those that
// have settings at all.
func (c *Client) ListEntities(ctx context.Context, kind EntityType) ([]EntityConfigs, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	entities, err := c.entitiesOf(ctx, kind)
	if err != nil {
		return nil, err
	}
	configs, err := c.describeConfigs(ctx, entities)
	if err != nil {
		return nil, err
	}
	listed := []EntityConfigs{}
	for _, e := range entities {
		listed = append(listed, EntityConfigs{e, altered(configs[e])})
	}
	return listed, nil
}

func (c *Client) entitiesOf(ctx context.Context, kind EntityType) ([]Entity, error) {
	var entities []Entity
	switch kind {
	case TopicEntity:
		found, err := c.details(ctx)
		if err != nil {
			return nil, err
		}
		for _, name := range found.Names() {
			entities = append(entities, Entity{TopicEntity, name})
		}
	case BrokerEntity:
		found, err := c.admin.BrokerMetadata(ctx)
		if err != nil {
			return nil, refused("metadata", err, "")
		}
		entities = append(entities, Entity{BrokerEntity, defaultBroker})
		for _, id := range found.Brokers.NodeIDs() {
			entities = append(entities, Entity{BrokerEntity, strconv.Itoa(int(id))})
		}
	default:
		found, err := c.admin.ListConfigResources(ctx, kadm.ConfigResourceType(kind.wire()))
		if isUnsupported(err) {
			return nil, refused("settings of type "+string(kind), kerr.UnsupportedVersion, "the broker does not list them; describe one by its name")
		}
		if err == nil {
			err = found.Err
		}
		if err != nil {
			return nil, refused("settings of type "+string(kind), err, "")
		}
		for _, r := range found.Sorted() {
			if e, ok := c.entityOf(kmsg.ConfigResourceType(r.Type), r.Name); ok && e.Type == kind {
				entities = append(entities, e)
			}
		}
	}
	return entities, nil
}
