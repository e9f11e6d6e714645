// Package protocol turns Kafka wire bytes into structs and back. It does no
// I/O, holds no state and decides no policy.
package protocol

import "github.com/twmb/franz-go/pkg/kmsg"

// Header is a decoded request header (versions 0 to 2).
type Header struct {
	Key, Version  int16
	CorrelationID int32
	// ClientID aliases the frame; copy it to keep it.
	ClientID []byte
	// HeaderVersion is 0, 1 or 2 (flexible).
	HeaderVersion int8
}

// ParseHeader splits a frame (without its 4-byte length) into its header and
// the request body. The body aliases the frame. An unknown key yields
// ErrUnknownAPI with the header filled as far as it could be read.
func ParseHeader(frame []byte) (Header, []byte, error) { panic("not built") }

// AppendResponseHeader appends correlation id (and the empty tag section where
// the response header is flexible; never for ApiVersions) to dst.
func AppendResponseHeader(dst []byte, key, version int16, correlationID int32) []byte {
	panic("not built")
}

// API is one advertised API with its inclusive version range.
type API struct {
	Key                    int16
	Name                   string
	MinVersion, MaxVersion int16
}

// APIs is the only list of supported APIs, ordered by key.
func APIs() []API { panic("not built") }

// Supported reports whether key is advertised at version.
func Supported(key, version int16) bool { panic("not built") }

// DecodeRequest decodes a control-plane body with kmsg. It never panics and
// refuses what kmsg would over-allocate for.
func DecodeRequest(key, version int16, body []byte) (kmsg.Request, error) { panic("not built") }

// Error is a Kafka error code as a Go error. Rooms above L0 return these,
// wrapped where they know more (fmt.Errorf("%w: …")).
type Error struct {
	Code int16
	Name string
}

func (e *Error) Error() string { return e.Name }

// CodeOf is the only function from an error to a Kafka code: nil is 0, an
// *Error anywhere in the chain gives its code, anything else UNKNOWN_SERVER_ERROR.
func CodeOf(err error) int16 { panic("not built") }

// The errors that rooms name (errors.go holds them all, protocol.ErrXxx with
// Kafka's names in CamelCase: ErrUnknownTopicOrPartition, ErrOffsetOutOfRange, …).
