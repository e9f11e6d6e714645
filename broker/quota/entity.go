package quota

import (
	"cmp"
	"strings"
)

// Kafka's names of what an Entity is made of (KIP-546, KIP-612).
const (
	UserType     = "user"
	ClientIDType = "client-id"
	IPType       = "ip"
)

// Part is one side of an Entity: absent (the zero Part), the default for
// everyone without a quota of their own (Given without a Name), or one name.
type Part struct {
	Given bool
	Name  string
}

// Default is the part that stands for everyone without a quota of their own.
func Default() Part { return Part{Given: true} }

// Named is the part of one name, which must not be empty.
func Named(name string) Part { return Part{Given: true, Name: name} }

// Entity is whom a quota is set for: a user, a client id, both together, or
// the address that connections come from. Comparable; the zero Entity is nobody.
type Entity struct{ User, ClientID, IP Part }

// Component is a part of an Entity with Kafka's name of its type.
type Component struct {
	Type string
	Part Part
}

// Components are the parts given, in the order of their types' names.
func (e Entity) Components() []Component {
	var given []Component
	for _, c := range []Component{{ClientIDType, e.ClientID}, {IPType, e.IP}, {UserType, e.User}} {
		if c.Part.Given {
			given = append(given, c)
		}
	}
	return given
}

// Part is the part of that type, to be read or set; nil when Kafka has no such type.
func (e *Entity) Part(entityType string) *Part {
	switch entityType {
	case UserType:
		return &e.User
	case ClientIDType:
		return &e.ClientID
	case IPType:
		return &e.IP
	}
	return nil
}

// String is for people: "client-id=x, user=<default>".
func (e Entity) String() string {
	var words []string
	for _, c := range e.Components() {
		name := c.Part.Name
		if name == "" {
			name = "<default>"
		}
		words = append(words, c.Type+"="+name)
	}
	return strings.Join(words, ", ")
}

// Compare orders entities by user, then client id, then address; in each,
// absent comes first and the default before names.
func Compare(a, b Entity) int {
	return cmp.Or(compareParts(a.User, b.User), compareParts(a.ClientID, b.ClientID), compareParts(a.IP, b.IP))
}

func compareParts(a, b Part) int {
	switch {
	case a.Given == b.Given:
		return strings.Compare(a.Name, b.Name)
	case b.Given:
		return -1
	}
	return 1
}
