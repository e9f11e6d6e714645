package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fluxmq/broker/record"
)

func ptr[T any](v T) *T { return &v }

func TestDefaults(t *testing.T) {
	n, warnings, err := Load(Sources{})
	if err != nil || len(warnings) != 0 {
		t.Fatalf("defaults: %v, warnings %v", err, warnings)
	}
	if got := n.Listeners[0].String(); got != "PLAINTEXT://127.0.0.1:9092" || len(n.AdvertisedListeners) != 1 {
		t.Errorf("listener %s, advertised %v", got, n.AdvertisedListeners)
	}
	if n.Flush != "acks" || n.Validation != record.ValidateRecords || !n.GroupsEnabled || !n.AutoCreateTopics || n.NumPartitions != 1 {
		t.Errorf("defaults differ: %+v", n)
	}
	if n.ConnectionsMaxIdle != 10*time.Minute || n.OffsetsRetention != 7*24*time.Hour || n.MessageMaxBytes != 1048588 {
		t.Errorf("defaults differ: %+v", n)
	}
	if n.QuotaSamples != 11 || n.QuotaWindow != time.Second || n.ControllerQuotaSamples != 11 || n.ControllerQuotaWindow != time.Second {
		t.Errorf("defaults differ: %+v", n)
	}
	if n.LogDir != "./data" || n.AdminListener != "127.0.0.1:9644" || n.NodeID != 0 {
		t.Errorf("defaults differ: %+v", n)
	}
}

// TestPrecedence: flags > overrides > environment > file > default.
func TestPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.properties")
	if err := os.WriteFile(file, []byte("num.partitions=2\nlog.dirs=/file\nmessage.max.bytes=100\nbroker.id=7\nnum.io.threads=4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n, warnings, err := Load(Sources{
		File:      file,
		Env:       []string{"KAFKA_NUM_PARTITIONS=3", "KAFKA_LOG_DIRS=/env", "FLUXMQ_NUM_PARTITIONS=4", "HOME=/root", "KAFKA_HEAP_OPTS=-Xmx1G", "FLUXMQ_LOG_FLUSH=os", "FLUXMQ_ADMIN_LISTENER="},
		Overrides: []string{"log.dirs=/override", "num.partitions=5"},
		Flags:     Flags{DataDir: ptr("/flag"), BrokerID: ptr(int32(9)), Port: ptr(0)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if n.LogDir != "/flag" || n.NumPartitions != 5 || n.MessageMaxBytes != 100 || n.NodeID != 9 || n.Flush != "os" || n.AdminListener != "" || n.Listeners[0].Port != 0 {
		t.Errorf("got dir %s partitions %d max %d node %d flush %s admin %q", n.LogDir, n.NumPartitions, n.MessageMaxBytes, n.NodeID, n.Flush, n.AdminListener)
	}
	if len(warnings) != 1 || warnings[0].Text != "accepted, no effect: num.io.threads" {
		t.Errorf("warnings %v", warnings)
	}
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name, override string
		want           error
		words          string
	}{
		{"a wildcard listener lets strangers in", "listeners=PLAINTEXT://:9092", ErrUnsafe, "--insecure"},
		{"so does a public address", "listeners=PLAINTEXT://192.0.2.1:9092", ErrUnsafe, "--insecure"},
		{"and a host name that is not looked up", "listeners=PLAINTEXT://db7:9092", ErrUnsafe, "--insecure"},
		{"TLS is not built", "listeners=SSL://127.0.0.1:9092", ErrInvalid, "not built"},
		{"a listener without a protocol", "listeners=FRONT://127.0.0.1:9092", ErrInvalid, "listener.security.protocol.map"},
		{"no port", "listeners=PLAINTEXT://127.0.0.1", ErrInvalid, "NAME://host:port"},
		{"port out of range", "listeners=PLAINTEXT://127.0.0.1:65536", ErrInvalid, "0 to 65535"},
		{"name twice", "listeners=PLAINTEXT://127.0.0.1:1,PLAINTEXT://127.0.0.1:2", ErrInvalid, "twice"},
		{"nothing to open", "listeners=,", ErrInvalid, "leaves none"},
		{"advertised wildcard", "advertised.listeners=PLAINTEXT://0.0.0.0:9092", ErrInvalid, "cannot connect"},
		{"advertised but not open", "advertised.listeners=OTHER://a:1", ErrInvalid, "does not open"},
		{"no such codec", "compression.type=brotli", ErrInvalid, "one of uncompressed, zstd"},
		{"no such level", "compression.gzip.level=10", ErrInvalid, "between 1 and 9 or equal to -1"},
		{"not a word", "log.flush=sometimes", ErrInvalid, "acks, os, always"},
		{"not a number", "num.partitions=many", ErrInvalid, "not a number of type int"},
		{"too large for its type", "num.partitions=3000000000", ErrInvalid, "not a number of type int"},
		{"below the rule", "log.segment.bytes=14", ErrInvalid, "at least 1048576"},
		{"a directory twice", "log.dirs=/a,/b,/a/", ErrInvalid, "/a twice"},
		{"authorization must not be ignored", "authorizer.class.name=org.Acl", ErrInvalid, "let everyone in"},
		{"admin beyond loopback", "fluxmq.admin.listener=:9644", ErrUnsafe, "--insecure"},
		{"admin without port", "fluxmq.admin.listener=localhost", ErrInvalid, "host:port"},
		{"sessions upside down", "group.min.session.timeout.ms=1800001", ErrInvalid, "larger"},
		{"unknown key when strict", "num.partition=1", ErrUnknownKey, "num.partitions"},
		{"no equals sign", "num.partitions", ErrInvalid, "key=value"},
		{"odd cluster id", "cluster.id=a b", ErrInvalid, "letters"},
		{"jitter is not built", "log.roll.jitter.ms=5", ErrInvalid, "not built"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := Load(Sources{Overrides: []string{test.override}, Strict: true})
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.words) {
				t.Fatalf("got %v, want %v with %q", err, test.want, test.words)
			}
		})
	}
}

