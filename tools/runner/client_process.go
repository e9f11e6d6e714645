package runner

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"fluxmq/reports"
	"fluxmq/scenarios"
)

// event is one line of a client's standard output (docs/load-contract.md).
type event struct {
	Event        string  `json:"event"` // phase | progress | delivered | finding | done
	Phase        string  `json:"phase"`
	UnixNs       int64   `json:"unix_ns"`
	Sent         int64   `json:"sent"`
	Acknowledged int64   `json:"acknowledged"`
	Received     int64   `json:"received"`
	Rate         float64 `json:"rate_per_second"`
	Kind         string  `json:"kind"`
	Partition    int32   `json:"partition"`
	Offset       int64   `json:"offset"`
	Count        int64   `json:"count"`
	Exit         int     `json:"exit"`
}

// Names of what a client leaves in its output directory.
const (
	clientResultFile = "client-result.json"
	longestEventLine = 1 << 20
)

// clientPrograms are the load clients on this machine.
type clientPrograms struct {
	fluxload string // path of the Go program
	jar      string // path of the Java one
	prefix   []string
}

// clientHeap bounds the Java client: a lazy collector otherwise grows into the
// page cache that the broker is measured on. Eight producers of buffer.memory
// 256 MiB fit.
const clientHeap = "4g"

// argv of one client for one job.
func (c clientPrograms) argv(client, job, out string) []string {
	argv := slices.Clone(c.prefix)
	if client == scenarios.ClientJava {
		argv = append(argv, "java", "-Xmx"+clientHeap, "-jar", c.jar)
	} else {
		argv = append(argv, c.fluxload)
	}
	return append(argv, "run", "--job", job, "--out", out)
}

// clientRun is one client process with its event stream.
type clientRun struct {
	process *process
	outDir  string
	events  io.ReadCloser
}

// startClient writes the job file and starts the client under dir.
func (c clientPrograms) start(job scenarios.Job, dir string) (*clientRun, error) {
	out := filepath.Join(dir, "out")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(job, "", " ")
	if err != nil {
		return nil, err
	}
	jobFile := filepath.Join(dir, "job.json")
	if err := os.WriteFile(jobFile, text, 0o644); err != nil {
		return nil, err
	}
	run := &clientRun{outDir: out}
	run.process, err = startProcess(startOptions{name: "client " + job.Client, argv: c.argv(job.Client, jobFile, out), dir: dir, logPath: filepath.Join(dir, "client.log"), stdout: &run.events})
	return run, err
}

// follow reads events until the stream ends and calls see for each. Lines that
// are no event end the stream's use: a client that breaks the contract is an error.
func (r *clientRun) follow(see func(event)) error {
	defer r.events.Close()
	lines := bufio.NewScanner(r.events)
	lines.Buffer(make([]byte, 64<<10), longestEventLine)
	var broken error
	for lines.Scan() {
		if len(lines.Bytes()) == 0 || broken != nil {
			continue // keep reading: a full pipe would stop the client
		}
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			broken = fmt.Errorf("%s wrote a line that is no event: %.200q", r.process.name, lines.Text())
			continue
		}
		see(e)
	}
	return errors.Join(broken, lines.Err())
}

// result reads client-result.json and holds it to the job.
func (r *clientRun) result(job scenarios.Job) (*reports.ClientResult, error) {
	file, err := os.Open(filepath.Join(r.outDir, clientResultFile))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	var result reports.ClientResult
	if err := decoder.Decode(&result); err != nil {
		return nil, fmt.Errorf("%s: %w", clientResultFile, err)
	}
	if result.Schema != 1 || result.RunID != job.RunID || result.Client != job.Client || result.Round != job.Round {
		return nil, fmt.Errorf("%s is of schema %d run %s client %s round %d, the job was of run %s client %s round %d",
			clientResultFile, result.Schema, result.RunID, result.Client, result.Round, job.RunID, job.Client, job.Round)
	}
	return &result, nil
}

// exitWords says how the client ended, with its last line.
func (r *clientRun) exitWords() string {
	words := r.process.exitText()
	if last := lastLines(tailOf(r.process.logPath), 1); last != "" {
		words += ": " + last
	}
	return words
}

// clientGrace is how long a client may take to close after SIGTERM (the contract says 5 s).
const clientGrace = 6 * time.Second

// await waits for the client's end while watching the broker, the context and
// the deadline. The client is gone when it returns. The error says who ended
// it early: the context's error, errBrokerDied, or errClientLate.
func (r *clientRun) await(ctx context.Context, brokerDone <-chan struct{}, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	var err error
	select {
	case <-r.process.done:
		r.process.kill() // what it may have left in its group
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-brokerDone:
		err = errBrokerDied
	case <-timer.C:
		err = errClientLate
	}
	r.process.stop(clientGrace)
	return err
}

var (
	errBrokerDied = errors.New("the broker died during the run")
	errClientLate = errors.New("the client did not end in time")
)

// clientLimit is the longest that a sound client can take for a job.
func clientLimit(job scenarios.Job) time.Duration {
	seconds := job.WarmUp.MaxSeconds + job.MeasureSeconds + job.DeliverTimeoutSeconds + job.VerifyTimeoutSeconds + 60
	if job.MeasureRecords > 0 {
		seconds += 300
	}
	if job.Mode == scenarios.ModeConsume {
		seconds += 300 // fill and tail
	}
	return time.Duration(seconds * float64(time.Second))
}
