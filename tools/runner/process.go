package runner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is a program in a process group of its own, so that all it starts
// can be stopped with it and a terminal's Ctrl-C reaches only fluxbench.
type process struct {
	name    string
	cmd     *exec.Cmd
	logPath string // standard error, and standard output unless it was asked for
	started time.Time
	done    chan struct{}
	err     error // of Wait; read it after done is closed
}

// startOptions say how to start a process.
type startOptions struct {
	name    string
	argv    []string
	env     []string // added to our own
	dir     string
	logPath string
	stdout  *io.ReadCloser // when set: gets the reading end of standard output
}

// startProcess starts a program. A goroutine waits for it and closes done.
func startProcess(o startOptions) (*process, error) {
	log, err := os.OpenFile(o.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.name, err)
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(o.argv[0], o.argv[1:]...)
	cmd.Env = append(os.Environ(), o.env...)
	cmd.Dir = o.dir
	cmd.Stdout, cmd.Stderr = log, log
	// Pdeathsig: should fluxbench itself be killed, nothing it started stays on a port.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var writer *os.File
	if o.stdout != nil {
		reader, w, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.name, err)
		}
		*o.stdout, writer = reader, w
		cmd.Stdout = w
	}
	p := &process{name: o.name, cmd: cmd, logPath: o.logPath, started: time.Now(), done: make(chan struct{})}
	err = cmd.Start()
	if writer != nil {
		writer.Close() // the child holds it now
	}
	if err != nil {
		if o.stdout != nil {
			(*o.stdout).Close()
		}
		return nil, fmt.Errorf("start %s: %w", o.name, err)
	}
	// Ends when the process does; stop and kill wait for it.
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ended tells whether the process is gone.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop asks with SIGTERM, waits for grace, then kills the group. It returns
// whether the process went by itself; its exit is in exitText.
func (p *process) stop(grace time.Duration) (clean bool) {
	p.signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		clean = true
	case <-timer.C:
	}
	p.kill()
	return clean
}

// kill ends the whole group and waits for the process.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

func (p *process) signal(s syscall.Signal) {
	// ESRCH: the group is gone, which is what we want.
	if err := syscall.Kill(-p.pid(), s); err != nil && !errors.Is(err, syscall.ESRCH) {
		_ = p.cmd.Process.Signal(s) // the group cannot be signalled: at least its leader
	}
}

// exitCode is the status of an ended process; 128+n for signal n.
func (p *process) exitCode() int {
	<-p.done
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

// exitText words how an ended process ended: "exit status 1", "signal: killed".
func (p *process) exitText() string {
	<-p.done
	if p.err == nil {
		return "exit status 0"
	}
	return p.err.Error()
}

// Bounds of what is kept of a log.
const (
	tailLines = 40
	tailBytes = 16 << 10
)

// tail returns the last lines of the process's log.
func (p *process) tail() string { return tailOf(p.logPath) }

func tailOf(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > tailBytes {
		if _, err := file.Seek(-tailBytes, io.SeekEnd); err != nil {
			return ""
		}
	}
	text, err := io.ReadAll(io.LimitReader(file, tailBytes))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimRight(strings.ToValidUTF8(string(text), "?"), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
