package reports

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// ResultSchema is the version of the JSON layout of Result. It grows when a
// field changes its meaning or goes away, not when one is added.
const ResultSchema = 1

// Forms of a scenario.
const (
	FormHonest    = "honest"
	FormSeedExact = "seed-exact"
)

// Kinds of a target.
const (
	TargetFluxMQ       = "fluxmq"
	TargetKafkaDefault = "kafka-default"
	TargetKafkaTuned   = "kafka-tuned"
	TargetAddress      = "address"
)

// Result is everything one `fluxbench run` learned about one target: enough to
// judge it again without the machine it ran on. Times are Unix nanoseconds,
// sizes bytes, CPU nanoseconds, unless the name says otherwise.
type Result struct {
	Schema         int             `json:"schema"`
	ID             string          `json:"id" jsonschema:"UTC start time and a random suffix; one run, also in every record's run tag source"`
	StartedUnixNs  int64           `json:"started_unix_ns"`
	FinishedUnixNs int64           `json:"finished_unix_ns"`
	Command        []string        `json:"command" jsonschema:"the command line as given"`
	Commit         string          `json:"commit" jsonschema:"git commit of the checkout, 40 hex digits, or unknown"`
	Dirty          bool            `json:"dirty" jsonschema:"the checkout had uncommitted changes in tracked files"`
	Scenario       ScenarioRecord  `json:"scenario"`
	Profile        ProfileRecord   `json:"profile"`
	Target         TargetRecord    `json:"target"`
	Host           HostFingerprint `json:"host"`
	Preflight      []Check         `json:"preflight"`
	Binaries       []Binary        `json:"binaries"`
	Clients        []string        `json:"clients"`
	Rounds         int             `json:"rounds" jsonschema:"rounds asked for"`
	Order          []string        `json:"order" jsonschema:"the arm-runs in the order they were planned, round/target/client"`
	BesideTargets  []string        `json:"beside_targets" jsonschema:"other targets whose arm-runs were interleaved with these (versus)"`
	ArmRuns        []ArmRun        `json:"arm_runs"`
	Exit           int             `json:"exit" jsonschema:"0 pass, 1 run error, 6 correctness, 130 interrupted"`
	Failure        string          `json:"failure" jsonschema:"why the run ended early or is void; empty when it did not"`
}

// ScenarioRecord is the scenario as it was when it ran.
type ScenarioRecord struct {
	Name      string            `json:"name"`
	Question  string            `json:"question"`
	Form      string            `json:"form" jsonschema:"honest or seed-exact"`
	Text      string            `json:"text" jsonschema:"the YAML file, byte for byte"`
	SHA256    string            `json:"sha256"`
	Overrides map[string]string `json:"overrides" jsonschema:"what the command line changed: measure_seconds, rate_per_second"`
}

// ProfileRecord is the profile as it was when it ran, and what it became here.
type ProfileRecord struct {
	Name          string   `json:"name"`
	Text          string   `json:"text"`
	SHA256        string   `json:"sha256"`
	BuildArgs     []string `json:"build_args"`
	BuildEnv      []string `json:"build_env"`
	Env           []string `json:"env" jsonschema:"environment added to the broker"`
	BrokerPrefix  []string `json:"broker_prefix" jsonschema:"argv before the broker's own: numactl or taskset"`
	ClientPrefix  []string `json:"client_prefix"`
	DegradedNotes []string `json:"degraded_notes" jsonschema:"what the profile wanted and this machine does not have"`
}

// TargetRecord names the broker under test.
type TargetRecord struct {
	Kind       string            `json:"kind" jsonschema:"fluxmq, kafka-default, kafka-tuned or address"`
	Address    string            `json:"address" jsonschema:"host:port when the broker is not ours to start"`
	Version    string            `json:"version"`
	Settings   map[string]string `json:"settings" jsonschema:"settings given to the broker beside its defaults"`
	Durability string            `json:"durability" jsonschema:"log.flush: acks, os, always; or what is known of the peer"`
	Validation string            `json:"validation" jsonschema:"log.validation: records, full, header; or what is known of the peer"`
	JVM        string            `json:"jvm,omitempty"`
	JVMArgs    []string          `json:"jvm_args,omitempty"`
}

// Label names the target in tables: "fluxmq", "kafka 4.3.1 (tuned)", "address 10.0.0.1:9092".
func (t TargetRecord) Label() string {
	switch t.Kind {
	case TargetKafkaDefault:
		return "kafka " + t.Version
	case TargetKafkaTuned:
		return "kafka " + t.Version + " (tuned)"
	case TargetAddress:
		return t.Address
	}
	return t.Kind
}

