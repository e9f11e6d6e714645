package profiles

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryEmbeddedProfileLoadsUnderItsName(t *testing.T) {
	names := Names()
	if want := []string{"default", "native", "numa", "pgo", "pinned"}; !slices.Equal(names, want) {
		t.Fatalf("profiles %v, want %v", names, want)
	}
	for _, name := range names {
		p, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if p.Name != name || p.Needs == "" || p.Description == "" || len(p.SHA256) != 64 {
			t.Errorf("%s: name %q, needs %q, description %q, hash %q", name, p.Name, p.Needs, p.Description, p.SHA256)
		}
		if p.Broker["log.segment.bytes"] != "268435456" {
			t.Errorf("%s: log.segment.bytes %q", name, p.Broker["log.segment.bytes"])
		}
	}
}

func TestBadInputIsRefusedWithItsPlace(t *testing.T) {
	for _, row := range []struct{ about, text, want string }{
		{"a misspelt key names the nearest", "name: x\nbuild:\n  goamd46: v3\n", `p.yaml:3: unknown key "build.goamd46" (did you mean goamd64?)`},
		{"a key of nothing known lists all", "name: x\nfrobnicate: 1\n", `p.yaml:2: unknown key "frobnicate"; known keys: name, description`},
		{"a key twice", "name: x\nname: y\n", `p.yaml:2: key "name" is there twice`},
		{"text for a number", "name: x\nruntime:\n  gomaxprocs: many\n", `p.yaml:3: runtime.gomaxprocs must be a whole number, got "many"`},
		{"a list for a mapping", "name: x\nbind: [a]\n", `p.yaml:2: bind must be a mapping`},
		{"a list among broker settings", "name: x\nbroker:\n  log.flush: [a]\n", `p.yaml:3: broker.log.flush must be a single value`},
		{"an unknown level", "name: x\nbuild: {goamd64: v9}\n", `build.goamd64 is v1, v2, v3 or v4, got "v9"`},
		{"an unknown binder", "name: x\nbind: {with: cset}\n", `bind.with is none, taskset or numactl, got "cset"`},
		{"a share of everything", "name: x\nbind: {with: taskset, broker_cpu_share: 1}\n", `broker_cpu_share must lie between 0 and 1`},
		{"no name", "description: x\n", `name is missing`},
		{"an empty file", "", `the file is empty`},
		{"two documents", "name: x\n---\nname: y\n", `one document`},
		{"not YAML", "name: [x\n", `p.yaml: yaml`},
		{"a scalar document", "just text\n", `p.yaml:1: the profile must be a mapping`},
	} {
		_, err := Parse("p.yaml", []byte(row.text))
		var parse *ParseError
		if !errors.As(err, &parse) || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want a ParseError with %q", row.about, err, row.want)
		}
	}
}

func TestAnUnknownNameListsTheKnownOnes(t *testing.T) {
	_, err := Load("natve")
	if err == nil || !strings.Contains(err.Error(), "did you mean native?") || !strings.Contains(err.Error(), "default, native, numa, pgo, pinned") {
		t.Fatalf("got %v", err)
	}
}

func TestResolve(t *testing.T) {
	two := Machine{AllowedCPUs: []int{0, 1}, NUMANodes: 1, AMD64Level: "v3", Taskset: true, Numactl: true, PGOFile: "/r/default.pgo"}
	with := func(change func(*Machine)) Machine { m := two; change(&m); return m }
	for _, row := range []struct {
		about, profile string
		machine        Machine
		want           Plan
		refused        string
		note           string
	}{
		{about: "default binds nothing", profile: "default", machine: two, want: Plan{BuildArgs: []string{"-pgo=off"}}},
		{about: "native on v3", profile: "native", machine: two, want: Plan{BuildArgs: []string{"-pgo=off"}, BuildEnv: []string{"GOAMD64=v3"}}},
		{about: "native on v2 is refused", profile: "native", machine: with(func(m *Machine) { m.AMD64Level = "v2" }), refused: "instructions of v2 only"},
		{about: "native on arm64 is refused", profile: "native", machine: with(func(m *Machine) { m.AMD64Level = "" }), refused: "another architecture"},
		{about: "pgo", profile: "pgo", machine: two, want: Plan{BuildArgs: []string{"-pgo=/r/default.pgo"}}},
		{about: "pgo without a profile is refused", profile: "pgo", machine: with(func(m *Machine) { m.PGOFile = "" }), refused: "make pgo"},
		{about: "pinned halves the CPUs", profile: "pinned", machine: with(func(m *Machine) { m.AllowedCPUs = []int{0, 2, 4, 5} }),
			want: Plan{BuildArgs: []string{"-pgo=off"}, BrokerPrefix: []string{"taskset", "-c", "0,2"}, ClientPrefix: []string{"taskset", "-c", "4,5"}}},
		{about: "pinned on one CPU is refused", profile: "pinned", machine: with(func(m *Machine) { m.AllowedCPUs = []int{0} }), refused: "at least 2 CPUs"},
		{about: "pinned without taskset is refused", profile: "pinned", machine: with(func(m *Machine) { m.Taskset = false }), refused: "needs taskset"},
		{about: "numa with one node degrades loudly", profile: "numa", machine: two, want: Plan{BuildArgs: []string{"-pgo=off"}}, note: "nothing to bind"},
		{about: "numa with two nodes", profile: "numa", machine: with(func(m *Machine) { m.NUMANodes = 2 }),
			want: Plan{BuildArgs: []string{"-pgo=off"}, BrokerPrefix: []string{"numactl", "--cpunodebind=0", "--membind=0"}, ClientPrefix: []string{"numactl", "--cpunodebind=0", "--membind=0"}}},
		{about: "numa without numactl is refused", profile: "numa", machine: with(func(m *Machine) { m.NUMANodes, m.Numactl = 2, false }), refused: "needs numactl"},
	} {
		profile, err := Load(row.profile)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := profile.Resolve(row.machine)
		if row.refused != "" {
			var need *NeedError
			if !errors.As(err, &need) || !strings.Contains(err.Error(), row.refused) {
				t.Errorf("%s: got %v, want a NeedError with %q", row.about, err, row.refused)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", row.about, err)
			continue
		}
		if row.note != "" && !strings.Contains(strings.Join(plan.Notes, "\n"), row.note) {
			t.Errorf("%s: notes %q, want %q", row.about, plan.Notes, row.note)
		}
		plan.Notes, plan.Broker = nil, nil
		if diff := cmp.Diff(row.want, *plan); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.about, diff)
		}
	}
}

func TestAMD64Level(t *testing.T) {
	v2 := strings.Fields("cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3")
	v3 := append(slices.Clone(v2), strings.Fields("avx avx2 bmi1 bmi2 f16c fma abm movbe xsave")...)
	v4 := append(slices.Clone(v3), strings.Fields("avx512f avx512bw avx512cd avx512dq avx512vl")...)
	for want, flags := range map[string][]string{"v1": {"sse2"}, "v2": v2, "v3": v3, "v4": v4} {
		if got := AMD64Level(flags); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := AMD64Level(v4[1:]); got != "v1" {
		t.Errorf("v4 without a v2 flag: got %s, want v1", got)
	}
}
