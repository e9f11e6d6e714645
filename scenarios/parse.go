package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ParseError names the place of what is wrong in a scenario file.
type ParseError struct {
	File string
	Line int // 1-based; 0 when it is about the whole file
	Text string
}

func (e *ParseError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Text)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// Parse reads one scenario. Unknown keys, values of the wrong type, unknown
// Kafka properties and impossible combinations are *ParseError with file,
// line and, where one is near, the key that was probably meant.
func Parse(file string, text []byte) (*Scenario, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, &ParseError{File: file, Text: "the file is empty"}
		}
		return nil, &ParseError{File: file, Text: err.Error()}
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, &ParseError{File: file, Text: "a scenario file holds one document"}
	}
	p := parser{file: file, lines: map[string]int{}}
	s := defaults()
	if err := p.fill(reflect.ValueOf(s).Elem(), document.Content[0], ""); err != nil {
		return nil, err
	}
	s.Text, s.Source, s.SHA256 = string(text), file, hashOf(text)
	if s.Name == "" {
		s.Name = strings.TrimSuffix(filepath.Base(file), ".yaml")
	}
	if err := p.check(s); err != nil {
		return nil, err
	}
	return s, nil
}

// defaults are what a scenario file need not say.
func defaults() *Scenario {
	return &Scenario{
		Mode: ModeProduce, Clients: []string{ClientJava, ClientFranz, ClientSarama}, Threads: 1, Partitions: 8, ReplicationFactor: -1,
		Payload: ScenarioPayload{ValueBytes: 256, CompressedRatio: 0.35, Seed: 1},
		WarmUp:  ScenarioWarmUp{MinSeconds: 2, MaxSeconds: 8, JavaMaxSeconds: 10, BucketMillis: 250, WindowBuckets: 6, Tolerance: 0.1},
		Measure: Measure{Seconds: 5}, Rounds: 3,
		Verify:            Verify{Fraction: 1, DeliverTimeoutSeconds: 30, TimeoutSeconds: 120},
		Gate:              Gate{Client: ClientWire, WarmUpSeconds: 0.4, CostSeconds: 1.5, SaturationSeconds: 1},
		TimeBudgetSeconds: 300,
	}
}

// parser walks one document; lines remembers where each key was for the checks that come after.
type parser struct {
	file  string
	lines map[string]int
}

func (p *parser) errorf(line int, format string, args ...any) error {
	return &ParseError{File: p.file, Line: line, Text: fmt.Sprintf(format, args...)}
}

// fill sets the struct v from a mapping node; path is the dotted key so far.
func (p *parser) fill(v reflect.Value, node *yaml.Node, path string) error {
	if node.Kind != yaml.MappingNode {
		return p.errorf(node.Line, "%s must be a mapping of keys, got %s", orFile(path), describe(node))
	}
	fields := map[string]int{}
	var known []string
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("yaml"); tag != "-" {
			fields[tag] = i
			known = append(known, tag)
		}
	}
	return p.eachKey(node, path, func(key string, keyNode, value *yaml.Node) error {
		i, ok := fields[key]
		if !ok {
			return p.errorf(keyNode.Line, "unknown key %q%s", join(path, key), suggest(key, known))
		}
		return p.set(v.Field(i), value, join(path, key))
	})
}

// eachKey visits the pairs of a mapping, refusing keys that are no text or come twice.
func (p *parser) eachKey(node *yaml.Node, path string, visit func(key string, keyNode, value *yaml.Node) error) error {
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		keyNode, value := node.Content[i], node.Content[i+1]
		if keyNode.Kind != yaml.ScalarNode {
			return p.errorf(keyNode.Line, "a key of %s must be text, got %s", orFile(path), describe(keyNode))
		}
		key := keyNode.Value
		if first, twice := seen[key]; twice {
			return p.errorf(keyNode.Line, "key %q is already on line %d", join(path, key), first)
		}
		seen[key] = keyNode.Line
		p.lines[join(path, key)] = keyNode.Line
		if err := visit(key, keyNode, value); err != nil {
			return err
		}
	}
	return nil
}

