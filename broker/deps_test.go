package broker_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// room is one package directory under broker/ and what it may import.
type room struct {
	may []string
	// why is said to whoever breaks the rule.
	why string
}

// l0 are the rooms that import nothing of ours.
var l0 = []string{"protocol", "record", "config", "metrics", "invariant"}

// rooms is the law of the architecture: each room with the rooms that it may
// import. Tests of a room obey it too, except that every test may use the
// tools in testOnly. A room below another's level tells it things through a
// func field that node fills.
var rooms = map[string]room{
	"protocol":  {nil, "L0 is bytes and numbers: it imports nothing of ours"},
	"record":    {nil, "L0 is bytes and numbers: it imports nothing of ours"},
	"metrics":   {nil, "metrics is counted through fields and reads states through functions that node fills"},
	"invariant": {nil, "invariant must be usable everywhere, so it can import nothing of ours"},
	"config":    {[]string{"record"}, "config parses settings; record gives it the validation modes and codecs"},

	"commitlog": {[]string{"record", "metrics", "invariant"}, "a log knows offsets, not topics, clients, wire structs or settings"},
	"partition": {[]string{"commitlog", "record", "protocol", "metrics", "invariant"}, "a partition answers with protocol's errors, and knows no cluster, group or handler"},

	"cluster":     {[]string{"commitlog", "record", "protocol", "config", "metrics", "invariant"}, "the image is below partitions: node reconciles them with it through OnImage"},
	"group":       {[]string{"partition", "record", "protocol", "config", "metrics", "invariant"}, "a coordinator keeps its state in a partition; what it needs of the cluster comes through functions"},
	"txn":         {[]string{"partition", "record", "protocol", "config", "metrics", "invariant"}, "a coordinator keeps its state in a partition; what it needs of the cluster comes through functions"},
	"replication": {[]string{"partition", "record", "protocol", "config", "metrics", "invariant"}, "followers append to partitions; what they need of the cluster comes through functions"},
	"auth":        {[]string{"protocol", "config", "metrics"}, "auth decides over bytes and names"},

	"handler": {slices.Concat(l0, []string{"commitlog", "partition", "cluster", "group", "txn", "replication", "auth"}), "handlers call the rooms below; they know no sockets and no node"},
	"server":  {[]string{"handler", "protocol", "config", "metrics", "invariant"}, "the server moves frames; only handlers know what is in them"},
	"admin":   {[]string{"cluster", "partition", "group", "metrics"}, "admin only shows; what it shows comes through functions that node fills"},
	"node":    {[]string{"*"}, "node builds everything but the binary and the embedding API"},
	".":       {[]string{"node", "config"}, "package broker is the embedding API over node"},
	"cmd":     {[]string{".", "config", "node", "protocol", "record", "commitlog"}, "the binary is a thin user of the embedding API and of the tools that read files"},
	"compat":  {[]string{"."}, "compat knows the broker as its users do"},
}

// testOnly may be imported by every test: the in-memory and the faulty file
// systems, the checks, and the whole broker from outside (package x_test).
var testOnly = []string{"commitlog/memfs", "commitlog/errfs", "invariant"}

// sides are the two halves of the module, which meet only through the Kafka
// protocol, HTTP, signals and files.
var harness = []string{"loadgen", "tools", "reports", "scenarios", "profiles"}

// arrow is one import of one file.
type arrow struct {
	file, from, to string // from and to are folders under the module's root
}

