// Package server owns connections: it accepts them, reads request frames
// into pooled memory, hands each to the handler and writes the responses in
// order. node starts it. It never looks into a request's body.
//
// A connection is one goroutine that reads a frame, serves it and writes the
// response. A response that must wait (a durable acknowledgement, a long poll)
// takes a slot in order, and a second goroutine, started on first need,
// completes the slots, so that later requests of the connection are read and
// appended meanwhile: that is what makes group commit pay.
//
// Of a connection that carries nothing but heartbeats even the one goroutine ends:
// it is parked, and read together with the others of its kind, see park.go.
//
// A client over its quota is silenced: its connection is muted, which is to
// say that nothing more is read from it for a while (KIP-219).
package server
