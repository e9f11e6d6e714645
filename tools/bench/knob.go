package bench

import (
	"fmt"
	"strings"

	"fluxmq/profiles"
)

// Knob is one change to the broker's build, runtime or settings, or to the
// client, that is raced against the same commit without it.
type Knob struct {
	Text string // as given: GOGC=200, native, log.segment.bytes=67108864
	Side SideOptions
}

// clientKeys are producer properties; every other key with a dot is a broker setting.
var clientKeys = map[string]bool{
	"batch.size": true, "linger.ms": true, "compression.type": true, "acks": true, "max.in.flight.requests.per.connection": true, "buffer.memory": true,
	"send.buffer.bytes": true, "receive.buffer.bytes": true, "max.request.size": true, "enable.idempotence": true,
}

// ParseKnob reads a profile's name, GOAMD64=…, pgo, a variable of the Go
// runtime (GOGC=200), a producer property (linger.ms=5; the prefix producer. may
// stand before it) or a broker setting (Kafka's keys).
func ParseKnob(text string, base *profiles.Profile) (Knob, error) {
	k := Knob{Text: text, Side: SideOptions{Label: text, Profile: base}}
	key, value, pair := strings.Cut(text, "=")
	switch {
	case !pair:
		profile, err := profiles.Load(text)
		if err != nil {
			return k, err
		}
		k.Side.Profile = profile
	case value == "":
		return k, fmt.Errorf("knob %q has no value", text)
	case key == "GOAMD64":
		changed := *base
		changed.Build.GOAMD64 = value
		changed.Name = base.Name + "-" + value
		k.Side.Profile = &changed
	case key == "GOGC", key == "GOMEMLIMIT", key == "GOMAXPROCS", key == "GODEBUG":
		k.Side.Env = []string{text}
	case strings.HasPrefix(key, "producer."), clientKeys[key]:
		k.Side.Client = map[string]string{strings.TrimPrefix(key, "producer."): value}
	case strings.Contains(key, "."):
		k.Side.Overrides = map[string]string{key: value}
	default:
		return k, fmt.Errorf("unknown knob %q: a profile, GOAMD64, GOGC, GOMEMLIMIT, GOMAXPROCS, a producer property or a broker setting", text)
	}
	return k, nil
}
