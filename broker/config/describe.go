package config

import (
	"slices"
	"strings"
)

// Source says where a value comes from, with the numbers of DescribeConfigs.
type Source int8

// The sources, the strongest first; DynamicGroup is to groups and
// DynamicClientMetrics to subscriptions what DynamicTopic is to topics.
const (
	DynamicTopic         Source = 1
	DynamicBroker        Source = 2
	DynamicDefaultBroker Source = 3
	StaticBroker         Source = 4
	DefaultConfig        Source = 5
	DynamicBrokerLogger  Source = 6
	DynamicClientMetrics Source = 7
	DynamicGroup         Source = 8
)

// Entry is one setting's value as DescribeConfigs shows it.
type Entry struct {
	Setting *Setting
	Value   *string // nil: none, or sensitive
	// Source is where Value comes from.
	Source Source
	// ReadOnly settings cannot be altered while the broker runs.
	ReadOnly bool
	// Chain is every place that has a value, the strongest first, as Kafka
	// shows it: a key that only gives the value when the setting's own has none
	// is not shown before that, so that Chain may be empty although Source is not DefaultConfig.
	Chain []Link
}

// Link is one place of a Chain.
type Link struct {
	Name   string
	Value  *string
	Source Source
}

// DescribeTopic describes every topic setting of a topic with these overrides.
// A setting's own value comes first, then the places of its broker key.
func DescribeTopic(n *Node, overrides map[string]string) []Entry {
	var entries []Entry
	for _, s := range All(TopicScope) {
		e := n.inherited(s, overrides, DynamicTopic)
		if len(s.Synonyms) > 0 {
			e.Chain = append(e.Chain, n.chain(s.Synonyms[0].Name)...)
		}
		entries = append(entries, e)
	}
	return entries
}

// DescribeGroup describes every setting of a group that has these of its own.
// A setting's own value comes first, then the places of its broker key.
func DescribeGroup(n *Node, overrides map[string]string) []Entry {
	var entries []Entry
	for _, s := range All(GroupScope) {
		e := n.inherited(s, overrides, DynamicGroup)
		if len(s.Synonyms) > 0 {
			e.Chain = append(e.Chain, n.chain(s.Synonyms[0].Name)...)
		} else {
			e.Chain = append(e.Chain, Link{s.Name, shown(s, s.Default), DefaultConfig})
		}
		entries = append(entries, e)
	}
	return entries
}

// DescribeClientMetrics describes every setting of a subscription that has
// these of its own. Its defaults are no place in the chain, as in Kafka.
func DescribeClientMetrics(overrides map[string]string) []Entry {
	var entries []Entry
	for _, s := range All(ClientMetricsScope) {
		e := Entry{Setting: s, Value: shown(s, s.Default), Source: DefaultConfig}
		if value, ok := overrides[s.Name]; ok {
			e.Value, e.Source = shown(s, value), DynamicClientMetrics
			e.Chain = []Link{{s.Name, e.Value, DynamicClientMetrics}}
		}
		entries = append(entries, e)
	}
	return entries
}

// inherited describes a setting that a topic or group may have of its own,
// which is then all of its chain, and has from the broker else.
func (n *Node) inherited(s *Setting, overrides map[string]string, own Source) Entry {
	e := Entry{Setting: s, Source: DefaultConfig}
	if value, ok := overrides[s.Name]; ok {
		e.Value, e.Source = shown(s, value), own
		e.Chain = []Link{{s.Name, e.Value, own}}
	} else if value, source, ok := n.value(s); ok {
		e.Value, e.Source = shown(s, value), source
	}
	return e
}

