package handler

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"fluxmq/broker/cluster"
	"fluxmq/broker/config"
	"fluxmq/broker/fault"
	"fluxmq/broker/group"
	"fluxmq/broker/loglevel"
	"fluxmq/broker/metrics"
	"fluxmq/broker/partition"
	"fluxmq/broker/protocol"
	"fluxmq/broker/quota"
	"fluxmq/broker/share"
	"fluxmq/broker/telemetry"
	"fluxmq/broker/txn"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Handler holds what handlers need; read-only after node filled it and
// called Prepare. Safe for concurrent use.
type Handler struct {
	Config     *config.Node
	Metadata   *cluster.Metadata
	Partitions *partition.Set
	Groups     *group.Coordinator
	// Transactions is nil where none are coordinated: transactional ids are
	// refused then.
	Transactions *txn.Coordinator
	// Shares and ShareState are the share partitions and what is stored of them;
	// both are nil where there are none: requests of share groups are refused then.
	Shares     *share.Set
	ShareState *share.Coordinator

	// VerifyTransaction asks the transaction coordinator about partitions that
	// a Produce request is the first to write to in a transaction. It returns an error
	// (nil: they belong to it) for each partition of the question, in its order, and
	// returns soon after ctx ends. Called concurrently. Where it is nil no
	// transaction can be written.
	VerifyTransaction func(ctx context.Context, q TransactionPartitions) []error

	// Quotas bounds what clients use; nil bounds nothing.
	Quotas *quota.Manager

	// Telemetry takes what clients push of their own metrics; where it is nil,
	// the two APIs of that are not advertised.
	Telemetry *telemetry.Manager
	// Loggers have the levels that can be altered; nil: none can.
	Loggers *loglevel.Set

	// Metrics counts what the data path does.
	Metrics *metrics.Registry

	sessions               *sessionCache
	shareSessions          *shareSessions
	streamsTopics          streamsTopics
	apis                   atomic.Pointer[apiVersions]
	produceCalls           sync.Pool // *produceCall
	fetchCalls             sync.Pool // *fetchCall
	heartbeatCalls         sync.Pool // *heartbeatCall
	consumerHeartbeatCalls sync.Pool // *consumerHeartbeatCall
	topicCounters          sync.Map  // *partition.Partition → *metrics.TopicCounters
}

// Prepare makes what the handler derives from its fields. Call it once,
// before the first Serve.
func (h *Handler) Prepare() {
	h.sessions = newSessionCache(h.Config.FetchSessionSlots)
	h.shareSessions = newShareSessions(int(h.Config.GroupShareMaxSessions))
	h.apis.Store(newAPIVersions(h.advertisedAPIs(), h.Metadata.Image()))
}

// Request is one request frame with its header read. Body and
// Header.ClientID alias the frame, which is reused when Serve returns; a
// control-plane handler gets a Request of its own whose fields stay.
type Request struct {
	protocol.Header
	Body []byte
	// Size is the frame's, in bytes, without the length in front of it.
	Size int
	// Peer is the client's host as Kafka shows it ("/127.0.0.1"), PeerPort its port.
	Peer, PeerPort string
	// Connection numbers connections since the start, from 1: no two have the same.
	Connection uint64
	// SoftwareName and SoftwareVersion are what the client called itself in
	// ApiVersions (KIP-511); "" before it did. Serve sets them, and they stay
	// with the connection.
	SoftwareName, SoftwareVersion string
	// Listener is the listener's index in Config.Listeners (for advertised addresses).
	Listener int
}

// Answer is what a control-plane handler returns: a response now, or one that
// Wait gives later. Wait runs on the connection's second goroutine; it
// returns when done or when ctx ends (client gone, broker stopping), and no
// later request of the connection is served before.
type Answer struct {
	Response kmsg.Response
	Wait     func(ctx context.Context) kmsg.Response
	// Throttle is for how long the client is to be silenced after the answer,
	// besides what the request's time makes of it.
	Throttle time.Duration
	// Throttled, where set, is asked for Throttle when Wait has returned.
	Throttled func() time.Duration
	// Err closes the connection (what cannot be answered).
	Err error
}

// control is the shape of every control-plane handler. in has its version
// set and does not alias the frame.
type control func(h *Handler, ctx context.Context, r *Request, in kmsg.Request) Answer

// Serve answers one request, appending to out. It may be called for several
// requests of a connection one after another, each before the Wait of the
// former ran, but not concurrently for one connection.
//
// A request of an API or version that is not served ends the connection, as
// in Kafka: no response would be readable for sure. ApiVersions alone answers
// a version that it does not know (KIP-511).
func (h *Handler) Serve(ctx context.Context, r *Request, out *Response) {
	h.Metrics.Requests(r.Key, r.Version)
	if fault.Built && (r.Key == protocol.KeyProduce || r.Key == protocol.KeyFetch) {
		h.serveFaulty(ctx, r, out)
		return
	}
	switch r.Key {
	case protocol.KeyProduce:
		h.produce(r, out)
		return
	case protocol.KeyFetch:
		h.fetch(r, out)
		return
	case protocol.KeyApiVersions:
		h.apiVersions(r, out)
		return
	case protocol.KeyHeartbeat:
		if h.heartbeatNow(r, out) {
			return
		}
	case protocol.KeyConsumerGroupHeartbeat:
		if h.consumerHeartbeatNow(r, out) {
			return
		}
	}
	h.serveControl(ctx, r, out)
}

// serveControl decodes, calls and encodes one control-plane request.
func (h *Handler) serveControl(ctx context.Context, r *Request, out *Response) {
	handle := controls[r.Key]
	if handle == nil {
		out.Close = fmt.Errorf("%w: API key %d version %d is not served", protocol.ErrUnsupportedVersion, r.Key, r.Version)
		return
	}
	in, err := protocol.DecodeRequest(r.Key, r.Version, r.Body)
	if err != nil {
		out.Close = err
		return
	}
	own := *r // the frame and r are reused when Serve returns, an Answer's Wait may run later
	own.ClientID, own.Body = bytes.Clone(r.ClientID), nil
	begin := time.Now()
	answer := handle(h, ctx, &own, in)
	spent := time.Since(begin)
	switch {
	case answer.Err != nil:
		out.Close = answer.Err
	case answer.Wait != nil:
		out.Serial = true
		out.Wait = func(ctx context.Context, out *Response) {
			response := answer.Wait(ctx)
			if response == nil {
				out.Close = context.Cause(ctx)
				return
			}
			throttle := answer.Throttle
			if answer.Throttled != nil {
				throttle = answer.Throttled()
			}
			out.Mute = h.chargeControl(&own, response, throttle, spent)
			out.Bytes = encode(out.Bytes, &own, response)
		}
	default:
		out.Mute = h.chargeControl(&own, answer.Response, answer.Throttle, spent)
		out.Bytes = encode(out.Bytes, &own, answer.Response)
	}
}

// encode appends a response frame; the response takes the request's version.
func encode(dst []byte, r *Request, response kmsg.Response) []byte {
	response.SetVersion(r.Version)
	return protocol.AppendResponse(dst, r.CorrelationID, response)
}
