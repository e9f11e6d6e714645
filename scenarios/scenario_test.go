package scenarios

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every embedded scenario loads, opens with its question, and makes jobs that the clients accept.
func TestEmbeddedScenarios(t *testing.T) {
	all, err := List()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"megabatch", "ultrabatch", "standard", "single", "minimal", "custom", "smoke", "latency", "consume", "durable", "wire_1m_lz4", "wire_16k", "wire_1k"}
	if len(all) < len(want) {
		t.Fatalf("got %d scenarios, want at least %d", len(all), len(want))
	}
	for _, name := range want {
		if _, err := Load(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, s := range all {
		first, _, _ := strings.Cut(s.Text, "\n")
		if !strings.HasPrefix(first, "# ") || !strings.HasSuffix(first, "?") {
			t.Errorf("%s: the first line must be a comment with the question, got %q", s.Name, first)
		}
		if s.Source != "scenarios/"+s.Name+".yaml" {
			t.Errorf("%s: name and file %s differ", s.Name, s.Source)
		}
		for _, client := range s.Clients {
			for _, form := range []string{FormHonest, FormSeedExact} {
				if form == FormSeedExact && !s.HasSeedExact() {
					continue
				}
				job := s.Job(JobOptions{RunID: "r", RunTag: 1 << 63, Client: client, Round: 1, Form: form, Bootstrap: "127.0.0.1:9092", Topic: "t"})
				text, err := json.Marshal(job)
				if err != nil {
					t.Fatal(err)
				}
				back, err := DecodeJob(strings.NewReader(string(text)))
				if err != nil {
					t.Errorf("%s %s %s: %v", s.Name, client, form, err)
				}
				if diff := cmp.Diff(job, back); diff != "" {
					t.Errorf("%s: a job changes on its way through JSON:\n%s", s.Name, diff)
				}
			}
		}
	}
}

// The seed's table of producer settings is what the files say.
func TestSeedTable(t *testing.T) {
	table := []struct {
		name     string
		threads  int
		producer Properties
	}{
		{"megabatch", 8, Properties{
			"batch.size": "1048576", "linger.ms": "15", "compression.type": "lz4", "acks": "0", "enable.idempotence": "false",
			"max.in.flight.requests.per.connection": "100", "buffer.memory": "268435456", "send.buffer.bytes": "2097152",
			"receive.buffer.bytes": "2097152", "max.request.size": "2097152"}},
		{"ultrabatch", 4, Properties{"batch.size": "524288", "linger.ms": "10", "compression.type": "snappy", "acks": "1", "enable.idempotence": "false"}},
		{"standard", 4, Properties{"batch.size": "16384", "linger.ms": "0", "acks": "1"}},
		{"single", 1, Properties{"batch.size": "1024", "linger.ms": "0", "acks": "1"}},
		{"minimal", 1, Properties{}},
		{"custom", 4, Properties{"batch.size": "2097152", "linger.ms": "20", "compression.type": "zstd", "buffer.memory": "536870912"}},
	}
	for _, row := range table {
		s, err := Load(row.name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Threads != row.threads || s.Partitions != 8 || s.Payload.ValueBytes != 256 || s.Payload.CompressedRatio != 0.35 {
			t.Errorf("%s: threads %d, partitions %d, payload %+v", row.name, s.Threads, s.Partitions, s.Payload)
		}
		if diff := cmp.Diff(row.producer, s.Producer); diff != "" {
			t.Errorf("%s: producer properties (-seed +file):\n%s", row.name, diff)
		}
	}
}

func TestSeedExactJob(t *testing.T) {
	s, err := Load("megabatch")
	if err != nil {
		t.Fatal(err)
	}
	job := s.Job(JobOptions{Client: ClientJava, Form: FormSeedExact})
	if job.MeasureRecords != 100000 || job.MeasureSeconds != 0 || job.WarmUp != (WarmUp{}) {
		t.Errorf("got %+v", job)
	}
	honest := s.Job(JobOptions{Client: ClientJava})
	if honest.Form != FormHonest || honest.WarmUp.MaxSeconds != s.WarmUp.JavaMaxSeconds {
		t.Errorf("got form %s, warm-up %+v", honest.Form, honest.WarmUp)
	}
}

// What a person may get wrong, and the words that must help.
func TestBadScenarios(t *testing.T) {
	const sound = "question: why?\nmeasure:\n  seconds: 1\n"
	table := []struct {
		what string
		text string
		line int
		says []string
	}{
		{"an empty file", "", 0, []string{"empty"}},
		{"no YAML at all", "a: [", 0, []string{"yaml"}},
		{"two documents", sound + "---\nname: b\n", 0, []string{"one document"}},
		{"a list at the top", "- a\n", 1, []string{"mapping", "list"}},
		{"an unknown key at the top", sound + "partitons: 8\n", 4, []string{`"partitons"`, "did you mean partitions?"}},
		{"an unknown key below", sound + "payload:\n  value_byte: 1\n", 5, []string{`"payload.value_byte"`, "did you mean value_bytes?"}},
		{"a key twice", sound + "threads: 1\nthreads: 2\n", 5, []string{`"threads"`, "line 4"}},
		{"text for a number", sound + "threads: four\n", 4, []string{"threads", "whole number", `"four"`}},
		{"a fraction for a whole number", sound + "threads: 1.5\n", 4, []string{"whole number"}},
		{"a list for a number", sound + "threads: [1]\n", 4, []string{"whole number", "a list"}},
		{"text for a truth", sound + "end_to_end: maybe\n", 4, []string{"true or false"}},
		{"a number too large", sound + "threads: 99999999999\n", 4, []string{"whole number"}},
		{"not a number", sound + "verify:\n  fraction: .nan\n", 5, []string{"verify.fraction", "number"}},
		{"a scalar for a mapping", sound + "payload: 256\n", 4, []string{"payload", "mapping"}},
		{"a scalar for a list", sound + "clients: java\n", 4, []string{"clients", "list"}},
		{"nothing for text", sound + "mode:\n", 4, []string{"mode", "nothing"}},
		{"an alias", "question: &q why?\nname: *q\n", 2, []string{"alias"}},
		{"a bad rate", sound + "rate: 20000\n", 4, []string{"rate", "N/s"}},
		{"a rate of zero", sound + "rate: 0/s\n", 4, []string{"above 0"}},
		{"an unknown Kafka property", sound + "producer:\n  linger.sm: 5\n", 5, []string{`"linger.sm"`, "did you mean linger.ms?"}},
		{"an ill-typed Kafka property", sound + "producer:\n  batch.size: big\n", 5, []string{"batch.size", "32-bit integer", `"big"`}},
		{"an unknown codec", sound + "producer:\n  compression.type: lz5\n", 5, []string{"lz4", `"lz5"`}},
		{"a property that the harness sets", sound + "producer:\n  bootstrap.servers: a:1\n", 5, []string{"set by the harness"}},
		{"an unknown topic setting", sound + "topic_configs:\n  retention.mss: 5\n", 5, []string{"retention.ms"}},
		{"a nested property", sound + "producer:\n  acks: {a: 1}\n", 5, []string{"acks", "a mapping"}},
		{"an unknown client", sound + "clients: [jav]\n", 4, []string{`"jav"`, "did you mean java?"}},
		{"an unknown mode", sound + "mode: read\n", 4, []string{"produce or consume"}},
		{"no question", "measure: {seconds: 1}\n", 0, []string{"question"}},
		{"a value smaller than the header", sound + "payload: {value_bytes: 20}\n", 4, []string{"36"}},
		{"consume without records", sound + "mode: consume\nrate: 5/s\n", 0, []string{"fill_records"}},
		{"wire that consumes", sound + "end_to_end: true\nclients: [wire]\n", 5, []string{"wire"}},
		{"a warm-up that ends before it begins", sound + "warm_up: {min_seconds: 5, max_seconds: 2}\n", 4, []string{"min_seconds"}},
		{"nothing measured", "question: why?\nmeasure: {seconds: 0}\n", 2, []string{"measure"}},
	}
	for _, row := range table {
		t.Run(row.what, func(t *testing.T) {
			_, err := Parse("dir/x.yaml", []byte(row.text))
			var parse *ParseError
			if !errors.As(err, &parse) {
				t.Fatalf("want a *ParseError, got %v", err)
			}
			if parse.File != "dir/x.yaml" || parse.Line != row.line {
				t.Errorf("want dir/x.yaml line %d, got %q", row.line, err)
			}
			for _, word := range row.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("want %q in %q", word, err)
				}
			}
		})
	}
	if _, err := Parse("x.yaml", []byte(sound)); err != nil {
		t.Fatalf("the sound one must pass: %v", err)
	}
}

