package telemetry

import (
	"container/list"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"time"

	"fluxmq/broker/config"
	"fluxmq/broker/protocol"
)

// Client is who asks, as far as subscriptions may match it.
type Client struct {
	// ID is the request's client id, nil for none.
	ID *string
	// SoftwareName and SoftwareVersion are of ApiVersions, "" before it.
	SoftwareName, SoftwareVersion string
	// Address is the client's host, Port its port.
	Address, Port string
	// Connection is the number of its connection.
	Connection uint64
}

// attribute is what a subscription's pattern is held against; known is false
// for what the client has not told.
func (c *Client) attribute(name string, id [16]byte) (value string, known bool) {
	switch name {
	case config.ClientInstanceID:
		return idText(id), true
	case config.ClientID:
		if c.ID == nil {
			return "", false
		}
		return *c.ID, true
	case config.ClientSoftwareName:
		value = c.SoftwareName
	case config.ClientSoftwareVersion:
		value = c.SoftwareVersion
	case config.ClientSourceAddress:
		value = c.Address
	case config.ClientSourcePort:
		value = c.Port
	}
	return value, value != ""
}

// instance is one client and what it was told last. A pure state machine but
// for its place in the Manager's list.
type instance struct {
	id     [16]byte
	client Client
	// What it is asked for, of the subscriptions of that version.
	version        int64
	metrics        []string // sorted
	interval       time.Duration
	subscriptionID int32

	lastGet, lastPush time.Time
	terminating       bool
	lastError         *protocol.Error // nil: none
	expires           time.Time
	place             *list.Element
}

// newInstance evaluates the subscriptions for a client. As in Kafka, an
// interval longer than the default one never holds.
func newInstance(id [16]byte, client Client, subscriptions map[string]*config.ClientMetrics, version int64) *instance {
	i := &instance{id: id, client: client, version: version, interval: config.DefaultPushInterval()}
	for _, s := range subscriptions {
		if !matches(s, &client, id) {
			continue
		}
		i.metrics = append(i.metrics, s.Metrics...)
		i.interval = min(i.interval, s.Interval)
	}
	slices.Sort(i.metrics)
	i.metrics = slices.Compact(i.metrics)
	if slices.Contains(i.metrics, config.AllMetrics) {
		i.metrics = []string{config.AllMetrics}
	}
	i.subscriptionID = subscriptionID(i.metrics, i.interval, id)
	return i
}

func matches(s *config.ClientMetrics, client *Client, id [16]byte) bool {
	return !slices.ContainsFunc(s.Match, func(m config.ClientMatch) bool {
		value, known := client.attribute(m.Attribute, id)
		return !known || !m.Pattern.MatchString(value)
	})
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// subscriptionID stands for what an instance is asked for: another one as soon
// as that changes.
func subscriptionID(metrics []string, interval time.Duration, id [16]byte) int32 {
	text := strings.Join(metrics, ",") + strconv.FormatInt(interval.Milliseconds(), 10)
	return int32(crc32.Checksum([]byte(text), castagnoli) ^ crc32.Checksum(id[:], castagnoli))
}

// keptFor is how long an instance is remembered after its last request.
func (i *instance) keptFor() time.Duration { return max(minKept, 3*i.interval) }

// mayGet decides whether the client may ask for its subscriptions again: once
// an interval, but at once after an error that told it to.
func (i *instance) mayGet(now time.Time) error {
	last := i.lastGet
	if i.lastPush.After(last) {
		last = i.lastPush
	}
	if now.Sub(last) >= i.interval {
		i.lastGet = now
		return nil
	}
	if i.lastError == protocol.ErrUnknownSubscriptionID || i.lastError == protocol.ErrUnsupportedCompressionType {
		return nil
	}
	return protocol.ErrThrottlingQuotaExceeded
}

// mayPush decides whether a push is taken, in Kafka's order. A push right after
// the subscriptions were asked for may come early: clients spread their pushes
// over half to one and a half intervals.
func (i *instance) mayPush(p *Push, now time.Time, maxBytes int) *protocol.Error {
	if i.terminating {
		return protocol.ErrInvalidRequest
	}
	early := !i.lastGet.After(i.lastPush) && now.Sub(i.lastPush) < i.interval
	if !early {
		i.lastPush = now
	}
	switch {
	case early && !p.Terminating:
		return protocol.ErrThrottlingQuotaExceeded
	case p.SubscriptionID != i.subscriptionID:
		return protocol.ErrUnknownSubscriptionID
	case p.Compression < 0 || p.Compression > 4:
		return protocol.ErrUnsupportedCompressionType
	case len(p.Metrics) > maxBytes:
		return protocol.ErrTelemetryTooLarge
	}
	return nil
}
