package runner

import (
	"context"
	"crypto/rand"
	"encoding/binary"

	"fluxmq/reports"
	"fluxmq/scenarios"
	"fluxmq/tools/runner/hoststats"
)

// attempt is one client against one started broker.
type attempt struct {
	clients clientPrograms
	job     scenarios.Job
	broker  *broker
	dir     string
	sample  bool                        // one host sample a second
	see     func(event)                 // is told every event; nil: nobody
	watch   func(context.Context) error // runs in a goroutine of its own while the window is open; nil: nobody
}

// runTag is random, in every record of one arm-run.
func runTag() (uint64, error) {
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(random[:]), nil
}

// run starts the client, follows it to its end and fills the costs of the
// arm-run. The client is gone when it returns. followErr is what was wrong
// with its event stream: a broken delivery, if there is one, says more.
func (a *attempt) run(ctx context.Context, arm *reports.ArmRun) (client *clientRun, followErr, err error) {
	if err := jobRecord(a.job, arm); err != nil {
		return nil, nil, err
	}
	var sampler *hoststats.Sampler
	if a.sample {
		sampler = hoststats.Start(a.broker.pid())
		defer func() { arm.Samples = append(arm.Samples, sampler.Stop()...) }()
	}
	if client, err = a.clients.start(a.job, a.dir); err != nil {
		return nil, nil, err
	}
	if sampler != nil {
		sampler.SetClient(client.process.pid())
	}
	marks := windowMarks{mode: a.job.Mode}
	take := func(opening bool) mark { return takeMark(a.broker, a.job.Topic, opening) }
	watching := make(chan error, 1)
	watched := false
	// Ends with the client's output: await makes sure that the client ends.
	followed := make(chan error, 1)
	go func() {
		followed <- client.follow(func(e event) {
			if marks.see(e, take) && a.watch != nil && !watched {
				watched = true
				// Waited for below, before the broker stops.
				go func() { watching <- a.watch(ctx) }()
			}
			if a.see != nil {
				a.see(e)
			}
		})
	}()
	var brokerDone <-chan struct{}
	if a.broker.process != nil {
		brokerDone = a.broker.process.done
	}
	err = client.await(ctx, brokerDone, clientLimit(a.job))
	followErr = <-followed
	if watched {
		if watchErr := <-watching; err == nil && watchErr != nil {
			err = watchErr
		}
	}
	arm.Broker, arm.Machine = marks.costs(len(hoststats.AllowedCPUs()))
	arm.Broker.LogBytesTotal = a.broker.logBytes(a.job.Topic)
	if err != nil {
		arm.Exit = ExitRun
	}
	return client, followErr, err
}
