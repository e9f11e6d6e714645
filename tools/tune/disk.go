package tune

import (
	"os"
	"path/filepath"
	"strings"
)

// Disk is what the data folder lies on.
type Disk struct {
	Name       string // of the whole disk under /sys/block; empty when there is no block device (tmpfs, overlay)
	Filesystem string
	Options    []string // of the mount and of the file system
	Rotating   bool
}

// DataDisk finds the mount and the disk of a path, or of its nearest existing parent; false when /proc does not tell.
func DataDisk(root, path string) (Disk, bool) {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return Disk{}, false
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return Disk{}, false
	}
	for path != "/" {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
			break
		}
		path = filepath.Dir(path)
	}
	var disk Disk
	var device, mount string
	for line := range strings.Lines(string(text)) {
		// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
		left, right, ok := strings.Cut(strings.TrimSpace(line), " - ")
		before, after := strings.Fields(left), strings.Fields(right)
		if !ok || len(before) < 6 || len(after) < 2 {
			continue
		}
		point := strings.ReplaceAll(before[4], `\040`, " ")
		if len(point) < len(mount) || !within(path, point) {
			continue
		}
		mount, device = point, before[2]
		disk = Disk{Filesystem: after[0], Options: strings.Split(before[5], ",")}
		if len(after) > 2 {
			disk.Options = append(disk.Options, strings.Split(after[2], ",")...)
		}
	}
	if mount == "" {
		return Disk{}, false
	}
	disk.Name = wholeDisk(root, device)
	rotating, _ := os.ReadFile(filepath.Join(root, "sys/block", disk.Name, "queue/rotational")) // not there: not rotating
	disk.Rotating = disk.Name != "" && strings.TrimSpace(string(rotating)) == "1"
	return disk, true
}

func within(path, folder string) bool {
	return folder == "/" || path == folder || strings.HasPrefix(path, folder+"/")
}

// wholeDisk follows major:minor to the disk: a partition to what it is part of, a mapped device to the one below when there is one.
func wholeDisk(root, device string) string {
	dir, err := filepath.EvalSymlinks(filepath.Join(root, "sys/dev/block", device))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(dir, "partition")); err == nil {
		dir = filepath.Dir(dir)
	}
	for range 8 { // layers; more would be a loop
		below, err := os.ReadDir(filepath.Join(dir, "slaves"))
		if err != nil || len(below) != 1 {
			break
		}
		next, err := filepath.EvalSymlinks(filepath.Join(dir, "slaves", below[0].Name()))
		if err != nil {
			break
		}
		if _, err := os.Stat(filepath.Join(next, "partition")); err == nil {
			next = filepath.Dir(next)
		}
		dir = next
	}
	return filepath.Base(dir)
}