func TestCatalogDirectoryComesFirst(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("smoke.yaml", "question: mine?\nthreads: 7\n")
	write("mine.yaml", "question: mine?\n")
	c := Catalog{Dir: dir}
	s, err := c.Load("smoke")
	if err != nil || s.Threads != 7 {
		t.Errorf("got %+v, %v", s, err)
	}
	if s, err = c.Load("mine"); err != nil || s.Name != "mine" {
		t.Errorf("got %+v, %v", s, err)
	}
	if s, err = Load(filepath.Join(dir, "mine.yaml")); err != nil || s.Name != "mine" {
		t.Errorf("by path: %+v, %v", s, err)
	}
	if s, err = c.Load("megabatch"); err != nil || s.Threads != 8 {
		t.Errorf("embedded: %+v, %v", s, err)
	}
	_, err = c.Load("megabach")
	var unknown *UnknownError
	if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "did you mean megabatch?") || !strings.Contains(err.Error(), "mine") {
		t.Errorf("got %v", err)
	}
	if _, err = Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestDecodeJobIsStrict(t *testing.T) {
	s, _ := Load("smoke")
	text, _ := json.Marshal(s.Job(JobOptions{RunID: "r", Client: ClientFranz, Round: 1, Bootstrap: "h:1", Topic: "t"}))
	sound := string(text)
	if _, err := DecodeJob(strings.NewReader(sound)); err != nil {
		t.Fatal(err)
	}
	table := []struct{ what, from, to, says string }{
		{"an unknown field", `"round":1`, `"round":1,"rond":2`, "rond"},
		{"a number for text", `"run_tag":"0"`, `"run_tag":0`, "uint64"},
		{"another schema", `"schema":1`, `"schema":2`, "schema 2"},
		{"an unknown client", `"franz-go"`, `"franz"`, "did you mean franz-go?"},
		{"no threads", `"threads":2`, `"threads":0`, "threads"},
		{"no bootstrap", `"bootstrap":"h:1"`, `"bootstrap":""`, "bootstrap"},
		{"an unknown property", `"linger.ms"`, `"linger.m"`, "linger.ms"},
		{"nothing measured", `"measure_records":20000`, `"measure_records":-1`, "measure"},
		{"an empty value", `"value_bytes":256`, `"value_bytes":0`, "value_bytes"},
	}
	for _, row := range table {
		broken := strings.Replace(sound, row.from, row.to, 1)
		if broken == sound {
			t.Fatalf("%s: %q is not in the job %s", row.what, row.from, sound)
		}
		if _, err := DecodeJob(strings.NewReader(broken)); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: want an error with %q, got %v", row.what, row.says, err)
		}
	}
	for _, tail := range []string{"{}", "x", sound} {
		if _, err := DecodeJob(strings.NewReader(sound + tail)); err == nil {
			t.Errorf("data after the object must be refused: %.10s", tail)
		}
	}
}

// No file, however broken, may do more than return an error.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"smoke", "consume"} {
		s, _ := Load(name)
		f.Add([]byte(s.Text))
	}
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("{? [x] : y}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse("f.yaml", text)
		if (s == nil) == (err == nil) {
			t.Fatalf("either a scenario or an error, got %v and %v", s, err)
		}
	})
}
