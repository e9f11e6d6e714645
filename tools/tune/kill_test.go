package tune

import (
	"bufio"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// victimRoot and victimDoes turn this test binary into the process that gets killed.
const (
	victimRoot = "FLUXMQ_TUNE_TEST_ROOT"
	victimDoes = "FLUXMQ_TUNE_TEST_DOES"
)

func TestMain(m *testing.M) {
	if root := os.Getenv(victimRoot); root != "" {
		victim(root, os.Getenv(victimDoes))
		return
	}
	os.Exit(m.Run())
}

// victim applies or undoes slowly, so that a kill has somewhere to hit.
func victim(root, does string) {
	h := Host{Root: root, DataDir: os.TempDir(), Journal: filepath.Join(root, "state/fluxbench/tune.journal"), Privileged: true}.faked()
	write := h.Write
	h.Write = func(path, value string) error {
		time.Sleep(time.Millisecond)
		defer time.Sleep(time.Millisecond)
		return write(path, value)
	}
	os.Stdout.WriteString("ready\n") // the parent counts from here
	var err error
	if does == "apply" {
		_, err = h.Apply(context.Background(), nil)
	} else {
		_, err = h.Undo(context.Background())
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

// TestUndoAfterSIGKILL kills Apply, and now and then the Undo after it, at random moments; then Undo restores every byte.
func TestUndoAfterSIGKILL(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	h := machine(t, nil)
	before := tree(t, h.Root)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	kills, half, undoKills := 0, 0, 0
	longest := 60 * time.Millisecond
	for try := 0; kills < 40 && try < 400; try++ {
		if killIn(t, self, h.Root, "apply", time.Duration(random.Int64N(int64(longest)))) {
			kills++
		} else {
			longest = longest * 3 / 4
		}
		if changed := len(differing(before, tree(t, h.Root))); changed > 0 && changed < changing-1 { // both swap areas are one file
			half++
		}
		if random.IntN(2) == 0 && killIn(t, self, h.Root, "undo", time.Duration(random.Int64N(int64(longest)))) {
			undoKills++
		}
		if undone, err := h.Undo(t.Context()); err != nil {
			t.Fatalf("kill %d: %+v, %v", kills, undone, err)
		}
		if diff := cmp.Diff(before, tree(t, h.Root)); diff != "" {
			t.Fatalf("kill %d: undo left (-before +after):\n%s", kills, diff)
		}
	}
	t.Logf("%d kills of apply, %d found it half-way; %d kills of undo", kills, half, undoKills)
	if kills < 30 || half < 3 || undoKills == 0 {
		t.Errorf("the kills hardly hit: %d, %d half-way, %d of undo", kills, half, undoKills)
	}
}

// killIn starts the victim and kills it that long after it is ready; false when it had ended before.
func killIn(t *testing.T, self, root, does string, wait time.Duration) bool {
	t.Helper()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), victimRoot+"="+root, victimDoes+"="+does)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the victim said %q, %v", line, err)
	}
	time.Sleep(wait)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	if err != nil && cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the victim failed by itself: %v", err)
	}
	return err != nil
}

func differing(a, b map[string]string) []string {
	var names []string
	for name := range a {
		if a[name] != b[name] {
			names = append(names, name)
		}
	}
	return names
}
