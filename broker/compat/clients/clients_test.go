package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fluxmq/broker/compat/suite"

	"github.com/google/go-cmp/cmp"
)

// Every suite can be saved: it has a name of its own, and says what it is.
func TestEverySuiteIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range clients() {
		if seen[c.name] {
			t.Errorf("two suites are called %s", c.name)
		}
		seen[c.name] = true
		if c.install == nil || c.run == nil || c.budget <= 0 {
			t.Errorf("%s lacks its installation, its run or its budget", c.name)
		}
		r := suite.Result{Suite: c.name, Client: c.made, Version: "1", Covers: c.covers, Passed: 1}
		if err := r.Save(t.TempDir()); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// The Java client that the tests of java-tests are written for is the newest of the suites.
func TestPinsAreThoseOfThePoms(t *testing.T) {
	for file, version := range map[string]string{
		"pom.xml": newestJavaClient, "clients/pom.xml": newestJavaClient, "streams/pom.xml": kafkaStreams,
	} {
		text, err := os.ReadFile(filepath.Join("../../../java-tests", file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "<kafka.version>"+version+"</kafka.version>") {
			t.Errorf("java-tests/%s has not %s", file, version)
		}
	}
}

func TestChoose(t *testing.T) {
	all := []client{{name: "a"}, {name: "b"}, {name: "c"}, {name: "l", long: true}}
	names := func(cs []client) (names string) {
		for _, c := range cs {
			names += c.name
		}
		return names
	}
	for _, c := range []struct{ asked, want string }{{"", "abc"}, {"b", "b"}, {"c,a", "ac"}, {"l,b", "bl"}} {
		got, err := choose(all, c.asked)
		if err != nil || names(got) != c.want {
			t.Errorf("choose %q: %s, %v", c.asked, names(got), err)
		}
	}
	if _, err := choose(all, "a,d"); err == nil {
		t.Error("a suite that is not there was chosen")
	}
}

// perform turns what went wrong into a failure, and never into a good result.
func TestPerform(t *testing.T) {
	boom := errors.New("boom")
	installed := func(context.Context, workshop, io.Writer) (string, error) { return "1", nil }
	passes := []suite.Case{{Name: "a", Outcome: suite.Passed}}
	fails := []suite.Case{{Name: "a", Outcome: suite.Failed}}
	ran := func(cases []suite.Case, err error) func(context.Context, workshop, string, io.Writer) ([]suite.Case, error) {
		return func(context.Context, workshop, string, io.Writer) ([]suite.Case, error) { return cases, err }
	}
	for _, c := range []struct {
		name string
		of   client
		want suite.Result
	}{
		{"all is well", client{install: installed, run: ran(passes, nil)}, suite.Result{Version: "1", Passed: 1}},
		{"it cannot be installed", client{install: func(context.Context, workshop, io.Writer) (string, error) { return "", boom }},
			suite.Result{Version: "none", Failed: 1, Failures: []string{"installation"}}},
		{"the run fails though no case did", client{install: installed, run: ran(passes, boom)}, suite.Result{Version: "1", Passed: 1, Failed: 1, Failures: []string{"the run: boom"}}},
		{"the run fails because a case did", client{install: installed, run: ran(fails, boom)}, suite.Result{Version: "1", Failed: 1, Failures: []string{"a"}}},
		{"the budget is used up", client{install: installed, run: func(ctx context.Context, _ workshop, _ string, words io.Writer) ([]suite.Case, error) {
			return command{argv: []string{"sh", "-c", `echo '{"case":"a","outcome":"passed"}'; sleep 60 & sleep 60`}, words: words}.read(ctx, suite.ReadLines)
		}}, suite.Result{Version: "1", Passed: 1, Failed: 1, Failures: []string{"the run: sh: it did not end within 500ms"}}},
		{"no broker", client{install: installed, settings: quickly}, suite.Result{Version: "1", Failed: 1, Failures: []string{"the run: fork/exec /no/such/broker: no such file or directory"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := workshop{cache: t.TempDir(), broker: "/no/such/broker"}
			if err := os.Mkdir(filepath.Join(w.cache, "logs"), 0o755); err != nil {
				t.Fatal(err)
			}
			c.of.name, c.of.budget = "suite", 500*time.Millisecond
			begin := time.Now()
			got, err := w.perform(t.Context(), c.of)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
			got.Seconds, c.want.Suite = 0, "suite"
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAnInterruptLeavesNoResult(t *testing.T) {
	w := workshop{cache: t.TempDir()}
	if err := os.Mkdir(filepath.Join(w.cache, "logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := w.perform(ctx, client{name: "suite", budget: time.Minute,
		install: func(context.Context, workshop, io.Writer) (string, error) { return "1", nil },
		run: func(ctx context.Context, _ workshop, _ string, words io.Writer) ([]suite.Case, error) {
			cancel(errInterrupted)
			return nil, command{argv: []string{"sleep", "60"}, words: words}.run(ctx)
		}})
	if !errors.Is(err, errInterrupted) {
		t.Errorf("the error is %v", err)
	}
}
