package differential

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"fluxmq/broker"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// clusterID of both brokers, so that replies that show it are the same.
const clusterID = "RGlmZmVyZW50aWFsVGVzdA"

// alike are the settings of both brokers: one node and its id, one partition for each
// of their own topics, and no pause before a group's first rebalance or assignment of tasks.
var alike = map[string]string{
	"node.id":                      "1",
	"offsets.topic.num.partitions": "1", "offsets.topic.replication.factor": "1",
	"transaction.state.log.num.partitions": "1", "transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1",
	"share.coordinator.state.topic.num.partitions": "1", "share.coordinator.state.topic.replication.factor": "1", "share.coordinator.state.topic.min.isr": "1",
	"group.initial.rebalance.delay.ms": "0", "group.streams.initial.rebalance.delay.ms": "0",
}

// kafkaLibs is the folder of Apache Kafka's jars; without it the test is skipped.
func kafkaLibs(t *testing.T) string {
	t.Helper()
	libs := os.Getenv("KAFKA_LIBS")
	if libs == "" {
		t.Skip("KAFKA_LIBS is not set: `make differential` sets it to the folder of Apache Kafka's jars")
	}
	return libs
}

var kafkaJar = regexp.MustCompile(`kafka_2\.13-([0-9.]+)\.jar$`)

// kafkaRelease is read off the name of the server's jar.
func kafkaRelease(t *testing.T, libs string) string {
	t.Helper()
	jars, _ := filepath.Glob(filepath.Join(libs, "kafka_2.13-*.jar")) // the pattern is well formed
	for _, jar := range jars {
		if m := kafkaJar.FindStringSubmatch(jar); m != nil {
			return m[1]
		}
	}
	t.Fatalf("no jar of the Kafka server in %s", libs)
	return ""
}

// ourBroker is a fresh one in this process that ends with the test.
func ourBroker(t *testing.T) Peer {
	t.Helper()
	dir := t.TempDir()
	properties := map[string]string{"cluster.id": clusterID}
	for key, value := range alike {
		properties[key] = value
	}
	b, err := broker.New(broker.Config{DataDir: dir, Properties: properties})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("closing our broker: %v", err)
		}
	})
	return Peer{Name: "FluxMQ", Address: b.Addr(), DataDir: dir}
}

// apacheKafka is a fresh one, KRaft on one node, that ends with the test. The
// test starts it, and no Makefile, because each pass needs one without a
// history whose settings, node id and cluster id are ours, and because its log is
// what explains a failure.
func apacheKafka(t *testing.T, libs string) Peer {
	t.Helper()
	dir := t.TempDir()
	p := Peer{Name: "Kafka", Address: freeAddress(t), DataDir: filepath.Join(dir, "data")}
	properties := filepath.Join(dir, "server.properties")
	if err := os.WriteFile(properties, kafkaProperties(p, freeAddress(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	java := func(class string, args ...string) *exec.Cmd {
		return exec.Command("java", append([]string{"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(libs, "*"), class}, args...)...)
	}
	if out, err := java("kafka.tools.StorageTool", "format", "-t", clusterID, "-c", properties).CombinedOutput(); err != nil {
		t.Fatalf("formatting Kafka's storage: %v\n%s", err, out)
	}
	var words bytes.Buffer
	cmd := java("kafka.Kafka", properties)
	cmd.Stdout, cmd.Stderr = &words, &words
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }() // ends with the process; the cleanup kills it and waits
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended already; the wait below tells
		<-exited
		if t.Failed() {
			t.Logf("Kafka said:\n%.4000s", words.String())
		}
	})
	deadline := time.After(90 * time.Second)
	for !kafkaAnswers(p) {
		select {
		case err := <-exited:
			exited <- err // for the cleanup
			t.Fatalf("Kafka ended at start: %v\n%.4000s", err, words.String())
		case <-deadline:
			t.Fatal("Kafka did not answer within 90 s")
		case <-time.After(50 * time.Millisecond):
		}
	}
	return p
}

func kafkaProperties(p Peer, controller string) []byte {
	lines := []string{
		"process.roles=broker,controller", "controller.quorum.voters=1@" + controller,
		"listeners=PLAINTEXT://" + p.Address + ",CONTROLLER://" + controller, "advertised.listeners=PLAINTEXT://" + p.Address,
		"controller.listener.names=CONTROLLER", "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT", "log.dirs=" + p.DataDir,
	}
	for key, value := range alike {
		lines = append(lines, key+"="+value)
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

// kafkaAnswers: it names itself as a broker, which it does when its controller has let it in.
func kafkaAnswers(p Peer) bool {
	c, err := connect(p.Address)
	if err != nil {
		return false
	}
	defer c.close()
	request := kmsg.NewPtrMetadataRequest()
	request.SetVersion(12)
	if c.send(request) != nil {
		return false
	}
	reply, answered := c.receive(request, time.Second).reply.(*kmsg.MetadataResponse)
	return answered && len(reply.Brokers) == 1 && reply.ControllerID == 1
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
