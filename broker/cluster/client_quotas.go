package cluster

import (
	"fmt"
	"math"
	"net/netip"

	"fluxmq/broker/protocol"
	"fluxmq/broker/quota"
)

// MaxQuotaEntities bounds whom quotas are set for, so that what is kept of
// them stays small.
const MaxQuotaEntities = 100_000

// QuotaChange is one key of an alteration: set to Value, or removed.
type QuotaChange struct {
	Key    string
	Value  float64
	Remove bool
}

// QuotaAlteration is what is to happen to one entity's quotas.
type QuotaAlteration struct {
	Entity  quota.Entity
	Changes []QuotaChange
}

// alterClientQuotas decides each alteration by itself: errs[n] tells why
// alterations[n] cannot be. An entity that is named twice is not altered at
// all. An alteration that leaves everything as it was makes no change.
func alterClientQuotas(image *Image, alterations []QuotaAlteration) (changes []Change, errs []error) {
	errs = make([]error, len(alterations))
	times := map[quota.Entity]int{}
	for n := range alterations {
		times[alterations[n].Entity]++
	}
	entities := image.Quotas.Len()
	for n := range alterations {
		a := &alterations[n]
		if times[a.Entity] > 1 {
			errs[n] = fmt.Errorf("%w: the entity %s is given %d times", protocol.ErrInvalidRequest, a.Entity, times[a.Entity])
			continue
		}
		before := image.Quotas.Limits(a.Entity)
		after, err := a.apply(before)
		isNew := before == quota.Limits{} && after != quota.Limits{}
		switch {
		case err != nil:
			errs[n] = err
		case isNew && entities >= MaxQuotaEntities:
			errs[n] = fmt.Errorf("%w: quotas are set for %d entities; no more are kept", protocol.ErrPolicyViolation, entities)
		case after != before:
			changes = append(changes, quotaChange(a.Entity, after))
			if isNew {
				entities++
			}
		}
	}
	return changes, errs
}

// apply is what an entity's limits become. As in Kafka, what is removed need
// not be there, nor be known.
func (a *QuotaAlteration) apply(limits quota.Limits) (quota.Limits, error) {
	if err := checkQuotaEntity(a.Entity); err != nil {
		return limits, err
	}
	seen := map[string]bool{}
	for _, c := range a.Changes {
		if seen[c.Key] {
			return limits, fmt.Errorf("%w: the key %q is given twice", protocol.ErrInvalidRequest, c.Key)
		}
		seen[c.Key] = true
		kind, known := quota.KindOf(c.Key)
		known = known && (kind == quota.ConnectionCreationRate) == a.Entity.IP.Given
		switch {
		case known && c.Remove:
			limits[kind] = 0
		case c.Remove:
		case !known:
			return limits, fmt.Errorf("%w: %q is no quota of %s", protocol.ErrInvalidRequest, c.Key, a.Entity)
		default:
			if err := checkQuotaValue(kind, c.Value); err != nil {
				return limits, err
			}
			limits[kind] = c.Value
		}
	}
	return limits, nil
}

// checkQuotaEntity wants a user, a client id or both, or else an address.
func checkQuotaEntity(e quota.Entity) error {
	ofClient := e.User.Given || e.ClientID.Given
	switch {
	case !ofClient && !e.IP.Given:
		return fmt.Errorf("%w: the entity is empty", protocol.ErrInvalidRequest)
	case ofClient && e.IP.Given:
		return fmt.Errorf("%w: an ip is not combined with a user or client-id", protocol.ErrInvalidRequest)
	case e.IP.Name != "":
		if _, err := netip.ParseAddr(e.IP.Name); err != nil {
			return fmt.Errorf("%w: %q is not an IP address", protocol.ErrInvalidRequest, e.IP.Name)
		}
	}
	return nil
}

// checkQuotaValue wants what Kafka's type of the key holds: a whole number for
// bytes and connections; and above 0, as a client that may use nothing could
// only wait for ever.
func checkQuotaValue(kind quota.Kind, value float64) error {
	most := math.MaxFloat64
	switch kind {
	case quota.ProducerByteRate, quota.ConsumerByteRate:
		most = math.MaxInt64
	case quota.ConnectionCreationRate:
		most = math.MaxInt32
	}
	switch {
	case !(value > 0): // not a number, too
		return fmt.Errorf("%w: %s must be above 0", protocol.ErrInvalidRequest, kind)
	case value > most:
		return fmt.Errorf("%w: %v is too large for %s", protocol.ErrInvalidRequest, value, kind)
	case most < math.MaxFloat64 && math.Mod(value, 1) > 1e-6:
		return fmt.Errorf("%w: %s must be a whole number, not %v", protocol.ErrInvalidRequest, kind, value)
	}
	return nil
}

// quotaChange is the record of an entity's limits as they are now.
func quotaChange(e quota.Entity, limits quota.Limits) Change {
	c := Change{Kind: clientQuotasAltered, Entity: map[string]*string{}}
	for _, part := range e.Components() {
		c.Entity[part.Type] = nil
		if name := part.Part.Name; name != "" {
			c.Entity[part.Type] = &name
		}
	}
	for kind, limit := range limits {
		if limit == 0 {
			continue
		}
		if c.Quotas == nil {
			c.Quotas = map[string]float64{}
		}
		c.Quotas[quota.Kind(kind).String()] = limit
	}
	return c
}

// clientQuotas reads what quotaChange made.
func (c *Change) clientQuotas() (e quota.Entity, limits quota.Limits, err error) {
	for entityType, name := range c.Entity {
		part := e.Part(entityType)
		switch {
		case part == nil:
			return e, limits, fmt.Errorf("quotas of a %q", entityType)
		case name == nil:
			*part = quota.Default()
		default:
			*part = quota.Named(*name)
		}
	}
	for key, limit := range c.Quotas {
		kind, known := quota.KindOf(key)
		if !known {
			return e, limits, fmt.Errorf("a quota %q", key)
		}
		limits[kind] = limit
	}
	if e == (quota.Entity{}) {
		return e, limits, fmt.Errorf("quotas of nobody")
	}
	return e, limits, nil
}
