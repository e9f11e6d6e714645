package commitlog

import (
	"fmt"
	"path/filepath"
)

// moveMarkFile is not Kafka's: there the controller knows which directory a replica is in.
const moveMarkFile = "fluxmq.moving"

// MoveMark stands in a partition's directory and names the log directory that
// its log is being moved to: once that one holds the partition, this one does not count.
type MoveMark struct {
	Path        string // of the log directory, as the settings wrote it
	DirectoryID string // its directory.id, "" when it has none
}

// Names tells whether the mark is about d. The path may have changed since.
func (m MoveMark) Names(d *LogDir) bool {
	if m.DirectoryID != "" {
		return m.DirectoryID == d.DirectoryID
	}
	return m.Path == d.Path
}

// MoveMarkPath is where the mark of a partition's directory is.
func MoveMarkPath(dir string) string { return filepath.Join(dir, moveMarkFile) }

// WriteMoveMark marks a partition's directory, durably.
func WriteMoveMark(fsys FS, dir string, to *LogDir) error {
	return ReplaceFile(fsys, MoveMarkPath(dir), properties(map[string]string{"path": to.Path, "directory.id": to.DirectoryID}))
}

// RemoveMoveMark takes a directory's mark away, durably. That there is none is no error.
func RemoveMoveMark(fsys FS, dir string) error {
	err := fsys.Remove(MoveMarkPath(dir))
	if notExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

// ReadMoveMark reads a directory's mark, nil when there is none. One that
// cannot be read is an error: what it says decides which log is the partition's.
func ReadMoveMark(fsys FS, dir string) (*MoveMark, error) {
	name := MoveMarkPath(dir)
	b, err := readFile(fsys, name, maxSidecarBytes)
	if notExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := parseProperties(b)
	if p["path"] == "" {
		return nil, fmt.Errorf("%s names no log directory", name)
	}
	return &MoveMark{p["path"], p["directory.id"]}, nil
}
