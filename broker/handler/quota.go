package handler

import (
	"fmt"
	"time"

	"fluxmq/broker/protocol"
	"fluxmq/broker/quota"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// anonymous is every client's user while nothing authenticates clients; the
// name is Kafka's.
const anonymous = "ANONYMOUS"

// chargeProduce charges a Produce request that was carried out: its bytes and,
// unless nothing answers it, the time it took. Both are charged whatever
// became of its partitions. It returns for how long the client is to be silenced.
func (h *Handler) chargeProduce(c *produceCall, r *Request) time.Duration {
	if !h.Quotas.Active() {
		return 0
	}
	throttle, _ := h.Quotas.Charge(quota.ProducerByteRate, anonymous, r.ClientID, float64(r.Size))
	if c.request.Acks != 0 {
		throttle = max(throttle, h.Quotas.ChargeTime(anonymous, r.ClientID, c.spent))
	}
	return throttle
}

// chargeFetch charges a Fetch response of that size and the time it took.
// Unless send is set, the client gets no records but the time to wait, and
// the bytes are not charged: it asks for them again.
//
// A response that is too large for any window is sent nevertheless when the
// client has had nothing lately (a single batch may be as large); it would be
// refused for ever. Then the client waits after it.
func (h *Handler) chargeFetch(clientID []byte, size int64, spent time.Duration) (throttle time.Duration, send bool) {
	if !h.Quotas.Active() {
		return 0, true
	}
	forTime := h.Quotas.ChargeTime(anonymous, clientID, spent)
	forBytes, alone := h.Quotas.Charge(quota.ConsumerByteRate, anonymous, clientID, float64(size))
	throttle = max(forTime, forBytes)
	if throttle == 0 || forTime == 0 && alone {
		return throttle, true
	}
	h.Quotas.Refund(quota.ConsumerByteRate, anonymous, clientID, float64(size))
	return throttle, false
}

// chargeControl charges the time that a control-plane request took and tells
// its response for how long the client is silenced: the longer of that and
// what its handler found.
func (h *Handler) chargeControl(r *Request, response kmsg.Response, found, spent time.Duration) time.Duration {
	throttle := max(found, h.Quotas.ChargeTime(anonymous, r.ClientID, spent))
	if throttle > 0 {
		if told, ok := response.(kmsg.SetThrottleResponse); ok {
			told.SetThrottle(throttleMs(throttle))
		}
	}
	return throttle
}

// throttleMs is a throttle time as responses hold it; it fits.
func throttleMs(throttle time.Duration) int32 { return int32(throttle.Milliseconds()) }

// mutate asks what a request may still do to partitions whether it may create
// or delete that many more.
func mutate(allowance *quota.Mutations, partitions int32) error {
	if allowance.Take(partitions) {
		return nil
	}
	return fmt.Errorf("%w: %s is exceeded; try again in %v", protocol.ErrThrottlingQuotaExceeded, quota.ControllerMutationRate, allowance.Throttle())
}
