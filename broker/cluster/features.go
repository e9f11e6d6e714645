package cluster

import (
	"fmt"
	"maps"

	"fluxmq/broker/protocol"
)

// Feature is one of Kafka's features (KIP-584) that is real here: the levels
// that this broker can work at, and the one of a cluster that never set it.
type Feature struct {
	Name              string
	Min, Max, Default int16
}

// The names of features that code asks for.
const (
	GroupVersion       = "group.version"
	ShareVersion       = "share.version"
	StreamsVersion     = "streams.version"
	TransactionVersion = "transaction.version"
)

// supported are the features, by name. group.version 1 is the consumer group
// protocol of KIP-848, share.version 1 are the share groups of KIP-932,
// streams.version 1 the groups of Kafka Streams (KIP-1071).
// transaction.version tells clients which protocol of transactions to speak, 2
// being KIP-890; the coordinator answers each request by its own version, as
// Kafka's does. metadata.version is none of them: it is the format of Kafka's
// metadata log, and ours has its own.
var supported = [...]Feature{
	{GroupVersion, 0, 1, 1},
	{ShareVersion, 0, 1, 1},
	{StreamsVersion, 0, 1, 1},
	{TransactionVersion, 0, 2, 2},
}

// SupportedFeatures returns them by name. The slice is the caller's.
func SupportedFeatures() []Feature { return append([]Feature(nil), supported[:]...) }

func findFeature(name string) *Feature {
	for n := range supported {
		if supported[n].Name == name {
			return &supported[n]
		}
	}
	return nil
}

// FeatureLevels are the levels that were set; immutable. nil: none was.
type FeatureLevels struct {
	// Epoch rises with every update, so that clients know the newer answer.
	Epoch int64
	set   map[string]int16
}

// FeatureLevel is the level that the cluster works at, 0 for a feature that is
// switched off or not known.
func (i *Image) FeatureLevel(name string) int16 {
	if i.Features != nil {
		if level, ok := i.Features.set[name]; ok {
			return level
		}
	}
	if f := findFeature(name); f != nil {
		return f.Default
	}
	return 0
}

// FeaturesEpoch tells two answers about features apart.
func (i *Image) FeaturesEpoch() int64 {
	if i.Features == nil {
		return 0
	}
	return i.Features.Epoch
}

// UpgradeType is what an update of a feature may do, with the numbers of
// UpdateFeatures.
type UpgradeType int8

// The upgrade types. A downgrade of the last kind may lose something; there is
// no difference here, where no feature's lower level loses anything.
const (
	Upgrade         UpgradeType = 1
	SafeDowngrade   UpgradeType = 2
	UnsafeDowngrade UpgradeType = 3
)

// FeatureUpdate is one feature and the level it is to have; 0 switches it off.
type FeatureUpdate struct {
	Name  string
	Level int16
	Type  UpgradeType
}

// updateFeatures decides an update of features: all of them or, with the first
// error, none (KIP-584, Kafka's FeatureControlManager). Of a feature that is
// named twice the last update counts. An update that changes nothing is none.
func updateFeatures(image *Image, updates []FeatureUpdate) ([]Change, error) {
	levels, changed := map[string]int16{}, false
	if image.Features != nil {
		maps.Copy(levels, image.Features.set)
	}
	last := map[string]int{}
	for n := range updates {
		last[updates[n].Name] = n
	}
	for n := range updates {
		u := &updates[n]
		if last[u.Name] != n {
			continue
		}
		before := image.FeatureLevel(u.Name)
		if err := u.check(image, before); err != nil {
			return nil, err
		}
		if u.Level != before {
			levels[u.Name], changed = u.Level, true
		}
	}
	if !changed {
		return nil, nil
	}
	return []Change{{Kind: featuresUpdated, Levels: levels, FeaturesEpoch: image.FeaturesEpoch() + 1}}, nil
}

// check holds an update to the rules, in Kafka's order.
func (u *FeatureUpdate) check(image *Image, before int16) error {
	refuse := func(why string, args ...any) error {
		return fmt.Errorf("%w: %s cannot be at level %d: %s", protocol.ErrInvalidUpdateVersion, u.Name, u.Level, fmt.Sprintf(why, args...))
	}
	f := findFeature(u.Name)
	switch {
	case u.Type < Upgrade || u.Type > UnsafeDowngrade:
		return refuse("there is no upgrade type %d", u.Type)
	case u.Level < 0:
		return refuse("a level is at least 0")
	case f == nil:
		return refuse("node %d does not have this feature", image.Node.NodeID)
	case u.Level < f.Min || u.Level > f.Max:
		return refuse("node %d has the levels %d to %d", image.Node.NodeID, f.Min, f.Max)
	case u.Level < before && u.Type == Upgrade:
		return refuse("it is at %d, and going down needs the upgrade type safe or unsafe downgrade", before)
	case u.Level > before && u.Type != Upgrade:
		return refuse("it is at %d, from where that is no downgrade", before)
	}
	return nil
}
