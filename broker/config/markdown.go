package config

import (
	"fmt"
	"strings"
)

// Markdown is docs/settings.md: every setting of the registry, generated, so
// that the page cannot say what the broker does not do.
func Markdown() string {
	var out strings.Builder
	out.WriteString(`# Settings

Generated from the registry in ` + "`broker/config`" + `; do not edit.

Settings come from flags and ` + "`--override key=value`" + `, then the environment (` + "`KAFKA_*`" + ` and ` + "`FLUXMQ_*`" + `: a dot is ` + "`_`" + `, an underscore ` + "`__`" + `, a hyphen ` + "`___`" + `),
then the properties file, then the defaults below.

## Broker

| setting | type | default | allowed | altered at run time | what it does |
|---|---|---|---|---|---|
`)
	for _, s := range All(Broker) {
		if !s.Accepted {
			row(&out, s, true)
		}
	}
	out.WriteString(`
## Topic

Set with CreateTopics, AlterConfigs and IncrementalAlterConfigs. A topic without an override follows the broker key named last.

| setting | type | default | allowed | broker key | what it does |
|---|---|---|---|---|---|
`)
	for _, s := range All(TopicScope) {
		row(&out, s, false)
	}
	out.WriteString(`
## Group

Set with AlterConfigs and IncrementalAlterConfigs. A group without one of its own follows the broker key, within the broker's bounds.

| setting | type | default | allowed | broker key | what it does |
|---|---|---|---|---|---|
`)
	for _, s := range All(GroupScope) {
		row(&out, s, false)
	}
	out.WriteString(`
## Client metrics

Set with AlterConfigs and IncrementalAlterConfigs on resources of type CLIENT_METRICS, each a subscription (KIP-714): which metrics clients push, shown on the admin HTTP.

| setting | type | default | allowed | broker key | what it does |
|---|---|---|---|---|---|
`)
	for _, s := range All(ClientMetricsScope) {
		row(&out, s, false)
	}
	out.WriteString(`
## Accepted without effect

Kafka's keys that this broker takes, so that an existing file works, and that change nothing. Their use is said once at start.

| setting | why |
|---|---|
`)
	for _, s := range All(Broker) {
		if s.Accepted {
			fmt.Fprintf(&out, "| `%s` | %s |\n", s.Name, s.Doc)
		}
	}
	fmt.Fprintf(&out, "\nAlso every key that begins with `%s`.\n", strings.Join(acceptedPrefixes, "`, `"))
	return out.String()
}

func row(out *strings.Builder, s *Setting, broker bool) {
	value := "`" + s.Default + "`"
	switch {
	case s.Null:
		value = "unset"
	case s.Default == "":
		value = "empty"
	}
	var fourth string
	if broker {
		fourth = "no"
		if s.Dynamic {
			fourth = "yes"
		}
	} else {
		var keys []string
		for _, synonym := range s.Synonyms {
			keys = append(keys, "`"+synonym.Name+"`")
		}
		fourth = strings.Join(keys, ", ")
	}
	fmt.Fprintf(out, "| `%s` | %s | %s | %s | %s | %s |\n", s.Name, s.Type, value, s.Rule.Text, fourth, s.Doc)
}