func TestContainerEnvironment(t *testing.T) {
	// What the usual compose files of Kafka's image set.
	n, warnings, err := Load(Sources{Env: []string{
		"KAFKA_NODE_ID=1", "KAFKA_PROCESS_ROLES=broker,controller", "CLUSTER_ID=4L6g3nShT-eMCtK--X86sw",
		"KAFKA_LISTENERS=PLAINTEXT_HOST://0.0.0.0:9092,CONTROLLER://localhost:9093,PLAINTEXT://0.0.0.0:19092",
		"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
		"KAFKA_ADVERTISED_LISTENERS=PLAINTEXT_HOST://localhost:9092,PLAINTEXT://broker:19092",
		"KAFKA_INTER_BROKER_LISTENER_NAME=PLAINTEXT", "KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER",
		"KAFKA_CONTROLLER_QUORUM_VOTERS=1@localhost:9093", "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=3",
		"KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS=0", "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR=1", "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR=1",
		"KAFKA_SERVICE_HOST=10.0.0.1", "KAFKA_PORT_9092_TCP=tcp://10.0.0.1:9092", "FLUXMQ_INSECURE=true", "KAFKA_SSL_KEY___STORE__X=y",
	}, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(n.Listeners) != 2 || n.AdvertisedListeners[0].String() != "PLAINTEXT_HOST://localhost:9092" || n.AdvertisedListeners[1].String() != "PLAINTEXT://broker:19092" {
		t.Errorf("listeners %v advertised %v", n.Listeners, n.AdvertisedListeners)
	}
	if n.ClusterID != "4L6g3nShT-eMCtK--X86sw" || n.GroupInitialRebalanceDelay != 0 {
		t.Errorf("cluster %q delay %v", n.ClusterID, n.GroupInitialRebalanceDelay)
	}
	all := ""
	for _, w := range warnings {
		all += w.Text + "\n"
	}
	for _, want := range []string{"CONTROLLER://localhost:9093 belongs to the controller", "accepted, no effect: controller.quorum.voters, inter.broker.listener.name, process.roles", "ssl.key-store_x"} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning with %q in:\n%s", want, all)
		}
	}
	if strings.Contains(all, "not a setting") {
		t.Errorf("a container's variables are called unknown:\n%s", all)
	}
}

func TestUnknownKeyIsWarned(t *testing.T) {
	_, warnings, err := Load(Sources{Overrides: []string{"log.retention.hrs=1", "zzz=1"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 2 || !strings.Contains(warnings[0].Text, "did you mean log.retention.hours?") || strings.Contains(warnings[1].Text, "did you mean") {
		t.Errorf("warnings %v", warnings)
	}
}

func TestEnvironmentKey(t *testing.T) {
	for in, want := range map[string]string{
		"NUM_PARTITIONS": "num.partitions", "A__B": "a_b", "A___B": "a-b", "A____B": "a-.b", "": "", "_": ".",
	} {
		if got := EnvironmentKey(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestPortFlagKeepsHost(t *testing.T) {
	n, _, err := Load(Sources{Overrides: []string{"listeners=PLAINTEXT://[::1]:9092"}, Flags: Flags{Port: ptr(1234)}})
	if err != nil || n.Listeners[0].String() != "PLAINTEXT://[::1]:1234" {
		t.Fatalf("%v %v", n, err)
	}
	if _, _, err := Load(Sources{Overrides: []string{"listeners=PLAINTEXT://[::1]:9092,SSL://[::1]:9093"}, Flags: Flags{Port: ptr(1234)}}); !errors.Is(err, ErrInvalid) {
		t.Fatalf("two listeners: %v", err)
	}
}

func TestNodeIDs(t *testing.T) {
	if _, _, err := Load(Sources{Overrides: []string{"node.id=1", "broker.id=2"}}); err != nil {
		// The later override wins only under its own name; the two differ.
		if !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
	} else {
		t.Fatal("node.id and broker.id may not differ")
	}
	n, _, err := Load(Sources{Overrides: []string{"broker.id=-1"}})
	if err != nil || n.NodeID != 0 {
		t.Fatalf("broker.id=-1: %v %v", n, err)
	}
}
