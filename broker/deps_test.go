package broker

import (
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows is the law of the rooms: what each may import of ours. Siblings do
// not import each other; on the data path only handler knows both a request
// and a partition.
var arrows = map[string][]string{
	"protocol":           nil,
	"record":             nil,
	"metrics":            nil,
	"invariant":          nil,
	"fault":              nil, // only a faultinject build has more than a constant in it
	"config":             {"record"},
	"quota":              nil,
	"commitlog":          {"record", "metrics", "invariant"},
	"commitlog/memfs":    {"commitlog"},
	"commitlog/errfs":    {"commitlog"},
	"partition":          {"commitlog", "record", "protocol", "metrics", "invariant", "fault"},
	"cluster":            {"commitlog", "record", "protocol", "config", "quota", "metrics", "invariant"},
	"coordinator":        {"partition", "record", "protocol"},
	"coordinator/memlog": {"partition", "record"},
	"group":              {"coordinator", "partition", "record", "protocol", "config", "metrics", "invariant"},
	"txn":                {"coordinator", "partition", "record", "protocol", "config", "metrics", "invariant"},
	"share":              {"coordinator", "partition", "record", "protocol", "config", "metrics", "invariant"},
	"loglevel":           nil,
	"telemetry":          {"record", "protocol", "config"},
	"handler":            {"group", "txn", "share", "cluster", "partition", "record", "protocol", "config", "quota", "telemetry", "loglevel", "metrics", "invariant", "fault"},
	"server":             {"handler", "protocol", "metrics"},
	"admin":              {"cluster", "partition", "group", "metrics"},
	"node":               {"server", "admin", "handler", "group", "txn", "share", "cluster", "partition", "commitlog", "record", "protocol", "config", "quota", "telemetry", "loglevel", "metrics", "invariant"},
	".":                  {"node", "config"},
	"client":             {"record"}, // the other end of the wire: it knows no room of the server
	"logdump":            {"commitlog", "record"},
	"cmd/fluxmq":         {"node", "config", "loglevel", "fault", "client", "logdump", "commitlog", "."},
	"compat":             {".", "node"},

	// These read replies and results, never a broker's insides.
	"compat/differential":  {"protocol", "record"},
	"compat/suite":         nil,
	"compat/scale":         nil,
	"compat/clients":       {"compat/suite"},
	"compat/clients/kfake": nil, // it knows a broker by its address
	"compat/report":        {"compat/differential", "compat/scale", "compat/suite"},
}

// Tests may look further: they build what they test.
func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	const ours = "fluxmq/"
	files := 0
	err := filepath.WalkDir(".", func(file string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		room := filepath.ToSlash(filepath.Dir(file))
		allowed, known := arrows[room]
		if !known {
			t.Errorf("%s: the room %q is not in the table of deps_test.go", file, room)
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		files++
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if !strings.HasPrefix(imported, ours) {
				if strings.Contains(imported, "sarama") || strings.Contains(imported, "hdrhistogram") {
					t.Errorf("%s imports %s, which belongs to the harness", file, imported)
				}
				continue
			}
			to := strings.TrimPrefix(imported, ours+"broker/")
			if imported == ours+"broker" {
				to = "."
			}
			if to == imported {
				t.Errorf("%s imports %s: the broker must not know the harness", file, imported)
			} else if !slices.Contains(allowed, to) {
				t.Errorf("%s: %s must not import %s; it may import %v. Move the code to the room that may, or the arrow with a reason",
					file, room, path.Clean(to), allowed)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50 {
		t.Fatalf("only %d files were looked at", files)
	}
}
