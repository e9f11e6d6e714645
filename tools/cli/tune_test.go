package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxmq/tools/tune"
)

// The tests here set nothing: tools/tune has a machine of files for that, make prove-tune the real one.
func TestTuneExitCodes(t *testing.T) {
	dir := t.TempDir()
	inTheWay := filepath.Join(dir, "tune.journal")
	if err := os.WriteFile(inTheWay, []byte(`{"kind":"header","schema":1,"boot_id":"another"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(dir, "none", "tune.journal")
	root := os.Geteuid() == 0
	either := func(asRoot, without string) string {
		if root {
			return asRoot
		}
		return without
	}
	for _, row := range []struct {
		about string
		args  []string
		code  int
		words string
	}{
		{"the table", []string{"tune"}, 0, "vm.swappiness"},
		{"one knob", []string{"tune", "nobarrier"}, 0, "loses acknowledged data on power cut"},
		{"an unknown knob", []string{"tune", "vm.swapiness"}, 2, "unknown knob vm.swapiness; known: net.core.rmem_max"},
		{"two modes", []string{"tune", "--apply", "--undo"}, 2, "exclude each other"},
		{"JSON of a script", []string{"tune", "--print", "--json"}, 2, "--json goes with"},
		{"undo of one knob", []string{"tune", "--undo", "vm.swappiness"}, 2, "takes no knobs"},
		{"nothing to undo", []string{"tune", "--undo", "--journal", none}, 0, "nothing to undo"},
		{"what is never done", []string{"tune", "--apply", "nobarrier", "--journal", none}, 3, either("refused", "sudo")},
		{"over an old journal", []string{"tune", "--apply", "nobarrier", "--journal", inTheWay}, 3, either("written before the last boot", "sudo")},
		{"undo of an old boot", []string{"tune", "--undo", "--journal", inTheWay}, 0, "earlier boot"},
		{"and it is gone", []string{"tune", "--undo", "--journal", inTheWay}, 0, "nothing to undo"},
		{"a script", []string{"tune", "--print"}, 0, "# never: mount -o discard,nobarrier"},
	} {
		t.Run(row.about, func(t *testing.T) {
			code, stdout, stderr := call(t, row.args...)
			if code != row.code || !strings.Contains(stdout+stderr, row.words) {
				t.Errorf("exit %d, want %d; %q %q, want %q in it", code, row.code, stdout, stderr, row.words)
			}
		})
	}
	if _, err := os.Stat(filepath.Dir(none)); err == nil {
		t.Error("a folder was made for a journal that was not needed")
	}
}

func TestTuneJSON(t *testing.T) {
	code, stdout, stderr := call(t, "tune", "--json", "vm.swappiness")
	var rows []tune.Row
	if err := json.Unmarshal([]byte(stdout), &rows); code != 0 || err != nil || len(rows) != 1 || rows[0].Knob != "vm.swappiness" || rows[0].Wanted != "≤ 10" {
		t.Errorf("exit %d, %v, %s%s", code, err, stdout, stderr)
	}
}

func TestTunePage(t *testing.T) {
	if code, stdout, _ := call(t, "tune", "--markdown"); code != 0 || stdout != tune.Markdown() {
		t.Errorf("exit %d, %d bytes", code, len(stdout))
	}
}
