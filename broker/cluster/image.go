package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"fluxmq/broker/config"
	"fluxmq/broker/quota"
)

// Image is the cluster at one moment. It is immutable; readers hold it as
// long as they like, and may compare pointers of topics and their configs
// between two images: an unchanged one is the same pointer.
type Image struct {
	ClusterID string
	// Node is this node. Its Host and Port are the first advertised listener's;
	// replies name the one that the request came in on.
	Node   Broker
	Topics map[string]*Topic // by name
	ByID   map[[16]byte]*Topic
	// TopicsVersion rises whenever a topic is created, is deleted or grows.
	TopicsVersion int64
	// Groups are the groups that have settings of their own, by id; the group
	// itself need not exist.
	Groups map[string]*Group
	// NodeConfigs are the dynamic settings of this broker, ClusterConfigs those
	// of every broker; the former win.
	NodeConfigs, ClusterConfigs map[string]string
	// Settings are the broker's with the dynamic ones on top.
	Settings *config.Node
	// LeaderEpochBase rises by one on every unclean start.
	LeaderEpochBase int32
	// NextProducerID is where the next block of producer ids begins.
	NextProducerID int64
	// Quotas are those of clients; nil when none is set.
	Quotas *quota.Table
	// Subscriptions are those of client metrics (KIP-714), by name. The map is
	// another one whenever one of them changes, which SubscriptionsVersion counts.
	Subscriptions        map[string]*Subscription
	SubscriptionsVersion int64
	// Features are the levels of features that were set; see FeatureLevel.
	Features *FeatureLevels
	// Ignored are the dynamic settings of brokers that are stored and not in
	// force: they do not fit the present static ones.
	Ignored []string

	// collisions maps a name with '.' as '_' to the topic of that name, for
	// names that hold either: metric names cannot tell the two apart.
	collisions map[string]string
}

// Broker is one node and where it is reached.
type Broker struct {
	NodeID int32
	Host   string
	Port   int32
	Rack   string
}

// Topic in the image; immutable.
type Topic struct {
	Name       string
	ID         [16]byte
	Partitions int32
	Internal   bool
	// Overrides are the topic's own settings, Config all of them, typed.
	Overrides map[string]string
	Config    *config.Topic
}

// Group is what the image knows of a group; immutable.
type Group struct {
	// Overrides are the group's own settings, Config all of them, typed.
	Overrides map[string]string
	Config    *config.Group
}

// Subscription is one client metrics subscription; immutable.
type Subscription struct {
	// Overrides are its settings, Config the same, typed.
	Overrides map[string]string
	Config    *config.ClientMetrics
}

// draft is an image being made. Its maps are its own until it is published.
type draft struct {
	*Image
	// deleted collects the ids of topics that the changes deleted.
	deleted map[[16]byte]bool
	// quotas become Quotas; nil while the changes alter none.
	quotas map[quota.Entity]quota.Limits
}

// apply returns the image after the changes. The image it is called on stays
// as it is. An error means that a change does not fit the image: a damaged
// log, or a bug.
func (i *Image) apply(changes []Change, deleted map[[16]byte]bool) (*Image, error) {
	after := *i
	after.Topics, after.ByID, after.collisions = maps.Clone(i.Topics), maps.Clone(i.ByID), maps.Clone(i.collisions)
	d := draft{Image: &after, deleted: deleted}
	if slices.ContainsFunc(changes, func(c Change) bool { return c.Kind == clientQuotasAltered }) {
		d.quotas = i.Quotas.Copy()
	}
	reparse := false
	for n := range changes {
		if err := d.change(&changes[n]); err != nil {
			return nil, fmt.Errorf("change %d (%s): %w", n, changes[n].Kind, err)
		}
		reparse = reparse || changes[n].Kind == brokerConfigsAltered
	}
	if reparse {
		if err := d.resettle(); err != nil {
			return nil, err
		}
	}
	if d.quotas != nil {
		after.Quotas = quota.NewTable(d.quotas)
	}
	return &after, nil
}

