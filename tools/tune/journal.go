package tune

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// JournalName is the journal below a state folder.
const JournalName = "fluxbench/tune.journal"

// DefaultJournal is where the journal lies when nobody says otherwise: $XDG_STATE_HOME or ~/.local/state. environ is os.Getenv.
func DefaultJournal(environ func(string) string) (string, error) {
	if dir := environ("XDG_STATE_HOME"); filepath.IsAbs(dir) { // the XDG specification: a relative path is to be ignored
		return filepath.Join(dir, JournalName), nil
	}
	home := environ("HOME")
	if home == "" {
		return "", errors.New("neither XDG_STATE_HOME nor HOME is set; say where the undo journal lies: --journal PATH")
	}
	return filepath.Join(home, ".local/state", JournalName), nil
}

const journalSchema = 1

// Kinds of a journal line.
const (
	kindHeader  = "header"
	kindIntent  = "intent"  // on disk before the knob is written
	kindApplied = "applied" // after it was
)

// entry is one line of the journal. Only the fields of its kind are set.
//
//	{"kind":"header","schema":1,"boot_id":"…","time":"…","commit":"…","pid":1}
//	{"kind":"intent","knob":"vm.swappiness","path":"/proc/sys/vm/swappiness","old":"60","new":"10"}
//	{"kind":"applied","knob":"vm.swappiness","after":"10","verified":true}
type entry struct {
	Kind     string `json:"kind"`
	Schema   int    `json:"schema,omitempty"`
	BootID   string `json:"boot_id,omitempty"`
	Time     string `json:"time,omitempty"`
	Commit   string `json:"commit,omitempty"`
	PID      int    `json:"pid,omitempty"`
	Knob     string `json:"knob,omitempty"`
	Path     string `json:"path,omitempty"`
	Swap     bool   `json:"swap,omitempty"`
	Old      string `json:"old,omitempty"`
	New      string `json:"new,omitempty"`
	After    string `json:"after,omitempty"`
	Verified bool   `json:"verified,omitempty"`
}

// journal is an open, locked undo journal.
type journal struct {
	file *os.File
	path string
}

// ErrBusy is another process's hold on the journal.
var ErrBusy = errors.New("another fluxbench tune is at work with this journal")

// JournalError is a journal in the way of Apply.
type JournalError struct {
	Path      string
	OtherBoot bool
}

func (e *JournalError) Error() string {
	when := "settings from an earlier --apply are in force or were left half-way"
	if e.OtherBoot {
		when = "it was written before the last boot"
	}
	return fmt.Sprintf("the undo journal %s exists: %s; run `fluxbench tune --undo` first", e.Path, when)
}

// createJournal makes the file, which must not exist, and puts the header on disk.
func createJournal(path string, header entry) (*journal, error) {
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, &JournalError{Path: path}
	}
	if err != nil {
		return nil, err
	}
	j := &journal{file, path}
	if err := j.lock(); err != nil {
		file.Close()
		return nil, err
	}
	if err := errors.Join(j.append(header), syncFolder(filepath.Dir(path))); err != nil {
		return nil, errors.Join(err, j.remove(), j.close())
	}
	return j, nil
}

// openJournal opens one to undo it; os.ErrNotExist when there is none.
func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	j := &journal{file, path}
	if err := j.lock(); err != nil {
		file.Close()
		return nil, err
	}
	return j, nil
}

// lock takes the file for this process, and makes sure that it is still the one under its name: whoever held it before may have
// removed it. The kernel gives the lock up when a process dies, however it dies.
func (j *journal) lock() error {
	if err := unix.Flock(int(j.file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return ErrBusy
		}
		return fmt.Errorf("lock %s: %w", j.path, err)
	}
	held, err := j.file.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(j.path)
	if err != nil {
		return err
	}
	if !os.SameFile(held, named) {
		return ErrBusy
	}
	return nil
}

// append puts one line on disk before it returns.
func (j *journal) append(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("undo journal %s: %w", j.path, err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("undo journal %s: %w", j.path, err)
	}
	return nil
}

// read returns the entries. A torn last line is left out: an intent that is not whole on disk was never acted on. Anything
// else that does not read is damage, and an error.
func (j *journal) read() ([]entry, error) {
	text, err := io.ReadAll(j.file)
	if err != nil {
		return nil, err
	}
	return parseJournal(j.path, text)
}

func parseJournal(path string, text []byte) ([]entry, error) {
	var entries []entry
	for number := 1; len(text) > 0; number++ {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			break
		}
		var e entry
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&e); err != nil {
			if len(rest) == 0 {
				break
			}
			return nil, fmt.Errorf("undo journal %s: line %d does not read: %w; nothing was changed", path, number, err)
		}
		if (number == 1) != (e.Kind == kindHeader) {
			return nil, fmt.Errorf("undo journal %s: line %d: got kind %q; the header is the first line and no other; nothing was changed", path, number, e.Kind)
		}
		if number == 1 && e.Schema != journalSchema {
			return nil, fmt.Errorf("undo journal %s: schema %d, this program reads %d", path, e.Schema, journalSchema)
		}
		entries, text = append(entries, e), rest
	}
	return entries, nil
}

func (j *journal) remove() error {
	if err := os.Remove(j.path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(j.path))
}

func (j *journal) close() error { return j.file.Close() }

// makeFolder is MkdirAll that is on disk when it returns.
func makeFolder(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncFolder(parent)
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	err = folder.Sync()
	if closeErr := folder.Close(); err == nil {
		err = closeErr
	}
	return err
}

// header describes this boot and this process.
func (h Host) header() (entry, error) {
	boot, err := h.text(bootIDFile)
	if err != nil || boot == "" {
		return entry{}, fmt.Errorf("no boot id at %s: without it an old journal cannot be told from this boot's: %w", bootIDFile, err)
	}
	return entry{Kind: kindHeader, Schema: journalSchema, BootID: boot, Time: time.Now().UTC().Format(time.RFC3339), Commit: h.Commit, PID: os.Getpid()}, nil
}
