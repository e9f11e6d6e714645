//go:build !faultinject

package handler

import "context"

func (h *Handler) serveFaulty(context.Context, *Request, *Response) {
	panic("handler: faults are not built in")
}
