package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// ResetTo is one of the reset specifications of Kafka's consumer group tool.
type ResetTo uint8

// The reset specifications.
const (
	ToEarliest ResetTo = iota + 1
	ToLatest
	ToCurrent  // what is committed; the end where nothing is
	ToOffset   // Reset.Value is the offset
	ToTime     // Reset.Value is unix ms; --to-datetime and --by-duration
	ToShifted  // Reset.Value is added to what is committed; it may be negative
	ToPlanFile // Reset.Plan says it for each partition
)

// Reset says where committed offsets go.
type Reset struct {
	To    ResetTo
	Value int64
	// Plan holds, by group, the offsets of a plan file.
	Plan map[string][]PartitionOffset
}

// ResetScope is which partitions of a group are reset; a plan file names its own.
type ResetScope struct {
	// AllTopics means every partition that the group committed.
	AllTopics  bool
	Selections []Selection
}

// ResetOffset is the new offset of one partition in a group.
type ResetOffset struct {
	Group string `json:"group"`
	TopicPartition
	Previous  *int64 `json:"previousOffset"` // nil for none
	NewOffset int64  `json:"newOffset"`
	// Note says when the offset is not literally what was asked for.
	Note  string `json:"note,omitempty"`
	Error string `json:"error,omitempty"`
}

// ResetOffsets computes the new offsets of each named group and, with execute,
// commits them. A group with members is refused, as Kafka's tool does: its
// members would commit over the new offsets. A group that does not exist is
// made by the commit.
func (c *Client) ResetOffsets(ctx context.Context, groups []string, scope ResetScope, to Reset, execute bool) ([]ResetOffset, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	if to.To != ToPlanFile && scope.AllTopics == (len(scope.Selections) > 0) {
		return nil, inputf("name topics or ask for all topics, one of the two")
	}
	states, err := c.groupStates(ctx, groups)
	if err != nil {
		return nil, err
	}
	rows := []ResetOffset{}
	var refusals []error
	for _, group := range groups {
		reset, err := c.resetGroup(ctx, group, states[group], scope, to, execute)
		rows = append(rows, reset...)
		if err != nil {
			refusals = append(refusals, err)
		}
	}
	return rows, summary("groups", len(groups), refusals)
}

