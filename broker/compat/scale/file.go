package scale

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// fileLimit bounds a result's file, in bytes.
const fileLimit = 1 << 20

// ErrNotAResult is what saving and loading say of a result that cannot be one.
var ErrNotAResult = errors.New("not a result of a measurement at scale")

// result is one that knows whether it can be one.
type result interface{ check() error }

func save(path string, r result) error {
	if err := r.check(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func load[R result](path string) (r R, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return r, err
	}
	if info.Size() > fileLimit {
		return r, fmt.Errorf("%w: %s has %d bytes", ErrNotAResult, path, info.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	var read R
	fields := json.NewDecoder(bytes.NewReader(text))
	fields.DisallowUnknownFields()
	if err := fields.Decode(&read); err != nil {
		return r, fmt.Errorf("%w: %s: %w", ErrNotAResult, path, err)
	}
	if err := read.check(); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return read, nil
}
