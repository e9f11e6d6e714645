// Package handler answers requests: one file per API key; decode, authorise,
// call one room, encode. It knows both wire structs and rooms; no other room does.
package handler

import (
	"context"
	"os"

	"fluxmq/broker/cluster"
	"fluxmq/broker/config"
	"fluxmq/broker/group"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Handler holds what handlers need; read-only after node filled it.
type Handler struct {
	Config     *config.Node
	Metadata   *cluster.Metadata
	Partitions *partition.Set
	Groups     *group.Coordinator
}

// Request is one decoded frame. Body and Header.ClientID alias the frame,
// which the connection keeps until the reply is written.
type Request struct {
	protocol.Header
	Body []byte
	// Peer is the client's host as Kafka shows it ("/127.0.0.1").
	Peer string
	// Listener is the listener's index in Config.Listeners (for advertised addresses).
	Listener int
}

// Answer is what a control-plane handler returns: a response now, or one that
// Wait gives later. Wait runs on the connection's reply goroutine, in order;
// it returns when done or when ctx ends (client gone, broker stopping).
type Answer struct {
	Response kmsg.Response
	Wait     func(ctx context.Context) kmsg.Response
	// Err closes the connection (what cannot be answered).
	Err error
}

// control is the shape of every control-plane handler; the table in
// handler.go maps (key) to it. in has its version set.
type control func(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer

// Reply is what the connection writes: Head, then the file ranges and byte
// runs in order. Empty Head and no Wait: nothing is sent (acks=0).
type Reply struct {
	Parts []Part
	Wait  func(ctx context.Context) Reply
	Close error
	Done  func() // release file references, once, after writing
}

// Part is bytes, or a range of a file.
type Part struct {
	Bytes    []byte
	File     *os.File
	Position int64
	Size     int64
}

// Serve answers one request. It may be called for several requests of a
// connection one after another, each before the Wait of the former ran.
func (h *Handler) Serve(ctx context.Context, r *Request) Reply { panic("not built") }
