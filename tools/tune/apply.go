package tune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// Outcomes of one knob; Already, Skipped and Refused are also among them.
const (
	Applied  = "applied"
	Restored = "restored"
	Failed   = "failed"
)

// Result is what became of one knob.
type Result struct {
	Knob      string `json:"knob"`
	Requested string `json:"requested"` // the value written, or the want when nothing was
	Before    string `json:"before"`
	After     string `json:"after"`
	Status    string `json:"status"`
	Reason    string `json:"reason,omitempty"`
	Verified  bool   `json:"verified"` // After was read back and is as it should be
}

// ErrNeedsRoot is a call that cannot set anything.
var ErrNeedsRoot = errors.New("host settings are set by root: run it with sudo, or give `fluxbench tune --print` to whoever may")

// Apply sets the named knobs, or all, to what is wanted, with each old value in the journal on disk before its knob is written. A
// knob that fails does not stop the others; the results say so. An error means that nothing more was tried: the journal was
// in the way, could not be written, or ctx ended. What was written until then is in the journal, for Undo.
func (h Host) Apply(ctx context.Context, names []string) ([]Result, error) {
	rows, err := Select(h.Rows(), names)
	if err != nil {
		return nil, err
	}
	if !h.Privileged {
		return nil, ErrNeedsRoot
	}
	header, err := h.header()
	if err != nil {
		return nil, err
	}
	if err := h.journalInTheWay(header.BootID); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(rows, func(r Row) bool { return r.Status == WouldChange }) {
		return h.applyRows(ctx, rows, nil)
	}
	j, err := createJournal(h.Journal, header)
	if err != nil {
		return nil, err
	}
	results, err := h.applyRows(ctx, rows, j)
	return results, errors.Join(err, j.close())
}

// journalInTheWay is a *JournalError when a journal exists, of this boot or another.
func (h Host) journalInTheWay(boot string) error {
	text, err := os.ReadFile(h.Journal)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	entries, err := parseJournal(h.Journal, text)
	return &JournalError{Path: h.Journal, OtherBoot: err == nil && len(entries) > 0 && entries[0].BootID != boot}
}

func (h Host) applyRows(ctx context.Context, rows []Row, j *journal) ([]Result, error) {
	var results []Result
	for _, row := range rows {
		result := Result{Knob: row.Knob, Requested: row.Wanted, Before: row.Current, After: row.Current, Status: row.Status, Reason: row.Reason}
		switch row.Status {
		case WouldChange:
			if err := ctx.Err(); err != nil {
				return results, err
			}
			var err error
			if result, err = h.applyOne(row, j); err != nil {
				return append(results, result), err
			}
		case Already:
			result.Verified = true
		case NotPresent:
			result.Status, result.Reason = Skipped, join(NotPresent, row.Reason)
		case ByHand:
			result.Status, result.Reason = Skipped, ByHand+": "+row.Wanted
		}
		results = append(results, result)
	}
	return results, nil
}

func join(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// applyOne journals, writes, reads back, journals. Its error is the journal's; the knob's own failure is in the result.
func (h Host) applyOne(row Row, j *journal) (Result, error) {
	result := Result{Knob: row.Knob, Requested: row.value, Before: row.Current, After: row.Current, Status: Failed}
	if now, err := h.read(row.Path, row.swap); err != nil || now != row.Current {
		result.After, result.Reason = now, "somebody else changed it just now; not touched"
		return result, nil
	}
	err := j.append(entry{Kind: kindIntent, Knob: row.Knob, Path: row.Path, Swap: row.swap, Old: row.Current, New: row.value})
	if err != nil {
		result.Reason = err.Error()
		return result, err
	}
	after, err := h.set(row.Path, row.value, row.swap)
	result.After = after
	if err != nil {
		result.Reason = err.Error()
	} else {
		result.Status, result.Verified = Applied, true
	}
	return result, j.append(entry{Kind: kindApplied, Knob: row.Knob, After: after, Verified: result.Verified})
}

// Undone is what Undo found and did.
type Undone struct {
	Found     bool     `json:"found"`      // there was a journal
	OtherBoot bool     `json:"other_boot"` // it was of a boot that is over: nothing was restored
	Removed   bool     `json:"removed"`    // it is gone now
	Results   []Result `json:"results"`
}

// Undo restores what the journal names, last first, and removes it. A knob is restored only while it holds what Apply wrote: it may
// never have been written, or somebody else may have set it since; the latter is left alone, with a reason. A journal of
// another boot restores nothing: what Apply wrote went with that boot, so a value that looks like it is somebody else's. When
// a knob cannot be restored the journal stays, for another try. Calling it again is harmless.
func (h Host) Undo(ctx context.Context) (Undone, error) {
	j, err := openJournal(h.Journal)
	if errors.Is(err, fs.ErrNotExist) {
		return Undone{}, nil
	}
	if err != nil {
		return Undone{}, err
	}
	undone := Undone{Found: true}
	err = h.undo(ctx, j, &undone)
	return undone, errors.Join(err, j.close())
}

func (h Host) undo(ctx context.Context, j *journal, undone *Undone) error {
	entries, err := j.read()
	if err != nil {
		return err
	}
	now, err := h.header()
	if err != nil {
		return err
	}
	undone.OtherBoot = len(entries) > 0 && entries[0].BootID != now.BootID
	seen := map[string]string{} // knob to the value read after it was written: a kernel may round
	var failed []error
	for _, e := range slices.Backward(entries) {
		switch e.Kind {
		case kindApplied:
			seen[e.Knob] = e.After
		case kindIntent:
			if err := ctx.Err(); err != nil {
				return err
			}
			result := h.undoOne(e, seen, undone.OtherBoot)
			undone.Results = append(undone.Results, result)
			if result.Status == Failed {
				failed = append(failed, fmt.Errorf("%s could not be set back to %s: %s", e.Knob, e.Old, result.Reason))
			}
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%w\nthe undo journal %s was kept", errors.Join(failed...), j.path)
	}
	if err := j.remove(); err != nil {
		return err
	}
	undone.Removed = true
	return nil
}

func (h Host) undoOne(e entry, seen map[string]string, otherBoot bool) Result {
	result := Result{Knob: e.Knob, Requested: e.Old}
	current, err := h.read(e.Path, e.Swap)
	if err != nil {
		result.Status, result.Reason = Skipped, NotPresent+" any more"
		return result
	}
	result.Before, result.After = current, current
	after, wasApplied := seen[e.Knob]
	ours := current == e.New || wasApplied && current == after
	switch {
	case current == e.Old:
		result.Status, result.Verified = Already, true
	case otherBoot:
		result.Status, result.Reason = Skipped, "what was written went with its boot; this value was set since, and is left alone"
	case !ours:
		result.Status, result.Reason = Skipped, fmt.Sprintf("changed by somebody else since (we wrote %s), left alone", e.New)
	case !h.Privileged:
		result.Status, result.Reason = Failed, ErrNeedsRoot.Error()
	default:
		result.Status = Restored
		if result.After, err = h.set(e.Path, e.Old, e.Swap); err != nil {
			result.Status, result.Reason = Failed, err.Error()
		}
		result.Verified = err == nil
	}
	return result
}
