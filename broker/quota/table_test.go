package quota

import (
	"net/netip"
	"slices"
	"testing"
)

// producing is the limits with only ProducerByteRate.
func producing(limit float64) Limits { return Limits{ProducerByteRate: limit} }

func TestTheMostSpecificLimitBinds(t *testing.T) {
	u, c := Named("u"), Named("c")
	levels := []struct {
		entity         Entity
		user, clientID string // of the sensor
	}{
		{Entity{User: u, ClientID: c}, "u", "c"},
		{Entity{User: u, ClientID: Default()}, "u", "c"},
		{Entity{User: u}, "u", ""},
		{Entity{User: Default(), ClientID: c}, "u", "c"},
		{Entity{User: Default(), ClientID: Default()}, "u", "c"},
		{Entity{User: Default()}, "u", ""},
		{Entity{ClientID: c}, "", "c"},
		{Entity{ClientID: Default()}, "", "c"},
	}
	// from gives the table of the levels from one on; limits are their places.
	from := func(first int) *Table {
		limits := map[Entity]Limits{{IP: Default()}: {ConnectionCreationRate: 1}}
		for n, l := range levels {
			if n >= first {
				limits[l.entity] = producing(float64(n + 1))
			} else {
				limits[l.entity] = Limits{ConsumerByteRate: 99} // a limit of another kind hides nothing
			}
		}
		return NewTable(limits)
	}
	for n, l := range levels {
		got, ok := from(n).find(ProducerByteRate, "u", "c")
		if want := (binding{float64(n + 1), l.user, l.clientID}); !ok || got != want {
			t.Errorf("from %v on: %+v, %v; want %+v", l.entity, got, ok, want)
		}
	}
	if _, ok := from(len(levels)).find(ProducerByteRate, "u", "c"); ok {
		t.Error("nothing is left that binds")
	}
	for _, c := range []struct {
		name, user, clientID string
		first                int
		want                 float64 // 0: nothing binds
	}{
		{"another client of the user", "u", "d", 0, 2},
		{"another client of the user, its client default gone", "u", "d", 2, 3},
		{"another user with the client id", "v", "c", 0, 4},
		{"another user and client", "v", "d", 0, 5},
		{"another user and client, no default of both", "v", "d", 5, 6},
		{"another client id, no user limits", "v", "d", 6, 8},
		{"a client without an id has its user's limit", "u", "", 0, 3},
		{"or the default user's", "v", "", 0, 6},
		{"and no client's", "v", "", 6, 0},
	} {
		got, ok := from(c.first).find(ProducerByteRate, c.user, c.clientID)
		if ok != (c.want != 0) || got.limit != c.want {
			t.Errorf("%s: %+v, want limit %v", c.name, got, c.want)
		}
	}
}

func TestEntities(t *testing.T) {
	sorted := []Entity{
		{IP: Default()}, {IP: Named("10.0.0.1")}, {ClientID: Default()}, {ClientID: Named("c")},
		{User: Default()}, {User: Default(), ClientID: Named("c")}, {User: Named("a")}, {User: Named("a"), ClientID: Default()}, {User: Named("b")},
	}
	limits := map[Entity]Limits{}
	for _, e := range sorted {
		limits[e] = producing(1)
	}
	if got := NewTable(limits).Entities(); !slices.Equal(got, sorted) {
		t.Errorf("%v", got)
	}
	if got := (Entity{User: Named("u"), ClientID: Default()}).String(); got != "client-id=<default>, user=u" {
		t.Error(got)
	}
	var none *Table
	if none.Entities() != nil || none.Limits(Entity{}) != (Limits{}) || len(none.Copy()) != 0 || NewTable(nil) != nil || NewTable(map[Entity]Limits{{User: Named("u")}: {}}) != nil {
		t.Error("an empty table is nil, and has nothing")
	}
	var e Entity
	for _, entityType := range []string{UserType, ClientIDType, IPType} {
		*e.Part(entityType) = Named("x")
	}
	if e != (Entity{Named("x"), Named("x"), Named("x")}) || e.Part("group") != nil {
		t.Errorf("%+v", e)
	}
	for n, name := range kindNames {
		if kind, ok := KindOf(name); !ok || kind != Kind(n) || kind.String() != name {
			t.Errorf("%s is %v", name, kind)
		}
	}
	if _, ok := KindOf("leader.replication.throttled.rate"); ok {
		t.Error("an unknown key is a kind")
	}
}

func TestLimitOfAnAddress(t *testing.T) {
	rate := func(limit float64) Limits { return Limits{ConnectionCreationRate: limit} }
	table := NewTable(map[Entity]Limits{
		{IP: Default()}: rate(9), {IP: Named("10.0.0.1")}: rate(3), {IP: Named("::ffff:10.0.0.1")}: rate(2), {IP: Named("2001:db8::1")}: rate(5),
	})
	for address, want := range map[string]float64{"10.0.0.1": 2, "::ffff:10.0.0.1": 2, "2001:db8:0::1": 5, "2001:db8::1%eth0": 5, "10.0.0.2": 9} {
		if got := table.ofAddress(plain(netip.MustParseAddr(address))); got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
}