// groupStates lists type and state of the groups; one that does not exist has none.
func (c *Client) groupStates(ctx context.Context, groups []string) (map[string]ListedGroup, error) {
	listed, err := c.listGroups(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	states := map[string]ListedGroup{}
	for _, g := range listed {
		if slices.Contains(groups, g.Group) {
			states[g.Group] = g
		}
	}
	return states, nil
}

func (c *Client) resetGroup(ctx context.Context, group string, listed ListedGroup, scope ResetScope, to Reset, execute bool) ([]ResetOffset, error) {
	subject := "group " + group
	switch {
	case listed.Type == shareGroup:
		return nil, refused(subject, kerr.InvalidRequest, "the start offsets of a share group are not reset by this command")
	case listed.State != "" && listed.State != "Empty" && listed.State != "Dead":
		return nil, refused(subject, kerr.NonEmptyGroup, "offsets are reset only while the group has no member; its state is "+listed.State)
	}
	committed := map[TopicPartition]committedOffset{}
	if listed.Group != "" {
		var err error
		if committed, err = c.committed(ctx, group, listed.Type); err != nil {
			return nil, err
		}
	}
	planned, partitions, err := c.resetPartitions(ctx, group, committed, scope, to)
	if err != nil {
		return nil, err
	}
	bounds, err := c.boundsOf(ctx, partitions, to)
	if err != nil {
		return nil, err
	}
	var rows []ResetOffset
	for n, p := range partitions {
		row := ResetOffset{Group: group, TopicPartition: p}
		if at, ok := committed[p]; ok {
			row.Previous = &at.Offset
		}
		if row.NewOffset, row.Note, err = to.target(row.Previous, planned[p], bounds[n]); err != nil {
			return nil, refused(subject+", "+p.String(), err, "")
		}
		rows = append(rows, row)
	}
	if !execute {
		return rows, nil
	}
	return rows, c.commit(ctx, group, rows)
}

// resetPartitions names what is reset, and the offsets that a plan file gives.
func (c *Client) resetPartitions(ctx context.Context, group string, committed map[TopicPartition]committedOffset, scope ResetScope, to Reset) (planned map[TopicPartition]int64, partitions []TopicPartition, err error) {
	switch {
	case to.To == ToPlanFile:
		plan := to.Plan[group]
		if len(plan) == 0 {
			return nil, nil, inputf("the plan file has no line for group %s", group)
		}
		planned = map[TopicPartition]int64{}
		var selections []Selection
		for _, p := range plan {
			planned[p.TopicPartition] = p.Offset
			selections = append(selections, Selection{p.Topic, []int32{p.Partition}})
		}
		partitions, err = c.resolve(ctx, selections)
	case scope.AllTopics:
		if len(committed) == 0 {
			return nil, nil, refused("group "+group, kerr.GroupIDNotFound, "it has no committed offsets; name topics instead")
		}
		partitions = slices.SortedFunc(maps.Keys(committed), comparePartitions)
	default:
		partitions, err = c.resolve(ctx, scope.Selections)
	}
	return planned, partitions, err
}

// bounds are the offsets of one partition that a target is made from.
type bounds struct {
	start, end int64
	// atTime is the first offset at or after the time, -1 for none.
	atTime int64
}

func (c *Client) boundsOf(ctx context.Context, partitions []TopicPartition, to Reset) ([]bounds, error) {
	asked := []OffsetTime{Earliest, Latest}
	if to.To == ToTime {
		asked = append(asked, OffsetTime(to.Value))
	}
	all := make([]bounds, len(partitions))
	for _, at := range asked {
		answers, err := c.listOffsets(ctx, at, false, partitions)
		if err != nil {
			return nil, err
		}
		for n, a := range answers {
			if a.Err != nil {
				return nil, refused(partitions[n].String(), a.Err, "")
			}
			switch at {
			case Earliest:
				all[n].start = a.Offset
			case Latest:
				all[n].end = a.Offset
			default:
				all[n].atTime = a.Offset
			}
		}
	}
	return all, nil
}

// target is the new offset of one partition. An absolute, shifted or planned
// offset outside the log becomes its nearer end, and a time after the last
// record is the end, as in Kafka's OffsetsUtils; the note says so.
func (r Reset) target(previous *int64, planned int64, b bounds) (offset int64, note string, err error) {
	switch r.To {
	case ToEarliest:
		return b.start, "", nil
	case ToLatest:
		return b.end, "", nil
	case ToCurrent:
		if previous == nil {
			return b.end, "nothing is committed, so the end", nil
		}
		return *previous, "", nil
	case ToTime:
		if b.atTime < 0 {
			return b.end, "no record at or after the time, so the end", nil
		}
		return b.atTime, "", nil
	case ToOffset:
		offset = r.Value
	case ToPlanFile:
		offset = planned
	case ToShifted:
		if previous == nil {
			return 0, "", errors.New("nothing is committed that could be shifted")
		}
		offset = *previous + r.Value
		if (offset < *previous) != (r.Value < 0) && r.Value != 0 {
			return 0, "", fmt.Errorf("%d shifted by %d is no offset", *previous, r.Value)
		}
	}
	switch {
	case offset > b.end:
		return b.end, fmt.Sprintf("%d is above the end", offset), nil
	case offset < b.start:
		return b.start, fmt.Sprintf("%d is below the start", offset), nil
	}
	return offset, "", nil
}

// commit stores the rows' new offsets and notes the refused ones in them.
func (c *Client) commit(ctx context.Context, group string, rows []ResetOffset) error {
	var offsets kadm.Offsets
	for _, r := range rows {
		offsets.AddOffset(r.Topic, r.Partition, r.NewOffset, -1)
	}
	answers, err := c.admin.CommitOffsets(ctx, group, offsets)
	if err != nil {
		return refused("group "+group, err, "")
	}
	var refusals []error
	for n := range rows {
		r := &rows[n]
		answer, answered := answers.Lookup(r.Topic, r.Partition)
		if !answered {
			answer.Err = kerr.UnknownServerError
		}
		if err := refused("group "+group+", "+r.TopicPartition.String(), answer.Err, ""); err != nil {
			refusals = append(refusals, err)
			r.Error = reason(err)
		}
	}
	return summary("offsets", len(rows), refusals)
}

// maxPlanBytes bounds a plan file.
const maxPlanBytes = 16 << 20

// ParsePlan reads the CSV of Kafka's --from-file: topic,partition,offset for
// one group, or group,topic,partition,offset for any of the groups. A name
// may stand in double quotes.
func ParsePlan(text string, groups []string) (map[string][]PartitionOffset, error) {
	if len(text) > maxPlanBytes {
		return nil, inputf("a plan file of %d bytes; the most is %d", len(text), maxPlanBytes)
	}
	plan := map[string][]PartitionOffset{}
	line := 0
	for row := range strings.SplitSeq(text, "\n") {
		line++
		row = strings.TrimSpace(row)
		if row == "" {
			continue
		}
		fields := strings.Split(row, ",")
		for n := range fields {
			fields[n] = strings.Trim(strings.TrimSpace(fields[n]), `"`)
		}
		if len(fields) == 3 && len(groups) == 1 {
			fields = append([]string{groups[0]}, fields...)
		}
		if len(fields) != 4 {
			return nil, inputf("line %d of the plan file: %q is neither topic,partition,offset of one group nor group,topic,partition,offset", line, row)
		}
		s, err := ParseSelection(fields[1] + ":" + fields[2])
		offset, offsetErr := strconv.ParseInt(fields[3], 10, 64)
		if err != nil || offsetErr != nil || offset < 0 || len(s.Partitions) != 1 {
			return nil, inputf("line %d of the plan file: %q has no partition and offset", line, row)
		}
		plan[fields[0]] = append(plan[fields[0]], PartitionOffset{TopicPartition{s.Topic, s.Partitions[0]}, offset})
	}
	if len(plan) == 0 {
		return nil, inputf("the plan file is empty")
	}
	return plan, nil
}

// FormatPlan writes new offsets as a plan file, without the group when all are of one.
func FormatPlan(rows []ResetOffset, groups []string) string {
	var text strings.Builder
	for _, r := range rows {
		if len(groups) != 1 {
			text.WriteString(r.Group + ",")
		}
		fmt.Fprintf(&text, "%s,%d,%d\n", r.Topic, r.Partition, r.NewOffset)
	}
	return text.String()
}
