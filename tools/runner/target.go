package runner

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"fluxmq/reports"
	"fluxmq/tools/runner/hoststats"
)

// TargetSpec is what is measured, as asked for on the command line.
type TargetSpec struct {
	Kind    string // reports.TargetFluxMQ, TargetKafkaDefault, TargetKafkaTuned, TargetAddress
	Address string // of TargetAddress
}

// ParseTarget reads fluxmq, kafka or HOST:PORT.
func ParseTarget(text string, tuned bool) (TargetSpec, error) {
	switch {
	case text == "fluxmq" && !tuned:
		return TargetSpec{Kind: reports.TargetFluxMQ}, nil
	case text == "kafka" && tuned:
		return TargetSpec{Kind: reports.TargetKafkaTuned}, nil
	case text == "kafka":
		return TargetSpec{Kind: reports.TargetKafkaDefault}, nil
	case tuned:
		return TargetSpec{}, &ExitError{ExitUsage, fmt.Errorf("--tuned is for --target kafka, not %s", text)}
	}
	host, port, err := net.SplitHostPort(text)
	if number, perr := strconv.Atoi(port); err != nil || perr != nil || host == "" || number < 1 || number > 65535 {
		return TargetSpec{}, &ExitError{ExitUsage, fmt.Errorf("target is fluxmq, kafka or HOST:PORT, got %q", text)}
	}
	return TargetSpec{Kind: reports.TargetAddress, Address: text}, nil
}

// target is a spec made ready to start brokers. Its record goes into the result.
type target struct {
	spec     TargetSpec
	record   reports.TargetRecord
	binaries []reports.Binary
	prefix   []string // taskset, numactl
	env      []string
	// prepare makes the argv of one broker for a port and a data directory, and does what must precede it (format).
	prepare func(ctx context.Context, port, adminPort int, dir string) (argv []string, err error)
	readyIn time.Duration
	// exits lists the statuses of a clean stop by SIGTERM.
	exits []int
}

// broker is one started target.
type broker struct {
	address      string
	admin        string // host:port of our broker's admin HTTP, else ""
	process      *process
	dataDir      string
	startToReady time.Duration
	readyRSS     int64
}

// start starts a fresh broker with its data under dir and waits until it answers.
func (t *target) start(ctx context.Context, dir string) (*broker, error) {
	if t.spec.Kind == reports.TargetAddress {
		if err := askApiVersions(ctx, t.spec.Address, 10*time.Second); err != nil {
			return nil, fmt.Errorf("target %s: %w", t.spec.Address, err)
		}
		return &broker{address: t.spec.Address}, nil
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	adminPort, err := freePort()
	if err != nil {
		return nil, err
	}
	b := &broker{address: "127.0.0.1:" + strconv.Itoa(port), dataDir: filepath.Join(dir, "data")}
	if err := os.MkdirAll(b.dataDir, 0o755); err != nil {
		return nil, err
	}
	argv, err := t.prepare(ctx, port, adminPort, b.dataDir)
	if err != nil {
		return nil, err
	}
	if t.spec.Kind == reports.TargetFluxMQ {
		b.admin = "127.0.0.1:" + strconv.Itoa(adminPort)
	}
	b.process, err = startProcess(startOptions{name: "broker " + t.record.Label(), argv: append(slices.Clone(t.prefix), argv...), env: t.env, dir: dir, logPath: filepath.Join(dir, "broker.log")})
	if err != nil {
		return nil, err
	}
	if err := awaitReady(ctx, b.address, b.process, t.readyIn); err != nil {
		b.process.kill()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w; its last lines:\n%s", err, b.process.tail())
	}
	b.startToReady = time.Since(b.process.started)
	if reading, err := hoststats.ReadProcess(b.process.pid()); err == nil {
		b.readyRSS = reading.RSSBytes
	}
	return b, nil
}

// stopGrace is how long a broker may take to sync and close.
const stopGrace = 30 * time.Second

// stop stops the broker and says what was wrong with its end; "" is a clean stop.
func (t *target) stop(b *broker) string {
	if b.process == nil {
		return ""
	}
	if b.process.ended() {
		return "the broker ended by itself: " + b.process.exitText()
	}
	if !b.process.stop(stopGrace) {
		return fmt.Sprintf("the broker did not stop within %s of SIGTERM and was killed", stopGrace)
	}
	if !slices.Contains(t.exits, b.process.exitCode()) {
		return "the broker did not stop cleanly: " + b.process.exitText()
	}
	return ""
}

// pid of the broker's process, 0 when it is not ours.
func (b *broker) pid() int {
	if b.process == nil {
		return 0
	}
	return b.process.pid()
}

// logBytes is the size of the topic's .log files; 0 when they cannot be seen.
func (b *broker) logBytes(topic string) int64 {
	if b.dataDir == "" {
		return 0
	}
	files, err := filepath.Glob(filepath.Join(b.dataDir, topic+"-*", "*.log"))
	if err != nil {
		return 0
	}
	var sum int64
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			sum += info.Size()
		}
	}
	return sum
}

// newFluxMQ prepares our broker. settings are Kafka keys; the durability and validation modes are read from them.
func newFluxMQ(binary, version string, settings map[string]string) *target {
	t := &target{spec: TargetSpec{Kind: reports.TargetFluxMQ}, readyIn: 20 * time.Second, exits: []int{0}}
	t.record = reports.TargetRecord{Kind: reports.TargetFluxMQ, Version: version, Settings: settings,
		Durability: orElse(settings["log.flush"], "acks"), Validation: orElse(settings["log.validation"], "records")}
	t.prepare = func(_ context.Context, port, adminPort int, dir string) ([]string, error) {
		return fluxmqArgv(binary, strconv.Itoa(port), strconv.Itoa(adminPort), dir, settings), nil
	}
	return t
}

func fluxmqArgv(binary, port, adminPort, dir string, settings map[string]string) []string {
	argv := []string{binary, "--port", port, "--data-dir", dir, "--override", "fluxmq.admin.listener=127.0.0.1:" + adminPort}
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		argv = append(argv, "--override", key+"="+settings[key])
	}
	return argv
}

// fluxmqVersion asks the binary; "unknown" when it does not say.
func fluxmqVersion(ctx context.Context, binary string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "--version").Output()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil || line == "" {
		return "unknown"
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "fluxmq version"))
}

// newAddress prepares a broker that somebody else runs.
func newAddress(spec TargetSpec) *target {
	return &target{spec: spec, record: reports.TargetRecord{Kind: spec.Kind, Address: spec.Address, Version: "unknown", Durability: "unknown", Validation: "unknown", Settings: map[string]string{}}}
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
