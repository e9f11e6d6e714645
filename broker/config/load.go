package config

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
)

// Sources is where Load looks: Flags and Overrides win over Env, Env over
// File, File over the defaults. The zero Sources is the defaults.
type Sources struct {
	// File is the path of a .properties file, "" for none.
	File string
	// Env is an environment as os.Environ gives it; only main passes the real one.
	Env []string
	// Overrides are key=value, as --override and Kafka's own start script take them. A later one wins.
	Overrides []string
	Flags     Flags
	// Strict makes an unknown key in File, Overrides or FLUXMQ_* an error instead of a warning.
	Strict bool
}

// Flags are the named flags; a nil field was not given. They win over Overrides.
type Flags struct {
	Port                 *int // replaces the port of the one listener
	DataDir              *string
	BrokerID             *int32
	LogLevel             *string
	LogFormat            *string
	EnableConsumerGroups *bool
	AdminListener        *string
	Insecure             *bool
}

// settings are the flags as broker settings; Port is applied by Load.
func (f Flags) settings() []Property {
	var out []Property
	text := func(key string, value *string) {
		if value != nil {
			out = append(out, Property{Key: key, Value: *value})
		}
	}
	truth := func(key string, value *bool) {
		if value != nil {
			out = append(out, Property{Key: key, Value: strconv.FormatBool(*value)})
		}
	}
	text("log.dirs", f.DataDir)
	text("fluxmq.log.level", f.LogLevel)
	text("fluxmq.log.format", f.LogFormat)
	text("fluxmq.admin.listener", f.AdminListener)
	truth("fluxmq.groups.enable", f.EnableConsumerGroups)
	truth("fluxmq.insecure", f.Insecure)
	if f.BrokerID != nil {
		out = append(out, Property{Key: "node.id", Value: strconv.Itoa(int(*f.BrokerID))})
	}
	return out
}

// layer is one source's settings and how messages call it.
type layer struct {
	name       string
	properties []Property
	strict     bool // an unknown key may be fatal
}

// Load reads the sources in order, checks every value and returns the typed
// settings with what a person should know of them. Errors name the source,
// the key, the value and the rule.
func Load(from Sources) (*Node, []Warning, error) {
	layers, err := from.layers()
	if err != nil {
		return nil, nil, err
	}
	n := &Node{static: map[string]string{}}
	known := loading{node: n, strict: from.Strict, accepted: map[string]bool{}}
	for _, l := range layers {
		if err := known.take(l); err != nil {
			return nil, nil, err
		}
	}
	if err := applyPort(n, from.Flags.Port); err != nil {
		return nil, nil, err
	}
	known.finish()
	if err := n.fill(); err != nil {
		return nil, nil, err
	}
	if err := n.validate(); err != nil {
		return nil, nil, err
	}
	return n, n.warnings, nil
}

func (from Sources) layers() ([]layer, error) {
	var layers []layer
	if from.File != "" {
		properties, err := readProperties(from.File)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer{from.File, properties, true})
	}
	layers = append(layers, layer{"the environment", environmentSettings(from.Env), false})
	var overrides []Property
	for _, text := range from.Overrides {
		key, value, ok := strings.Cut(text, "=")
		if !ok || strings.TrimSpace(key) == "" {
			return nil, fmt.Errorf("%w: override %q is not key=value", ErrInvalid, text)
		}
		overrides = append(overrides, Property{Key: strings.TrimSpace(key), Value: value})
	}
	return append(layers, layer{"an override", overrides, true}, layer{"a flag", from.Flags.settings(), true}), nil
}

func readProperties(path string) ([]Property, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	defer file.Close()
	properties, err := ParseProperties(file)
	if err != nil {
		return nil, fmt.Errorf("settings file %s: %w", path, err)
	}
	return properties, nil
}

// loading gathers what the layers say.
type loading struct {
	node     *Node
	strict   bool
	accepted map[string]bool // keys without effect that were set
}

