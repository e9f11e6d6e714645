package commitlog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// readFile returns a whole small file. limit bounds what is read; a larger
// file is an error.
func readFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%s: %d bytes, more than the %d expected at most", name, size, limit)
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

// ReplaceFile writes a file so that a crash leaves the old or the new content:
// temporary file, fsync, rename, fsync of the directory.
func ReplaceFile(fsys FS, name string, content []byte) error {
	if err := replaceFileLazily(fsys, name, content, true); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(name))
}

// replaceFileLazily is ReplaceFile without the directory's fsync and, when
// sync is false, without the file's: for callers that sync many at once.
func replaceFileLazily(fsys FS, name string, content []byte, sync bool) error {
	temporary := name + ".tmp"
	f, err := fsys.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil && sync {
		err = f.Datasync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return fsys.Rename(temporary, name)
}

// maxSidecarBytes bounds what is read of a checkpoint file.
const maxSidecarBytes = 64 << 20

// readCheckpoint parses Kafka's checkpoint files: version, number of entries,
// one entry a line. Any damage is an error; the caller decides what to do without.
func readCheckpoint(fsys FS, name string) ([]string, error) {
	b, err := readFile(fsys, name, maxSidecarBytes)
	if err != nil {
		return nil, err
	}
	in := bufio.NewScanner(bytes.NewReader(b))
	var lines []string
	for in.Scan() {
		if s := strings.TrimSpace(in.Text()); s != "" {
			lines = append(lines, s)
		}
	}
	if len(lines) < 2 || lines[0] != "0" {
		return nil, fmt.Errorf("%s: no version 0 header", name)
	}
	if n, err := strconv.Atoi(lines[1]); err != nil || n != len(lines)-2 {
		return nil, fmt.Errorf("%s: announces %s entries, has %d", name, lines[1], len(lines)-2)
	}
	return lines[2:], nil
}

func checkpointBytes(lines []string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "0\n%d\n", len(lines))
	for _, l := range lines {
		b.WriteString(l)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func notExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
