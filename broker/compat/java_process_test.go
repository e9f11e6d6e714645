package compat

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// javaProcess is a Java program under test: started, killed and started again
// with the same arguments. What all of its runs print is in one log.
type javaProcess struct {
	args   []string
	log    *os.File
	cmd    *exec.Cmd
	exited chan error // one value of the run at hand; nil when none is
}

// newJava prepares a program, which is killed, if still running, when the test ends.
func newJava(t *testing.T, name string, args ...string) *javaProcess {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	j := &javaProcess{args: args, log: log}
	t.Cleanup(func() {
		if j.exited != nil {
			_ = j.cmd.Process.Kill() // it may have ended already; the wait below tells
			<-j.exited
		}
		if t.Failed() {
			t.Logf("%s said last:\n%s", name, tail(log.Name()))
		}
		log.Close()
	})
	return j
}

func (j *javaProcess) start(t *testing.T) {
	t.Helper()
	j.cmd = exec.Command("java", j.args...)
	j.cmd.Stdout, j.cmd.Stderr = j.log, j.log
	if err := j.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func(cmd *exec.Cmd) { exited <- cmd.Wait() }(j.cmd) // ends with the process; kill, stop or the cleanup wait for it
	j.exited = exited
}

// kill ends the program with SIGKILL. One that had ended by itself is an error.
func (j *javaProcess) kill(t *testing.T) {
	t.Helper()
	select {
	case err := <-j.exited:
		j.exited = nil
		t.Fatalf("it ended by itself: %v\n%s", err, tail(j.log.Name()))
	default:
	}
	if err := j.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-j.exited
	j.exited = nil
}

// wait waits until the program ends by itself, with exit code 0.
func (j *javaProcess) wait(t *testing.T, limit time.Duration) {
	t.Helper()
	select {
	case err := <-j.exited:
		j.exited = nil
		if err != nil {
			t.Fatalf("it ended with: %v\n%s", err, tail(j.log.Name()))
		}
	case <-time.After(limit):
		t.Fatalf("it did not end within %v\n%s", limit, tail(j.log.Name()))
	}
}

// sigtermExit is the exit code of a JVM that SIGTERM stopped in order.
const sigtermExit = 143

// stop ends the program with SIGTERM and wants an orderly end.
func (j *javaProcess) stop(t *testing.T, limit time.Duration) {
	t.Helper()
	if err := j.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-j.exited:
		j.exited = nil
		if code := j.cmd.ProcessState.ExitCode(); code != sigtermExit && code != 0 {
			t.Fatalf("SIGTERM: exit code %d\n%s", code, tail(j.log.Name()))
		}
	case <-time.After(limit):
		t.Fatalf("it did not stop within %v of SIGTERM\n%s", limit, tail(j.log.Name()))
	}
}
