package cluster

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"fluxmq/broker/protocol"
	"fluxmq/broker/quota"
)

func set(key string, value float64) QuotaChange { return QuotaChange{Key: key, Value: value} }
func remove(key string) QuotaChange             { return QuotaChange{Key: key, Remove: true} }

func TestAlterClientQuotas(t *testing.T) {
	user, client, address := quota.Entity{User: quota.Named("u")}, quota.Entity{ClientID: quota.Default()}, quota.Entity{IP: quota.Named("10.0.0.1")}
	both := quota.Entity{User: quota.Default(), ClientID: quota.Named("c")}
	before := testImage(t)
	changes, errs := alterClientQuotas(before, []QuotaAlteration{{user, []QuotaChange{set("producer_byte_rate", 1000), set("request_percentage", 50)}}})
	if errs[0] != nil {
		t.Fatal(errs)
	}
	image, err := before.apply(changes, nil)
	if err != nil {
		t.Fatal(err)
	}
	if before.Quotas != nil || image.Quotas.Len() != 1 {
		t.Fatalf("%v became %v", before.Quotas.Copy(), image.Quotas.Copy())
	}
	for _, test := range []struct {
		why    string
		entity quota.Entity
		ops    []QuotaChange
		want   *protocol.Error
		after  quota.Limits
	}{
		{"a user's", user, []QuotaChange{set("consumer_byte_rate", 7)}, nil, quota.Limits{1000, 7, 50}},
		{"a change of one key leaves the others", user, []QuotaChange{set("producer_byte_rate", 1)}, nil, quota.Limits{1, 0, 50}},
		{"the same again", user, []QuotaChange{set("producer_byte_rate", 1000)}, nil, quota.Limits{1000, 0, 50}},
		{"one key removed, one set", user, []QuotaChange{remove("producer_byte_rate"), set("controller_mutation_rate", 0.5)}, nil, quota.Limits{0, 0, 50, 0.5}},
		{"all removed", user, []QuotaChange{remove("producer_byte_rate"), remove("request_percentage")}, nil, quota.Limits{}},
		{"what was not there is removed", client, []QuotaChange{remove("producer_byte_rate")}, nil, quota.Limits{}},
		{"what nobody knows is removed", client, []QuotaChange{remove("speed")}, nil, quota.Limits{}},
		{"nothing to do", client, nil, nil, quota.Limits{}},
		{"a default", client, []QuotaChange{set("producer_byte_rate", 1<<40)}, nil, quota.Limits{1 << 40}},
		{"a user and a client id", both, []QuotaChange{set("request_percentage", 1e-9)}, nil, quota.Limits{0, 0, 1e-9}},
		{"an address", address, []QuotaChange{set("connection_creation_rate", 3)}, nil, quota.Limits{0, 0, 0, 0, 3}},
		{"every address", quota.Entity{IP: quota.Default()}, []QuotaChange{set("connection_creation_rate", math.MaxInt32)}, nil, quota.Limits{0, 0, 0, 0, math.MaxInt32}},
		{"an address of version 6", quota.Entity{IP: quota.Named("2001:db8::1")}, []QuotaChange{set("connection_creation_rate", 3)}, nil, quota.Limits{0, 0, 0, 0, 3}},
		{"nobody", quota.Entity{}, []QuotaChange{set("producer_byte_rate", 1)}, protocol.ErrInvalidRequest, quota.Limits{}},
		{"an address and a user", quota.Entity{IP: quota.Named("10.0.0.1"), User: quota.Default()}, []QuotaChange{set("connection_creation_rate", 1)}, protocol.ErrInvalidRequest, quota.Limits{}},
		{"a name is no address", quota.Entity{IP: quota.Named("example.org")}, []QuotaChange{set("connection_creation_rate", 1)}, protocol.ErrInvalidRequest, quota.Limits{}},
		{"bytes of an address", address, []QuotaChange{set("producer_byte_rate", 1)}, protocol.ErrInvalidRequest, quota.Limits{}},
		{"connections of a user", user, []QuotaChange{set("connection_creation_rate", 1)}, protocol.ErrInvalidRequest, quota.Limits{1000, 0, 50}},
		{"an unknown key", user, []QuotaChange{set("consumer_byte_rate", 1), set("speed", 1)}, protocol.ErrInvalidRequest, quota.Limits{1000, 0, 50}},
		{"a key twice", user, []QuotaChange{set("consumer_byte_rate", 1), remove("consumer_byte_rate")}, protocol.ErrInvalidRequest, quota.Limits{1000, 0, 50}},
		{"zero", user, []QuotaChange{set("consumer_byte_rate", 0)}, protocol.ErrInvalidRequest, quota.Limits{1000, 0, 50}},
		{"below zero", user, []QuotaChange{set("request_percentage", -1)}, protocol.ErrInvalidRequest, quota.Limits{1000, 0, 50}},
		{"not a number", user, []QuotaChange{set("request_percentage", math.NaN())}, protocol.ErrInvalidRequest, quota.Limits{1000, 0, 50}},
		{"without end", user, []QuotaChange{set("request_percentage", math.Inf(1))}, protocol.ErrInvalidRequest, quota.Limits{1000, 0, 50}},
		{"half a byte", user, []QuotaChange{set("consumer_byte_rate", 1.5)}, protocol.ErrInvalidRequest, quota.Limits{1000, 0, 50}},
		{"more bytes than are counted", user, []QuotaChange{set("consumer_byte_rate", 1e19)}, protocol.ErrInvalidRequest, quota.Limits{1000, 0, 50}},
		{"more connections than are counted", address, []QuotaChange{set("connection_creation_rate", math.MaxInt32+1)}, protocol.ErrInvalidRequest, quota.Limits{}},
	} {
		t.Run(test.why, func(t *testing.T) {
			changes, errs := alterClientQuotas(image, []QuotaAlteration{{test.entity, test.ops}})
			if protocol.CodeOf(errs[0]) != protocol.CodeOf(errorOrNil(test.want)) {
				t.Fatalf("got %v, want %v", errs[0], test.want)
			}
			if altered := test.after != image.Quotas.Limits(test.entity); altered != (len(changes) == 1) {
				t.Fatalf("changes %v", changes)
			}
			after, err := image.apply(changes, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := after.Quotas.Limits(test.entity); got != test.after {
				t.Errorf("limits are %v, want %v", got, test.after)
			}
			if len(changes) == 0 && after.Quotas != image.Quotas {
				t.Error("quotas that nobody altered are not the same pointer")
			}
		})
	}
}

func TestQuotaAlterationsSeeEachOther(t *testing.T) {
	a, b := quota.Entity{User: quota.Named("a")}, quota.Entity{User: quota.Named("b")}
	image := testImage(t)
	changes, errs := alterClientQuotas(image, []QuotaAlteration{
		{a, []QuotaChange{set("producer_byte_rate", 1)}}, {b, []QuotaChange{set("producer_byte_rate", 2)}}, {a, []QuotaChange{set("consumer_byte_rate", 3)}},
	})
	if !errors.Is(errs[0], protocol.ErrInvalidRequest) || errs[1] != nil || !errors.Is(errs[2], protocol.ErrInvalidRequest) {
		t.Errorf("%v", errs)
	}
	after, err := image.apply(changes, nil)
	if err != nil || after.Quotas.Len() != 1 || after.Quotas.Limits(b) != (quota.Limits{2}) {
		t.Errorf("%v, %v", after.Quotas.Copy(), err)
	}
	full := map[quota.Entity]quota.Limits{}
	for n := range MaxQuotaEntities - 1 {
		full[quota.Entity{User: quota.Named(fmt.Sprint(n))}] = quota.Limits{1}
	}
	image.Quotas = quota.NewTable(full)
	changes, errs = alterClientQuotas(image, []QuotaAlteration{
		{a, []QuotaChange{set("producer_byte_rate", 1)}}, {b, []QuotaChange{set("producer_byte_rate", 1)}}, {quota.Entity{User: quota.Named("0")}, []QuotaChange{set("producer_byte_rate", 5)}},
	})
	if errs[0] != nil || !errors.Is(errs[1], protocol.ErrPolicyViolation) || errs[2] != nil || len(changes) != 2 {
		t.Errorf("%d changes, %v", len(changes), errs)
	}
}

func TestClientQuotasSurviveReopen(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir)
	u, c := quota.Entity{User: quota.Named("u"), ClientID: quota.Default()}, quota.Entity{ClientID: quota.Named("c")}
	alter := func(validateOnly bool, alterations ...QuotaAlteration) {
		t.Helper()
		for _, err := range m.AlterClientQuotas(alterations, validateOnly) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	alter(true, QuotaAlteration{u, []QuotaChange{set("producer_byte_rate", 5)}})
	if m.Image().Quotas != nil {
		t.Fatal("validate only altered")
	}
	alter(false, QuotaAlteration{u, []QuotaChange{set("producer_byte_rate", 5), set("controller_mutation_rate", 0.25)}}, QuotaAlteration{c, []QuotaChange{set("request_percentage", 12.5)}})
	alter(false, QuotaAlteration{quota.Entity{IP: quota.Default()}, []QuotaChange{set("connection_creation_rate", 9)}})
	alter(false, QuotaAlteration{u, []QuotaChange{remove("producer_byte_rate")}}, QuotaAlteration{c, []QuotaChange{remove("request_percentage")}})
	want := map[quota.Entity]quota.Limits{u: {quota.ControllerMutationRate: 0.25}, {IP: quota.Default()}: {quota.ConnectionCreationRate: 9}}
	if got := m.Image().Quotas.Copy(); !reflect.DeepEqual(got, want) {
		t.Fatalf("%v", got)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir)
	defer again.Close()
	if got := again.Image().Quotas.Copy(); !reflect.DeepEqual(got, want) {
		t.Errorf("after a restart: %v", got)
	}
	// A log written anew holds the same.
	image, err := (&Image{Settings: options().Settings, Topics: map[string]*Topic{}, ByID: map[[16]byte]*Topic{}, collisions: map[string]string{}}).apply(again.Image().changes(), nil)
	if err != nil || !reflect.DeepEqual(image.Quotas.Copy(), want) {
		t.Errorf("%v, %v", image.Quotas.Copy(), err)
	}
	for _, c := range again.AlterClientQuotas([]QuotaAlteration{{u, []QuotaChange{remove("controller_mutation_rate")}}, {quota.Entity{IP: quota.Default()}, []QuotaChange{remove("connection_creation_rate")}}}, false) {
		if c != nil {
			t.Error(c)
		}
	}
	if again.Image().Quotas != nil {
		t.Error("a table without limits is not nil")
	}
}

func TestDamagedQuotaChangesAreRefused(t *testing.T) {
	name := "u"
	for _, c := range []Change{
		{Kind: clientQuotasAltered},
		{Kind: clientQuotasAltered, Entity: map[string]*string{"group": &name}},
		{Kind: clientQuotasAltered, Entity: map[string]*string{"user": &name}, Quotas: map[string]float64{"speed": 1}},
	} {
		if _, err := testImage(t).apply([]Change{c}, nil); err == nil {
			t.Errorf("%+v was applied", c)
		}
	}
}

func TestAdmitTopics(t *testing.T) {
	m := open(t, t.TempDir())
	defer m.Close()
	var asked []string
	admit := func(topic *Topic) error {
		if asked = append(asked, topic.Name); topic.Partitions > 1 {
			return fmt.Errorf("%w: no", protocol.ErrThrottlingQuotaExceeded)
		}
		return nil
	}
	topics, errs := m.AdmitTopics([]NewTopic{{Name: "a", Partitions: 1, Replicas: 1}, {Name: "b", Partitions: 2, Replicas: 1}, {Name: "c d"}, {Name: "e", Partitions: 1, Replicas: 1}}, false, admit)
	if errs[0] != nil || !errors.Is(errs[1], protocol.ErrThrottlingQuotaExceeded) || !errors.Is(errs[2], protocol.ErrInvalidTopicException) || errs[3] != nil || topics[1] != nil || topics[3] == nil {
		t.Errorf("%v, %v", topics, errs)
	}
	if names := m.Image().Names(); !reflect.DeepEqual(names, []string{"a", "e"}) || !reflect.DeepEqual(asked, []string{"a", "b", "e"}) {
		t.Errorf("topics %v, asked for %v", names, asked)
	}
}
