package node

import (
	"fluxmq/broker/cluster"
	"fluxmq/broker/config"
	"fluxmq/broker/group"
)

// topics are the topics of an image as consumer groups see them.
type topics struct{ image *cluster.Image }

func seen(t *cluster.Topic) (group.Topic, bool) {
	if t == nil {
		return group.Topic{}, false
	}
	return group.Topic{Name: t.Name, ID: t.ID, Partitions: t.Partitions}, true
}

func (t topics) Named(name string) (group.Topic, bool)  { return seen(t.image.Topics[name]) }
func (t topics) WithID(id [16]byte) (group.Topic, bool) { return seen(t.image.ByID[id]) }
func (t topics) Version() int64                         { return t.image.TopicsVersion }
func (t topics) Each(visit func(group.Topic)) {
	for _, topic := range t.image.Topics {
		visit(group.Topic{Name: topic.Name, ID: topic.ID, Partitions: topic.Partitions})
	}
}

// groupTopics and groupSettings are what the group coordinator asks of the
// image, from any goroutine.
func (n *Node) groupTopics() group.Topics { return topics{n.metadata.Image()} }

func (n *Node) groupSettings(id string) *config.Group {
	image := n.metadata.Image()
	if g := image.Groups[id]; g != nil {
		return g.Config
	}
	return image.Settings.Groups // those of the start may have been altered
}
