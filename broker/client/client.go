package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// DefaultTimeout is how long a command waits for the cluster.
const DefaultTimeout = 10 * time.Second

// Options say how to reach a cluster.
type Options struct {
	// Bootstrap is bootstrap.servers: host:port, several separated by commas.
	// The port may be left out and is 9092 then.
	Bootstrap string
	// ClientID is client.id; empty is "fluxmq".
	ClientID string
	// Timeout bounds connecting and every retried request; 0 is DefaultTimeout.
	Timeout time.Duration
	// Version is the version of the program, which brokers log (KIP-511).
	Version string
}

func (o Options) withDefaults() Options {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	o.ClientID = cmp.Or(o.ClientID, "fluxmq")
	o.Version = cmp.Or(o.Version, "dev")
	return o
}

// Client is a connection to one cluster. Its methods may be called
// concurrently. Close it.
type Client struct {
	kafka   *kgo.Client
	admin   *kadm.Client
	options Options
}

// Connect makes a client and proves that a broker answers, so that a wrong
// address fails at once and by name instead of after the retries of the first
// request. ctx bounds it, and Options.Timeout does.
func Connect(ctx context.Context, o Options, more ...kgo.Opt) (*Client, error) {
	seeds, err := seedBrokers(o.Bootstrap)
	if err != nil {
		return nil, err
	}
	if o.Timeout < 0 {
		return nil, inputf("a timeout of %s", o.Timeout)
	}
	o = o.withDefaults()
	kafka, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(seeds...),
		kgo.ClientID(o.ClientID),
		kgo.SoftwareNameAndVersion("fluxmq", o.Version),
		kgo.DialTimeout(o.Timeout),
		kgo.RetryTimeout(o.Timeout),
		// One command sees what its own requests changed.
		kgo.MetadataMinAge(10 * time.Millisecond),
		kgo.DisableClientMetrics(),
		kgo.MaxVersions(newestVersions()),
	}, more...)...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	c := &Client{kafka: kafka, admin: kadm.NewClient(kafka), options: o}
	c.admin.SetTimeoutMillis(int32(min(o.Timeout.Milliseconds(), 1<<31-1)))
	ctx, cancel := c.bound(ctx)
	defer cancel()
	if err := kafka.Ping(ctx); err != nil {
		kafka.Close()
		return nil, refused("no answer from "+strings.Join(seeds, ", "), err, "")
	}
	return c, nil
}

// newestVersions are those that franz-go knows, and the APIs used here that it
// counts to no release.
func newestVersions() *kversion.Versions {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion((&kmsg.StreamsGroupDescribeRequest{}).Key(), 0)
	return versions
}

// Close ends the connections and waits for the client's goroutines. A group's
// member leaves its group.
func (c *Client) Close() { c.kafka.Close() }

// bound is ctx that ends after Options.Timeout.
func (c *Client) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.options.Timeout)
}

// seedBrokers reads bootstrap.servers.
func seedBrokers(list string) ([]string, error) {
	var seeds []string
	for entry := range strings.SplitSeq(list, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		host, port, err := net.SplitHostPort(entry)
		if addrErr := (*net.AddrError)(nil); errors.As(err, &addrErr) && addrErr.Err == "missing port in address" {
			host, port, err = strings.Trim(entry, "[]"), "9092", nil
		}
		if n, atoiErr := strconv.Atoi(port); err != nil || host == "" || atoiErr != nil || n < 1 || n > 65535 {
			return nil, inputf("bootstrap server %q is not host:port", entry)
		}
		seeds = append(seeds, net.JoinHostPort(host, port))
	}
	if len(seeds) == 0 {
		return nil, inputf("no bootstrap server is named")
	}
	return seeds, nil
}
