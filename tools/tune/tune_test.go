package tune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// files of a machine that wants everything.
var wanting = map[string]string{
	"proc/sys/kernel/random/boot_id":                       "11111111-aaaa\n",
	"proc/sys/net/core/rmem_max":                           "212992\n",
	"proc/sys/net/core/wmem_max":                           "212992\n",
	"proc/sys/net/ipv4/tcp_rmem":                           "4096\t131072\t6291456\n",
	"proc/sys/net/ipv4/tcp_wmem":                           "4096\t16384\t4194304\n",
	"proc/sys/net/core/somaxconn":                          "128\n",
	"proc/sys/net/core/netdev_max_backlog":                 "1000\n",
	"proc/sys/vm/swappiness":                               "60\n",
	"proc/sys/vm/dirty_ratio":                              "20\n",
	"proc/sys/vm/dirty_bytes":                              "0\n",
	"proc/sys/vm/dirty_background_ratio":                   "5\n",
	"proc/sys/vm/dirty_background_bytes":                   "0\n",
	"proc/sys/kernel/numa_balancing":                       "1\n",
	"sys/kernel/mm/transparent_hugepage/enabled":           "[always] madvise never\n",
	"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
	"sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "schedutil\n",
	"sys/block/sdb/queue/scheduler":                        "none mq-deadline [bfq]\n",
	"sys/block/sdb/queue/rotational":                       "0\n",
	"sys/block/sdb/queue/read_ahead_kb":                    "128\n",
	"sys/devices/pci/block/sdb/size":                       "1\n",
	"sys/devices/pci/block/sdb/sdb1/partition":             "1\n",
	"proc/swaps":          "Filename\tType\tSize\tUsed\tPriority\n/swap.img file 2097148 0 -2\n/dev/sdc partition 2097148 0 5\n",
	"proc/self/mountinfo": "22 1 0:21 / /proc rw - proc proc rw\n30 1 8:17 / / rw,noatime - ext4 /dev/sdb1 rw,discard\n",
}

// changing are the knobs that Apply sets on that machine.
const changing = 17

func machine(t *testing.T, change map[string]string) Host {
	t.Helper()
	root := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range wanting {
		if other, ok := change[name]; ok {
			text = other
		}
		if text != "" {
			write(name, text)
		}
	}
	link := filepath.Join(root, "sys/dev/block/8:17")
	if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink("../../devices/pci/block/sdb/sdb1", link)); err != nil {
		t.Fatal(err)
	}
	h := Host{Root: root, DataDir: t.TempDir(), Journal: filepath.Join(root, "state/fluxbench/tune.journal"), Commit: "abc", Privileged: true}
	return h.faked()
}

// faked gives the host a kernel of files: a choice keeps its words, numbers stand between tabs, a write is whole or not at all.
func (h Host) faked() Host {
	h.Write = func(path, value string) error {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		next := strings.ReplaceAll(value, " ", "\t") + "\n"
		if strings.Contains(string(text), "[") {
			words := strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(string(text)))
			at := slices.Index(words, value)
			if at < 0 {
				return fs.ErrInvalid
			}
			words[at] = "[" + value + "]"
			next = strings.Join(words, " ") + "\n"
		}
		return replaceFile(path, next)
	}
	h.Swap = func(area string, on bool, priority int) error {
		path := filepath.Join(h.Root, "proc/swaps")
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		lines := slices.DeleteFunc(strings.SplitAfter(string(text), "\n"), func(l string) bool { return l == "" || strings.HasPrefix(l, area+" ") })
		if on {
			kind := map[bool]string{true: "partition", false: "file"}[strings.HasPrefix(area, "/dev")]
			if priority < 0 {
				priority = -2
			}
			lines = append(lines, fmt.Sprintf("%s %s 2097148 0 %d\n", area, kind, priority))
		}
		slices.Sort(lines[1:])
		slices.Reverse(lines[1:]) // /swap.img first, as in the fixture
		return replaceFile(path, strings.Join(lines, ""))
	}
	return h
}

func replaceFile(path, text string) error {
	if err := os.WriteFile(path+".next", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".next", path)
}

// tree is every file's text under proc and sys.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, top := range []string{"proc", "sys"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, ".next") {
				return err
			}
			text, err := os.ReadFile(path)
			all[strings.TrimPrefix(path, root+"/")] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func byKnob(rows []Row) map[string]Row {
	m := map[string]Row{}
	for _, r := range rows {
		m[r.Knob] = r
	}
	return m
}

