# FluxMQ: every target is one line to a program that does the work. `make help` lists them.
SHELL    := /bin/bash
COMMIT   := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)$(shell git diff --quiet HEAD -- 2>/dev/null || echo -dirty)
VERSION  ?= 0.1.0
LDFLAGS  := -s -w -X fluxmq/broker/node.Version=$(VERSION) -X fluxmq/broker/node.Commit=$(COMMIT)
GO       ?= go
export CGO_ENABLED ?= 0

NAME     ?= megabatch
TARGET   ?= fluxmq
PROFILE  ?= default
RUNFLAGS  = --target $(TARGET) --profile $(PROFILE) $(if $(CLIENTS),--clients $(CLIENTS)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(OUT),--out $(OUT)) $(if $(filter 1,$(TUNED)),--tuned) $(if $(filter 1,$(SEED_EXACT)),--seed-exact)
# The Go clients need Go alone; Java and Maven are asked for only when a client or target needs them.
GO_ONLY   = $(if $(CLIENTS),$(if $(or $(findstring java,$(CLIENTS)),$(filter kafka,$(TARGET))),,1))

BASE     ?= origin/main
BUDGET   ?= 30m
TRIALFLAGS = $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(BLOCKS),--blocks $(BLOCKS)) $(if $(CLIENT),--client $(CLIENT)) $(if $(OUT),--out $(OUT)) $(if $(JUNIT),--junit $(JUNIT))

.DEFAULT_GOAL := help
.PHONY: help setup setup-go build scenario compare gate prove-gate prove-interrupt prove-tune tune-race versus test test-go test-java smoke race fuzz lint doctor pgo kill-loop prove-ledger check-formats compat compat-exactly-once group-scale compaction-scale differential targets docs clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-20s %s\n",$$1,$$2}' Makefile

setup: ## check for Go, JDK, Maven, git; install what is missing with apt when root
	@tools/setup/setup.sh go git java maven

setup-go:
	@tools/setup/setup.sh go git

build: setup-go ## build bin/fluxmq, bin/fluxbench, bin/fluxload
	@$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./broker/cmd/fluxmq ./tools/fluxbench ./loadgen/cmd/fluxload

scenario: $(if $(or $(GO_ONLY),),setup-go,setup) build ## run a scenario: NAME=megabatch [TARGET=kafka|host:port] [TUNED=1] [CLIENTS=java,franz-go,sarama] [PROFILE=…] [ROUNDS=N] [SEED_EXACT=1]
	@bin/fluxbench run $(NAME) $(RUNFLAGS)

compare: setup-go build ## two commits side by side, every metric with its interval: BASE=main [HEAD=HEAD] [SCENARIO=standard,megabatch] [BLOCKS=24]
	@bin/fluxbench compare --base $(BASE) $(if $(HEAD),--head $(HEAD)) $(TRIALFLAGS)

gate: setup-go build ## a verdict on HEAD (default: the working tree) against BASE=origin/main; exit 0, 3, 4, 5 or 6 [SCENARIO=…] [QUICK=1]
	@bin/fluxbench gate --base $(BASE) $(if $(HEAD),--head $(HEAD)) $(TRIALFLAGS) $(if $(filter 1,$(QUICK)),--quick)

prove-gate: setup-go build ## the gate's own test, BUDGET=30m a call, adding to reports/proof; writes the datasheet
	@bin/fluxbench prove-gate --budget $(BUDGET)

tune-race: setup-go build ## what single knobs do on this host: KNOBS="GOGC=200 pgo native log.segment.bytes=67108864"
	@bin/fluxbench tune --race $(KNOBS) $(if $(OUT),--out $(OUT))

versus: setup build ## run a scenario on FluxMQ and on Apache Kafka, interleaved: NAME=…
	@bin/fluxbench versus $(NAME) --profile $(PROFILE) $(if $(CLIENTS),--clients $(CLIENTS)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(filter 1,$(TUNED)),--tuned)

test: setup lint test-go test-java smoke ## all fast tests: Go under -race, Java against our broker, a smoke scenario through every client