// arrows lists every import of one package of ours by another, tests included.
func arrows(t *testing.T, root string) []arrow {
	t.Helper()
	var found []arrow
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "vendor" || name == "java-tests" || name == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if to, ours := strings.CutPrefix(imported, "fluxmq/"); ours {
				found = append(found, arrow{filepath.ToSlash(relative), filepath.ToSlash(filepath.Dir(relative)), to})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// roomOf is the room that a folder under broker/ belongs to ("." is broker/ itself).
func roomOf(folder string) string {
	inside, ok := strings.CutPrefix(folder, "broker/")
	if !ok {
		return "."
	}
	name, _, _ := strings.Cut(inside, "/")
	return name
}

// verdict says why an arrow is forbidden, "" when it is allowed.
func verdict(a arrow) string {
	fromBroker, toBroker := under(a.from, "broker"), under(a.to, "broker")
	for _, folder := range harness {
		if fromBroker && under(a.to, folder) {
			return "the broker never imports the harness: they meet through the protocol, HTTP, signals and files"
		}
		if under(a.from, folder) && toBroker {
			return "the harness never imports the broker: what it measures and proves must come from outside"
		}
	}
	if !fromBroker || !toBroker {
		return ""
	}
	from, to := roomOf(a.from), roomOf(a.to)
	if from == to {
		return ""
	}
	if strings.HasSuffix(a.file, "_test.go") && slices.Contains(testOnly, strings.TrimPrefix(a.to, "broker/")) {
		return ""
	}
	law, known := rooms[from]
	switch {
	case !known:
		return fmt.Sprintf("broker/%s is not in the table of deps_test.go: give the room its place", from)
	case slices.Contains(law.may, to):
		return ""
	case slices.Contains(law.may, "*") && to != "." && to != "cmd" && to != "compat":
		return ""
	}
	return law.why
}

func under(folder, root string) bool { return folder == root || strings.HasPrefix(folder, root+"/") }

func TestImports(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	all := arrows(t, root)
	if len(all) < 10 {
		t.Fatalf("only %d imports found: the test looks at the wrong place", len(all))
	}
	for _, a := range all {
		if why := verdict(a); why != "" {
			t.Errorf("%s: %s may not import %s: %s", a.file, a.from, a.to, why)
		}
	}
}

// Every room that exists has its place in the table.
func TestEveryRoomIsKnown(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, known := rooms[e.Name()]; e.IsDir() && !known && e.Name() != "testdata" {
			t.Errorf("broker/%s is not in the table of deps_test.go", e.Name())
		}
	}
}

// The table has no circle, so that it can be built bottom-up.
func TestTableHasNoCircle(t *testing.T) {
	const open, done = 1, 2
	state := make(map[string]int)
	var visit func(name string, path []string)
	visit = func(name string, path []string) {
		switch state[name] {
		case open:
			t.Fatalf("a circle: %s", strings.Join(append(path, name), " → "))
		case done:
			return
		}
		state[name] = open
		for _, to := range rooms[name].may {
			if to != "*" {
				visit(to, append(path, name))
			}
		}
		state[name] = done
	}
	for name := range rooms {
		visit(name, nil)
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		from, to, file string
		allowed        bool
		why            string
	}{
		{"broker/partition", "broker/protocol", "a.go", true, "a partition answers with Kafka's errors"},
		{"broker/partition", "broker/cluster", "a.go", false, "a partition knows no cluster"},
		{"broker/commitlog", "broker/protocol", "a.go", false, "a log knows no wire"},
		{"broker/protocol", "broker/record", "a.go", false, "L0 rooms do not import each other"},
		{"broker/commitlog/memfs", "broker/commitlog", "a.go", true, "a folder inside a room is of the room"},
		{"broker/partition", "broker/commitlog/memfs", "a_test.go", true, "a test may use the file systems"},
		{"broker/cmd/fluxmq", "broker", "a.go", true, "the binary uses the embedding API"},
		{"broker/node", "broker", "a.go", false, "node is below the embedding API"},
		{"broker/node", "broker/admin", "a.go", true, "node builds everything"},
		{"broker/compat", "broker/node", "a_test.go", false, "compat is outside"},
		{"broker/handler", "reports", "a.go", false, "the broker does not know the harness"},
		{"tools/fluxbench", "broker/protocol", "a.go", false, "the harness does not know the broker"},
		{"loadgen", "scenarios", "a.go", true, "inside the harness others decide"},
		{"broker/novelty", "broker/protocol", "a.go", false, "a room that is not in the table"},
	} {
		if got := verdict(arrow{c.file, c.from, c.to}); (got == "") != c.allowed {
			t.Errorf("%s: %s → %s: verdict %q", c.why, c.from, c.to, got)
		}
	}
}
