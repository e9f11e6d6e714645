package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"fluxmq/broker/compat/suite"
)

// javaClient is Apache Kafka's own client under the compatibility tests of
// java-tests. A profile of java-tests/clients/pom.xml leaves out the tests of
// which an older client lacks the API.
func javaClient(name, version, profile string) client {
	maven := func(goal string) []string {
		argv := []string{"mvn", "-B", "-q", "-f", "java-tests/clients/pom.xml", "-Dkafka.version=" + version, "-Dmaven.test.failure.ignore=true"}
		if profile != "" {
			argv = append(argv, "-P"+profile)
		}
		return append(argv, goal)
	}
	return client{
		name: name, made: "Apache Kafka's Java client", budget: 8 * time.Minute, settings: quickly,
		covers: "producing in every codec, fetching, classic groups, idempotence, transactions, administration; groups of KIP-848 from 4.1 on",
		install: func(ctx context.Context, _ workshop, words io.Writer) (string, error) {
			return version, command{argv: maven("test-compile"), words: words}.run(ctx)
		},
		run: func(ctx context.Context, _ workshop, address string, words io.Writer) ([]suite.Case, error) {
			reports := filepath.Join("java-tests/clients/target", version, "surefire-reports")
			if err := os.RemoveAll(reports); err != nil {
				return nil, err
			}
			ended := command{argv: maven("test"), words: words, env: []string{"FLUXMQ_BOOTSTRAP=" + address, "FLUXMQ_REQUIRE_BROKER=1"}}.run(ctx)
			cases, err := suite.ReadSurefire(reports)
			return cases, errors.Join(ended, err)
		},
	}
}

// errNoKafka is a suite of Apache Kafka's tools without their jars.
var errNoKafka = errors.New("KAFKA_LIBS is not set: `make compat` sets it to the folder of Apache Kafka's jars")

var toolsJar = regexp.MustCompile(`kafka-tools-([0-9.]+)\.jar$`)

// kafkaRelease reads the release of Apache Kafka's tools off their jar.
func (w workshop) kafkaRelease() (string, error) {
	if w.kafkaLibs == "" {
		return "", errNoKafka
	}
	jars, err := filepath.Glob(filepath.Join(w.kafkaLibs, "kafka-tools-*.jar"))
	if err != nil {
		return "", err
	}
	for _, jar := range jars {
		if m := toolsJar.FindStringSubmatch(jar); m != nil {
			return m[1], nil
		}
	}
	return "", fmt.Errorf("no kafka-tools in %s", w.kafkaLibs)
}

func kafkaTools() client {
	return client{
		name: "kafka-tools", made: "Apache Kafka's command-line tools", budget: 10 * time.Minute,
		covers: "topics, configs, groups, streams groups, transactions, features, quotas, log dirs; DumpLogSegments on our files; TransactionalMessageCopier with random aborts",
		install: func(_ context.Context, w workshop, _ io.Writer) (string, error) {
			return w.kafkaRelease()
		},
		run: func(ctx context.Context, w workshop, _ string, words io.Writer) ([]suite.Case, error) {
			return goTests(ctx, words, toolTests, 9*time.Minute, "KAFKA_LIBS="+w.kafkaLibs)
		},
	}
}

// exactlyOnce is Apache Kafka's transactional copier over very many records.
func exactlyOnce() client {
	return client{
		name: "exactly-once", made: "Apache Kafka's TransactionalMessageCopier", long: true, budget: 65 * time.Minute,
		covers: "records (1,000,000 unless told otherwise) copied in transactions, a third of them aborted, the broker killed with SIGKILL meanwhile; read committed each is there once, in order",
		install: func(_ context.Context, w workshop, _ io.Writer) (string, error) {
			return w.kafkaRelease()
		},
		run: func(ctx context.Context, w workshop, _ string, words io.Writer) ([]suite.Case, error) {
			return goTests(ctx, words, "^TestExactlyOnce$", time.Hour, "KAFKA_LIBS="+w.kafkaLibs, "FLUXMQ_EXACTLY_ONCE="+strconv.Itoa(w.records), "FLUXMQ_KILLS="+strconv.Itoa(w.kills))
		},
	}
}

// connect is a standalone worker of Kafka Connect with the connectors of files.
func connect() client {
	plugins := func(w workshop) string { return filepath.Join(w.cache, "connect", "plugins") }
	return client{
		name: "connect", made: "Kafka Connect", budget: 6 * time.Minute,
		covers: "standalone worker, file source and file sink; worker and broker restarted in the middle, lines out are lines in",
		install: func(ctx context.Context, w workshop, words io.Writer) (string, error) {
			if _, err := w.kafkaRelease(); err != nil { // the worker is among the tools' jars
				return "", err
			}
			return kafkaConnect, command{words: words, argv: []string{"mvn", "-B", "-q", mavenDependencyPlugin + ":copy",
				"-Dartifact=org.apache.kafka:connect-file:" + kafkaConnect, "-DoutputDirectory=" + filepath.Join(plugins(w), "file")}}.run(ctx)
		},
		run: func(ctx context.Context, w workshop, _ string, words io.Writer) ([]suite.Case, error) {
			return goTests(ctx, words, "^TestKafkaConnect$", 5*time.Minute, "KAFKA_LIBS="+w.kafkaLibs, "FLUXMQ_CONNECT_PLUGINS="+plugins(w))
		},
	}
}

// streams is a stateful topology under exactly_once_v2 that is killed again and again.
func streams() client {
	const home = "java-tests/streams"
	libs := func(w workshop) string { return filepath.Join(w.cache, "streams-"+kafkaStreams) }
	return client{
		name: "streams", made: "Kafka Streams", budget: 3 * time.Hour, // the test's own is shorter
		covers: "running sums by key over a repartition and a state store, exactly_once_v2, in a classic group and in a streams group (KIP-1071); the application and the broker killed with SIGKILL in turn; two processes with copies of the state, one killed",
		install: func(ctx context.Context, w workshop, words io.Writer) (string, error) {
			return kafkaStreams, command{words: words, argv: []string{"mvn", "-B", "-q", "-f", home + "/pom.xml", "-Dkafka.version=" + kafkaStreams, "compile",
				mavenDependencyPlugin + ":copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=" + libs(w)}}.run(ctx)
		},
		run: func(ctx context.Context, w workshop, _ string, words io.Writer) ([]suite.Case, error) {
			classes, err := filepath.Abs(home + "/target/classes")
			if err != nil {
				return nil, err
			}
			classpath := strings.Join([]string{classes, filepath.Join(libs(w), "*")}, string(os.PathListSeparator))
			return goTests(ctx, words, "^TestKafkaStreams(Standbys)?$", 3*time.Minute+2*(5*time.Minute+time.Duration(w.kills)*perKill), // of each protocol
				"FLUXMQ_STREAMS_CLASSPATH="+classpath, "FLUXMQ_STREAMS_KILLS="+strconv.Itoa(w.kills))
		},
	}
}
