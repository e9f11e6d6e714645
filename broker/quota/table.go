package quota

import (
	"maps"
	"net/netip"
	"slices"
)

// Kind is one of the quotas.
type Kind uint8

// The kinds. A limit of 0 is none.
const (
	ProducerByteRate       Kind = iota // bytes of Produce requests a second
	ConsumerByteRate                   // bytes of Fetch responses a second
	RequestPercentage                  // time spent on requests, in percent of one processor
	ControllerMutationRate             // partitions created and deleted a second
	ConnectionCreationRate             // connections accepted from one address a second

	// Kinds is how many there are.
	Kinds = int(ConnectionCreationRate) + 1
)

// kindNames are Kafka's keys.
var kindNames = [Kinds]string{
	"producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate", "connection_creation_rate",
}

// String is Kafka's key of the kind.
func (k Kind) String() string { return kindNames[k] }

// KindOf finds a kind by Kafka's key.
func KindOf(key string) (kind Kind, ok bool) {
	at := slices.Index(kindNames[:], key)
	return Kind(max(at, 0)), at >= 0
}

// Limits are an entity's, by kind; 0 is none.
type Limits [Kinds]float64

// Table is every limit that is set. Immutable; nil is the table without any.
type Table struct {
	limits map[Entity]Limits
	has    [Kinds]bool // whether any entity has a limit of the kind
	// Limits of ConnectionCreationRate, for look-up by an address.
	byAddress map[netip.Addr]float64
}

// NewTable makes a table of limits, which are the table's from now on. It is
// nil when nothing is limited.
func NewTable(limits map[Entity]Limits) *Table {
	t := &Table{limits: limits, byAddress: map[netip.Addr]float64{}}
	for entity, l := range limits {
		for kind, limit := range l {
			t.has[kind] = t.has[kind] || limit > 0
		}
		limit := l[ConnectionCreationRate]
		address, err := netip.ParseAddr(entity.IP.Name)
		if err != nil || limit == 0 {
			continue
		}
		address = plain(address)
		if other, twice := t.byAddress[address]; !twice || limit < other { // one address, written in two ways
			t.byAddress[address] = limit
		}
	}
	if t.has == ([Kinds]bool{}) {
		return nil
	}
	return t
}

// plain is an address without what does not tell clients apart.
func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

// Limits are those set for exactly this entity.
func (t *Table) Limits(entity Entity) Limits {
	if t == nil {
		return Limits{}
	}
	return t.limits[entity]
}

// Len is how many entities have a limit.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return len(t.limits)
}

// Entities are all that have a limit, in the order of Compare.
func (t *Table) Entities() []Entity {
	if t == nil {
		return nil
	}
	return slices.SortedFunc(maps.Keys(t.limits), Compare)
}

// Copy is a map of the table's limits that is the caller's.
func (t *Table) Copy() map[Entity]Limits {
	if t == nil {
		return map[Entity]Limits{}
	}
	return maps.Clone(t.limits)
}

// binding is what binds a client in one kind: the limit, and whom the sensor
// measures. A user's own limit is for all of its clients together: then the
// sensor has no client id. A client id's is for it alone, whoever uses it:
// then it has no user.
type binding struct {
	limit          float64
	user, clientID string
}

// find looks for the most specific limit of a kind, in the order of KIP-257.
// A client without an id is bound by limits of users alone, as in Kafka. ok is
// false when nothing binds.
func (t *Table) find(kind Kind, user, clientID string) (b binding, ok bool) {
	u, c := Named(user), Named(clientID)
	for _, step := range [...]struct {
		entity     Entity
		user, byID bool // what the sensor has
	}{
		{Entity{User: u, ClientID: c}, true, true},
		{Entity{User: u, ClientID: Default()}, true, true},
		{Entity{User: u}, true, false},
		{Entity{User: Default(), ClientID: c}, true, true},
		{Entity{User: Default(), ClientID: Default()}, true, true},
		{Entity{User: Default()}, true, false},
		{Entity{ClientID: c}, false, true},
		{Entity{ClientID: Default()}, false, true},
	} {
		limit := t.limits[step.entity][kind]
		if limit == 0 || step.byID && clientID == "" {
			continue
		}
		b.limit = limit
		if step.user {
			b.user = user
		}
		if step.byID {
			b.clientID = clientID
		}
		return b, true
	}
	return binding{}, false
}

// ofAddress is how many connections a second an address may open; 0 is any number.
func (t *Table) ofAddress(address netip.Addr) float64 {
	if limit, ok := t.byAddress[address]; ok {
		return limit
	}
	return t.limits[Entity{IP: Default()}][ConnectionCreationRate]
}
