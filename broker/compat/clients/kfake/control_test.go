package kfake

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Functions of the request's key run first, in their order, and one that answers is gone unless it is kept.
func TestControls(t *testing.T) {
	c := &Cluster{proxy: &proxy{controls: newControls(make(chan struct{}))}}
	var ran []string
	note := func(name string, handled bool, and func()) func(kmsg.Request) (kmsg.Response, error, bool) {
		return func(kmsg.Request) (kmsg.Response, error, bool) {
			if ran = append(ran, name); and != nil {
				and()
			}
			if c.CurrentNode() != 0 {
				t.Errorf("%s runs on node %d", name, c.CurrentNode())
			}
			return nil, nil, handled
		}
	}
	c.Control(note("all", true, c.KeepControl))
	c.ControlKey(3, note("looks", false, nil))
	c.ControlKey(3, note("looks once", false, c.DropControl))
	c.ControlKey(3, note("answers once", true, nil))
	c.ControlKey(1, note("another key", true, nil))
	controls := c.proxy.controls
	for _, want := range [][]string{{"looks", "looks once", "answers once"}, {"looks", "all"}, {"looks", "all"}} {
		ran = nil
		if _, _, handled := controls.try(kmsg.NewPtrMetadataRequest()); !handled || !slices.Equal(ran, want) {
			t.Errorf("ran %v, want %v", ran, want)
		}
	}
	if c.CurrentNode() != -1 {
		t.Errorf("none runs, and the node is %d", c.CurrentNode())
	}
	if !controls.want(9) { // by the function of every key
		t.Error("nobody wants a request that a function of every key answers")
	}
}

// While one function sleeps another runs; the broker's end wakes the first.
func TestSleepControl(t *testing.T) {
	done := make(chan struct{})
	c := &Cluster{proxy: &proxy{controls: newControls(done)}}
	boom := errors.New("boom")
	asleep, never := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(never) })
	c.ControlKey(3, func(kmsg.Request) (kmsg.Response, error, bool) {
		c.SleepControl(func() { close(asleep); <-never })
		return nil, boom, true
	})
	c.ControlKey(1, func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, true })
	slept := make(chan error, 1)
	go func() { // ends when done is closed; awaited below
		_, err, _ := c.proxy.controls.try(kmsg.NewPtrMetadataRequest())
		slept <- err
	}()
	<-asleep
	if _, _, handled := c.proxy.controls.try(kmsg.NewPtrFetchRequest()); !handled {
		t.Error("nothing ran beside the sleeper")
	}
	select {
	case err := <-slept:
		t.Fatalf("it did not sleep: %v", err)
	default:
	}
	close(done)
	select {
	case err := <-slept:
		if !errors.Is(err, boom) {
			t.Errorf("the sleeper said %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the sleeper never woke")
	}
}
