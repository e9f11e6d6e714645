package tune

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Host is a machine whose knobs are looked at or set.
type Host struct {
	Root       string // "/" but in tests
	DataDir    string // where the broker's data will lie; decides which disk is meant
	Journal    string // the undo journal's path
	Commit     string // of the checkout, for the journal's header
	Privileged bool   // this process is root

	// Write sets one file to a value; nil: write(2). path lies under Root.
	Write func(path, value string) error
	// Swap turns an area on (priority below 0: the kernel's choice) or off; nil: swapon(8), swapoff(8).
	Swap func(area string, on bool, priority int) error
}

// States of a knob, before anything is done.
const (
	Already     = "already"
	WouldChange = "would change"
	NotPresent  = "not present"
	NeedsRoot   = "needs root"
	Refused     = "refused"
	Skipped     = "skipped"
	ByHand      = "by hand"
)

// Row is one knob on this machine.
type Row struct {
	Knob    string `json:"knob"`
	Path    string `json:"path,omitempty"`
	Wanted  string `json:"wanted"`
	Current string `json:"current"`
	Status  string `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Why     string `json:"why"`
	Source  string `json:"source,omitempty"`
	Risk    string `json:"risk,omitempty"`

	value string // what Apply writes
	swap  bool   // Path is a swap area, not a file to write
}

const (
	swapOff = "off"
	swapOn  = "on"
)

// Knobs looks at every setting of the registry on this machine, in the registry's order. It changes nothing.
func (h Host) Knobs() []Row {
	var rows []Row
	for i := range specs {
		rows = append(rows, h.expand(&specs[i])...)
	}
	return rows
}

// Rows are the knobs, then what is refused, then what is left to a person.
func (h Host) Rows() []Row {
	rows := h.Knobs()
	for _, n := range never {
		rows = append(rows, Row{Knob: n.Name, Wanted: "never", Current: "–", Status: Refused, Reason: n.Why, Why: n.Line, Source: n.Source})
	}
	for _, a := range advice {
		row := Row{Knob: a.Name, Wanted: a.Do, Current: "–", Status: ByHand, Why: a.Why}
		if a.Name == "nofile" {
			row.Current = openFiles()
		}
		rows = append(rows, row)
	}
	return rows
}

// Select keeps the rows of the named knobs and groups, in the rows' order; every row when nothing is named.
func Select(rows []Row, names []string) ([]Row, error) {
	if len(names) == 0 {
		return rows, nil
	}
	var known, unknown []string
	for _, row := range rows {
		known = append(known, group(row.Knob))
	}
	for _, name := range names {
		if !slices.ContainsFunc(rows, func(r Row) bool { return r.named(name) }) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return nil, &UnknownError{unknown, slices.Compact(known)}
	}
	var chosen []Row
	for _, row := range rows {
		if slices.ContainsFunc(names, row.named) {
			chosen = append(chosen, row)
		}
	}
	return chosen, nil
}

// UnknownError names knobs that are in no registry.
type UnknownError struct{ Names, Known []string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("unknown knob %s; known: %s", strings.Join(e.Names, ", "), strings.Join(e.Known, ", "))
}

func (r Row) named(name string) bool { return r.Knob == name || group(r.Knob) == name }

func group(knob string) string {
	name, _, _ := strings.Cut(knob, "/")
	return name
}

func openFiles() string {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return NotPresent
	}
	return strconv.FormatUint(limit.Cur, 10)
}

// expand is a spec on this machine: one row for a sysctl, one for each CPU, disk or swap area.
func (h Host) expand(s *Spec) []Row {
	absent := Row{Knob: s.Name, Path: s.Files, Wanted: s.Want.String(), Current: NotPresent, Status: NotPresent, Why: s.Why, Source: s.Source, Risk: s.Risk}
	switch s.Name {
	case "governor":
		files, _ := filepath.Glob(h.under(s.Files)) // the pattern is ours and well formed
		var rows []Row
		for _, file := range files {
			cpu := filepath.Base(filepath.Dir(filepath.Dir(file)))
			rows = append(rows, h.row(s, s.Name+"/"+cpu, "/"+h.relative(file), s.Want))
		}
		if rows == nil {
			absent.Reason = "no cpufreq here: in a virtual machine the host sets the clock rate"
			return []Row{absent}
		}
		return rows
	case "scheduler", "read_ahead_kb":
		disk, ok := DataDisk(h.Root, h.DataDir)
		if !ok || disk.Name == "" {
			absent.Reason = "the data folder lies on no block device"
			return []Row{absent}
		}
		want := s.Want
		if s.Name == "scheduler" && disk.Rotating {
			want = oneOf("mq-deadline")
		}
		return []Row{h.row(s, s.Name+"/"+disk.Name, "/sys/block/"+disk.Name+"/queue/"+s.Name, want)}
	case "swap":
		return h.swapRows(s, absent)
	}
	return []Row{h.row(s, s.Name, s.Files, s.Want)}
}

// row looks at one file.
func (h Host) row(s *Spec, name, path string, want Want) Row {
	r := Row{Knob: name, Path: path, Wanted: want.String(), Why: s.Why, Source: s.Source, Risk: s.Risk}
	text, err := h.text(path)
	if err != nil {
		r.Current, r.Status = NotPresent, NotPresent
		return r
	}
	r.Current = currentOf(text)
	if want.Holds(r.Current) {
		r.Status = Already
		return r
	}
	r.value, err = want.Value(r.Current)
	switch bytes := h.dirtyBytes(name); {
	case err != nil:
		r.Status, r.Reason = Skipped, err.Error()
	case bytes != "":
		r.Status, r.Reason = Skipped, bytes
	case strings.Contains(text, "[") && !slices.Contains(strings.Fields(text), r.value):
		r.Status, r.Reason = Skipped, "this kernel offers only "+text
	default:
		r.Status, r.Reason = h.changeable(path)
	}
	return r
}

// dirtyBytes is why a dirty ratio must not be touched: the kernel keeps either the ratio or the bytes, and writing one clears the other.
func (h Host) dirtyBytes(name string) string {
	twin, isRatio := strings.CutSuffix(name, "_ratio")
	if !isRatio || !strings.HasPrefix(twin, "vm.dirty") {
		return ""
	}
	twin += "_bytes"
	if text, err := h.text(sysctlPath(twin)); err == nil && text != "0" {
		return fmt.Sprintf("%s is set (%s) and would be cleared", twin, text)
	}
	return ""
}

func sysctlPath(name string) string { return sysctlDir + strings.ReplaceAll(name, ".", "/") }

// changeable is the status of a knob that does not hold.
func (h Host) changeable(path string) (status, reason string) {
	if !h.Privileged {
		return NeedsRoot, ""
	}
	if err := unix.Access(h.under(path), unix.W_OK); err != nil {
		return Skipped, "cannot be written here: " + err.Error()
	}
	return WouldChange, ""
}

// swapRows lists the areas in use; none is the wanted state.
func (h Host) swapRows(s *Spec, absent Row) []Row {
	text, err := h.text(swapsFile)
	if err != nil {
		return []Row{absent}
	}
	var rows []Row
	for _, area := range swapAreas(text) {
		r := Row{Knob: s.Name + "/" + filepath.Base(area.name), Path: area.name, Wanted: swapOff, Current: area.state, Why: s.Why, Source: s.Source, Risk: s.Risk, value: swapOff, swap: true}
		r.Status = WouldChange
		if !h.Privileged {
			r.Status = NeedsRoot
		}
		rows = append(rows, r)
	}
	if rows == nil {
		absent.Current, absent.Status = swapOff, Already
		return []Row{absent}
	}
	return rows
}

type swapArea struct {
	name  string
	state string // "on", or "on, priority 5" when somebody chose one: what the kernel chose itself is below 0
}

func swapAreas(text string) []swapArea {
	var areas []swapArea
	for line := range strings.Lines(text) { // Filename Type Size Used Priority
		fields := strings.Fields(line)
		if len(fields) != 5 || fields[0] == "Filename" {
			continue
		}
		area := swapArea{strings.ReplaceAll(fields[0], `\040`, " "), swapOn}
		if priority, err := strconv.Atoi(fields[4]); err == nil && priority >= 0 {
			area.state = fmt.Sprintf("%s, priority %d", swapOn, priority)
		}
		areas = append(areas, area)
	}
	return areas
}

// currentOf is a file's value as it is compared and written: the bracketed word of a choice, numbers with single spaces.
func currentOf(text string) string {
	from, to := strings.IndexByte(text, '['), strings.IndexByte(text, ']')
	if from >= 0 && to > from {
		return text[from+1 : to]
	}
	return strings.Join(strings.Fields(text), " ")
}

func (h Host) under(path string) string { return filepath.Join(h.root(), path) }

func (h Host) relative(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, h.root()), "/")
}

func (h Host) root() string {
	if h.Root == "" {
		return "/"
	}
	return h.Root
}

func (h Host) text(path string) (string, error) {
	text, err := os.ReadFile(h.under(path))
	return strings.TrimSpace(string(text)), err
}

// read is the current value of a file or swap area.
func (h Host) read(path string, swap bool) (string, error) {
	if !swap {
		text, err := h.text(path)
		return currentOf(text), err
	}
	text, err := h.text(swapsFile)
	for _, area := range swapAreas(text) {
		if area.name == path {
			return area.state, nil
		}
	}
	return swapOff, err
}

// set writes a value and says what it is then.
func (h Host) set(path, value string, swap bool) (after string, err error) {
	if swap {
		err = h.setSwap(path, value)
	} else {
		write := h.Write
		if write == nil {
			write = writeFile
		}
		err = write(h.under(path), value)
	}
	after, readErr := h.read(path, swap)
	if err != nil {
		return after, err
	}
	if readErr != nil {
		return "", readErr
	}
	if after != value {
		return after, fmt.Errorf("wrote %q, the kernel holds %q", value, after)
	}
	return after, nil
}

// writeFile is one write(2): the kernel takes a value whole or not at all.
func writeFile(path, value string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(value + "\n")
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (h Host) setSwap(area, state string) error {
	priority := -1
	if _, number, ok := strings.Cut(state, "priority "); ok {
		priority, _ = strconv.Atoi(number) // our own text
	}
	swap := h.Swap
	if swap == nil {
		swap = swapCommand
	}
	return swap(area, state != swapOff, priority)
}

func swapCommand(area string, on bool, priority int) error {
	args := []string{"swapoff", area}
	if on {
		args = []string{"swapon", area}
		if priority >= 0 {
			args = []string{"swapon", "-p", strconv.Itoa(priority), area}
		}
	}
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