// HostFingerprint says which machine it was; runs of different fingerprints do not compare.
type HostFingerprint struct {
	Hostname         string `json:"hostname"`
	OS               string `json:"os"`
	Kernel           string `json:"kernel"`
	CPUModel         string `json:"cpu_model"`
	CPUs             int    `json:"cpus"`
	CPUFlagsLevel    string `json:"cpu_flags_level" jsonschema:"highest x86-64 level whose instructions are all there: v1 to v4; empty elsewhere"`
	MemoryBytes      uint64 `json:"memory_bytes"`
	NUMANodes        int    `json:"numa_nodes"`
	Virtualization   string `json:"virtualization"`
	Filesystem       string `json:"filesystem" jsonschema:"type of the file system the broker's data lay on"`
	TCPCongestion    string `json:"tcp_congestion"`
	ClockSource      string `json:"clock_source"`
	CgroupCPULimit   string `json:"cgroup_cpu_limit" jsonschema:"cores, or unlimited"`
	CgroupMemoryByte int64  `json:"cgroup_memory_limit_bytes" jsonschema:"0 is unlimited"`
	GoVersion        string `json:"go_version"`
	JavaVersion      string `json:"java_version"`
}

// Check is one line of the preflight.
type Check struct {
	Condition string `json:"condition"`
	Required  string `json:"required"`
	Current   string `json:"current"`
	Severity  string `json:"severity" jsonschema:"fatal, warning or info"`
	Passed    bool   `json:"passed"`
}

// Binary is one program that took part.
type Binary struct {
	Role      string   `json:"role" jsonschema:"broker, load-go, load-java, kafka"`
	Name      string   `json:"name"`
	SizeBytes int64    `json:"size_bytes"`
	SHA256    string   `json:"sha256"`
	BuildArgs []string `json:"build_args"`
}

// ArmRun is one client against one fresh broker, once.
type ArmRun struct {
	Client        string `json:"client"`
	Round         int    `json:"round" jsonschema:"from 1"`
	Position      int    `json:"position" jsonschema:"place in the order of the whole run, from 1"`
	StartUnixNs   int64  `json:"start_unix_ns"`
	EndUnixNs     int64  `json:"end_unix_ns"`
	Exit          int    `json:"exit" jsonschema:"the client's exit status as the contract words it"`
	Failure       string `json:"failure" jsonschema:"one sentence; empty when the arm-run is sound"`
	BrokerLogTail string `json:"broker_log_tail" jsonschema:"the broker's last lines, when something failed"`
	ClientLogTail string `json:"client_log_tail"`

	Job     map[string]any `json:"job" jsonschema:"the job file the client was given"`
	Result  *ClientResult  `json:"result" jsonschema:"what the client reported; null when it did not"`
	Broker  BrokerCost     `json:"broker"`
	Machine MachineCost    `json:"machine"`
	Samples []HostSample   `json:"samples" jsonschema:"the machine, the broker and the client, once a second"`
	// LatencyLog is the file name of the histogram log in the result's folder.
	LatencyLog string `json:"latency_log"`
}

// BrokerCost is what the broker's process used. The window lies between the
// client's measure and delivered events (mode consume: measure and tail). All
// zero when the broker is not a process of this machine that the runner started.
type BrokerCost struct {
	Measured        bool    `json:"measured" jsonschema:"false when the broker's process cannot be seen"`
	StartToReadyMs  float64 `json:"start_to_ready_ms" jsonschema:"process start to the first ApiVersions answer"`
	ReadyRSSBytes   int64   `json:"ready_rss_bytes" jsonschema:"resident when it became ready: the idle footprint"`
	PeakRSSBytes    int64   `json:"peak_rss_bytes" jsonschema:"VmHWM at the end"`
	WindowNs        int64   `json:"window_ns"`
	CPUNs           int64   `json:"cpu_ns" jsonschema:"process CPU clock over the window"`
	CPUUserNs       int64   `json:"cpu_user_ns" jsonschema:"user share of it, split by /proc ticks of 10 ms"`
	CPUSystemNs     int64   `json:"cpu_system_ns"`
	CPUTotalNs      int64   `json:"cpu_total_ns" jsonschema:"from process start to stop"`
	VoluntarySwitch int64   `json:"voluntary_context_switches" jsonschema:"all threads, over the window"`
	PreemptedSwitch int64   `json:"involuntary_context_switches"`
	MinorFaults     int64   `json:"minor_faults"`
	MajorFaults     int64   `json:"major_faults"`
	DiskReadBytes   int64   `json:"disk_read_bytes"`
	DiskWriteBytes  int64   `json:"disk_write_bytes" jsonschema:"made dirty by the process; written back when the kernel likes"`
	ReadSyscalls    int64   `json:"read_syscalls"`
	WriteSyscalls   int64   `json:"write_syscalls"`
	Threads         int     `json:"threads"`
	// LogBytesWindow is how much the .log files grew in the window: what was stored in it, whoever sent it and when.
	LogBytesWindow int64 `json:"log_bytes_window"`
	// LogBytesTotal is the size of all .log files of the scenario's topic after the run.
	LogBytesTotal int64 `json:"log_bytes_total"`
	// Runtime is what our broker counted itself over the window; absent for other brokers and older builds.
	Runtime *RuntimeCost `json:"runtime,omitempty"`
}

