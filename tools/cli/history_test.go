package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fluxmq/reports/history"
	"fluxmq/reports/specimen"
	"fluxmq/reports/trial"
)

// smallCheckout is a repository with three commits that FindCheckout takes for ours; it becomes the working directory.
func smallCheckout(t *testing.T) (commits []string) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.WriteFile("go.mod", []byte("module fluxmq\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run("init", "-q", "-b", "main")
	run("add", "go.mod")
	for _, subject := range []string{"first", "second", "third"} {
		run("commit", "-q", "--allow-empty", "-m", subject)
		commits = append(commits, run("rev-parse", "HEAD"))
	}
	return commits
}

// fakeCompare leaves a made-up compare trial where a measured one would lie.
func fakeCompare(_ context.Context, c comparison) error {
	one := specimen.Trial(uint64(len(c.out)), map[string]float64{trial.BrokerCPU: 0.05})
	one.Kind, one.ID = trial.KindCompare, filepath.Base(c.out)
	one.Base.Commit, one.Head.Commit, one.Head.Dirty = c.base, c.head, false
	one.Rules.Looks = []int{12}
	return one.Write(c.out)
}

// historyCall runs one history command line with a measure of ours.
func historyCall(t *testing.T, measure measure, args ...string) (string, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := (&app{args: args, stdout: &stdout, stderr: &stderr}).historyBy(measure)
	cmd.SetArgs(args)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(context.Background())
	return stdout.String(), err
}

func TestHistoryFromPinToPage(t *testing.T) {
	commits := smallCheckout(t)
	if _, err := historyCall(t, fakeCompare, "measure", "HEAD"); !errors.Is(err, history.ErrNotPinned) {
		t.Fatalf("%v", err)
	}
	steps := []struct {
		args []string
		want string
	}{
		{[]string{"pin", commits[0], "--why", "the first release"}, "reference: " + commits[0][:12]},
		{[]string{"measure", "HEAD", "HEAD~1"}, "megabatch/wire: point of " + commits[2][:12] + " third against " + commits[0][:12]},
		{[]string{"pin", commits[1], "--why", "the first no longer builds"}, "history measure --link"},
		{[]string{"measure", "--link"}, "megabatch/franz-go: link of " + commits[1][:12]},
		{[]string{"--html", "page.html"}, "broker CPU-ns/msg"},
	}
	for _, step := range steps {
		stdout, err := historyCall(t, fakeCompare, step.args...)
		if err != nil || !strings.Contains(stdout, step.want) {
			t.Fatalf("%v: %v, want %q in\n%s", step.args, err, step.want, stdout)
		}
	}
	if page, err := os.ReadFile("page.html"); err != nil || !bytes.Contains(page, []byte("the first no longer builds")) {
		t.Errorf("page: %v", err)
	}
	stdout, err := historyCall(t, nil, "--json", "--scenario", "megabatch/wire")
	var view history.View
	if err != nil || json.Unmarshal([]byte(stdout), &view) != nil || len(view.Workloads) != 1 || view.Reference.SHA != commits[1] {
		t.Errorf("%v\n%s", err, stdout)
	}
	points, err := filepath.Glob(filepath.Join("reports", "points", "*"))
	if err != nil || len(points) != 3 {
		t.Errorf("%v, %v: want two workloads and the reference", points, err)
	}
}

func TestHistoryRefusesWhatIsNotFair(t *testing.T) {
	commits := smallCheckout(t)
	if _, err := historyCall(t, nil, "pin", commits[1], "--why", "for the test"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := fakeCompare(context.Background(), comparison{base: commits[0], head: commits[2], out: dir}); err != nil {
		t.Fatal(err)
	}
	var refused *history.RefusedError
	if _, err := historyCall(t, nil, "add", dir); !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
	failing := func(context.Context, comparison) error { return errors.New("the broker died") }
	if _, err := historyCall(t, failing, "measure", "HEAD"); err == nil || !strings.Contains(err.Error(), "the broker died") {
		t.Errorf("%v", err)
	}
	for _, args := range [][]string{{"pin", "HEAD"}, {"pin", "nowhere", "--why", "x"}, {"measure"}, {"measure", "--link", "HEAD"}, {"measure", "--link"}, {"measure", "nowhere"}, {"add"}, {"frob"}, {"add", "nowhere"}} {
		if _, err := historyCall(t, fakeCompare, args...); exitCode(err) != 2 {
			t.Errorf("%v: %v, want a usage error", args, err)
		}
	}
}

func TestBisectsInput(t *testing.T) {
	commits := smallCheckout(t)
	for about, row := range map[string]struct {
		args  []string
		words string
	}{
		"no revisions":           {[]string{"bisect"}, "--good REV and --bad REV"},
		"an unknown metric":      {[]string{"bisect", "--good", "HEAD~1", "--bad", "HEAD", "--metric", "speed"}, "broker_cpu_ns_per_msg"},
		"an unknown revision":    {[]string{"bisect", "--good", "nowhere", "--bad", "HEAD"}, "nowhere"},
		"the wrong way round":    {[]string{"bisect", "--good", "HEAD", "--bad", commits[0]}, "no ancestor"},
		"a step without its dir": {[]string{"bisect-step"}, "accepts 1 arg"},
	} {
		var stdout, stderr bytes.Buffer
		if code := Main(append([]string{"fluxbench"}, row.args...), &stdout, &stderr); code != 2 || !strings.Contains(stderr.String(), row.words) {
			t.Errorf("%s: exit %d, %s", about, code, stderr.String())
		}
	}
}
