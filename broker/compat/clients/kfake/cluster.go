package kfake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	binaryVariable = "FLUXMQ_STAND_IN"
	startLimit     = 20 * time.Second
	stopLimit      = 30 * time.Second
	callLimit      = 15 * time.Second // of what the stand-in itself asks its broker
)

// Cluster is one broker: a process on loopback.
type Cluster struct {
	process *exec.Cmd
	exited  chan error // one value
	folder  string     // gone when the broker is closed
	dataDir string
	address string // of the process; clients know the proxy's
	proxy   *proxy
	client  *kgo.Client // the stand-in's own, which no test sees
	admin   *kadm.Client
	closing sync.Once
}

// NewCluster starts a broker and creates the topics it is asked for.
func NewCluster(opts ...Opt) (*Cluster, error) {
	a := asked{settings: map[string]string{}}
	for _, o := range opts {
		o.apply(&a)
	}
	folder, err := os.MkdirTemp(scratch(), "broker-")
	if err != nil {
		return nil, err
	}
	if a.dataDir == "" {
		a.dataDir = filepath.Join(folder, "data")
	}
	c := &Cluster{folder: folder, dataDir: a.dataDir, exited: make(chan error, 1)}
	if err := running.takeOver(c); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	if err := c.start(a); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	err = c.seed(a.topics)
	if err == nil {
		err = c.warmUp()
	}
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

func (c *Cluster) start(a asked) (err error) {
	if c.proxy, err = newProxy(c.topicID); err != nil {
		return err
	}
	ports := filepath.Join(c.folder, "ports")
	args := []string{"--port", "0", "--data-dir", a.dataDir, "--ports-file", ports, "--log-level", "warn", "--override", "fluxmq.admin.listener=",
		"--override", "advertised.listeners=PLAINTEXT://" + c.proxy.address()}
	for key, value := range settingsOf(a) {
		args = append(args, "--override", key+"="+value)
	}
	c.process = exec.Command(os.Getenv(binaryVariable), args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "KAFKA_") && !strings.HasPrefix(v, "FLUXMQ_") { // those would be settings
			c.process.Env = append(c.process.Env, v)
		}
	}
	c.process.Stdout, c.process.Stderr = os.Stdout, os.Stderr
	// In the group of the test binary, so that what kills that kills this too.
	if err := c.process.Start(); err != nil {
		c.proxy.stop()
		return err
	}
	go func() { c.exited <- c.process.Wait() }() // ends with the process; stop waits for it
	late := time.After(startLimit)
	for {
		if text, err := os.ReadFile(ports); err == nil && strings.Contains(string(text), "\n") {
			c.address, _, _ = strings.Cut(string(text), "\n")
			break
		}
		select {
		case err := <-c.exited:
			c.proxy.stop()
			return fmt.Errorf("the broker ended at start: %w", err)
		case <-late:
			return errors.Join(fmt.Errorf("the broker did not open its port within %v", startLimit), c.stop())
		case <-time.After(5 * time.Millisecond):
		}
	}
	// The stand-in's own client goes around the proxy, so that no control sees it.
	direct := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, c.address)
	}
	if c.client, err = kgo.NewClient(kgo.SeedBrokers(c.address), kgo.MetadataMinAge(10*time.Millisecond), kgo.Dialer(direct)); err != nil {
		return errors.Join(err, c.stop())
	}
	c.proxy.serve(c.address)
	c.admin = kadm.NewClient(c.client)
	return nil
}

// ListenAddrs is the address that clients know.
func (c *Cluster) ListenAddrs() []string { return []string{c.proxy.address()} }

// Close stops the broker and removes its data, once. A broker that does not end well fails the test binary at its end.
func (c *Cluster) Close() {
	c.closing.Do(func() {
		running.left(c)
		if err := c.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "kfake:", err)
			badEnds.Add(1)
		}
	})
}

func (c *Cluster) stop() error {
	c.proxy.stop()
	if c.client != nil {
		c.client.Close()
	}
	err := c.process.Process.Signal(syscall.SIGTERM)
	select {
	case ended := <-c.exited:
		if ended != nil {
			err = fmt.Errorf("the broker ended with: %w", ended)
		}
	case <-time.After(stopLimit):
		err = errors.Join(fmt.Errorf("the broker did not stop within %v of SIGTERM", stopLimit), c.process.Process.Kill())
		<-c.exited
	}
	return errors.Join(err, os.RemoveAll(c.folder))
}

// crash ends the broker with SIGKILL, as a test means it that starts another on data still in use.
func (c *Cluster) crash() (err error) {
	c.closing.Do(func() {
		err = c.process.Process.Kill()
		<-c.exited // killed, which is an error and meant
		c.proxy.stop()
		c.client.Close()
		err = errors.Join(err, os.RemoveAll(c.folder))
	})
	return err
}

// calling is the time that one question of the stand-in's own may take.
func calling() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), callLimit)
}

// must is for methods in whose signature the fake has no error.
func must(what string, err error) {
	if err != nil {
		panic(fmt.Sprintf("kfake: %s: %v", what, err))
	}
}
