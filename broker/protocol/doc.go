// Package protocol turns Kafka wire bytes into structs and back. It does no
// I/O, holds no state and decides no policy; every room above it may call it,
// from any goroutine.
//
// What is ours: request and response headers (header.go), the list of
// supported APIs (apis.go), the error codes (errors.go), the two requests and
// two responses of the data path (produce.go, produce_response.go, fetch.go,
// fetch_response.go), and the shape check of all other requests (shape.go).
// The structs of the control plane are franz-go's kmsg, generated from the
// message definitions of Apache Kafka; versions are those of Kafka 4.3.
//
// Words: a frame is one request or response with its 4-byte length; the body
// is what follows the header; a flexible version is one with compact lengths
// and tagged fields (KIP-482).
package protocol
