package profiles

import (
	"fmt"
	"strconv"
	"strings"
)

// Machine is what a profile may ask for, as found by the runner.
type Machine struct {
	AllowedCPUs []int  // CPUs this process may run on
	NUMANodes   int    // 0: not present
	AMD64Level  string // v1 to v4, "" on another architecture
	Numactl     bool   // the program is there
	Taskset     bool
	PGOFile     string // broker/cmd/fluxmq/default.pgo, "" if there is none
}

// Plan is a profile on one machine.
type Plan struct {
	BuildArgs    []string // for go build
	BuildEnv     []string // GOAMD64=v3
	Env          []string // for the broker
	BrokerPrefix []string // argv before the broker's own
	ClientPrefix []string
	Broker       map[string]string // broker settings
	Notes        []string          // what the profile wanted and does not get here; to be printed and kept
}

// Resolve says what the profile becomes on this machine, or a *NeedError.
func (p *Profile) Resolve(m Machine) (*Plan, error) {
	plan := &Plan{Broker: p.Broker}
	if err := p.resolveBuild(m, plan); err != nil {
		return nil, err
	}
	if p.Runtime.GOGC != "" {
		plan.Env = append(plan.Env, "GOGC="+p.Runtime.GOGC)
	}
	if p.Runtime.GOMEMLIMIT != "" {
		plan.Env = append(plan.Env, "GOMEMLIMIT="+p.Runtime.GOMEMLIMIT)
	}
	if p.Runtime.GOMAXPROCS > 0 {
		plan.Env = append(plan.Env, "GOMAXPROCS="+strconv.Itoa(p.Runtime.GOMAXPROCS))
		if p.Runtime.GOMAXPROCS > len(m.AllowedCPUs) {
			plan.Notes = append(plan.Notes, fmt.Sprintf("profile %s: GOMAXPROCS=%d on %d CPUs", p.Name, p.Runtime.GOMAXPROCS, len(m.AllowedCPUs)))
		}
	}
	switch p.Bind.With {
	case "taskset":
		return plan, p.resolveTaskset(m, plan)
	case "numactl":
		return plan, p.resolveNumactl(m, plan)
	}
	return plan, nil
}

func (p *Profile) resolveBuild(m Machine, plan *Plan) error {
	if want := p.Build.GOAMD64; want != "" {
		if m.AMD64Level == "" {
			return &NeedError{p.Name, "needs an x86-64 CPU, this is another architecture"}
		}
		if m.AMD64Level < want { // "v1" < "v4"
			return &NeedError{p.Name, fmt.Sprintf("needs an x86-64-%s CPU, this one has the instructions of %s only; a broker built for it would not start", want, m.AMD64Level)}
		}
		plan.BuildEnv = append(plan.BuildEnv, "GOAMD64="+want)
	}
	if p.Build.PGO != "required" {
		plan.BuildArgs = append(plan.BuildArgs, "-pgo=off")
		return nil
	}
	if m.PGOFile == "" {
		return &NeedError{p.Name, "needs broker/cmd/fluxmq/default.pgo; `make pgo` (fluxbench pgo) takes it"}
	}
	plan.BuildArgs = append(plan.BuildArgs, "-pgo="+m.PGOFile)
	return nil
}

func (p *Profile) resolveTaskset(m Machine, plan *Plan) error {
	count := len(m.AllowedCPUs)
	if count < 2 {
		return &NeedError{p.Name, fmt.Sprintf("needs at least 2 CPUs to part broker and clients, this process may use %d", count)}
	}
	if !m.Taskset {
		return &NeedError{p.Name, "needs taskset; apt-get install -y util-linux"}
	}
	broker := min(max(int(float64(count)*p.Bind.BrokerCPUShare+0.5), 1), count-1)
	plan.BrokerPrefix = []string{"taskset", "-c", joinCPUs(m.AllowedCPUs[:broker])}
	plan.ClientPrefix = []string{"taskset", "-c", joinCPUs(m.AllowedCPUs[broker:])}
	return nil
}

func (p *Profile) resolveNumactl(m Machine, plan *Plan) error {
	if m.NUMANodes < 2 {
		plan.Notes = append(plan.Notes, fmt.Sprintf("profile %s: this machine has %d NUMA node, there is nothing to bind; broker and clients run unbound, as in profile default", p.Name, max(m.NUMANodes, 1)))
		return nil
	}
	if p.Bind.NUMANode >= m.NUMANodes {
		return &NeedError{p.Name, fmt.Sprintf("binds to NUMA node %d, this machine has nodes 0 to %d", p.Bind.NUMANode, m.NUMANodes-1)}
	}
	if !m.Numactl {
		return &NeedError{p.Name, "needs numactl; apt-get install -y numactl"}
	}
	node := strconv.Itoa(p.Bind.NUMANode)
	prefix := []string{"numactl", "--cpunodebind=" + node, "--membind=" + node}
	plan.BrokerPrefix, plan.ClientPrefix = prefix, prefix
	return nil
}

func joinCPUs(cpus []int) string {
	parts := make([]string, len(cpus))
	for i, cpu := range cpus {
		parts[i] = strconv.Itoa(cpu)
	}
	return strings.Join(parts, ",")
}

// amd64Features lists the /proc/cpuinfo flags that each x86-64 level adds (Linux spells lzcnt "abm").
var amd64Features = []struct {
	level string
	flags []string
}{
	{"v2", []string{"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"}},
	{"v3", []string{"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}},
	{"v4", []string{"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}},
}

// AMD64Level is the highest x86-64 level whose instructions are all among the CPU's flags.
func AMD64Level(flags []string) string {
	have := map[string]bool{}
	for _, flag := range flags {
		have[flag] = true
	}
	level := "v1"
	for _, step := range amd64Features {
		for _, flag := range step.flags {
			if !have[flag] {
				return level
			}
		}
		level = step.level
	}
	return level
}
