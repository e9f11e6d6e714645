package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"fluxmq/broker/compat/suite"
)

// Which tests of broker/compat are whose. What is nobody's, and none of the
// long ones that have a target of their own, is franz-go's.
const (
	toolTests   = "^(TestKafkaTools|TestDump|TestTransactionalMessageCopier)"
	saramaTests = "^Test(Old)?Sarama"
	kcatTests   = "^Test(Old)?Kcat"
	otherTests  = "^(TestKafka|TestDump|TestTransactionalMessageCopier|Test(Old)?Sarama|Test(Old)?Kcat|TestExactlyOnce|TestGroup|TestManyGroups|TestCompactionAtScale)"
)

// goTests runs those tests of broker/compat, which start brokers of their own.
func goTests(ctx context.Context, words io.Writer, pattern string, budget time.Duration, env ...string) ([]suite.Case, error) {
	return command{argv: goTest(budget, "./broker/compat", "-run", pattern), env: env, words: words}.read(ctx, suite.ReadGoTest)
}

// goTest is a call of `go test` that says what it does in events.
func goTest(budget time.Duration, args ...string) []string {
	return append([]string{"go", "test", "-json", "-count=1", "-timeout", budget.String()}, args...)
}

// moduleVersion is what go.mod says.
func moduleVersion(ctx context.Context, module string, words io.Writer) (string, error) {
	var version strings.Builder
	err := command{argv: []string{"go", "list", "-m", "-f", "{{.Version}}", module}, out: &version, words: words}.run(ctx)
	return strings.TrimSpace(version.String()), err
}

func sarama() client {
	return client{
		name: "sarama", made: "sarama", budget: 6 * time.Minute,
		covers: "producing in every codec, a group of two members, transactions with offsets, administration, as of Kafka 1.1, 2.8 and the newest it knows; message formats v0 and v1, as of Kafka 0.8 to 0.10",
		install: func(ctx context.Context, _ workshop, words io.Writer) (string, error) {
			return moduleVersion(ctx, "github.com/IBM/sarama", words)
		},
		run: func(ctx context.Context, _ workshop, _ string, words io.Writer) ([]suite.Case, error) {
			return goTests(ctx, words, saramaTests, 5*time.Minute)
		},
	}
}

const franzGoModule = "github.com/twmb/franz-go"

// franzGoFaults are the tests of broker/compat in which franz-go sees the broker die, stop and fail.
func franzGoFaults() client {
	return client{
		name: "franz-go-kill", made: "franz-go", budget: 30 * time.Minute, // the test's own is shorter
		covers: "idempotent producers while the broker is killed, stopped and made to fail; every acknowledged record is there, once, in order; message formats v0 and v1, as of Kafka 0.8 to 0.11",
		install: func(ctx context.Context, _ workshop, words io.Writer) (string, error) {
			return moduleVersion(ctx, franzGoModule, words)
		},
		run: func(ctx context.Context, w workshop, _ string, words io.Writer) ([]suite.Case, error) {
			return command{argv: goTest(8*time.Minute+time.Duration(w.kills)*20*time.Second, "./broker/compat", "-skip", otherTests),
				env: []string{"FLUXMQ_KILLS=" + strconv.Itoa(w.kills)}, words: words}.read(ctx, suite.ReadGoTest)
		},
	}
}

// franzGo is franz-go's own integration suite: the module as the proxy has
// it, tests included, in a folder where `go test` may build it.
func franzGo() client {
	source := func(w workshop) string { return filepath.Join(w.cache, "franz-go") }
	return client{
		name: "franz-go", made: "franz-go", budget: 22 * time.Minute, settings: quickly,
		covers: "its own suite, pkg/kgo, over 10,000 records: producing, groups under every balancer and KIP-848, transactions, administration",
		install: func(ctx context.Context, w workshop, words io.Writer) (string, error) {
			version, err := moduleVersion(ctx, franzGoModule, words)
			if err != nil {
				return "", err
			}
			var folder strings.Builder
			if err := (command{argv: []string{"go", "mod", "download", franzGoModule}, words: words}).run(ctx); err != nil {
				return "", err
			}
			if err := (command{argv: []string{"go", "list", "-m", "-f", "{{.Dir}}", franzGoModule}, out: &folder, words: words}).run(ctx); err != nil {
				return "", err
			}
			if err := os.RemoveAll(source(w)); err != nil {
				return "", err
			}
			return version, os.CopyFS(source(w), os.DirFS(strings.TrimSpace(folder.String()))) // the module cache is read-only, the copy is not
		},
		run: func(ctx context.Context, w workshop, address string, words io.Writer) ([]suite.Case, error) {
			return command{argv: goTest(20*time.Minute, "./pkg/kgo"), dir: source(w), words: words,
				env: []string{"KGO_SEEDS=" + address, "KGO_TEST_RF=1", "KGO_TEST_RECORDS=10000", "KGO_LOG_LEVEL=none", "GOWORK=off"}}.read(ctx, suite.ReadGoTest)
		},
	}
}

var kcatVersion = regexp.MustCompile(`Version (\S+).*librdkafka ([0-9.]+)`)

func kcat() client {
	return client{
		name: "kcat", made: "kcat, with the librdkafka of Debian", budget: 4 * time.Minute,
		covers: "producing in every codec with and without idempotence, reading back, a group, offsets, metadata; message formats v0 and v1",
		install: func(ctx context.Context, _ workshop, words io.Writer) (string, error) {
			if err := (command{argv: []string{"tools/setup/setup.sh", "kcat"}, words: words}).run(ctx); err != nil {
				return "", err
			}
			var said strings.Builder
			if err := (command{argv: []string{"kcat", "-V"}, out: &said, words: words}).run(ctx); err != nil {
				return "", err
			}
			m := kcatVersion.FindStringSubmatch(said.String())
			if m == nil {
				return "", errors.New("kcat -V names no version")
			}
			return m[1] + " (librdkafka " + m[2] + ")", nil
		},
		run: func(ctx context.Context, _ workshop, _ string, words io.Writer) ([]suite.Case, error) {
			return goTests(ctx, words, kcatTests, 3*time.Minute)
		},
	}
}
