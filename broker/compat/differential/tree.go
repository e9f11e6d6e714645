package differential

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"fluxmq/broker/record"

	"github.com/twmb/franz-go/pkg/kerr"
)

// tree is a reply as texts: a leaf has a value; a struct or an array has
// children, by field name or by element label, and no value.
type tree struct {
	value    string
	children map[string]*tree
	order    []string // the children's names as they came
}

func leaf(format string, args ...any) *tree { return &tree{value: fmt.Sprintf(format, args...)} }

// add puts a child in; a name that is taken gets "#2", "#3", ….
func (t *tree) add(name string, child *tree) {
	if t.children == nil {
		t.children = map[string]*tree{}
	}
	unique := name
	for n := 2; t.children[unique] != nil; n++ {
		unique = name + "#" + strconv.Itoa(n)
	}
	t.children[unique] = child
	t.order = append(t.order, unique)
}

// summaryLimit bounds, in bytes, what is shown of a subtree that only one side has.
const summaryLimit = 300

// String is the tree on one line, cut at summaryLimit.
func (t *tree) String() string {
	var b strings.Builder
	t.write(&b)
	if b.Len() > summaryLimit {
		return b.String()[:summaryLimit] + "…"
	}
	return b.String()
}

func (t *tree) write(b *strings.Builder) {
	if len(t.order) == 0 {
		b.WriteString(t.value)
		return
	}
	b.WriteByte('{')
	for n, name := range t.order {
		if n > 0 {
			b.WriteByte(' ')
		}
		if b.Len() > summaryLimit {
			break
		}
		b.WriteString(name + ":")
		t.children[name].write(b)
	}
	b.WriteByte('}')
}

// skipped fields are about the message, not of it.
var skipped = map[string]bool{"Version": true, "UnknownTags": true}

// plant makes the tree of a kmsg value. field is the name of the field it is
// in, which decides how it is shown.
func (n *normaliser) plant(field string, v reflect.Value) *tree {
	if render := n.rule(field); render != nil {
		if text, ok := render(n, v); ok {
			return &tree{value: text}
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return leaf("null")
		}
		return n.plant(field, v.Elem())
	case reflect.Struct:
		t := &tree{}
		if name := topicName(v); name != "" {
			n.internal = strings.HasPrefix(name, "__")
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && !skipped[f.Name] {
				t.add(f.Name, n.plant(f.Name, v.Field(i)))
			}
		}
		return t
	case reflect.Slice:
		return n.plantSlice(field, v)
	case reflect.Array:
		return leaf("%s", n.uuid([16]byte(v.Bytes())))
	case reflect.String:
		return leaf("%q", n.text(v.String()))
	case reflect.Bool:
		return leaf("%t", v.Bool())
	case reflect.Float64:
		return leaf("%g", v.Float())
	case reflect.Uint16, reflect.Uint32:
		return leaf("%d", v.Uint())
	default:
		return n.number(field, v.Int())
	}
}

func (n *normaliser) number(field string, v int64) *tree {
	if !strings.HasSuffix(field, "ErrorCode") {
		return leaf("%d", v)
	}
	if v == 0 {
		return leaf("0 NONE")
	}
	if known := kerr.TypedErrorForCode(int16(v)); known != nil && known.Code == int16(v) {
		return leaf("%d %s", v, known.Message)
	}
	return leaf("%d (no such error)", v)
}

func (n *normaliser) plantSlice(field string, v reflect.Value) *tree {
	if v.IsNil() {
		return leaf("null") // also a field that this version does not have, on both sides
	}
	switch v.Type().Elem().Kind() {
	case reflect.Uint8:
		if field == "RecordBatches" || field == "Records" {
			return n.plantBatches(v.Bytes())
		}
		return leaf("%q", n.text(string(v.Bytes())))
	case reflect.Struct:
		t := &tree{value: "[]"}
		for i := range v.Len() {
			element := v.Index(i)
			t.add("["+n.label(element, i)+"]", n.plant(field, element))
		}
		return t
	default:
		texts := make([]string, v.Len())
		for i := range v.Len() {
			texts[i] = n.plant(field, v.Index(i)).value
		}
		slices.Sort(texts)
		return leaf("[%s]", strings.Join(texts, " "))
	}
}

// keys are the fields that tell an array's elements apart, the first that has
// a value winning; an element without any is told by its index.
var keys = []string{"Topic", "Name", "Group", "GroupID", "TransactionalID", "MemberID", "InstanceID", "Partition", "NodeID", "ReplicaID", "BrokerID", "ApiKey",
	"ResourceName", "User", "Key", "Feature", "Dir", "RelativeOffset", "TopicID", "SubtopologyID", "FirstOffset", "ProducerID", "Type"}

func (n *normaliser) label(element reflect.Value, index int) string {
	if entity := element.FieldByName("Entity"); entity.IsValid() { // whom a quota is for: several types and names, in any order
		whom := n.plant("Entity", entity)
		slices.Sort(whom.order)
		return whom.String()
	}
	for _, key := range keys {
		f := element.FieldByName(key)
		if !f.IsValid() {
			continue
		}
		text := strings.Trim(n.plant(key, f).value, `"`)
		if text == "" || text == "null" || text == zeroUUID && key != "TopicID" {
			continue
		}
		if kind := element.FieldByName("ResourceType"); kind.IsValid() {
			text = strconv.FormatInt(kind.Int(), 10) + " " + text
		}
		return text
	}
	return strconv.Itoa(index)
}

// plantBatches shows record batches by their headers and a digest of their
// records. A batch that the byte limit of the fetch cut off is left out:
// clients skip it, and where the cut is depends on segments and read sizes.
func (n *normaliser) plantBatches(b []byte) *tree {
	t := &tree{value: "no batches"}
	for len(b) > 0 {
		batch, rest, err := record.Next(b)
		if errors.Is(err, record.ErrTruncated) {
			break
		}
		if err != nil {
			t.add("[unreadable]", leaf("%d bytes: %v", len(b), err))
			break
		}
		t.add("["+strconv.FormatInt(batch.BaseOffset(), 10)+"]", n.plantBatch(batch))
		b = rest
	}
	return t
}

func (n *normaliser) plantBatch(b record.Batch) *tree {
	t := &tree{}
	base, last := leaf("%d", b.BaseTimestamp()), leaf("%d", b.MaxTimestamp())
	switch {
	case b.IsControl():
		base, last = leaf("now"), leaf("now")
	case b.IsLogAppendTime():
		last = leaf("now")
	}
	digest := sha256.Sum256(b.Payload())
	t.add("SizeBytes", leaf("%d", b.SizeBytes()))
	t.add("PartitionLeaderEpoch", leaf("%d", b.PartitionLeaderEpoch()))
	t.add("ChecksumIsRight", leaf("%t", b.CRC() == b.ComputeCRC()))
	t.add("Attributes", leaf("%#x", b.Attributes()))
	t.add("LastOffsetDelta", leaf("%d", b.LastOffsetDelta()))
	t.add("BaseTimestamp", base)
	t.add("MaxTimestamp", last)
	t.add("ProducerID", leaf("%s", n.producer(b.ProducerID())))
	t.add("ProducerEpoch", leaf("%d", b.ProducerEpoch()))
	t.add("BaseSequence", leaf("%d", b.BaseSequence()))
	t.add("Count", leaf("%d", b.Count()))
	t.add("Records", leaf("%x", digest[:6]))
	return t
}
