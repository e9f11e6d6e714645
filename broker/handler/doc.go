// Package handler answers requests: one file per API key; decode, authorise,
// call one room, encode. It knows both wire structs and rooms; no other room
// does. The server calls it; it does no network I/O and starts no goroutine.
//
// There are two ways through it. The data path (Produce, Fetch and
// ApiVersions) reads the request as a view over the frame and appends its
// response bytes to the connection's own buffer, without allocating per
// request. Everything else is the control plane: decoded into a kmsg struct,
// handed to a function of the shape [control], encoded from the [Answer].
package handler
