package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"fluxmq/broker/compat/suite"
)

// Scripts of ours that drive a client in its own language; they print a line a case.
const (
	librdkafkaScript = "broker/compat/clients/scripts/librdkafka.py"
	kafkaJSScript    = "broker/compat/clients/scripts/kafkajs.cjs"
)

// librdkafka is the current one, through the Python client that ships it.
func librdkafka() client {
	python := func(w workshop) string { return filepath.Join(w.cache, "python", "bin", "python") }
	return client{
		name: "librdkafka", made: "librdkafka, in confluent-kafka", budget: 6 * time.Minute, settings: quickly,
		covers: "producing in every codec, groups of the classic and the consumer protocol, cooperative and static members, transactions with offsets, fencing, administration",
		install: func(ctx context.Context, w workshop, words io.Writer) (string, error) {
			if err := (command{argv: []string{"tools/setup/setup.sh", "python"}, words: words}).run(ctx); err != nil {
				return "", err
			}
			if _, err := os.Stat(python(w)); err != nil {
				if err := (command{argv: []string{"python3", "-m", "venv", filepath.Join(w.cache, "python")}, words: words}).run(ctx); err != nil {
					return "", err
				}
			}
			return confluentKafka, command{words: words, argv: []string{python(w), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:",
				"confluent-kafka==" + confluentKafka}}.run(ctx)
		},
		run: func(ctx context.Context, w workshop, address string, words io.Writer) ([]suite.Case, error) {
			return command{argv: []string{python(w), "-u", librdkafkaScript, address}, words: words}.read(ctx, suite.ReadLines)
		},
	}
}

func kafkaJS() client {
	home := func(w workshop) string { return filepath.Join(w.cache, "node") }
	return client{
		name: "kafkajs", made: "kafkajs", budget: 5 * time.Minute, settings: quickly,
		covers: "producing with and without gzip and idempotence, a group of two members, offsets, transactions with offsets, administration",
		install: func(ctx context.Context, w workshop, words io.Writer) (string, error) {
			if err := (command{argv: []string{"tools/setup/setup.sh", "node"}, words: words}).run(ctx); err != nil {
				return "", err
			}
			if err := os.MkdirAll(home(w), 0o755); err != nil {
				return "", err
			}
			return kafkajs, command{words: words, argv: []string{"npm", "install", "--prefix", home(w), "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--silent",
				"kafkajs@" + kafkajs}}.run(ctx)
		},
		run: func(ctx context.Context, w workshop, address string, words io.Writer) ([]suite.Case, error) {
			return command{argv: []string{"node", kafkaJSScript, address}, env: []string{"NODE_PATH=" + filepath.Join(home(w), "node_modules"), "KAFKAJS_NO_PARTITIONER_WARNING=1"}, words: words}.read(ctx, suite.ReadLines)
		},
	}
}
