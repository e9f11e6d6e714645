package protocol

// topicWriter is what the Produce and Fetch response writers share: a frame
// that grows at the end of dst, and its topics, which both APIs name alike.
type topicWriter struct {
	dst                []byte
	start              int // of the frame in dst
	version            int16
	flexible, topicEnd bool // topicEnd: a topic is open, its tags are owed
}

// Topic starts a topic: by name up to version 12, by id from version 13 on.
func (w *topicWriter) Topic(name []byte, id [16]byte, partitionCount int) {
	w.endTopic()
	if w.version >= 13 {
		w.dst = append(w.dst, id[:]...)
	} else {
		w.dst = appendText(w.dst, w.flexible, name)
	}
	w.dst = appendCount(w.dst, w.flexible, partitionCount)
	w.topicEnd = true
}

func (w *topicWriter) endTopic() {
	if w.topicEnd {
		w.dst = appendNoTags(w.dst, w.flexible)
	}
	w.topicEnd = false
}