func (d draft) change(c *Change) error {
	switch c.Kind {
	case clusterFormed:
		if d.ClusterID != "" {
			return fmt.Errorf("the cluster already is %s", d.ClusterID)
		}
		d.ClusterID = c.ClusterID
	case nodeStarted:
		d.LeaderEpochBase = c.LeaderEpochBase
	case producerIDsReserved:
		d.NextProducerID = c.NextProducerID
	case brokerConfigsAltered:
		if c.EveryNode {
			d.ClusterConfigs = c.Configs
		} else {
			d.NodeConfigs = c.Configs
		}
	case clientQuotasAltered:
		return d.alterQuotas(c)
	case topicCreated:
		return d.createTopic(c)
	case topicDeleted, partitionsAdded, topicConfigsAltered:
		return d.changeTopic(c)
	case groupConfigsAltered:
		d.changeGroup(c)
	case clientMetricsAltered:
		return d.changeSubscription(c)
	case featuresUpdated:
		d.Features = &FeatureLevels{Epoch: c.FeaturesEpoch, set: c.Levels}
	default:
		return fmt.Errorf("%w %q: a newer broker wrote it", ErrUnknownChange, c.Kind)
	}
	return nil
}

func (d draft) alterQuotas(c *Change) error {
	entity, limits, err := c.clientQuotas()
	if err != nil {
		return err
	}
	if d.quotas[entity] = limits; limits == (quota.Limits{}) {
		delete(d.quotas, entity)
	}
	return nil
}

func (d draft) createTopic(c *Change) error {
	id, err := c.topicID()
	if err != nil {
		return err
	}
	if d.Topics[c.Topic] != nil || d.ByID[id] != nil {
		return fmt.Errorf("topic %s exists", c.Topic)
	}
	if c.Partitions < 1 {
		return fmt.Errorf("topic %s has %d partitions", c.Topic, c.Partitions)
	}
	t := &Topic{Name: c.Topic, ID: id, Partitions: c.Partitions, Internal: c.Internal, Overrides: c.Configs}
	if t.Config, err = config.ParseTopic(d.Settings, t.Overrides); err != nil {
		return fmt.Errorf("topic %s: %w", c.Topic, err)
	}
	d.put(t)
	d.TopicsVersion++
	if key, ok := collisionKey(t.Name); ok {
		d.collisions[key] = t.Name
	}
	return nil
}

// changeGroup gives a group the settings of its own, or takes its last away.
// The map is copied: groups' settings change far more seldom than topics.
func (d draft) changeGroup(c *Change) {
	groups := maps.Clone(d.Groups)
	if groups == nil {
		groups = map[string]*Group{}
	}
	d.Groups = groups
	if len(c.Configs) == 0 {
		delete(groups, c.Group)
		return
	}
	groups[c.Group] = &Group{Overrides: c.Configs, Config: groupConfig(d.Settings, c.Configs)}
}

// groupConfig are a group's settings, typed. They were checked when they were
// altered; where the broker has other bounds since, the group goes by the
// broker's settings until both fit again.
func groupConfig(settings *config.Node, overrides map[string]string) *config.Group {
	parsed, err := config.ParseGroup(settings, overrides)
	if err != nil {
		return settings.Groups
	}
	return parsed
}

// changeSubscription gives a client metrics subscription its settings, or takes
// it away with its last one. The map is copied: readers hold the other.
func (d draft) changeSubscription(c *Change) error {
	parsed, err := config.ParseClientMetrics(c.Configs)
	if err != nil {
		return fmt.Errorf("subscription %s: %w", c.Subscription, err)
	}
	subscriptions := maps.Clone(d.Subscriptions)
	if subscriptions == nil {
		subscriptions = map[string]*Subscription{}
	}
	if subscriptions[c.Subscription] = (&Subscription{Overrides: c.Configs, Config: parsed}); len(c.Configs) == 0 {
		delete(subscriptions, c.Subscription)
	}
	d.Subscriptions = subscriptions
	d.SubscriptionsVersion++
	return nil
}

