package datasheet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// appendLine adds one value as a line of JSON and returns when it is on disk.
// What a crash left after the last line end is cut off first: it was never
// acknowledged to anybody.
func appendLine(file string, value any) (err error) {
	line, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end, err := wholeLinesEnd(f)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := f.Truncate(end); err != nil {
		return err
	}
	if _, err := f.WriteAt(append(line, '\n'), end); err != nil {
		return err
	}
	return f.Sync()
}

// wholeLinesEnd is the position after the last line end, in bytes; 0 when there is none.
func wholeLinesEnd(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	const chunk = 64 << 10 // a block's line is a few KiB
	buffer := make([]byte, chunk)
	for end := info.Size(); end > 0; {
		start := max(0, end-chunk)
		part := buffer[:end-start]
		if _, err := f.ReadAt(part, start); err != nil {
			return 0, err
		}
		if at := bytes.LastIndexByte(part, '\n'); at >= 0 {
			return start + int64(at) + 1, nil
		}
		end = start
	}
	return 0, nil
}

// readLines appends the values of a file of JSON lines. A file that is not
// there holds none. A last line without its end was torn by a crash and is
// left out; any other line that does not parse is an error.
func readLines[T any](file string, into *[]T) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for number := 1; ; number++ {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			return nil
		}
		var value T
		if err := json.Unmarshal(line, &value); err != nil {
			return fmt.Errorf("%s:%d: %w", file, number, err)
		}
		*into, text = append(*into, value), rest
	}
}

// writeWhole replaces a file so that a reader sees the old text or the new, never a part.
func writeWhole(file string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".writing-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
