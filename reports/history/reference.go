package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Commit is what git says of a commit.
type Commit struct {
	SHA         string    `json:"commit"` // 40 hex digits
	CommittedAt time.Time `json:"committed_at"`
	Subject     string    `json:"subject"`
}

// Reference is the pinned commit: every point is measured against it until another is pinned.
type Reference struct {
	Commit
	PinnedAt time.Time `json:"pinned_at"`
	Why      string    `json:"why"`
	// Replaced are the references before, the newest first. A link must be measured against the first of them.
	Replaced []Commit `json:"replaced"`
}

// ErrNotPinned is returned while no reference is pinned.
var ErrNotPinned = errors.New("no reference is pinned; pin one: fluxbench history pin REV --why …")

func (s Store) referencePath() string { return filepath.Join(s.Dir, "reference.json") }

// Reference reads the pinned reference.
func (s Store) Reference() (*Reference, error) {
	text, err := os.ReadFile(s.referencePath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotPinned
	}
	if err != nil {
		return nil, err
	}
	var r Reference
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", s.referencePath(), err)
	}
	if !isCommit(r.SHA) {
		return nil, fmt.Errorf("%s: %q is no commit of 40 hex digits", s.referencePath(), r.SHA)
	}
	return &r, nil
}

// Pin makes a commit the reference and remembers the one before.
func (s Store) Pin(commit Commit, why string, now time.Time) (*Reference, error) {
	if !isCommit(commit.SHA) {
		return nil, fmt.Errorf("pin: %q is no commit of 40 hex digits", commit.SHA)
	}
	if why == "" {
		return nil, errors.New("pin: say why this commit: the index of every later point divides by it")
	}
	next := Reference{Commit: commit, PinnedAt: now.UTC().Truncate(time.Second), Why: why, Replaced: []Commit{}}
	before, err := s.Reference()
	switch {
	case errors.Is(err, ErrNotPinned):
	case err != nil:
		return nil, err
	case before.SHA == commit.SHA:
		return nil, fmt.Errorf("pin: %.12s is the reference already", commit.SHA)
	default:
		next.Replaced = append([]Commit{before.Commit}, before.Replaced...)
	}
	text, err := json.MarshalIndent(next, "", " ")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, err
	}
	return &next, os.WriteFile(s.referencePath(), append(text, '\n'), 0o644)
}

func isCommit(text string) bool {
	if len(text) != 40 {
		return false
	}
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