// set puts one value into a field.
func (p *parser) set(field reflect.Value, node *yaml.Node, path string) error {
	if node.Kind == yaml.AliasNode {
		return p.errorf(node.Line, "%s: aliases are not used in scenarios", path)
	}
	switch target := field.Addr().Interface().(type) {
	case *Properties:
		return p.setProperties(target, node, path)
	case *Margins:
		return p.setMargins(target, node, path)
	case *Rate:
		text, err := p.scalar(node, path, "max or N/s")
		if err != nil {
			return err
		}
		if *target, err = ParseRate(text); err != nil {
			return p.errorf(node.Line, "%s: %v", path, err)
		}
		return nil
	case *[]string:
		return p.setList(target, node, path)
	}
	switch field.Kind() {
	case reflect.Struct:
		return p.fill(field, node, path)
	case reflect.Pointer:
		field.Set(reflect.New(field.Type().Elem()))
		return p.fill(field.Elem(), node, path)
	case reflect.String:
		text, err := p.scalar(node, path, "text")
		if err != nil {
			return err
		}
		field.SetString(text)
	case reflect.Bool:
		if node.ShortTag() != "!!bool" {
			return p.errorf(node.Line, "%s must be true or false, got %s", path, describe(node))
		}
		field.SetBool(node.Value == "true")
	case reflect.Int:
		n, err := strconv.ParseInt(strings.ReplaceAll(node.Value, "_", ""), 10, 32)
		if node.ShortTag() != "!!int" || err != nil {
			return p.errorf(node.Line, "%s must be a whole number, got %s", path, describe(node))
		}
		field.SetInt(n)
	case reflect.Uint64:
		n, err := strconv.ParseUint(strings.ReplaceAll(node.Value, "_", ""), 10, 64)
		if node.ShortTag() != "!!int" || err != nil {
			return p.errorf(node.Line, "%s must be a whole number that is not negative, got %s", path, describe(node))
		}
		field.SetUint(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(strings.ReplaceAll(node.Value, "_", ""), 64)
		if tag := node.ShortTag(); (tag != "!!float" && tag != "!!int") || err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return p.errorf(node.Line, "%s must be a number, got %s", path, describe(node))
		}
		field.SetFloat(n)
	default:
		panic(fmt.Sprintf("scenarios: no reader for field %s of kind %s", path, field.Kind()))
	}
	return nil
}

func (p *parser) scalar(node *yaml.Node, path, want string) (string, error) {
	if node.Kind != yaml.ScalarNode || node.ShortTag() == "!!null" {
		return "", p.errorf(node.Line, "%s must be %s, got %s", path, want, describe(node))
	}
	return node.Value, nil
}

func (p *parser) setList(target *[]string, node *yaml.Node, path string) error {
	if node.Kind != yaml.SequenceNode {
		return p.errorf(node.Line, "%s must be a list, got %s", path, describe(node))
	}
	*target = nil
	for _, item := range node.Content {
		text, err := p.scalar(item, path, "a list of text")
		if err != nil {
			return err
		}
		*target = append(*target, text)
	}
	return nil
}

// setProperties reads a map of literal Kafka properties and holds it against Kafka's own list of keys.
func (p *parser) setProperties(target *Properties, node *yaml.Node, path string) error {
	if node.Kind != yaml.MappingNode {
		return p.errorf(node.Line, "%s must be a mapping of Kafka properties, got %s", path, describe(node))
	}
	*target = Properties{}
	known := map[string]map[string]propertyType{
		"producer": producerProperties, "consumer": consumerProperties, "topic_configs": topicProperties,
	}[path]
	return p.eachKey(node, path, func(key string, keyNode, value *yaml.Node) error {
		text, err := p.scalar(value, path+" "+key, "one value")
		if err != nil {
			return err
		}
		if known != nil { // the broker judges its own settings
			if err := checkProperty(known, path, key, text); err != nil {
				return p.errorf(keyNode.Line, "%v", err)
			}
		}
		(*target)[key] = text
		return nil
	})
}

