package protocol

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Header is a decoded request header.
//
//	v0  int16 key, int16 version, int32 correlation id   (ControlledShutdown v0 only)
//	v1  + nullable string client id (2-byte length, also in v2)
//	v2  + tagged fields                                  (flexible request versions)
type Header struct {
	Key, Version  int16
	CorrelationID int32
	// ClientID aliases the frame; copy it to keep it. nil is Kafka's null.
	ClientID []byte
	// HeaderVersion is 0, 1 or 2 (flexible).
	HeaderVersion int8
}

// ParseHeader splits a frame (without its 4-byte length) into its header and
// the request body. The body aliases the frame. An unknown key yields
// ErrUnknownAPI with the header filled as far as it could be read; a frame too
// short or otherwise broken yields ErrMalformed. A version that is not
// supported is not an error here: the header's shape is that of the newest
// known version, and the handler answers.
func ParseHeader(frame []byte) (Header, []byte, error) {
	r := reader{left: frame}
	h := Header{Key: r.int16(), Version: r.int16(), CorrelationID: r.int32(), HeaderVersion: 1}
	if r.failed || h.Version < 0 {
		return h, nil, ErrMalformed
	}
	if h.Key < 0 || h.Key > MaxKey {
		return h, nil, ErrUnknownAPI
	}
	if h.Key == KeyControlledShutdown && h.Version == 0 {
		h.HeaderVersion = 0
		return h, r.left, nil
	}
	h.ClientID = r.text(false)
	if flexible(h.Key, h.Version) {
		h.HeaderVersion = 2
		r.skipTags()
	}
	if r.failed {
		return h, nil, ErrMalformed
	}
	return h, r.left, nil
}

// AppendResponseHeader appends the correlation id to dst, and the empty tag
// section where the response header is flexible. ApiVersions never has one:
// its client cannot know yet what the broker speaks (KIP-511).
func AppendResponseHeader(dst []byte, key, version int16, correlationID int32) []byte {
	dst = AppendInt32(dst, correlationID)
	return appendNoTags(dst, key != KeyApiVersions && flexible(key, version))
}

// AppendResponse appends one whole response frame to dst: 4-byte length,
// header, body. The key and version are the response's own.
func AppendResponse(dst []byte, correlationID int32, response kmsg.Response) []byte {
	start := len(dst)
	dst = AppendInt32(dst, 0)
	dst = AppendResponseHeader(dst, response.Key(), response.GetVersion(), correlationID)
	dst = response.AppendTo(dst)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// DecodeRequest decodes a control-plane body into kmsg's struct of that key,
// its version set. It never panics, never allocates more than a small multiple
// of the body's size, and refuses with ErrMalformed what the body does not hold
// whole; bytes behind it are ignored. The request does not alias body. Errors:
// ErrUnsupportedVersion (wrapped) for what APIs does not list, ErrMalformed.
func DecodeRequest(key, version int16, body []byte) (kmsg.Request, error) {
	if err := checkRequest(key, version, body); err != nil {
		return nil, err
	}
	request := kmsg.RequestForKey(key)
	request.SetVersion(version)
	// kmsg copies strings but lets []byte fields (join metadata, assignments)
	// and unknown tags alias its input; the frame is reused, so it gets a copy.
	if err := request.ReadFrom(append([]byte(nil), body...)); err != nil {
		return nil, fmt.Errorf("%w: %s version %d: %w", ErrMalformed, NameOf(key), version, err)
	}
	return request, nil
}

// aliasingRequest is a kmsg struct that can leave what it holds where it came from.
type aliasingRequest interface {
	kmsg.Request
	UnsafeReadFrom(src []byte) error
}

// DecodeInto is DecodeRequest into a struct of the caller's that is empty but for its
// version. What it holds then aliases body.
func DecodeInto(request aliasingRequest, body []byte) error {
	key, version := request.Key(), request.GetVersion()
	if err := checkRequest(key, version, body); err != nil {
		return err
	}
	if err := request.UnsafeReadFrom(body); err != nil {
		return fmt.Errorf("%w: %s version %d: %w", ErrMalformed, NameOf(key), version, err)
	}
	return nil
}

// checkRequest tells whether a control-plane body of that key can be decoded.
func checkRequest(key, version int16, body []byte) error {
	if !Supported(key, version) {
		return fmt.Errorf("%w: API key %d version %d", ErrUnsupportedVersion, key, version)
	}
	if err := checkShape(key, version, body); err != nil {
		return fmt.Errorf("%w: %s version %d, %d bytes", err, NameOf(key), version, len(body))
	}
	return nil
}
