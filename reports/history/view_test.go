package history

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fluxmq/reports/trial"
)

// specimen makes up a store: 40 commits, a step of 6 % at the 25th, a new reference at the 15th with its link, and one point that no link joins.
func specimen(t *testing.T) Store {
	t.Helper()
	s := Store{t.TempDir()}
	for _, n := range []int{0, 15} {
		if _, err := s.Pin(commit(n), "for the test", time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)); err != nil {
			t.Fatal(err)
		}
	}
	values := noise(11, 41, 0.008)
	for n := 1; n <= 40; n++ {
		kind, reference, value := KindPoint, 0, values[n]
		if n > 15 {
			reference = 15
		}
		if n == 15 {
			kind, value = KindLink, 0.01
		}
		if n >= 25 {
			value += 0.06
		}
		p := point(kind, n, reference, ratio(math.Exp(value), 0.015, 12))
		p.Host = "2 × EPYC"
		p.Metrics[trial.Delivered] = ratio(math.Exp(-value/2), 0.03, 12)
		if err := s.Append("wire_1k/wire", p); err != nil {
			t.Fatal(err)
		}
	}
	lonely := point(KindPoint, 50, 49, ratio(1.2, 0.015, 12))
	if err := s.Append("wire_1k/wire", lonely); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestViewsShowTheStep(t *testing.T) {
	v, err := specimen(t).View("wire_1k", DefaultTest())
	if err != nil {
		t.Fatal(err)
	}
	cpu := v.Workloads[0].Metrics[0]
	if cpu.Metric.Name != trial.BrokerCPU || len(cpu.Chains) != 2 || len(cpu.Chains[0].Changes) != 1 {
		t.Fatalf("%+v", cpu)
	}
	change := cpu.Chains[0].Changes[0]
	if change.SHA != sha(25) || change.Previous != sha(24) || !change.Worse || change.Size.Low < 1.04 || change.Size.High > 1.08 {
		t.Errorf("%+v", change)
	}
	var terminal, html bytes.Buffer
	if err := v.WriteTerminal(&terminal, false); err != nil {
		t.Fatal(err)
	}
	if err := v.WriteHTML(&html); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"✗ worse", sha(25)[:12], "room: change 25", "no link joins", "▁", "40"} {
		if !strings.Contains(terminal.String(), want) {
			t.Errorf("no %q in\n%s", want, terminal.String())
		}
	}
	for _, want := range []string{"for the worse", "chain 1 of 2", "room: change 25", "no link joins"} {
		if !strings.Contains(html.String(), want) {
			t.Errorf("no %q in the page", want)
		}
	}
	for _, never := range []string{"<script", "http://", "https://", "NaN"} {
		if strings.Contains(html.String(), never) {
			t.Errorf("%q in the page", never)
		}
	}
	if _, err := json.Marshal(v); err != nil {
		t.Error(err)
	}
	// To look at it: go test -run Views -v -artifacts ./reports/history
	if err := os.WriteFile(filepath.Join(t.ArtifactDir(), "history.html"), html.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + terminal.String())
}

func TestEmptyStoreSaysSo(t *testing.T) {
	v, err := Store{t.TempDir()}.View("", DefaultTest())
	if err != nil {
		t.Fatal(err)
	}
	var terminal, html bytes.Buffer
	if err := v.WriteTerminal(&terminal, false); err != nil || !strings.Contains(terminal.String(), "no points yet") {
		t.Errorf("%v: %s", err, terminal.String())
	}
	if err := v.WriteHTML(&html); err != nil || !strings.Contains(html.String(), "No points yet") {
		t.Error(err)
	}
}
