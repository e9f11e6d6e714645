// Package differential is Kafka as the specification: it sends the same
// scripted requests to two brokers, ours and Apache Kafka, and compares what
// comes back field by field. Its test runs it; compat/report turns its Result
// into COMPATIBILITY.md. Nothing else calls it, and it judges nothing but
// replies: delivery, durability and speed are other tests' business.
//
//   - A pass (Run) is both brokers, fresh, through every script at one choice of
//     versions: the lowest or the highest that our broker advertises.
//   - A script is a list of steps on state that earlier steps made (script.go;
//     tables in topics.go, produce.go, …). A step is one request, asked of both
//     brokers, and its two outcomes: a reply, a closed connection or silence.
//   - A reply becomes a tree of paths and texts (tree.go) in which what must
//     differ is named instead of shown (normalise.go): a topic id by its topic,
//     a member id, producer id and session id by the case that first showed it,
//     addresses and directories by what they are.
//   - Two trees have differences (compare.go): a path and both values. allowed.go
//     is the list of those that are meant; each has a reason and must occur.
//
// What is not compared: the wording of messages (only whether there is one),
// the order of array elements that have a key, unknown tagged fields, and a
// record batch that a fetch's byte limit has cut.
package differential