lint: setup-go
	@test -z "$$(gofmt -l . | tee /dev/stderr)" && $(GO) vet ./... && $(GO) vet -tags faultinject ./broker/...

test-go: setup-go ## all Go tests under the race detector
	@CGO_ENABLED=1 $(GO) test -race -timeout 10m ./...
	@CGO_ENABLED=1 $(GO) test -race -timeout 2m -tags faultinject -run Fault ./broker/fault ./broker/record ./broker/partition ./broker/handler ./broker/cmd/fluxmq

test-java: setup build ## the Java client's tests against our broker
	@tools/checks/java-test.sh

smoke: setup build ## the smoke scenario through every client, delivery proven
	@bin/fluxbench run smoke --quiet --rounds 1 --out .cache/smoke

race: test-go

fuzz: setup-go ## every fuzz target for FUZZTIME (default 20s) each
	@tools/checks/fuzz.sh $${FUZZTIME:-20s}

doctor: build ## check this machine before measuring
	@bin/fluxbench doctor

pgo: setup build ## take CPU profiles under the scenarios and write broker/cmd/fluxmq/default.pgo
	@bin/fluxbench pgo

kill-loop: build ## kill -9 the broker N=20 times in the middle of produce; every acknowledged record must be there, once, in order
	@FLUXMQ_KILLS=$${N:-20} $(GO) test ./broker/compat -run TestKillLoop -count=1 -v -timeout 15m

prove-ledger: build ## the ledger's own test: a broker that drops a batch in 10,000 and one that stores a batch twice must end with exit 6
	@tools/checks/prove-ledger.sh

prove-interrupt: setup-go build ## SIGINT at N=6 moments of a gate: no process, worktree or data may be left
	@tools/checks/prove-interrupt.sh

prove-tune: build ## tune's own test, as root: kill -9 tune --apply at KILLS=40 random moments; tune --undo must find every value
	@tools/checks/prove-tune.sh

check-formats: build ## the real benchstat, Otava, JUnit and HdrHistogram readers on freshly made exports
	@tools/checks/formats.sh

compaction-scale: build ## compact GIB=10 (4 at least for an interval) with 1,000,000 keys beside a paced producer: what is left, memory, latency with the cleaner held and at work in turn (about 20 minutes); writes COMPATIBILITY.md unless GIB or settings are others [COMPACTION_SETTINGS="fluxmq.log.cleaner.busy.io.max.bytes.per.second=1e8"]
	@tools/checks/compaction-scale.sh $(COMMIT) $${GIB:-10} "$(COMPACTION_SETTINGS)"

compat: setup build ## real clients, Kafka's own tools and the differential test; writes COMPATIBILITY.md [SUITES=kcat,streams] [KILLS=20] [QUICK=1]
	@tools/checks/compat.sh $(if $(SUITES),-suites $(SUITES)) $(if $(KILLS),-kills $(KILLS)) $(if $(filter 1,$(QUICK)),-quick)

compat-exactly-once: setup build ## TransactionalMessageCopier over RECORDS=1000000 with aborts while the broker is killed KILLS=10 times: no loss, no duplicate, nothing aborted
	@tools/checks/compat.sh -suites exactly-once -records $${RECORDS:-1000000} -kills $${KILLS:-10}

group-scale: build ## how long 100 members over 500 partitions take to settle in ROUNDS=5 rounds, and the CPU that N=10000 heartbeating groups cost (about 17 minutes); writes COMPATIBILITY.md
	@tools/checks/group-scale.sh $(COMMIT) $${ROUNDS:-5} $${N:-10000}

differential: setup build ## the same requests to our broker and to Apache Kafka, replies compared [DIFFERENTIAL_VERSIONS=all]
	@tools/checks/differential.sh

targets: setup build ## first figures against Apache Kafka, side by side (about 40 minutes)
	@bin/fluxbench targets

docs: build ## write the generated pages (docs/settings.md, docs/tuning.md)
	@bin/fluxmq config keys > docs/settings.md
	@bin/fluxbench tune --markdown > docs/tuning.md

clean: ## remove what was built (not reports)
	@rm -rf bin .cache/build java-tests/target java-tests/*/target
