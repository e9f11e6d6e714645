package differential

import (
	"encoding/hex"
	"fmt"
	"net"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// normaliser shows the replies of one broker. What two right brokers must
// answer differently it names: an identity by the case that first showed it,
// which is the same case on both sides. One goroutine.
type normaliser struct {
	address, port, dataDir string
	// api and step are those of the reply being shown.
	api, step string
	// internal: what is being shown is of a topic that is the broker's own.
	internal bool
	// identities maps kind and raw value to the name shown.
	identities map[string]string
	// topics maps ids to topics, also of topics that are gone.
	topics map[[16]byte]string
	// ids is the newest id of each topic.
	ids map[string][16]byte
}

func newNormaliser(p Peer) *normaliser {
	_, port, err := net.SplitHostPort(p.Address)
	if err != nil {
		port = "" // nothing is replaced then; the dial will say what is wrong with the address
	}
	return &normaliser{address: p.Address, port: port, dataDir: p.DataDir,
		identities: map[string]string{}, topics: map[[16]byte]string{}, ids: map[string][16]byte{}}
}

// show is a reply as a tree.
func (n *normaliser) show(api, step string, reply kmsg.Response) *tree {
	n.api, n.step = api, step
	return n.plant("", reflect.ValueOf(reply).Elem())
}

// identity is the name of a value that is each broker's own.
func (n *normaliser) identity(kind, raw string) string {
	key := kind + " " + raw
	if n.identities[key] == "" {
		n.identities[key] = "<" + kind + " from " + n.api + ": " + n.step + ">"
	}
	return n.identities[key]
}

const zeroUUID = "none"

func (n *normaliser) uuid(id [16]byte) string {
	if id == [16]byte{} {
		return zeroUUID
	}
	if topic, known := n.topics[id]; known {
		return "<id of " + topic + ">"
	}
	return n.identity("id", hex.EncodeToString(id[:]))
}

func (n *normaliser) producer(id int64) string {
	if id < 0 {
		return strconv.FormatInt(id, 10)
	}
	return n.identity("producer", strconv.FormatInt(id, 10))
}

// javaUUID is how Kafka and our broker end the member ids that they mint.
var javaUUID = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// text is a string without what belongs to one broker alone.
func (n *normaliser) text(s string) string {
	if n.dataDir != "" {
		s = strings.ReplaceAll(s, n.dataDir, "<data directory>")
	}
	if n.address != "" {
		s = strings.ReplaceAll(s, n.address, "<address>")
	}
	return javaUUID.ReplaceAllStringFunc(s, func(id string) string { return n.identity("id", id) })
}

// renderer shows the values of a field in a way of its own; false: in the usual way.
type renderer func(n *normaliser, v reflect.Value) (string, bool)

// rules by field name, or by API and field name, which goes before.
var rules = map[string]renderer{
	"Port": func(n *normaliser, v reflect.Value) (string, bool) {
		return "<port>", fmt.Sprint(v.Interface()) == n.port
	},
	"ErrorMessage":  presence,
	"Documentation": presence,
	"StatusDetail":  presence,
	"ProducerID":    func(n *normaliser, v reflect.Value) (string, bool) { return n.producer(v.Int()), true },
	"SessionID": func(n *normaliser, v reflect.Value) (string, bool) {
		return n.identity("session", strconv.FormatInt(v.Int(), 10)), v.Int() != 0
	},
	"SubscriptionID": func(n *normaliser, v reflect.Value) (string, bool) {
		return n.identity("subscription", strconv.FormatInt(v.Int(), 10)), v.Int() != 0
	},
	// A member id that is not client id and UUID is a Kafka Uuid: 16 bytes in base64.
	"MemberID": base64Identity,
	"LeaderID": base64Identity,

	"LogAppendTime":          moment,
	"LastTimestamp":          moment,
	"StartTimestamp":         moment,
	"LastFetchTimestamp":     moment,
	"LastCaughtUpTimestamp":  moment,
	"TotalBytes":             someBytes,
	"UsableBytes":            someBytes,
	"FinalizedFeaturesEpoch": func(_ *normaliser, v reflect.Value) (string, bool) { return "some", v.Int() >= 0 },

	// What a broker writes for itself has sizes of its own.
	"DescribeLogDirs.Size": func(n *normaliser, v reflect.Value) (string, bool) { return "some", n.internal && v.Int() > 0 },

	// The metadata log of each broker has a life of its own.
	"DescribeQuorum.LeaderEpoch":   func(_ *normaliser, v reflect.Value) (string, bool) { return "some", v.Int() > 0 },
	"DescribeQuorum.HighWatermark": func(_ *normaliser, v reflect.Value) (string, bool) { return "some", v.Int() > 0 },
	"DescribeQuorum.LogEndOffset":  func(_ *normaliser, v reflect.Value) (string, bool) { return "some", v.Int() > 0 },
	"DescribeQuorum.Port":          func(*normaliser, reflect.Value) (string, bool) { return "<port>", true },
}

func (n *normaliser) rule(field string) renderer {
	if r := rules[n.api+"."+field]; r != nil {
		return r
	}
	return rules[field]
}

// presence: clients show messages to people and act on codes, so only whether
// there is a message is compared.
func presence(_ *normaliser, v reflect.Value) (string, bool) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "null", true
		}
		v = v.Elem()
	}
	if v.Kind() != reflect.String {
		return "", false
	}
	if v.String() == "" {
		return `""`, true
	}
	return "text", true
}

var kafkaUUID = regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`)

func base64Identity(n *normaliser, v reflect.Value) (string, bool) {
	if v.Kind() != reflect.String || !kafkaUUID.MatchString(v.String()) {
		return "", false
	}
	return strconv.Quote(n.identity("id", v.String())), true
}

// moment: -1 and 0 stay, any other time is when the test ran.
func moment(_ *normaliser, v reflect.Value) (string, bool) { return "now", v.Int() > 0 }

func someBytes(_ *normaliser, v reflect.Value) (string, bool) { return "some", v.Int() > 0 }

// learnFrom notes the ids of topics, wherever the reply has both name and id.
func (n *normaliser) learnFrom(reply kmsg.Response) { n.learn(reflect.ValueOf(reply)) }

func (n *normaliser) learn(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			n.learn(v.Elem())
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				n.learn(v.Index(i))
			}
		}
	case reflect.Struct:
		if id, name := v.FieldByName("TopicID"), topicName(v); id.IsValid() && name != "" && !id.IsZero() {
			n.topics[[16]byte(id.Bytes())], n.ids[name] = name, [16]byte(id.Bytes())
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && !skipped[f.Name] {
				n.learn(v.Field(i))
			}
		}
	}
}

// topicName is the text of a struct's Topic field, "" when it has none.
func topicName(v reflect.Value) string {
	f := v.FieldByName("Topic")
	if f.IsValid() && f.Kind() == reflect.Pointer {
		f = f.Elem() // of nil: not valid
	}
	if !f.IsValid() || f.Kind() != reflect.String {
		return ""
	}
	return f.String()
}