func TestRowsOnFixtures(t *testing.T) {
	for _, row := range []struct {
		about, file, text     string
		knob, current, status string
	}{
		{"a small buffer", "", "", "net.core.rmem_max", "212992", WouldChange},
		{"a larger one than wanted stays", "proc/sys/net/core/rmem_max", "268435456\n", "net.core.rmem_max", "268435456", Already},
		{"less than at most stays", "proc/sys/vm/swappiness", "1\n", "vm.swappiness", "1", Already},
		{"exactly at most", "proc/sys/vm/swappiness", "10\n", "vm.swappiness", "10", Already},
		{"the last of three counts", "proc/sys/net/ipv4/tcp_rmem", "4096 131072 33554432\n", "net.ipv4.tcp_rmem", "4096 131072 33554432", Already},
		{"three numbers where one is known", "proc/sys/net/core/somaxconn", "1 2 3\n", "net.core.somaxconn", "1 2 3", Skipped},
		{"no such file", "proc/sys/kernel/numa_balancing", "", "kernel.numa_balancing", NotPresent, NotPresent},
		{"dirty bytes win over the ratio", "proc/sys/vm/dirty_bytes", "1000000\n", "vm.dirty_ratio", "20", Skipped},
		{"the twin's bytes do not matter", "proc/sys/vm/dirty_bytes", "1000000\n", "vm.dirty_background_ratio", "5", WouldChange},
		{"any good word of a choice", "sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n", "transparent_hugepage", "never", Already},
		{"one governor a CPU", "", "", "governor/cpu1", "schedutil", WouldChange},
		{"the partition's disk", "", "", "scheduler/sdb", "bfq", WouldChange},
		{"a rotating disk wants mq-deadline", "sys/block/sdb/queue/rotational", "1\n", "scheduler/sdb", "bfq", WouldChange},
		{"a kernel without the word", "sys/block/sdb/queue/scheduler", "kyber [bfq]\n", "scheduler/sdb", "bfq", Skipped},
		{"tmpfs has no disk", "proc/self/mountinfo", "30 1 0:9 / / rw - tmpfs tmpfs rw\n", "scheduler", NotPresent, NotPresent},
		{"swap without a chosen priority", "", "", "swap/swap.img", "on", WouldChange},
		{"swap with one", "", "", "swap/sdc", "on, priority 5", WouldChange},
		{"no swap", "proc/swaps", "Filename Type Size Used Priority\n", "swap", "off", Already},
		{"nobarrier, whatever is there", "", "", "nobarrier", "–", Refused},
	} {
		r, ok := byKnob(machine(t, map[string]string{row.file: row.text}).Rows())[row.knob]
		if !ok || r.Current != row.current || r.Status != row.status {
			t.Errorf("%s: got %+v, want current %q, status %q", row.about, r, row.current, row.status)
		}
	}
}