func (d draft) changeTopic(c *Change) error {
	id, err := c.topicID()
	if err != nil {
		return err
	}
	before := d.ByID[id]
	if before == nil {
		return fmt.Errorf("topic %s (%s) does not exist", c.Topic, c.ID)
	}
	t := *before
	switch c.Kind {
	case topicDeleted:
		d.TopicsVersion++
		delete(d.Topics, t.Name)
		delete(d.ByID, t.ID)
		if key, ok := collisionKey(t.Name); ok {
			delete(d.collisions, key)
		}
		if d.deleted != nil {
			d.deleted[t.ID] = true
		}
		return nil
	case partitionsAdded:
		if c.Partitions <= t.Partitions {
			return fmt.Errorf("topic %s has %d partitions, %d is no increase", t.Name, t.Partitions, c.Partitions)
		}
		t.Partitions = c.Partitions
		d.TopicsVersion++
	case topicConfigsAltered:
		t.Overrides = c.Configs
		if t.Config, err = parseOrKeep(d.Settings, &t); err != nil {
			return err
		}
	}
	d.put(&t)
	return nil
}

// resettle follows altered broker settings into every topic and group.
func (d draft) resettle() (err error) {
	d.Settings, d.Ignored = d.Settings.WithStored(d.ClusterConfigs, d.NodeConfigs)
	if len(d.Groups) > 0 {
		groups := make(map[string]*Group, len(d.Groups))
		for id, g := range d.Groups {
			groups[id] = &Group{Overrides: g.Overrides, Config: groupConfig(d.Settings, g.Overrides)}
		}
		d.Groups = groups
	}
	for _, before := range d.Topics {
		t := *before
		if t.Config, err = parseOrKeep(d.Settings, before); err != nil {
			return err
		}
		if t.Config != before.Config {
			d.put(&t)
		}
	}
	return nil
}

// parseOrKeep parses a topic's settings and returns the pointer it has when nothing changed.
func parseOrKeep(settings *config.Node, t *Topic) (*config.Topic, error) {
	parsed, err := config.ParseTopic(settings, t.Overrides)
	if err != nil {
		return nil, fmt.Errorf("topic %s: %w", t.Name, err)
	}
	if t.Config != nil && *parsed == *t.Config {
		return t.Config, nil
	}
	return parsed, nil
}

func (d draft) put(t *Topic) { d.Topics[t.Name], d.ByID[t.ID] = t, t }

// collisionKey is the name as a metric shows it; ok is false when no other name can look the same.
func collisionKey(name string) (string, bool) {
	if !strings.ContainsAny(name, "._") {
		return "", false
	}
	return strings.ReplaceAll(name, ".", "_"), true
}

// changes are the shortest list of changes that makes this image from an
// empty one: what a rewritten log holds. Topics come in the order of their names.
func (i *Image) changes() []Change {
	changes := []Change{{Kind: clusterFormed, ClusterID: i.ClusterID}}
	if i.LeaderEpochBase > 0 {
		changes = append(changes, Change{Kind: nodeStarted, LeaderEpochBase: i.LeaderEpochBase})
	}
	if i.NextProducerID > 0 {
		changes = append(changes, Change{Kind: producerIDsReserved, NextProducerID: i.NextProducerID})
	}
	if len(i.ClusterConfigs) > 0 {
		changes = append(changes, Change{Kind: brokerConfigsAltered, EveryNode: true, Configs: i.ClusterConfigs})
	}
	if len(i.NodeConfigs) > 0 {
		changes = append(changes, Change{Kind: brokerConfigsAltered, Configs: i.NodeConfigs})
	}
	if i.Features != nil {
		changes = append(changes, Change{Kind: featuresUpdated, Levels: i.Features.set, FeaturesEpoch: i.Features.Epoch})
	}
	for _, name := range slices.Sorted(maps.Keys(i.Subscriptions)) {
		changes = append(changes, Change{Kind: clientMetricsAltered, Subscription: name, Configs: i.Subscriptions[name].Overrides})
	}
	for _, id := range slices.Sorted(maps.Keys(i.Groups)) {
		changes = append(changes, Change{Kind: groupConfigsAltered, Group: id, Configs: i.Groups[id].Overrides})
	}
	for _, name := range i.Names() {
		t := i.Topics[name]
		changes = append(changes, Change{Kind: topicCreated, Topic: t.Name, ID: encodeID(t.ID), Partitions: t.Partitions, Internal: t.Internal, Configs: t.Overrides})
	}
	for _, entity := range i.Quotas.Entities() {
		changes = append(changes, quotaChange(entity, i.Quotas.Limits(entity)))
	}
	return changes
}