// RuntimeCost is read from our broker's /metrics at both ends of the window. -1: this build does not count it.
type RuntimeCost struct {
	Allocations    int64 `json:"allocations" jsonschema:"heap objects"`
	AllocatedBytes int64 `json:"allocated_bytes"`
	GCCycles       int64 `json:"gc_cycles"`
	SentBytes      int64 `json:"sent_bytes" jsonschema:"to clients, on all listeners"`
	ReceivedBytes  int64 `json:"received_bytes"`
}

// MachineCost is the whole machine over the window.
type MachineCost struct {
	CPUs         int     `json:"cpus"`
	UserNs       int64   `json:"user_ns"`
	SystemNs     int64   `json:"system_ns" jsonschema:"with irq and softirq"`
	IdleNs       int64   `json:"idle_ns"`
	IOWaitNs     int64   `json:"iowait_ns"`
	StealNs      int64   `json:"steal_ns"`
	NetworkBytes int64   `json:"network_bytes" jsonschema:"received on all interfaces, loopback included"`
	DiskWritten  int64   `json:"disk_written_bytes"`
	DiskRead     int64   `json:"disk_read_bytes"`
	IOPressure   float64 `json:"io_pressure" jsonschema:"share of the window in which some task waited for I/O (PSI); -1 not present"`
	CPUPressure  float64 `json:"cpu_pressure" jsonschema:"share of the window in which some task waited for a CPU (PSI); -1 not present"`
	// KernelThreadNs and HarnessNs are parts of user and system: kernel threads (writeback), and fluxbench itself.
	KernelThreadNs int64 `json:"kernel_thread_ns,omitempty"`
	HarnessNs      int64 `json:"harness_ns,omitempty"`
}

// HostSample is one second. Shares of CPU are in cores (1.0: one core busy).
type HostSample struct {
	UnixNs           int64   `json:"unix_ns" jsonschema:"end of the interval"`
	Seconds          float64 `json:"seconds"`
	UserCores        float64 `json:"user_cores"`
	SystemCores      float64 `json:"system_cores"`
	IdleCores        float64 `json:"idle_cores"`
	IOWaitCores      float64 `json:"iowait_cores"`
	StealCores       float64 `json:"steal_cores"`
	BrokerCores      float64 `json:"broker_cores"`
	ClientCores      float64 `json:"client_cores"`
	BrokerRSSBytes   int64   `json:"broker_rss_bytes"`
	ClientRSSBytes   int64   `json:"client_rss_bytes"`
	AvailableBytes   int64   `json:"available_bytes"`
	DirtyBytes       int64   `json:"dirty_bytes"`
	ContextSwitches  int64   `json:"context_switches" jsonschema:"of the machine"`
	BrokerSwitches   int64   `json:"broker_context_switches"`
	PageFaults       int64   `json:"page_faults"`
	DiskReadBytes    int64   `json:"disk_read_bytes"`
	DiskWriteBytes   int64   `json:"disk_write_bytes"`
	NetworkBytes     int64   `json:"network_bytes"`
	CPUPressure      float64 `json:"cpu_pressure" jsonschema:"-1 not present"`
	IOPressure       float64 `json:"io_pressure" jsonschema:"-1 not present"`
	MemoryPressure   float64 `json:"memory_pressure" jsonschema:"-1 not present"`
	CgroupThrottleNs int64   `json:"cgroup_throttled_ns"`
}

// Sound tells whether an arm-run may be counted: it ended well and its ledger holds.
func (a ArmRun) Sound() bool {
	return a.Exit == 0 && a.Failure == "" && a.Result != nil && a.Result.Ledger.Proven()
}

// ReadResult reads and checks one result.json. Fields it does not know are refused.
func ReadResult(path string) (*Result, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	result, err := DecodeResult(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return result, nil
}

// DecodeResult reads one result. An older or newer layout is refused by its schema number.
func DecodeResult(r io.Reader) (*Result, error) {
	decoder := json.NewDecoder(r)
	decoder.DisallowUnknownFields()
	var result Result
	if err := decoder.Decode(&result); err != nil {
		return nil, fmt.Errorf("not a result: %w", err)
	}
	if result.Schema != ResultSchema {
		return nil, fmt.Errorf("result schema %d, this program reads %d", result.Schema, ResultSchema)
	}
	return &result, nil
}
