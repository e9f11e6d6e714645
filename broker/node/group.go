package node

import (
	"context"
	"errors"
)

// actor is one long-running part of the node: run blocks until it fails, has
// nothing more to do, or stop is called; then it returns soon.
type actor struct {
	name string
	run  func() error
	stop func()
}

// runActors runs actors together: the first to return stops all, in reverse
// order, and all are awaited. The result joins their errors.
func runActors(actors []actor) error {
	ended := make(chan error, len(actors))
	for _, a := range actors {
		// Ends after stop; awaited below.
		go func() { ended <- a.run() }()
	}
	err := <-ended
	for i := len(actors) - 1; i >= 0; i-- {
		actors[i].stop()
	}
	for range len(actors) - 1 {
		err = errors.Join(err, <-ended)
	}
	return err
}

// until is an actor that only waits for ctx to end: the order to stop.
func until(ctx context.Context) actor {
	stopped, stop := context.WithCancel(ctx)
	return actor{"stop order", func() error { <-stopped.Done(); return nil }, stop}
}
