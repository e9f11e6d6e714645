package config

import "strings"

// Source says where a value comes from, with the numbers of DescribeConfigs.
type Source int8

// The sources, the strongest first; DynamicGroup is to groups what DynamicTopic is to topics.
const (
	DynamicTopic         Source = 1
	DynamicBroker        Source = 2
	DynamicDefaultBroker Source = 3
	StaticBroker         Source = 4
	DefaultConfig        Source = 5
	DynamicGroup         Source = 8
)

// Entry is one setting's value as DescribeConfigs shows it.
type Entry struct {
	Setting *Setting
	Value   *string // nil: none, or sensitive
	Source  Source
	// ReadOnly settings cannot be altered while the broker runs.
	ReadOnly bool
	// Chain is every place that has a value, the one in force first.
	Chain []Link
}

// Link is one place of a Chain.
type Link struct {
	Name   string
	Value  *string
	Source Source
}

// DescribeTopic describes every topic setting of a topic with these overrides.
func DescribeTopic(n *Node, overrides map[string]string) []Entry {
	return describeOverrides(n, TopicScope, overrides, DynamicTopic)
}

// DescribeGroup describes every setting of a group that has these of its own.
func DescribeGroup(n *Node, overrides map[string]string) []Entry {
	return describeOverrides(n, GroupScope, overrides, DynamicGroup)
}

func describeOverrides(n *Node, scope Scope, overrides map[string]string, own Source) []Entry {
	var entries []Entry
	for _, s := range All(scope) {
		e := Entry{Setting: s}
		if value, ok := overrides[s.Name]; ok {
			e.add(s.Name, value, own, s)
		}
		value, source, ok := n.value(s)
		if ok && e.Chain == nil {
			e.Value, e.Source = shown(s, value), source
		}
		for _, synonym := range s.Synonyms {
			n.chain(&e, synonym.Name)
		}
		if len(s.Synonyms) == 0 && !s.Null {
			e.Chain = append(e.Chain, Link{s.Name, shown(s, s.Default), DefaultConfig})
		}
		e.settle()
		entries = append(entries, e)
	}
	return entries
}

// DescribeBroker describes every broker setting that takes effect, and those
// without effect that were set.
func DescribeBroker(n *Node) []Entry {
	var entries []Entry
	for _, s := range All(Broker) {
		if _, _, given := n.set(s.Name); s.Accepted && !given && !feedsTopics[s.Name] {
			continue
		}
		e := Entry{Setting: s, ReadOnly: !s.Dynamic}
		value, source, ok := n.value(s)
		if ok {
			e.Value, e.Source = shown(s, value), source
		}
		n.chain(&e, s.Name)
		for _, synonym := range s.Synonyms {
			n.chain(&e, synonym.Name)
		}
		e.settle()
		entries = append(entries, e)
	}
	return entries
}

// chain adds every place in which a broker key has a value.
func (n *Node) chain(e *Entry, key string) {
	s := Find(Broker, key)
	if s == nil {
		return
	}
	for _, place := range []struct {
		values map[string]string
		source Source
	}{{n.dynamic, DynamicBroker}, {n.dynamicDefault, DynamicDefaultBroker}, {n.static, StaticBroker}} {
		if value, ok := place.values[key]; ok {
			e.Chain = append(e.Chain, Link{key, shown(s, value), place.source})
		}
	}
	if !s.Null {
		e.Chain = append(e.Chain, Link{key, shown(s, s.Default), DefaultConfig})
	}
}

// add puts a value in force and at the head of the chain.
func (e *Entry) add(name, value string, source Source, s *Setting) {
	e.Value, e.Source = shown(s, value), source
	e.Chain = append(e.Chain, Link{name, e.Value, source})
}

// settle gives an entry without any value its source.
func (e *Entry) settle() {
	if e.Source == 0 {
		e.Source = DefaultConfig
	}
}

// shown is a value as a client may see it.
func shown(s *Setting, value string) *string {
	if s.Sensitive() {
		return nil
	}
	value = strings.TrimSpace(value)
	return &value
}