// take applies one layer over those before it.
func (l *loading) take(from layer) error {
	for _, p := range from.properties {
		where := from.name
		if p.Line > 0 {
			where = fmt.Sprintf("%s, line %d", from.name, p.Line)
		}
		s := Find(Broker, p.Key)
		switch {
		case s == nil && isAccepted(p.Key):
			l.accepted[p.Key] = true
			continue
		case s == nil:
			if err := l.unknown(p.Key, where, from.strict); err != nil {
				return err
			}
			continue
		}
		if err := s.Check(p.Value); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		if s.Accepted && !feedsTopics[s.Name] && s.Name != "controller.listener.names" {
			l.accepted[p.Key] = true
		}
		// A node id of a higher source replaces one of a lower source under either name.
		if p.Key == "node.id" && from.name != "the environment" {
			delete(l.node.static, "broker.id")
		}
		l.node.static[p.Key] = p.Value
	}
	return nil
}

// feedsTopics are the accepted broker keys that give a topic setting its shown
// default: they are checked and described, so they are not called ignored.
var feedsTopics = func() map[string]bool {
	keys := map[string]bool{}
	for _, s := range All(TopicScope) {
		for _, synonym := range s.Synonyms {
			keys[synonym.Name] = true
		}
	}
	return keys
}()

func (l *loading) unknown(key, where string, strict bool) error {
	text := fmt.Sprintf("%s: %s is not a setting", where, key)
	if near := Suggest(Broker, key); near != "" {
		text += "; did you mean " + near + "?"
	}
	if l.strict && strict {
		return fmt.Errorf("%w: %s", ErrUnknownKey, text)
	}
	l.node.warn(key, text)
	return nil
}

// finish says once which keys have no effect, and what accepted values mean.
func (l *loading) finish() {
	if len(l.accepted) > 0 {
		var keys []string
		for key := range l.accepted {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		l.node.warn("", "accepted, no effect: "+strings.Join(keys, ", "))
	}
}

// applyPort puts --port into the one listener.
func applyPort(n *Node, port *int) error {
	if port == nil {
		return nil
	}
	if *port < 0 || *port > 65535 {
		return fmt.Errorf("%w %d for --port: must be 0 to 65535", ErrInvalid, *port)
	}
	listeners, err := parseListeners("listeners", n.text("listeners"))
	if err != nil {
		return err
	}
	if len(listeners) != 1 {
		return fmt.Errorf("%w: --port with %d listeners does not say which one; set listeners instead", ErrInvalid, len(listeners))
	}
	listeners[0].Port = *port
	n.static["listeners"] = listeners[0].String()
	return nil
}

// validate checks settings against each other.
func (n *Node) validate() error {
	nodeID, brokerID := n.static["node.id"], n.static["broker.id"]
	switch {
	case nodeID != "" && brokerID != "" && brokerID != "-1" && nodeID != brokerID:
		return fmt.Errorf("%w: node.id=%s and broker.id=%s differ; set one", ErrInvalid, nodeID, brokerID)
	case n.GroupMinSessionTimeout > n.GroupMaxSessionTimeout:
		return fmt.Errorf("%w: group.min.session.timeout.ms is larger than group.max.session.timeout.ms", ErrInvalid)
	case n.AdminListener != "":
		l, err := ParseListener("ADMIN://" + n.AdminListener)
		if err != nil {
			return fmt.Errorf("%w %q for fluxmq.admin.listener: must be host:port or empty", ErrInvalid, n.AdminListener)
		}
		if !l.Loopback() && !n.Insecure {
			return fmt.Errorf("%w: fluxmq.admin.listener=%s would let other machines in without authentication; use 127.0.0.1, or allow it with --insecure (fluxmq.insecure=true)", ErrUnsafe, n.AdminListener)
		}
	}
	if n.ClusterID != "" && !clusterIDRule.Allows(n.ClusterID) {
		return fmt.Errorf("%w %q for cluster.id: must be %s", ErrInvalid, n.ClusterID, clusterIDRule.Text)
	}
	_, err := ParseTopic(n, nil)
	return err
}

var clusterIDRule = Rule{"1 to 64 characters of letters, digits, _ and -", func(text string) bool {
	return len(text) <= 64 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}}
