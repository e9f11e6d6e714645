package trial

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// FileName is that of a trial in its folder.
const FileName = "trial.json"

// Read reads a trial from its folder or from the file itself. A layout newer
// than Schema is refused, naming both. At the same layout an unknown field is
// refused as well: it is a typing error or a file of something else. An older
// layout may hold fields that went away since.
func Read(path string) (*Trial, error) {
	path = inFolder(path)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("trial: %w", err)
	}
	var layout struct {
		Schema *int `json:"schema"`
	}
	if err := json.Unmarshal(text, &layout); err != nil {
		return nil, fmt.Errorf("trial: %s: %w", path, err)
	}
	switch {
	case layout.Schema == nil || *layout.Schema < 1:
		return nil, fmt.Errorf("trial: %s names no schema: it is no trial", path)
	case *layout.Schema > Schema:
		return nil, fmt.Errorf("trial: %s has schema %d, this program reads up to %d", path, *layout.Schema, Schema)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if *layout.Schema == Schema {
		decoder.DisallowUnknownFields()
	}
	t := new(Trial)
	if err := decoder.Decode(t); err != nil {
		return nil, fmt.Errorf("trial: %s: %w", path, err)
	}
	return t, nil
}

// Write replaces the trial in its folder, or the file at path, in one step: a
// reader sees the old record or the whole new one. The folder must be there.
// A value that is not a finite number cannot be written.
func (t *Trial) Write(path string) (err error) {
	path = inFolder(path)
	text, err := json.MarshalIndent(t, "", " ")
	if err != nil {
		return fmt.Errorf("trial: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("trial: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // the error that is returned says more
		}
	}()
	_, writeErr := file.Write(append(text, '\n'))
	// CreateTemp makes files that only the owner reads; results are for everyone. The sync keeps a power cut from leaving an empty file.
	if err := errors.Join(writeErr, file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("trial: %w", err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return fmt.Errorf("trial: %w", err)
	}
	return nil
}

// inFolder turns the path of a folder into that of the trial in it.
func inFolder(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return filepath.Join(path, FileName)
	}
	return path
}

// BlockLine is one line of a journal of blocks: what a trial that was cut short has learned so far.
type BlockLine struct {
	Workload string `json:"workload"`
	Block    Block  `json:"block"`
}

// AppendBlock writes one line with the block in one call of w.Write, so that a
// cut can tear the last line only. Not for concurrent use on one w.
func AppendBlock(w io.Writer, workload string, b Block) error {
	line, err := json.Marshal(BlockLine{workload, b})
	if err != nil {
		return fmt.Errorf("trial: block %d of %s: %w", b.Number, workload, err)
	}
	if _, err := w.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("trial: block %d of %s: %w", b.Number, workload, err)
	}
	return nil
}

// ReadBlocks reads what AppendBlock wrote, in that order. A last line without
// its end is torn and left out, whatever it holds; any other line that cannot
// be read is an error, for then the file is not what it seems. size counts the
// bytes of the whole lines: cut the file to it before appending again.
func ReadBlocks(r io.Reader) (lines []BlockLine, size int64, err error) {
	reader := bufio.NewReader(r)
	for {
		text, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return lines, size, nil
		}
		if err != nil {
			return lines, size, fmt.Errorf("trial: %w", err)
		}
		var line BlockLine
		if err := json.Unmarshal(text, &line); err != nil {
			return lines, size, fmt.Errorf("trial: line %d of the blocks: %w", len(lines)+1, err)
		}
		lines, size = append(lines, line), size+int64(len(text))
	}
}
