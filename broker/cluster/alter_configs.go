package cluster

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"fluxmq/broker/config"
	"fluxmq/broker/protocol"
)

// Operation is what an incremental alteration does to one key, with the
// numbers of IncrementalAlterConfigs.
type Operation int8

// The operations. Append and Subtract are for lists.
const (
	OpSet Operation = iota
	OpDelete
	OpAppend
	OpSubtract
)

func (o Operation) String() string {
	if o < OpSet || o > OpSubtract {
		return fmt.Sprintf("operation %d", int8(o))
	}
	return [...]string{"SET", "DELETE", "APPEND", "SUBTRACT"}[o]
}

// ConfigChange is one key of an alteration. Value is nil only with OpDelete.
type ConfigChange struct {
	Op    Operation
	Name  string
	Value *string
}

// ConfigResource is what an alteration is about: a topic, a group, a client
// metrics subscription, or the broker settings of this node or (EveryNode) of all.
type ConfigResource struct {
	Topic, Group, Subscription string // all "" for broker settings
	EveryNode                  bool
}

// MaxSubscriptions bounds the client metrics subscriptions: each of them is
// held against every client.
const MaxSubscriptions = 1000

// alterConfigs decides an alteration of a resource's settings. With replace,
// the changes (all OpSet) are all that is set afterwards. An alteration that
// leaves everything as it was makes no change.
func alterConfigs(image *Image, resource ConfigResource, changes []ConfigChange, replace bool) ([]Change, error) {
	r, err := findResource(image, resource)
	if err != nil {
		return nil, err
	}
	after := map[string]string{}
	if !replace {
		after = maps.Clone(r.values)
		if after == nil {
			after = map[string]string{}
		}
	}
	seen := map[string]bool{}
	for n := range changes {
		c := &changes[n]
		if seen[c.Name] {
			return nil, fmt.Errorf("%w: the key %q is given twice", protocol.ErrInvalidRequest, c.Name)
		}
		seen[c.Name] = true
		if err := r.alter(after, c); err != nil {
			return nil, err
		}
	}
	if maps.Equal(after, r.values) {
		return nil, nil
	}
	if err := r.check(after); err != nil {
		return nil, r.refused("", err)
	}
	r.change.Configs = after
	return []Change{r.change}, nil
}

// configTarget is a resource found: its values now and how to judge new ones.
type configTarget struct {
	scope   config.Scope
	values  map[string]string
	change  Change
	current func(name string) string // the value in force, for lists without one of their own
	check   func(after map[string]string) error
}

func findResource(image *Image, resource ConfigResource) (*configTarget, error) {
	switch {
	case resource.Group != "":
		return groupTarget(image, resource.Group), nil
	case resource.Subscription != "":
		return subscriptionTarget(image, resource.Subscription), nil
	case resource.Topic == "":
		return brokerTarget(image, resource.EveryNode), nil
	}
	t := image.Topics[resource.Topic]
	if t == nil {
		return nil, unknownTopic(resource.Topic)
	}
	return &configTarget{
		scope: config.TopicScope, values: t.Overrides,
		change:  Change{Kind: topicConfigsAltered, Topic: t.Name, ID: encodeID(t.ID)},
		current: func(name string) string { return inForce(config.DescribeTopic(image.Settings, nil), name) },
		check: func(after map[string]string) error {
			_, err := config.ParseTopic(image.Settings, after)
			return err
		},
	}, nil
}

// groupTarget is a group, which need not exist: its settings may be there before it.
func groupTarget(image *Image, id string) *configTarget {
	target := &configTarget{
		scope:   config.GroupScope,
		change:  Change{Kind: groupConfigsAltered, Group: id},
		current: func(name string) string { return inForce(config.DescribeGroup(image.Settings, nil), name) },
		check: func(after map[string]string) error {
			_, err := config.ParseGroup(image.Settings, after)
			return err
		},
	}
	if g := image.Groups[id]; g != nil {
		target.values = g.Overrides
	}
	return target
}

// subscriptionTarget is a client metrics subscription, which exists by its settings.
func subscriptionTarget(image *Image, name string) *configTarget {
	target := &configTarget{
		scope:   config.ClientMetricsScope,
		change:  Change{Kind: clientMetricsAltered, Subscription: name},
		current: func(string) string { return "" }, // the default of its lists
	}
	if s := image.Subscriptions[name]; s != nil {
		target.values = s.Overrides
	}
	target.check = func(after map[string]string) error {
		if len(target.values) == 0 && len(after) > 0 && len(image.Subscriptions) >= MaxSubscriptions {
			return fmt.Errorf("%w: there are %d subscriptions; no more are kept", protocol.ErrPolicyViolation, MaxSubscriptions)
		}
		_, err := config.ParseClientMetrics(after)
		return err
	}
	return target
}

