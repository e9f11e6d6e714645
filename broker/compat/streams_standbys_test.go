package compat

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestKafkaStreamsStandbys runs two processes of the application in a streams
// group that keeps a copy of each state. Both learn from the broker who has which
// partitions, for interactive queries; one is killed, and the other has all of them.
func TestKafkaStreamsStandbys(t *testing.T) {
	classpath := os.Getenv("FLUXMQ_STREAMS_CLASSPATH")
	if classpath == "" {
		t.Skip("FLUXMQ_STREAMS_CLASSPATH is not set: the suite `streams` of broker/compat/clients builds the application and sets it")
	}
	b := newProcess(t, append([]string{"--override", "group.streams.num.standby.replicas=1"}, missedSoon...)...)
	b.start(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr()))
	must(t, "NewClient", err)
	defer client.Close()
	for _, topic := range []string{sumsIn, sumsOut} {
		_, err := kadm.NewClient(client).CreateTopic(t.Context(), sumsPartitions, 1, nil, topic)
		must(t, "CreateTopic", err)
	}
	start := func(server string) *javaProcess {
		app := newJava(t, server, "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", classpath, "fluxmq.streams.StreamsMain", b.addr(), t.TempDir(), "streams", server)
		app.start(t)
		return app
	}
	first, second := start("host-1:80"), start("host-2:80")
	awaitClients(t, time.Minute, "a process and a copy of all partitions each", func() bool {
		one, other := clientsIn(t, first), clientsIn(t, second)
		return one == other && partitionsIn(one, "active") == sumsPartitions && partitionsIn(one, "standby") == sumsPartitions &&
			strings.Contains(one, "host-1:80 active [sums") && strings.Contains(one, "host-2:80 active [sums")
	}, first, second)
	first.kill(t)
	awaitClients(t, time.Minute, "all partitions in the process that is left", func() bool {
		one := clientsIn(t, second)
		return !strings.Contains(one, "host-1:80") && partitionsIn(one, "active") == sumsPartitions
	}, second)
	second.stop(t, time.Minute)
}

// clientsIn is the last that a process said about who has which partitions.
func clientsIn(t *testing.T, app *javaProcess) string {
	t.Helper()
	log, err := os.ReadFile(app.log.Name())
	must(t, "the application's log", err)
	last := ""
	for line := range strings.Lines(string(log)) {
		if rest, is := strings.CutPrefix(line, "clients "); is && strings.HasSuffix(rest, "\n") {
			last = rest
		}
	}
	return last
}

// partitionsIn counts the partitions that all processes have in a way.
func partitionsIn(clients, kind string) int {
	count := 0
	for _, part := range strings.Split(clients, kind+" [")[1:] {
		list, _, _ := strings.Cut(part, "]")
		count += strings.Count(list, "sums-by-account-repartition-")
	}
	return count
}

func awaitClients(t *testing.T, limit time.Duration, what string, holds func() bool, apps ...*javaProcess) {
	t.Helper()
	deadline := time.Now().Add(limit)
	pace := time.NewTicker(200 * time.Millisecond)
	defer pace.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			for _, app := range apps {
				t.Logf("%s says: %s", app.log.Name(), clientsIn(t, app))
			}
			t.Fatalf("%s: not within %v", what, limit)
		}
		<-pace.C
	}
}
