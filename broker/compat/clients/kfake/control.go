package kfake

import (
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// controlFunction looks at a request and answers it when it returns true: with
// the response, by closing the connection on an error, or never when both are nil.
type controlFunction = func(kmsg.Request) (kmsg.Response, error, bool)

// everyKey is for control functions of all requests.
const everyKey = -1

// control is a function and what it said of itself while it ran.
type control struct {
	key        int16
	fn         controlFunction
	keep, drop bool
}

// controls are a broker's control functions. They run one at a time, but for those that sleep.
type controls struct {
	done <-chan struct{} // closed when the broker is

	// turn is held by the control function that runs. It is taken before mu.
	turn sync.Mutex

	mu      sync.Mutex // guards what follows
	all     []*control
	current *control // that has the turn, nil while none has
}

func newControls(done <-chan struct{}) *controls { return &controls{done: done} }

// want tells whether requests of a key have to be looked at.
func (c *controls) want(key int16) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.all, func(one *control) bool { return one.key == key || one.key == everyKey })
}

func (c *controls) add(key int16, fn controlFunction) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, &control{key: key, fn: fn})
}

func (c *controls) isRunning() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current != nil
}

// try runs the functions of a request's key, then those of every key, in the order in which they were added, until one answers.
func (c *controls) try(request kmsg.Request) (kmsg.Response, error, bool) { // the order is the fake's
	c.turn.Lock()
	defer c.turn.Unlock()
	for _, key := range []int16{request.Key(), everyKey} {
		c.mu.Lock()
		some := slices.Clone(c.all)
		c.mu.Unlock()
		for _, one := range some {
			if one.key != key || !c.begin(one) {
				continue
			}
			response, err, handled := one.fn(request)
			c.end(one, handled)
			if handled {
				return response, err, true
			}
		}
	}
	return nil, nil, false
}

// begin makes one the current function, unless it is gone by now.
func (c *controls) begin(one *control) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.all, one) {
		return false
	}
	c.current = one
	return true
}

// end removes a function that answered, unless it is to be kept.
func (c *controls) end(one *control, handled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = nil
	if one.drop || handled && !one.keep {
		c.all = slices.DeleteFunc(c.all, func(other *control) bool { return other == one })
	}
	one.keep, one.drop = false, false
}

// tell says something of the function that runs.
func (c *controls) tell(say func(*control)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil {
		say(c.current)
	}
}

// sleep lets others run until wakeup returns or the broker is closed.
func (c *controls) sleep(wakeup func()) {
	c.mu.Lock()
	sleeper := c.current
	c.current = nil
	c.mu.Unlock()
	if sleeper == nil {
		return
	}
	c.turn.Unlock()
	awake := make(chan struct{})
	go func() { // ends with wakeup, which is the test's
		defer close(awake)
		wakeup()
	}()
	select {
	case <-awake:
	case <-c.done:
	}
	c.turn.Lock()
	c.mu.Lock()
	c.current = sleeper
	c.mu.Unlock()
}

// Control runs fn on requests of every key.
func (c *Cluster) Control(fn func(kmsg.Request) (kmsg.Response, error, bool)) {
	c.ControlKey(everyKey, fn)
}

// ControlKey runs fn on requests of a key before the broker sees them. When fn
// answers it is removed, unless it calls KeepControl.
func (c *Cluster) ControlKey(key int16, fn func(kmsg.Request) (kmsg.Response, error, bool)) {
	c.proxy.controls.add(key, fn)
}

// KeepControl keeps the control function that runs.
func (c *Cluster) KeepControl() { c.proxy.controls.tell(func(one *control) { one.keep = true }) }

// DropControl removes the control function that runs, whatever it answers.
func (c *Cluster) DropControl() { c.proxy.controls.tell(func(one *control) { one.drop = true }) }

// SleepControl lets the control function that runs wait for wakeup, and others run.
func (c *Cluster) SleepControl(wakeup func()) { c.proxy.controls.sleep(wakeup) }

// CurrentNode is the node that a control function runs on, -1 outside of one.
func (c *Cluster) CurrentNode() int32 {
	if c.proxy.controls.isRunning() {
		return 0
	}
	return -1
}
