// Package broker embeds a whole Kafka-compatible broker in a Go program, for
// tests above all:
//
//	b, err := broker.New(broker.Config{DataDir: t.TempDir()})
//	…
//	err = b.Start(ctx)
//	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
//	…
//	err = b.Close()
//
// It is the same broker as the fluxmq binary, which is made of the same rooms.
package broker

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"

	"fluxmq/broker/config"
	"fluxmq/broker/node"
)

// Config is what a broker is made of. The zero Config is a broker on a free
// loopback port that keeps its data in ./data.
type Config struct {
	// DataDir is the directory of the data, or several, comma-separated (log.dirs).
	// What is absent is made.
	DataDir string
	// Listen is host:port of the Kafka listener; the default is 127.0.0.1:0, a
	// free port. Properties may name listeners instead.
	Listen string
	// Properties are settings by Kafka's names, as in server.properties.
	Properties map[string]string
	// Logger takes the log lines; nil drops them.
	Logger *slog.Logger
}

// Broker is one broker. Its methods may be called from any goroutine, but
// Start and Close once each, in this order.
type Broker struct {
	settings *config.Node
	log      *slog.Logger

	node   *node.Node
	stop   context.CancelFunc
	result chan error // capacity 1: what Run returned
}

// ErrNotStarted is what Close returns of a broker that does not run.
var ErrNotStarted = errors.New("the broker was not started")

// New checks the configuration; it opens nothing. Unknown properties are an error.
// The admin HTTP is off unless fluxmq.admin.listener names an address.
func New(c Config) (*Broker, error) {
	from := config.Sources{Strict: true, Overrides: []string{"fluxmq.admin.listener="}}
	if _, named := c.Properties["listeners"]; !named || c.Listen != "" {
		listen := c.Listen
		if listen == "" {
			listen = "127.0.0.1:0"
		}
		from.Overrides = append(from.Overrides, "listeners=PLAINTEXT://"+listen)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Properties)) {
		from.Overrides = append(from.Overrides, key+"="+c.Properties[key])
	}
	if c.DataDir != "" {
		from.Flags.DataDir = &c.DataDir
	}
	settings, warnings, err := config.Load(from)
	if err != nil {
		return nil, err
	}
	log := c.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	for _, w := range warnings {
		log.Warn(w.Text)
	}
	return &Broker{settings: settings, log: log}, nil
}

// Start opens the data directory and the listeners. It returns when clients
// can connect; the broker then runs until Close or until ctx ends.
func (b *Broker) Start(ctx context.Context) error {
	n, err := node.Open(node.Options{Settings: b.settings, Log: b.log})
	if err != nil {
		return err
	}
	ctx, b.stop = context.WithCancel(ctx)
	b.node, b.result = n, make(chan error, 1)
	// Ends when Close calls stop or ctx ends; Close waits for it.
	go func() { b.result <- n.Run(ctx) }()
	return nil
}

// Addr is the first listener's host:port, for bootstrap.servers. Empty before Start.
func (b *Broker) Addr() string {
	if b.node == nil {
		return ""
	}
	return b.node.Addrs()[0].String()
}

// AdminAddr is host:port of the admin HTTP, empty before Start and when it is off.
func (b *Broker) AdminAddr() string {
	if b.node == nil || b.node.AdminAddr() == nil {
		return ""
	}
	return b.node.AdminAddr().String()
}

// Close stops the broker cleanly and waits for it. The error is what made it
// end earlier, or what went wrong while it stopped.
func (b *Broker) Close() error {
	if b.node == nil {
		return ErrNotStarted
	}
	b.stop()
	err := <-b.result
	b.result <- err // a second Close gets the same
	return err
}