// DescribeBroker describes every broker setting that takes effect, and of those
// without effect the ones that were set or that topic settings show. A value is
// the key's own: what another key gives where this one has none is that key's.
func DescribeBroker(n *Node) []Entry {
	var entries []Entry
	for _, s := range All(Broker) {
		if _, _, given := n.set(s.Name); s.Accepted && !given && !feedsTopics[s.Name] {
			continue
		}
		e := Entry{Setting: s, ReadOnly: !s.Dynamic, Source: DefaultConfig}
		switch s.Name {
		case "node.id", "broker.id":
			n.describeID(&e)
		default:
			if value, source, ok := n.set(s.Name); ok {
				e.Value, e.Source = shown(s, value), source
			} else if !s.Null {
				e.Value = shown(s, s.Default)
			}
			e.Chain = n.chain(s.Name)
		}
		entries = append(entries, e)
	}
	return entries
}

// describeID describes node.id and broker.id: as in Kafka, each has what
// either was given, and only the older has a default.
func (n *Node) describeID(e *Entry) {
	id, source, _ := n.value(Find(Broker, "node.id")) // it has a default
	e.Value, e.Source = &id, source
	if source != DefaultConfig {
		e.Chain = []Link{{e.Setting.Name, &id, source}}
	}
	if e.Setting.Name == "broker.id" {
		none := "-1"
		e.Chain = append(e.Chain, Link{e.Setting.Name, &none, DefaultConfig})
	}
}

// DescribeEveryBroker describes the settings that were altered for every
// broker, and of their places only that one.
func DescribeEveryBroker(n *Node) []Entry {
	var entries []Entry
	for _, s := range All(Broker) {
		value, ok := n.dynamicDefault[s.Name]
		if !ok {
			continue
		}
		e := Entry{Setting: s, Value: shown(s, value), Source: DynamicDefaultBroker, ReadOnly: !s.Dynamic}
		e.Chain = slices.DeleteFunc(n.chain(s.Name), func(l Link) bool { return l.Source != DynamicDefaultBroker })
		entries = append(entries, e)
	}
	return entries
}

// family is a broker key with those that say the same in other units or stand
// in for it, in Kafka's order (DynamicBrokerConfig.brokerConfigSynonyms).
func family(key string) []string {
	switch key {
	case "log.roll.ms", "log.roll.hours":
		return []string{"log.roll.ms", "log.roll.hours"}
	case "log.roll.jitter.ms", "log.roll.jitter.hours":
		return []string{"log.roll.jitter.ms", "log.roll.jitter.hours"}
	case "log.flush.interval.ms":
		return []string{"log.flush.interval.ms", "log.flush.scheduler.interval.ms"}
	case "log.retention.ms", "log.retention.minutes", "log.retention.hours":
		return []string{"log.retention.ms", "log.retention.minutes", "log.retention.hours"}
	}
	return []string{key}
}

// chain is every place in which a broker key or one of its family has a value:
// by place, then by key. As in Kafka (ConfigHelper.configSynonyms), what comes
// before the key's own first place is left out, and so all of it when the key
// has no place of its own: a retention that log.retention.hours gives shows no
// synonyms and the default as its source.
func (n *Node) chain(key string) []Link {
	keys := family(key)
	var links []Link
	for _, place := range []struct {
		values map[string]string
		source Source
	}{{n.dynamic, DynamicBroker}, {n.dynamicDefault, DynamicDefaultBroker}, {n.static, StaticBroker}} {
		for _, name := range keys {
			if value, ok := place.values[name]; ok {
				links = append(links, Link{name, shown(Find(Broker, name), value), place.source})
			}
		}
	}
	for _, name := range keys {
		if s := Find(Broker, name); s != nil && !s.Null {
			links = append(links, Link{name, shown(s, s.Default), DefaultConfig})
		}
	}
	own := slices.IndexFunc(links, func(l Link) bool { return l.Name == key })
	if own < 0 {
		return nil
	}
	return links[own:]
}

// shown is a value as a client may see it.
func shown(s *Setting, value string) *string {
	if s.Sensitive() {
		return nil
	}
	value = strings.TrimSpace(value)
	return &value
}
