package handler

import (
	"fmt"
	"strings"

	"fluxmq/broker/cluster"
	"fluxmq/broker/config"
	"fluxmq/broker/loglevel"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// loggerResource refuses a resource of broker loggers that is not this node's.
func (h *Handler) loggerResource(name string) error {
	switch every, err := h.brokerResource(name); {
	case err != nil:
		return err
	case every:
		return fmt.Errorf("%w: loggers are of one node; name its id", protocol.ErrInvalidRequest)
	case h.Loggers == nil:
		return fmt.Errorf("%w: this broker's log levels cannot be altered", protocol.ErrInvalidRequest)
	}
	return nil
}

// describeLoggers are the loggers of this node with their levels (KIP-412).
func (h *Handler) describeLoggers(name string) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	if err := h.loggerResource(name); err != nil {
		return nil, err
	}
	var described []kmsg.DescribeConfigsResponseResourceConfig
	for _, l := range h.Loggers.Levels() {
		level := l.Level.String()
		described = append(described, kmsg.DescribeConfigsResponseResourceConfig{Name: l.Name, Value: &level, Source: kmsg.ConfigSource(config.DynamicBrokerLogger)})
	}
	return described, nil
}

// alterLoggers sets and takes away levels of this node's loggers: all of them
// or, when one cannot be, none. They are not kept across a restart, as in Kafka.
func (h *Handler) alterLoggers(name string, changes []cluster.ConfigChange, validateOnly bool) error {
	if err := h.loggerResource(name); err != nil {
		return err
	}
	levels := make([]loglevel.Level, len(changes))
	seen := map[string]bool{}
	for n := range changes {
		c := &changes[n]
		if seen[c.Name] {
			return fmt.Errorf("%w: the logger %q is given twice", protocol.ErrInvalidRequest, c.Name)
		}
		seen[c.Name] = true
		var err error
		if levels[n], err = h.checkLogger(c); err != nil {
			return err
		}
	}
	if validateOnly {
		return nil
	}
	for n, c := range changes {
		var err error
		if c.Op == cluster.OpSet {
			err = h.Loggers.SetLevel(c.Name, levels[n])
		} else {
			err = h.Loggers.Unset(c.Name)
		}
		if err != nil { // loggers do not go away: it was checked
			return fmt.Errorf("%w: %w", protocol.ErrInvalidConfig, err)
		}
	}
	return nil
}

// checkLogger checks one change, and returns the level that it sets. Errors:
// INVALID_REQUEST for what is no change of a logger, INVALID_CONFIG for a logger
// or level that there is not.
func (h *Handler) checkLogger(c *cluster.ConfigChange) (level loglevel.Level, err error) {
	switch c.Op {
	case cluster.OpDelete:
		if c.Name == loglevel.Root {
			return 0, fmt.Errorf("%w: %w", protocol.ErrInvalidRequest, loglevel.ErrRoot)
		}
		err = h.Loggers.CheckUnset(c.Name)
	case cluster.OpSet:
		if c.Value == nil {
			return 0, fmt.Errorf("%w: %s of %q needs a value", protocol.ErrInvalidRequest, c.Op, c.Name)
		}
		var known bool
		if level, known = loglevel.Parse(*c.Value); !known {
			return 0, fmt.Errorf("%w: %q is no level for %q; levels are %s", protocol.ErrInvalidConfig, *c.Value, c.Name, strings.Join(loglevel.Names(), ", "))
		}
		err = h.Loggers.Check(c.Name, level)
	default:
		return 0, fmt.Errorf("%w: %s is no operation on a logger", protocol.ErrInvalidRequest, c.Op)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", protocol.ErrInvalidConfig, err)
	}
	return level, nil
}
