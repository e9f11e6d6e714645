package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// brokerProcess is bin/fluxmq on a free port with data of its own.
type brokerProcess struct {
	cmd     *exec.Cmd
	exited  chan error // one value
	folder  string
	address string
}

const (
	brokerStart = 20 * time.Second
	brokerStop  = 30 * time.Second
)

// startBroker starts it with those settings and waits for its address.
func (w workshop) startBroker(ctx context.Context, settings []string, words io.Writer) (*brokerProcess, error) {
	folder, err := os.MkdirTemp("", "fluxmq-clients-")
	if err != nil {
		return nil, err
	}
	ports := filepath.Join(folder, "ports")
	args := []string{"--port", "0", "--data-dir", filepath.Join(folder, "data"), "--ports-file", ports, "--log-level", "warn", "--override", "fluxmq.admin.listener="}
	for _, s := range settings {
		args = append(args, "--override", s)
	}
	b := &brokerProcess{cmd: exec.Command(w.broker, args...), exited: make(chan error, 1), folder: folder}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "KAFKA_") && !strings.HasPrefix(v, "FLUXMQ_") { // those would be settings
			b.cmd.Env = append(b.cmd.Env, v)
		}
	}
	b.cmd.Stdout, b.cmd.Stderr = words, words
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal is ours to pass on
	if err := b.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	go func() { b.exited <- b.cmd.Wait() }() // ends with the process; stop waits for it
	ctx, cancel := context.WithTimeoutCause(ctx, brokerStart, fmt.Errorf("the broker did not open its port within %v", brokerStart))
	defer cancel()
	for {
		if text, err := os.ReadFile(ports); err == nil && strings.Contains(string(text), "\n") {
			b.address, _, _ = strings.Cut(string(text), "\n")
			return b, nil
		}
		select {
		case err := <-b.exited:
			return nil, errors.Join(fmt.Errorf("the broker ended at start: %w", err), os.RemoveAll(folder))
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), b.stop())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends the broker and removes its data. A broker that ends with an error, or not at all, is one.
func (b *brokerProcess) stop() error {
	err := b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case ended := <-b.exited:
		if ended != nil {
			err = fmt.Errorf("the broker ended with: %w", ended)
		}
	case <-time.After(brokerStop):
		err = errors.Join(fmt.Errorf("the broker did not stop within %v of SIGTERM", brokerStop), b.cmd.Process.Kill())
		<-b.exited
	}
	return errors.Join(err, os.RemoveAll(b.folder))
}
