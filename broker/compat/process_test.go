// Package compat holds tests only: our broker as a real process under the
// real clients, and beside Apache Kafka's own tools.
package compat

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// brokerProcess is the real binary, so that kill -9 is a real one.
type brokerProcess struct {
	binary, dataDir string
	port            int
	extra           []string
	cmd             *exec.Cmd
	exited          chan error
	running         bool
	log             *os.File
}

func buildBroker(t *testing.T, tags ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "fluxmq")
	args := []string{"build", "-o", binary}
	if len(tags) > 0 {
		args = append(args, "-tags", tags[0])
	}
	out, err := exec.Command("go", append(args, "fluxmq/broker/cmd/fluxmq")...).CombinedOutput()
	if err != nil {
		t.Fatalf("building the broker: %v\n%s", err, out)
	}
	return binary
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (b *brokerProcess) addr() string { return "127.0.0.1:" + strconv.Itoa(b.port) }

// start runs the binary and waits until it accepts connections.
func (b *brokerProcess) start(t *testing.T) {
	t.Helper()
	args := append([]string{"--port", strconv.Itoa(b.port), "--data-dir", b.dataDir, "--override", "fluxmq.admin.listener="}, b.extra...)
	b.cmd = exec.Command(b.binary, args...)
	b.cmd.Stdout, b.cmd.Stderr = b.log, b.log
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b.exited, b.running = make(chan error, 1), true
	go func(cmd *exec.Cmd, exited chan<- error) { exited <- cmd.Wait() }(b.cmd, b.exited) // ends with the process; kill waits for it
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := net.DialTimeout("tcp", b.addr(), time.Second)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-b.exited:
			b.running = false
			t.Fatalf("the broker ended at start: %v\n%s", err, b.tail())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the broker did not answer within 20 s\n%s", b.tail())
		}
	}
}

func (b *brokerProcess) kill(t *testing.T) {
	t.Helper()
	if err := b.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-b.exited
	b.running = false
}

func (b *brokerProcess) tail() string { return tail(b.log.Name()) }

// tail returns the last lines of a file.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	var lines []string
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, s.Text())
	}
	if len(lines) > 20 {
		lines = lines[len(lines)-20:]
	}
	return strings.Join(lines, "\n")
}

// newProcess builds the binary and makes a broker with a fresh data directory, not started yet.
// It is killed, if still running, when the test ends.
func newProcess(t *testing.T, extra ...string) *brokerProcess {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "broker.log"))
	if err != nil {
		t.Fatal(err)
	}
	b := &brokerProcess{binary: buildBroker(t), dataDir: filepath.Join(t.TempDir(), "data"), port: freePort(t), log: log, extra: extra}
	t.Cleanup(func() {
		if b.running {
			_ = b.cmd.Process.Kill() // it may have ended already; the wait below tells
			<-b.exited
		}
		log.Close()
	})
	return b
}

// stop ends the broker with SIGTERM and wants exit 0.
func (b *brokerProcess) stop(t *testing.T) {
	t.Helper()
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-b.exited:
		b.running = false
		if err != nil {
			t.Fatalf("SIGTERM: %v\n%s", err, b.tail())
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("the broker did not stop within 30 s of SIGTERM\n%s", b.tail())
	}
}