func brokerTarget(image *Image, everyNode bool) *configTarget {
	target := &configTarget{
		scope: config.Broker, values: image.NodeConfigs,
		change:  Change{Kind: brokerConfigsAltered, EveryNode: everyNode},
		current: func(name string) string { return inForce(config.DescribeBroker(image.Settings), name) },
	}
	if everyNode {
		target.values = image.ClusterConfigs
	}
	target.check = func(after map[string]string) error {
		all, this := image.ClusterConfigs, after
		if everyNode {
			all, this = after, image.NodeConfigs
		}
		return image.checkDynamic(all, this)
	}
	return target
}

// checkDynamic tells whether the broker and every topic can work with these
// dynamic settings. Those that are in force no more are not held against it.
func (i *Image) checkDynamic(all, this map[string]string) error {
	without := func(values map[string]string) map[string]string {
		left := maps.Clone(values)
		maps.DeleteFunc(left, func(key, value string) bool {
			return slices.Contains(i.Ignored, key) && (i.ClusterConfigs[key] == value || i.NodeConfigs[key] == value)
		})
		return left
	}
	settings, err := i.Settings.WithDynamic(without(all), without(this))
	if err != nil {
		return err
	}
	for _, t := range i.Topics {
		if _, err := config.ParseTopic(settings, t.Overrides); err != nil {
			return fmt.Errorf("topic %s: %w", t.Name, err)
		}
	}
	return nil
}

func inForce(entries []config.Entry, name string) string {
	for _, e := range entries {
		if e.Setting.Name == name && e.Value != nil {
			return *e.Value
		}
	}
	return ""
}

// alter applies one change to values.
func (r *configTarget) alter(values map[string]string, c *ConfigChange) error {
	if c.Op != OpDelete && c.Value == nil {
		return fmt.Errorf("%w: %s of %q needs a value", protocol.ErrInvalidRequest, c.Op, c.Name)
	}
	switch c.Op {
	case OpDelete:
		delete(values, c.Name)
		return nil
	case OpSet:
		values[c.Name] = *c.Value
	case OpAppend, OpSubtract:
		s := config.Find(r.scope, c.Name)
		if s == nil || s.Type != config.List {
			return fmt.Errorf("%w: %s of %q: its type is not a list", protocol.ErrInvalidConfig, c.Op, c.Name)
		}
		now, ok := values[c.Name]
		if !ok {
			now = r.current(c.Name)
		}
		values[c.Name] = alterList(now, *c.Value, c.Op)
	default:
		return protocol.ErrUnknownServerError // an operation that there is not: Kafka fails inside
	}
	check := map[config.Scope]func(key, value string) error{
		config.TopicScope: config.CheckTopic, config.GroupScope: config.CheckGroup,
		config.ClientMetricsScope: config.CheckClientMetrics, config.Broker: config.CheckDynamic,
	}[r.scope]
	if err := check(c.Name, values[c.Name]); err != nil {
		return r.refused(c.Name, err)
	}
	return nil
}

// refused gives a setting's error Kafka's code. Of a broker's settings that is
// INVALID_REQUEST (KAFKA-13609), and so it is of a subscription's unknown keys
// and its interval.ms out of bounds; of all others it is INVALID_CONFIG.
func (r *configTarget) refused(key string, err error) error {
	if errors.As(err, new(*protocol.Error)) {
		return err
	}
	isInterval := r.scope == config.ClientMetricsScope && key == "interval.ms" && !errors.Is(err, config.ErrType)
	if r.scope == config.Broker || isInterval || r.scope == config.ClientMetricsScope && errors.Is(err, config.ErrUnknownKey) {
		return fmt.Errorf("%w: %w", protocol.ErrInvalidRequest, err)
	}
	return invalidConfig(err)
}

// alterList adds parts to a list or takes them out, keeping the order.
func alterList(now, parts string, op Operation) string {
	list := config.SplitList(now)
	for _, part := range config.SplitList(parts) {
		at := slices.Index(list, part)
		switch {
		case op == OpAppend && at < 0:
			list = append(list, part)
		case op == OpSubtract && at >= 0:
			list = slices.Delete(list, at, at+1)
		}
	}
	return strings.Join(list, ",")
}
