package sarama

import (
	"context"
	"reflect"
	"time"

	"github.com/IBM/sarama"
)

// arrivals waits for the first record of many partitions, whose number is known only at run time.
type arrivals struct{ cases []reflect.SelectCase }

func newArrivals(partitions []sarama.PartitionConsumer) *arrivals {
	a := &arrivals{cases: make([]reflect.SelectCase, 2, len(partitions)+2)}
	for _, p := range partitions {
		a.cases = append(a.cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(p.Messages())})
	}
	return a
}

// wait returns the first record, or nil after the limit, at ctx's end or when a partition closed.
func (a *arrivals) wait(ctx context.Context, limit time.Duration) *sarama.ConsumerMessage {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	a.cases[0] = reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(timer.C)}
	a.cases[1] = reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())}
	chosen, value, ok := reflect.Select(a.cases)
	if chosen < 2 || !ok {
		return nil
	}
	return value.Interface().(*sarama.ConsumerMessage)
}
