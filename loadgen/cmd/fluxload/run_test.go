package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"fluxmq/loadgen"
	"fluxmq/scenarios"
)

// What a person or a runner may get wrong, the exit code and the words.
func TestBadUsage(t *testing.T) {
	smoke, err := scenarios.Load("smoke")
	if err != nil {
		t.Fatal(err)
	}
	job := smoke.Job(scenarios.JobOptions{RunID: "r", Client: scenarios.ClientFranz, Round: 1, Bootstrap: "127.0.0.1:1", Topic: "t"})
	text, _ := json.Marshal(job)
	java := job
	java.Client = scenarios.ClientJava
	javaText, _ := json.Marshal(java)
	out := t.TempDir()
	table := []struct {
		what string
		args []string
		in   string
		exit int
		says string
	}{
		{"no subcommand's name", []string{"rum"}, "", 2, "unknown command"},
		{"an unknown flag", []string{"run", "--jobs", "x"}, "", 2, "unknown flag"},
		{"neither job nor scenario", []string{"run"}, "", 2, "either --job or --scenario"},
		{"both", []string{"run", "--job", "-", "--scenario", "smoke"}, "", 2, "either"},
		{"no directory", []string{"run", "--job", "-"}, "", 2, "--out"},
		{"an argument too many", []string{"run", "smoke"}, "", 2, "unexpected argument"},
		{"a job that is no JSON", []string{"run", "--job", "-", "--out", out}, "job", 2, "job:"},
		{"a job with an unknown field", []string{"run", "--job", "-", "--out", out}, `{"schema":1,"treads":1}`, 2, "treads"},
		{"a job file that is not there", []string{"run", "--job", out + "/none", "--out", out}, "", 2, "no such file"},
		{"a client that is not ours", []string{"run", "--job", "-", "--out", out}, string(javaText), 2, "fluxload's"},
		{"an unknown scenario", []string{"run", "--scenario", "megabach"}, "", 2, "did you mean megabatch?"},
		{"a form that is not there", []string{"run", "--scenario", "latency", "--seed-exact"}, "", 2, "seed-exact"},
	}
	for _, row := range table {
		t.Run(row.what, func(t *testing.T) {
			var errOut bytes.Buffer
			exit := execute(t.Context(), row.args, strings.NewReader(row.in), &bytes.Buffer{}, &errOut)
			if exit != row.exit || !strings.Contains(errOut.String(), row.says) {
				t.Errorf("exit %d, want %d; %q, want %q", exit, row.exit, errOut.String(), row.says)
			}
		})
	}
	var events bytes.Buffer
	exit := execute(t.Context(), []string{"run", "--job", "-", "--out", t.TempDir()}, bytes.NewReader(append(text[:len(text)-1], `,"x":1}`...)), &events, &bytes.Buffer{})
	if exit != loadgen.ExitUsage || events.Len() != 0 {
		t.Errorf("a bad job begins nothing: exit %d, %s", exit, events.String())
	}
}

func TestList(t *testing.T) {
	var out bytes.Buffer
	if exit := execute(t.Context(), []string{"list"}, nil, &out, &out); exit != 0 || !strings.Contains(out.String(), "megabatch") {
		t.Errorf("exit %d: %s", exit, out.String())
	}
}
