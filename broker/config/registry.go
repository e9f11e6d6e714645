package config

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Scope says where a setting lives.
type Scope uint8

const (
	// Broker settings come from the file, the environment and flags; the
	// dynamic ones can be altered while the broker runs.
	Broker Scope = iota
	// TopicScope settings are overrides kept with a topic.
	TopicScope
	// GroupScope settings are those that a group may have of its own.
	GroupScope
	// ClientMetricsScope settings are those of a client metrics subscription.
	ClientMetricsScope
)

// Setting is one key of the registry; immutable.
type Setting struct {
	Name string
	Type Type
	// Default is the value used when nothing is set; Null means there is none.
	Default string
	Null    bool
	Rule    Rule
	// Doc is one or two sentences, with the unit.
	Doc   string
	Scope Scope
	// Dynamic broker settings can be altered at run time. Every setting of another scope can.
	Dynamic bool
	// Accepted settings are Kafka's, are checked and shown, and change nothing here.
	Accepted bool
	// Internal settings are for tests; they are not described or documented.
	Internal bool
	// Synonyms are the keys looked at in turn when this one is not set. For a
	// topic or group setting they are broker keys.
	Synonyms []Synonym
	// unbuilt refuses values that ask for what is not built.
	unbuilt func(text string) string
}

// Synonym is another key that gives a setting its value.
type Synonym struct {
	Name string
	// Factor turns the synonym's number into the setting's unit; 0 means none is needed.
	Factor int64
}

// Sensitive values are never shown or logged.
func (s *Setting) Sensitive() bool { return s.Type == Password }

// Check refuses a value that is not of the setting's type, breaks its rule or
// asks for what is not built. The error wraps ErrInvalid, in the first case
// ErrType too, and names key, value (unless sensitive) and rule.
func (s *Setting) Check(text string) error {
	trimmed := strings.TrimSpace(text)
	if err := s.Type.parse(trimmed); err != nil {
		return wrongType{s.refuse(text, err.Error())}
	}
	if !s.Rule.Allows(trimmed) {
		return s.refuse(text, "must be "+s.Rule.Text)
	}
	if s.unbuilt != nil {
		if why := s.unbuilt(trimmed); why != "" {
			return s.refuse(text, why)
		}
	}
	return nil
}

func (s *Setting) refuse(text, why string) error {
	if s.Sensitive() {
		text = "[hidden]"
	}
	return fmt.Errorf("%w %q for %s: %s", ErrInvalid, text, s.Name, why)
}

// registry holds the two tables, by name. Built once, read-only afterwards.
type registry struct {
	byName map[string]*Setting
	names  []string // sorted
}

func newRegistry(settings []Setting) *registry {
	r := &registry{byName: make(map[string]*Setting, len(settings))}
	for i := range settings {
		s := &settings[i]
		if r.byName[s.Name] != nil {
			panic("config: " + s.Name + " is registered twice")
		}
		r.byName[s.Name] = s
		r.names = append(r.names, s.Name)
	}
	sort.Strings(r.names)
	return r
}

var (
	brokerRegistry        = newRegistry(brokerSettings())
	topicRegistry         = newRegistry(topicSettings())
	groupRegistry         = newRegistry(groupScopeSettings())
	clientMetricsRegistry = newRegistry(clientMetricsSettings())
)

func registryOf(scope Scope) *registry {
	switch scope {
	case TopicScope:
		return topicRegistry
	case GroupScope:
		return groupRegistry
	case ClientMetricsScope:
		return clientMetricsRegistry
	}
	return brokerRegistry
}

// Find returns a setting by its exact name, or nil.
func Find(scope Scope, name string) *Setting { return registryOf(scope).byName[name] }

// All returns every setting of a scope ordered by name, internal ones left
// out. The caller owns the slice, not what it points to.
func All(scope Scope) []*Setting {
	r := registryOf(scope)
	all := make([]*Setting, 0, len(r.names))
	for _, name := range r.names {
		if s := r.byName[name]; !s.Internal {
			all = append(all, s)
		}
	}
	return all
}

// Names returns the names of All, for help and completion.
func Names(scope Scope) []string {
	var names []string
	for _, s := range All(scope) {
		names = append(names, s.Name)
	}
	return names
}

// acceptedPrefixes are families of Kafka keys that are accepted without
// effect. Their members are not listed one by one: none of them is built.
var acceptedPrefixes = []string{
	"add.partitions.to.txn.", "alter.log.dirs.", "broker.heartbeat.", "broker.session.", "config.providers",
	"confluent.", "controlled.shutdown.", "controller.", "delegation.token.", "group.share.",
	"group.streams.", "inter.broker.", "kafka.metrics.", "leader.imbalance.", "listener.name.",
	"log4j", "metadata.", "metric.reporters", "metrics.", "password.encoder.", "quota.", "remote.",
	"replica.", "replication.quota.", "sasl.", "security.", "share.coordinator.", "ssl.",
	"transaction.", "zookeeper.",
}

// isAccepted tells whether a key is Kafka's but without effect here.
func isAccepted(name string) bool {
	if s := Find(Broker, name); s != nil {
		return s.Accepted
	}
	return slices.ContainsFunc(acceptedPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// Suggest returns the known name of the scope that is nearest to name, or ""
// when none is near: for "did you mean" in messages.
func Suggest(scope Scope, name string) string {
	best, bestDistance := "", len(name)/3+1
	for _, known := range Names(scope) {
		if d := distance(name, known, bestDistance); d < bestDistance {
			best, bestDistance = known, d
		}
	}
	return best
}

// distance counts the edits (insert, delete, replace, swap neighbours) from a
// to b; limit is returned when there are that many or more.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	before, last, row := rows[0], rows[1], rows[2]
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}
