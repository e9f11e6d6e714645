//go:build faultinject

package fault

import "sync/atomic"

// Built tells that this build can misbehave.
const Built = true

var active atomic.Pointer[Plan]

// Start makes the broker misbehave as spec says from now on; "" ends it. The
// notice is for the log: this broker breaks its promises.
func Start(spec string) (notice string, err error) {
	if spec == "" {
		active.Store(nil)
		return "This is a faultinject build; FLUXMQ_FAULT is not set, so it behaves", nil
	}
	p, err := parse(spec)
	if err != nil {
		return "", err
	}
	active.Store(p)
	return p.notice(), nil
}

// Active is what was started; nil while the broker behaves.
func Active() *Plan { return active.Load() }
