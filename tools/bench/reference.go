package bench

import (
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// referencePause is between two rounds: with a round of about 80 µs the reference takes 4 % of one core, the same beside both arms.
	referencePause = 2 * time.Millisecond
	// referenceInts, referenceWalk and referenceCalls share a round's CPU time about equally.
	referenceInts  = 20_000    // steps of a multiplicative congruential generator
	referenceWalk  = 128 << 10 // bytes of memory under a CRC
	referenceCalls = 6         // messages through a socket pair
	// referenceMemory is more than a core's own cache and less than what all cores share.
	referenceMemory  = 8 << 20
	referenceMessage = 4 << 10
	// referenceLeast is how many rounds a window must hold for their mean to be known.
	referenceLeast = 20
	// referenceMost bounds the rounds that are kept, about five minutes of them.
	referenceMost = 1 << 17
)

// reference does a fixed piece of work at a low duty, on one thread, all through
// an arm-run: arithmetic, a walk through memory, system calls. The CPU time of a
// round says how fast the machine is while the broker is measured, which is what
// the canary before the run cannot: a neighbour on the same physical core comes
// and goes within a second. It is the covariate trial.CovariateReference.
type reference struct {
	stop, stopped chan struct{}
	begun         chan struct{} // closed after the first round
	rounds        []referenceRound
	err           error
}

type referenceRound struct{ unixNs, cpuNs int64 }

// startReference begins to work. It ends when end is called, once.
func startReference() *reference {
	r := &reference{stop: make(chan struct{}), begun: make(chan struct{}), stopped: make(chan struct{})}
	go func() {
		defer close(r.stopped)
		r.err = r.work()
	}()
	return r
}

// end stops the work and waits for it.
func (r *reference) end() error {
	close(r.stop)
	<-r.stopped
	return r.err
}

// mean is the mean CPU time of the rounds that ended in [from, to], in
// nanoseconds; ok is false when they are too few to tell. After end.
func (r *reference) mean(from, to int64) (ns float64, ok bool) {
	var sum int64
	n := 0
	for _, round := range r.rounds {
		if round.unixNs >= from && round.unixNs <= to {
			sum, n = sum+round.cpuNs, n+1
		}
	}
	if n < referenceLeast {
		return 0, false
	}
	return float64(sum) / float64(n), true
}

func (r *reference) work() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("reference work: socket pair: %w", err)
	}
	defer unix.Close(sockets[0])
	defer unix.Close(sockets[1])
	memory := make([]byte, referenceMemory)
	for i := range memory { // touched, and not all the same
		memory[i] = byte(i)
	}
	at, message := 0, make([]byte, referenceMessage)
	for {
		select {
		case <-r.stop:
			return nil
		default:
		}
		start := threadCPU()
		if err := referenceWork(memory[at:at+referenceWalk], sockets, message); err != nil {
			return err
		}
		end := threadCPU()
		at = (at + referenceWalk) % referenceMemory
		if len(r.rounds) < referenceMost {
			r.rounds = append(r.rounds, referenceRound{time.Now().UnixNano(), end - start})
			if len(r.rounds) == 1 {
				close(r.begun)
			}
		}
		// The thread itself sleeps, 2 ms at most after a stop: a timer of the runtime would wake another thread for each round.
		pause := unix.NsecToTimespec(int64(referencePause))
		if err := unix.Nanosleep(&pause, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("reference work: %w", err)
		}
	}
}

var (
	referenceSink  uint32
	referenceTable = crc32.MakeTable(crc32.Castagnoli)
)

// referenceWork is one round.
func referenceWork(memory []byte, sockets [2]int, message []byte) error {
	sum := uint32(1)
	for range referenceInts {
		sum = sum*1664525 + 1013904223
	}
	referenceSink = sum + crc32.Checksum(memory, referenceTable)
	for range referenceCalls {
		if _, err := unix.Write(sockets[0], message); err != nil {
			return fmt.Errorf("reference work: %w", err)
		}
		if _, err := unix.Read(sockets[1], message); err != nil {
			return fmt.Errorf("reference work: %w", err)
		}
	}
	return nil
}
