package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"fluxmq/broker/compat/suite"
)

// command is a program that a suite runs. It is alone in its process group,
// so that its end takes all that it started with it.
type command struct {
	argv  []string
	dir   string   // "" is the repository's root
	env   []string // beyond this process's own
	out   io.Writer
	words io.Writer // standard error; standard output too where out is nil
}

// afterKill is how long output is waited for once the group is killed.
const afterKill = 10 * time.Second

// run returns when the program has ended; when ctx ends first, it kills it and says why.
func (c command) run(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = c.out, c.words
	if c.out == nil {
		cmd.Stdout = c.words
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
			return err
		}
		return os.ErrProcessDone
	}
	cmd.WaitDelay = afterKill
	err := cmd.Run()
	if cause := context.Cause(ctx); cause != nil && err != nil {
		err = cause
	}
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(c.argv[0]), err)
	}
	return nil
}

// reader turns what a program prints into cases and copies the rest to words.
type reader func(output io.Reader, words io.Writer) ([]suite.Case, error)

// read runs the program and reads its cases. Those read before an error are returned with it.
func (c command) read(ctx context.Context, read reader) ([]suite.Case, error) {
	output, printed := io.Pipe()
	var cases []suite.Case
	done := make(chan error, 1)
	go func() { // ends when printed is closed, below
		var err error
		cases, err = read(output, c.words)
		_, _ = io.Copy(io.Discard, output) // a reader that gave up must not hold the program up
		done <- err
	}()
	c.out = printed
	ended := c.run(ctx)
	_ = printed.Close() // a pipe's writer closes without an error
	err := errors.Join(ended, <-done)
	return cases, err
}