// setMargins reads relative margins by metric; whoever judges knows the metrics' names.
func (p *parser) setMargins(target *Margins, node *yaml.Node, path string) error {
	if node.Kind != yaml.MappingNode {
		return p.errorf(node.Line, "%s must be a mapping of metrics, got %s", path, describe(node))
	}
	*target = Margins{}
	return p.eachKey(node, path, func(key string, keyNode, value *yaml.Node) error {
		var margin float64
		if err := p.set(reflect.ValueOf(&margin).Elem(), value, path+"."+key); err != nil {
			return err
		}
		if !(margin > 0) || margin > 10 {
			return p.errorf(keyNode.Line, "%s.%s must be above 0 and at most 10 (0.03 is 3 %%), got %g", path, key, margin)
		}
		(*target)[key] = margin
		return nil
	})
}

// checkProperty refuses unknown keys and values of the wrong type.
func checkProperty(known map[string]propertyType, path, key, text string) error {
	want, ok := known[key]
	if !ok {
		names := make([]string, 0, len(known))
		for name := range known {
			names = append(names, name)
		}
		slices.Sort(names)
		return fmt.Errorf("unknown property %q in %s%s", key, path, suggest(key, names))
	}
	if key == "bootstrap.servers" || strings.HasSuffix(key, ".serializer") || strings.HasSuffix(key, ".deserializer") {
		return fmt.Errorf("%s of %s is set by the harness", key, path)
	}
	if !want.accepts(text) {
		return fmt.Errorf("%s of %s must be a %s, got %q", key, path, want, text)
	}
	choices := map[string][]string{
		"acks":             {"0", "1", "-1", "all"},
		"compression.type": {"none", "gzip", "snappy", "lz4", "zstd"},
		"isolation.level":  {"read_uncommitted", "read_committed"},
	}
	if path == "topic_configs" {
		choices["compression.type"] = append(choices["compression.type"], "producer", "uncompressed")
	}
	if allowed, ok := choices[key]; ok && !slices.Contains(allowed, text) {
		return fmt.Errorf("%s of %s must be one of %s, got %q", key, path, strings.Join(allowed, ", "), text)
	}
	return nil
}

// accepts tells whether Kafka could read text as that type.
func (t propertyType) accepts(text string) bool {
	var err error
	switch t {
	case typeBoolean:
		return text == "true" || text == "false"
	case typeShort:
		_, err = strconv.ParseInt(text, 10, 16)
	case typeInt:
		_, err = strconv.ParseInt(text, 10, 32)
	case typeLong:
		_, err = strconv.ParseInt(text, 10, 64)
	case typeDouble:
		_, err = strconv.ParseFloat(text, 64)
	}
	return err == nil
}

