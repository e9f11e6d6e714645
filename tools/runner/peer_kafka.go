package runner

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"fluxmq/reports"
)

// KafkaVersion of the peer; the pom names the same.
const KafkaVersion = "4.3.1"

//go:embed kafka/pom.xml
var kafkaPom []byte

//go:embed kafka/log4j2.properties
var kafkaLogging []byte

// kafkaFetchLimit bounds the one download.
const kafkaFetchLimit = 15 * time.Minute

// KafkaLibs returns the folder with Apache Kafka's jars, fetching them with Maven the first time. Offline afterwards.
func KafkaLibs(ctx context.Context, c Checkout) (string, error) {
	home := c.Cache("kafka-" + KafkaVersion)
	libs := filepath.Join(home, "lib")
	if jars, err := filepath.Glob(filepath.Join(libs, "kafka_2.13-*.jar")); err == nil && len(jars) > 0 {
		return libs, nil
	}
	if err := needPrograms("Apache Kafka as a target", "java", "mvn"); err != nil {
		return "", err
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", err
	}
	// Jars are fetched beside the final folder and renamed into place, so that a broken download never looks whole.
	work, err := os.MkdirTemp(home, "fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), kafkaPom, 0o644); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, kafkaFetchLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+filepath.Join(work, "lib"))
	cmd.Dir = work
	var words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &words, &words
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("fetch Apache Kafka %s with Maven: %w\n%s", KafkaVersion, err, lastLines(words.String(), tailLines))
	}
	if err := os.Rename(filepath.Join(work, "lib"), libs); err != nil {
		return "", fmt.Errorf("fetch Apache Kafka: %w", err)
	}
	return libs, nil
}

// JVM arguments: those of Kafka's own start script, and the tuned ones.
var (
	kafkaJVM = []string{"-Xms1g", "-Xmx1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
		"-XX:+ExplicitGCInvokesConcurrent", "-XX:MaxInlineLevel=15", "-Djava.awt.headless=true"}
	kafkaTunedJVM = []string{"-Xms2g", "-Xmx2g", "-server", "-XX:+UseG1GC", "-XX:G1HeapRegionSize=16m", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
		"-XX:+ExplicitGCInvokesConcurrent", "-XX:MaxInlineLevel=15", "-Djava.awt.headless=true"}
	kafkaTunedSettings = map[string]string{"socket.send.buffer.bytes": "-1", "socket.receive.buffer.bytes": "-1", "num.network.threads": "2", "num.io.threads": "4"}
)

// kafkaSettings translates the settings asked of our broker to Kafka's: the
// keys are Kafka's already, those that are ours alone are left out. flush is
// the durability that was asked for explicitly ("" or "os": Kafka's default).
func kafkaSettings(asked map[string]string, tuned bool, flush string) map[string]string {
	settings := map[string]string{
		"offsets.topic.replication.factor": "1", "transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1",
		"share.coordinator.state.topic.replication.factor": "1", "share.coordinator.state.topic.min.isr": "1",
		"group.initial.rebalance.delay.ms": "0",
	}
	if tuned {
		maps.Copy(settings, kafkaTunedSettings)
	}
	for key, value := range asked {
		if !strings.HasPrefix(key, "fluxmq.") && key != "log.flush" && key != "log.validation" && key != "storage" {
			settings[key] = value
		}
	}
	if flush == "acks" || flush == "always" {
		settings["log.flush.interval.messages"] = "1"
	}
	return settings
}

// newKafka prepares Apache Kafka: KRaft, one node, formatted for every start.
func newKafka(c Checkout, libs string, spec TargetSpec, settings map[string]string) (*target, error) {
	tuned := spec.Kind == reports.TargetKafkaTuned
	jvm := kafkaJVM
	if tuned {
		jvm = kafkaTunedJVM
	}
	logging := c.Cache("kafka-"+KafkaVersion, "log4j2.properties")
	if err := os.WriteFile(logging, kafkaLogging, 0o644); err != nil {
		return nil, err
	}
	durability := "os (page cache)"
	if settings["log.flush.interval.messages"] == "1" {
		durability = "flush.messages=1"
	}
	t := &target{spec: spec, readyIn: 90 * time.Second, exits: []int{0, 143}} // a JVM that SIGTERM ends says 143
	t.record = reports.TargetRecord{Kind: spec.Kind, Version: KafkaVersion, Settings: settings, Durability: durability, Validation: "kafka's own", JVMArgs: jvm}
	java := func(class string, jvm []string, args ...string) []string {
		argv := append([]string{"java"}, jvm...)
		return append(append(argv, "-Dlog4j2.configurationFile="+logging, "-cp", filepath.Join(libs, "*"), class), args...)
	}
	t.prepare = func(ctx context.Context, port, controllerPort int, dir string) ([]string, error) {
		properties := filepath.Join(filepath.Dir(dir), "server.properties")
		if err := os.WriteFile(properties, kafkaProperties(port, controllerPort, dir, settings), 0o644); err != nil {
			return nil, err
		}
		id, err := kafkaClusterID()
		if err != nil {
			return nil, err
		}
		format := java("kafka.tools.StorageTool", []string{"-Xmx128m", "-XX:TieredStopAtLevel=1"}, "format", "-t", id, "-c", properties)
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if out, err := exec.CommandContext(ctx, format[0], format[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("format Kafka's storage: %w\n%s", err, lastLines(string(out), tailLines))
		}
		return java("kafka.Kafka", jvm, properties), nil
	}
	return t, nil
}

func kafkaProperties(port, controllerPort int, dir string, settings map[string]string) []byte {
	p, c := strconv.Itoa(port), strconv.Itoa(controllerPort)
	lines := []string{
		"process.roles=broker,controller", "node.id=1", "controller.quorum.voters=1@127.0.0.1:" + c,
		"listeners=PLAINTEXT://127.0.0.1:" + p + ",CONTROLLER://127.0.0.1:" + c, "advertised.listeners=PLAINTEXT://127.0.0.1:" + p,
		"controller.listener.names=CONTROLLER", "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT", "log.dirs=" + dir,
	}
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		lines = append(lines, key+"="+settings[key])
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

// kafkaClusterID is a random UUID in Kafka's form: 16 bytes in URL-safe base64 without padding.
func kafkaClusterID() (string, error) {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", err
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	text := base64.RawURLEncoding.EncodeToString(id[:])
	if strings.HasPrefix(text, "-") { // an option to the tool
		return kafkaClusterID()
	}
	return text, nil
}
