package differential

// compare lists where two trees differ, in the order of the first. What one
// side does not have at all is one difference, not one for each leaf.
func compare(ours, kafka *tree) []Difference { return compareAt("", ours, kafka, nil) }

func compareAt(path string, ours, kafka *tree, found []Difference) []Difference {
	if len(ours.order) == 0 || len(kafka.order) == 0 {
		if len(ours.order)+len(kafka.order) > 0 || ours.value != kafka.value {
			found = append(found, Difference{Path: path, Ours: ours.String(), Kafka: kafka.String()})
		}
		return found
	}
	for _, name := range ours.order {
		other := kafka.children[name]
		if other == nil {
			found = append(found, Difference{Path: below(path, name), Ours: ours.children[name].String(), Kafka: absent})
			continue
		}
		found = compareAt(below(path, name), ours.children[name], other, found)
	}
	for _, name := range kafka.order {
		if ours.children[name] == nil {
			found = append(found, Difference{Path: below(path, name), Ours: absent, Kafka: kafka.children[name].String()})
		}
	}
	return found
}

// absent is shown for an element that one side does not have.
const absent = "absent"

// below is the path of a child: fields after a dot, elements in brackets.
func below(path, name string) string {
	if path == "" || name[0] == '[' {
		return path + name
	}
	return path + "." + name
}