// check holds the scenario's values against each other.
func (p *parser) check(s *Scenario) error {
	rules := []struct {
		broken bool
		key    string
		text   string
	}{
		{s.Question == "", "question", "a scenario says which question it answers"},
		{s.Mode != ModeProduce && s.Mode != ModeConsume, "mode", fmt.Sprintf("mode is produce or consume, got %q", s.Mode)},
		{len(s.Clients) == 0, "clients", "at least one client is needed"},
		{s.Threads < 1 || s.Threads > 1024, "threads", "threads must be between 1 and 1024"},
		{s.Partitions < 1 || s.Partitions > 65534, "partitions", "partitions must be between 1 and 65534"},
		{s.ReplicationFactor == 0 || s.ReplicationFactor < -1 || s.ReplicationFactor > 32767, "replication_factor", "replication_factor must be -1 (the broker's default) or at least 1"},
		{s.Payload.ValueBytes < RecordOverheadBytes || s.Payload.ValueBytes > 64<<20, "payload.value_bytes", fmt.Sprintf("value_bytes must be between %d (the record's header) and 64 MiB", RecordOverheadBytes)},
		{s.Payload.KeySpread < 0 || s.Payload.KeySpread > 10_000_000, "payload.key_spread", "key_spread must be between 0 (null keys) and 10,000,000"},
		{!(s.Payload.CompressedRatio > 0) || s.Payload.CompressedRatio > 1, "payload.compressed_ratio", "compressed_ratio must be above 0 and at most 1"},
		{s.WarmUp.MinSeconds < 0 || s.WarmUp.MaxSeconds < 0 || s.WarmUp.JavaMaxSeconds < 0, "warm_up", "warm_up times must not be negative"},
		{s.WarmUp.MaxSeconds > 0 && s.WarmUp.MinSeconds > s.WarmUp.MaxSeconds, "warm_up.min_seconds", "min_seconds must not be above max_seconds"},
		{s.WarmUp.MaxSeconds > 0 && (s.WarmUp.BucketMillis < 10 || s.WarmUp.WindowBuckets < 3 || !(s.WarmUp.Tolerance > 0)), "warm_up", "a warm-up needs bucket_millis of at least 10, window_buckets of at least 3 and a tolerance above 0"},
		{s.Measure.Seconds < 0 || s.Measure.Records < 0 || (s.Measure.Seconds == 0 && s.Measure.Records == 0), "measure", "measure needs seconds or records above 0"},
		{s.Mode == ModeConsume && s.FillRecords < 1, "fill_records", "mode consume needs fill_records"},
		{s.Mode == ModeConsume && s.Rate == 0, "rate", "mode consume needs a rate (N/s) for its tail part"},
		{s.Mode == ModeConsume && s.HasClient(ClientWire), "clients", "the wire client only produces"},
		{s.EndToEnd && s.HasClient(ClientWire), "clients", "the wire client cannot measure end to end: its send times are encoded once"},
		{s.Rounds < 1 || s.Rounds > 1000, "rounds", "rounds must be between 1 and 1000"},
		{!(s.Verify.Fraction > 0) || s.Verify.Fraction > 1, "verify.fraction", "fraction must be above 0 and at most 1"},
		{!(s.Verify.DeliverTimeoutSeconds > 0) || !(s.Verify.TimeoutSeconds > 0), "verify", "verify timeouts must be above 0"},
		{s.SeedExact != nil && s.SeedExact.Records < 1, "seed_exact.records", "records must be at least 1"},
		{s.Gate.WarmUpSeconds < 0 || s.Gate.WarmUpSeconds > 600 || !(s.Gate.CostSeconds > 0) || s.Gate.CostSeconds > 3600 || s.Gate.SaturationSeconds < 0 || s.Gate.SaturationSeconds > 3600, "gate", "gate needs cost_seconds above 0; warm_up_seconds and saturation_seconds must not be negative"},
		{s.Gate.Rate == 0 && p.lineOf("gate.rate") > p.lineOf("gate"), "gate.rate", "gate.rate is N/s; without it part cost runs at half of the measured saturation"},
		{!slices.Contains(Clients(), s.Gate.Client), "gate.client", fmt.Sprintf("unknown client %q%s", s.Gate.Client, suggest(s.Gate.Client, Clients()))},
		{!(s.TimeBudgetSeconds > 0), "time_budget_seconds", "time_budget_seconds must be above 0"},
	}
	for _, rule := range rules {
		if rule.broken {
			return p.errorf(p.lineOf(rule.key), "%s", rule.text)
		}
	}
	for _, client := range s.Clients {
		if !slices.Contains(Clients(), client) {
			return p.errorf(p.lineOf("clients"), "unknown client %q%s", client, suggest(client, Clients()))
		}
	}
	return nil
}

// lineOf is the line of a dotted key or of its nearest parent that the file holds.
func (p *parser) lineOf(path string) int {
	for path != "" {
		if line, ok := p.lines[path]; ok {
			return line
		}
		path, _, _ = cutLast(path)
	}
	return 0
}

func cutLast(path string) (before, after string, found bool) {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return path[:i], path[i+1:], true
	}
	return "", path, false
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func orFile(path string) string {
	if path == "" {
		return "the scenario"
	}
	return path
}

// describe says what a node is, for error messages.
func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	if node.ShortTag() == "!!null" {
		return "nothing"
	}
	return fmt.Sprintf("%q", node.Value)
}
