// Package config is the one registry of settings: broker and topic keys with
// Kafka's names, types, defaults, validators, sentences, scope, dynamic or
// not. It feeds parsing, DescribeConfigs, AlterConfigs, help and docs.
//
// A setting is text until a typed struct is made of it: Load makes a Node of
// the broker's settings, ParseTopic a Topic of one topic's. Both start from
// the same registry, so that what is parsed, what is described and what is
// documented cannot differ.
//
// Three kinds of keys exist. Effective ones do what Kafka's do. Accepted ones
// are real Kafka keys that have no effect here: Load accepts them, so that an
// existing server.properties works, and says so once. Unknown ones are named in
// a warning with the nearest known key; Sources.Strict makes them an error.
// A value that asks for something not built (segment.jitter.ms=1, a TLS
// listener) is refused with a sentence that says so.
//
// The package does no I/O except reading the file named by Sources.File, and
// holds no state that changes after start.
package config
