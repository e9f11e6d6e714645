package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// execute runs the command as main does.
func execute(ctx context.Context, args ...string) (string, error) {
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return out.String(), err
}

func TestUsageErrors(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "server.properties")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--bogus"},
		{"--port", "many"},
		{"--port", "70000"},
		{"a.properties", "b.properties"},
		{"-c", empty, empty},
		{"--override", "log.segment.bytes"},
		{"--override", "log.segment.bytes=large"},
		{"--strict-config", "--override", "log.segmnt.bytes=1"},
		{"--override", "listeners=PLAINTEXT://0.0.0.0:0"},
		{"config", "check", "absent.properties"},
	} {
		_, err := execute(t.Context(), args...)
		if !errors.As(err, new(usageError)) {
			t.Errorf("%v: %v is not a usage error", args, err)
		}
	}
}

func TestConfigCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.properties")
	if err := os.WriteFile(file, []byte("log.retention.hours=2\nnum.network.threads=9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"version"}, "fluxmq dev"},
		{[]string{"config", "check", file}, "ok"},
		{[]string{"config", "show", file}, "log.retention.hours=2"},
		{[]string{"config", "show", "--origin", file}, "default"},
		{[]string{"config", "keys"}, "log.flush"},
	} {
		if out, err := execute(t.Context(), c.args...); err != nil || !strings.Contains(out, c.want) {
			t.Errorf("%v: %v\n%s", c.args, err, out)
		}
	}
}

func TestServeUntilToldToStop(t *testing.T) {
	dir := t.TempDir()
	ports := filepath.Join(dir, "ports")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := execute(ctx, "--port", "0", "--data-dir", filepath.Join(dir, "data"), "--ports-file", ports,
			"--log-level", "error", "--override", "fluxmq.admin.listener=")
		ended <- err
	}()
	var addr []byte
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		var err error
		if addr, err = os.ReadFile(ports); err == nil {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("no ports file after 10 s")
		}
	}
	c, err := net.Dial("tcp", strings.TrimSpace(string(addr)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := execute(t.Context(), "--port", "0", "--data-dir", filepath.Join(dir, "data"), "--override", "fluxmq.admin.listener="); err == nil || errors.As(err, new(usageError)) || !strings.Contains(err.Error(), "locked") {
		t.Errorf("a second broker on the same data: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("stopping: %v", err)
	}
}