func TestApplyThenUndoRestoresEveryByte(t *testing.T) {
	h := machine(t, nil)
	before := tree(t, h.Root)
	watched := h
	watched.Write = journalledFirst(t, h)
	results, err := watched.Apply(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	applied := 0
	for _, r := range results {
		if r.Status == Applied && r.Verified {
			applied++
		} else if r.Status == Failed {
			t.Errorf("failed: %+v", r)
		}
	}
	if applied != changing {
		t.Fatalf("%d applied, want %d: %+v", applied, changing, results)
	}
	for _, r := range h.Knobs() {
		if r.Status != Already {
			t.Errorf("after apply: %+v", r)
		}
	}
	if got := tree(t, h.Root)["proc/sys/net/ipv4/tcp_rmem"]; got != "4096\t131072\t16777216\n" {
		t.Errorf("tcp_rmem became %q: only its last number is ours", got)
	}
	var inTheWay *JournalError
	if _, err := h.Apply(t.Context(), nil); !errors.As(err, &inTheWay) || inTheWay.OtherBoot || !strings.Contains(err.Error(), "tune --undo") {
		t.Errorf("a second apply: %v", err)
	}
	undone, err := h.Undo(t.Context())
	if err != nil || !undone.Removed || len(undone.Results) != changing || undone.Results[0].Knob != "swap/sdc" {
		t.Fatalf("undo: %+v, %v", undone, err)
	}
	if diff := cmp.Diff(before, tree(t, h.Root)); diff != "" {
		t.Errorf("undo left (-before +after):\n%s", diff)
	}
	if undone, err := h.Undo(t.Context()); err != nil || undone.Found {
		t.Errorf("a second undo: %+v, %v", undone, err)
	}
}

// journalledFirst checks at each write that the old value is in the file already.
func journalledFirst(t *testing.T, h Host) func(path, value string) error {
	write := h.Write
	return func(path, value string) error {
		text, err := os.ReadFile(h.Journal)
		if err != nil {
			t.Errorf("%s is written before there is a journal: %v", path, err)
		}
		entries, err := parseJournal(h.Journal, text)
		if err != nil || len(entries) == 0 {
			t.Fatalf("journal: %v", err)
		}
		now, err := h.read("/"+h.relative(path), false)
		if err != nil {
			t.Fatal(err)
		}
		if last := entries[len(entries)-1]; last.Kind != kindIntent || h.under(last.Path) != path || last.Old != now || last.New != value {
			t.Errorf("%s = %s is written after %+v", path, value, last)
		}
		return write(path, value)
	}
}

func TestApplyOnlyWhatIsNamed(t *testing.T) {
	h := machine(t, nil)
	results, err := h.Apply(t.Context(), []string{"governor", "vm.swappiness", "nobarrier"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		got = append(got, r.Knob+" "+r.Status)
	}
	want := []string{"vm.swappiness applied", "governor/cpu0 applied", "governor/cpu1 applied", "nobarrier refused"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var unknown *UnknownError
	if _, err := h.Apply(t.Context(), []string{"vm.swapiness"}); !errors.As(err, &unknown) {
		t.Errorf("a knob that is not there: %v", err)
	}
}

func TestNothingToChangeLeavesNoJournal(t *testing.T) {
	h := machine(t, map[string]string{"proc/sys/vm/swappiness": "10\n"})
	if _, err := h.Apply(t.Context(), []string{"vm.swappiness"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(h.Journal); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a journal of nothing: %v", err)
	}
}

func TestWithoutRootNothingIsTouched(t *testing.T) {
	h := machine(t, nil)
	h.Privileged = false
	if r := byKnob(h.Rows())["vm.swappiness"]; r.Status != NeedsRoot {
		t.Errorf("row %+v", r)
	}
	before := tree(t, h.Root)
	if _, err := h.Apply(t.Context(), nil); !errors.Is(err, ErrNeedsRoot) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, tree(t, h.Root)); diff != "" {
		t.Error(diff)
	}
}

func TestAFailedKnobIsSaidAndTheOthersGoOn(t *testing.T) {
	h := machine(t, nil)
	before := tree(t, h.Root)
	write := h.Write
	h.Write = func(path, value string) error {
		switch filepath.Base(path) {
		case "swappiness":
			return fs.ErrInvalid
		case "somaxconn":
			return write(path, "1024") // a kernel that rounds
		}
		return write(path, value)
	}
	results, err := h.Apply(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		bad := r.Knob == "vm.swappiness" || r.Knob == "net.core.somaxconn"
		if bad != (r.Status == Failed) || bad && r.Verified {
			t.Errorf("%+v", r)
		}
	}
	h.Write = write
	if _, err := h.Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, tree(t, h.Root)); diff != "" {
		t.Errorf("also a rounded value is undone (-before +after):\n%s", diff)
	}
}

func TestUndoLeavesAloneWhatSomebodyElseSet(t *testing.T) {
	h := machine(t, nil)
	if _, err := h.Apply(t.Context(), []string{"vm.swappiness", "net.core.somaxconn"}); err != nil {
		t.Fatal(err)
	}
	if err := h.Write(h.under("/proc/sys/vm/swappiness"), "33"); err != nil {
		t.Fatal(err)
	}
	undone, err := h.Undo(t.Context())
	if err != nil || !undone.Removed {
		t.Fatalf("%+v, %v", undone, err)
	}
	if r := undone.Results[0]; r.Status != Skipped || !strings.Contains(r.Reason, "somebody else") || r.After != "33" {
		t.Errorf("%+v", r)
	}
	if r := undone.Results[1]; r.Status != Restored || r.After != "128" || !r.Verified {
		t.Errorf("%+v", r)
	}
}

func TestAJournalOfAnotherBootRestoresNothing(t *testing.T) {
	h := machine(t, nil)
	if _, err := h.Apply(t.Context(), []string{"vm.swappiness", "net.core.somaxconn"}); err != nil {
		t.Fatal(err)
	}
	for path, value := range map[string]string{bootIDFile: "22222222-bbbb", "/proc/sys/vm/swappiness": "60"} { // the reboot
		if err := h.Write(h.under(path), value); err != nil {
			t.Fatal(err)
		}
	}
	var inTheWay *JournalError
	if _, err := h.Apply(t.Context(), nil); !errors.As(err, &inTheWay) || !inTheWay.OtherBoot {
		t.Errorf("apply over a stale journal: %v", err)
	}
	before := tree(t, h.Root)
	undone, err := h.Undo(t.Context())
	if err != nil || !undone.OtherBoot || !undone.Removed || undone.Results[0].Status != Already || undone.Results[1].Status != Skipped {
		t.Errorf("%+v, %v", undone, err)
	}
	if diff := cmp.Diff(before, tree(t, h.Root)); diff != "" {
		t.Error(diff)
	}
}

func TestAKnobThatCannotBeSetBackKeepsTheJournal(t *testing.T) {
	h := machine(t, nil)
	if _, err := h.Apply(t.Context(), []string{"vm.swappiness"}); err != nil {
		t.Fatal(err)
	}
	broken := h
	broken.Write = func(string, string) error { return fs.ErrPermission }
	if undone, err := broken.Undo(t.Context()); err == nil || undone.Removed || !strings.Contains(err.Error(), "vm.swappiness") {
		t.Errorf("%+v, %v", undone, err)
	}
	if undone, err := h.Undo(t.Context()); err != nil || !undone.Removed || undone.Results[0].Status != Restored {
		t.Errorf("the second try: %+v, %v", undone, err)
	}
}

func TestApplyEndsWithItsContext(t *testing.T) {
	h := machine(t, nil)
	before := tree(t, h.Root)
	ctx, cancel := context.WithCancel(t.Context())
	write := h.Write
	h.Write = func(path, value string) error { cancel(); return write(path, value) }
	results, err := h.Apply(ctx, nil)
	if !errors.Is(err, context.Canceled) || len(results) != 1 {
		t.Fatalf("%d results, %v", len(results), err)
	}
	h.Write = write
	if _, err := h.Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, tree(t, h.Root)); diff != "" {
		t.Error(diff)
	}
}

func TestOneAtATime(t *testing.T) {
	h := machine(t, nil)
	write := h.Write
	tried := false
	h.Write = func(path, value string) error {
		if !tried {
			tried = true
			if _, err := h.Undo(t.Context()); !errors.Is(err, ErrBusy) {
				t.Errorf("undo in the middle of apply: %v", err)
			}
		}
		return write(path, value)
	}
	if _, err := h.Apply(t.Context(), nil); err != nil || !tried {
		t.Fatal(tried, err)
	}
}

func TestTornAndDamagedJournals(t *testing.T) {
	h := machine(t, nil)
	if _, err := h.Apply(t.Context(), []string{"vm.swappiness", "net.core.somaxconn"}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(h.Journal)
	if err != nil {
		t.Fatal(err)
	}
	all, err := parseJournal("j", whole)
	if err != nil || len(all) != 5 {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	for size := range len(whole) { // cut after every byte
		entries, err := parseJournal("j", whole[:size])
		if want := strings.Count(string(whole[:size]), "\n"); err != nil || len(entries) != want {
			t.Fatalf("cut at %d: %d entries, want %d, %v", size, len(entries), want, err)
		}
	}
	lines := strings.SplitAfter(string(whole), "\n")
	for about, text := range map[string]string{
		"garbage in the middle": lines[0] + "{\"kind\":\"int\n" + lines[2],
		"no header":             strings.Join(lines[1:], ""),
		"two headers":           lines[0] + lines[0],
		"a field of the future": lines[0] + `{"kind":"intent","colour":"red"}` + "\n" + lines[2],
		"a schema to come":      strings.Replace(string(whole), `"schema":1`, `"schema":2`, 1),
	} {
		if err := os.WriteFile(h.Journal, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		before := tree(t, h.Root)
		if undone, err := h.Undo(t.Context()); err == nil || undone.Removed {
			t.Errorf("%s: %+v", about, undone)
		}
		if diff := cmp.Diff(before, tree(t, h.Root)); diff != "" {
			t.Errorf("%s: %s", about, diff)
		}
	}
	if err := os.WriteFile(h.Journal, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if undone, err := h.Undo(t.Context()); err != nil || !undone.Removed {
		t.Errorf("killed before the header was there: %+v, %v", undone, err)
	}
}

func FuzzParseJournal(f *testing.F) {
	f.Add([]byte(`{"kind":"header","schema":1,"boot_id":"x"}` + "\n" + `{"kind":"intent","knob":"a","path":"/b","old":"1","new":"2"}` + "\n"))
	f.Add([]byte("{}\n{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := parseJournal("j", text)
		if err != nil {
			return
		}
		for i, e := range entries {
			if (i == 0) != (e.Kind == kindHeader) {
				t.Fatalf("entry %d is a %s", i, e.Kind)
			}
		}
	})
}

func TestDefaultJournal(t *testing.T) {
	for _, row := range []struct {
		state, home, want string
	}{
		{"/s", "/h", "/s/fluxbench/tune.journal"},
		{"", "/h", "/h/.local/state/fluxbench/tune.journal"},
		{"relative", "/h", "/h/.local/state/fluxbench/tune.journal"},
		{"", "", ""},
	} {
		got, err := DefaultJournal(func(key string) string { return map[string]string{"XDG_STATE_HOME": row.state, "HOME": row.home}[key] })
		if got != row.want || (err == nil) != (row.want != "") {
			t.Errorf("%+v: got %q, %v", row, got, err)
		}
	}
}

// TestScriptAppliesAndUndoes runs the printed script over the fake machine, whose files are plain here: bash writes them.
func TestScriptAppliesAndUndoes(t *testing.T) {
	noSwap := map[string]string{"proc/swaps": "Filename\n", "sys/block/sdb/queue/scheduler": "", "sys/kernel/mm/transparent_hugepage/enabled": "always\n"}
	h := machine(t, noSwap)
	var script strings.Builder
	if err := h.WriteScript(&script, h.Rows()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tune.sh")
	if err := os.WriteFile(path, []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	bash := func(word string) string {
		out, err := exec.Command("bash", path, word).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", word, err, out)
		}
		return string(out)
	}
	before := map[string]string{}
	for _, r := range h.Knobs() {
		before[r.Knob] = r.Current
	}
	bash("apply")
	for _, r := range h.Knobs() {
		if r.Status == WouldChange {
			t.Errorf("after apply: %+v", r)
		}
	}
	if err := os.WriteFile(h.under("/proc/sys/vm/swappiness"), []byte("33\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := bash("undo"); !strings.Contains(out, "swappiness is 33: changed by somebody else, left alone") {
		t.Errorf("undo said\n%s", out)
	}
	before["vm.swappiness"] = "33"
	for _, r := range h.Knobs() {
		if r.Current != before[r.Knob] {
			t.Errorf("after undo: %s is %q, was %q", r.Knob, r.Current, before[r.Knob])
		}
	}
	if !strings.Contains(script.String(), "# never: mount -o discard,nobarrier") || strings.Contains(script.String(), "\n    mount") {
		t.Error("the script must name nobarrier and not do it")
	}
}

func TestScriptOfAKernelsChoice(t *testing.T) {
	h := machine(t, nil)
	var script strings.Builder
	if err := h.WriteScript(&script, h.Rows()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"swapoff '/dev/sdc' ||", "swapon -p 5 '/dev/sdc' ||", "swapon '/swap.img' ||",
		"back '" + h.Root + "/sys/block/sdb/queue/scheduler' 'none' 'bfq'"} {
		if !strings.Contains(script.String(), want) {
			t.Errorf("no %q in\n%s", want, script.String())
		}
	}
	head, _, _ := strings.Cut(script.String(), "case ")
	out, err := exec.Command("bash", "-c", head+`echo $(value "$1") $(value "$2")`, "-", h.under("/sys/block/sdb/queue/scheduler"), h.under("/proc/sys/net/ipv4/tcp_rmem")).Output()
	if err != nil || strings.Join(strings.Fields(string(out)), " ") != "bfq 4096 131072 6291456" {
		t.Errorf("value reads %q, %v", out, err)
	}
}

func TestRegistryIsWhole(t *testing.T) {
	names := map[string]bool{}
	for _, s := range specs {
		if s.Name == "" || s.Files == "" || s.Want.String() == "–" || s.Why == "" || s.Source == "" || s.Risk == "" || names[s.Name] {
			t.Errorf("spec %+v lacks something or is there twice", s)
		}
		names[s.Name] = true
	}
	if Wanted("net.core.rmem_max").Number() != 134217728 || Wanted("no such").String() != "–" {
		t.Error("Wanted")
	}
	if _, err := json.Marshal(Host{Root: t.TempDir()}.Rows()); err != nil {
		t.Error(err)
	}
}

// TestTuningPageIsCurrent holds docs/tuning.md to the registry.
func TestTuningPageIsCurrent(t *testing.T) {
	page, err := os.ReadFile("../../docs/tuning.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != Markdown() {
		t.Error("docs/tuning.md is not what the registry says; run `make docs`")
	}
	if strings.Contains(Markdown(), "{{") {
		t.Error("a marker of page.md was not filled")
	}
}
