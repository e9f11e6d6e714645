package commitlog

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// Names in a log directory. All but fluxmq.properties are Kafka's.
const (
	metaFile          = "meta.properties"
	lockFile          = ".lock"
	cleanFile         = ".kafka_cleanshutdown"
	stateFile         = "fluxmq.properties"
	RecoveryPointFile = "recovery-point-offset-checkpoint"
	LogStartFile      = "log-start-offset-checkpoint"
	ReplicationFile   = "replication-offset-checkpoint"
	CleanerFile       = "cleaner-offset-checkpoint"
)

// ErrForeignDir means that a directory holds something that is not a broker's.
var ErrForeignDir = errors.New("not a log directory of a broker")

// Identity is who owns a log directory. Zero values are filled from what the
// directory says, or made up for a new one.
type Identity struct {
	ClusterID string
	NodeID    int32 // -1: whatever the directory says, 0 for a new one
}

// LogDir is an open, locked log directory. Its methods are for one goroutine at a time.
type LogDir struct {
	FS       FS
	Path     string
	Identity Identity
	// DirectoryID is Kafka's directory.id.
	DirectoryID string
	// Clean says that the last owner closed everything properly. HostCrash says
	// that it did not and that the machine has been restarted since, so that
	// what was not synced may be missing in any pattern.
	Clean, HostCrash bool
	// LeaderEpoch is the smallest epoch that partitions may be led with; it has
	// been raised by one, durably, if the last stop was unclean.
	LeaderEpoch int32

	bootID string
	lock   io.Closer
}

// OpenDir locks a log directory, makes it ours if it is new or empty, and
// takes the clean shutdown marker. bootID identifies this run of the machine
// ("" when unknown, which counts as another one). The errors say in one
// sentence what is wrong: ErrLocked, ErrForeignDir, another node's directory.
func OpenDir(fsys FS, path string, id Identity, bootID string) (*LogDir, error) {
	if err := fsys.MkdirAll(path); err != nil {
		return nil, fmt.Errorf("log directory %s: %w", path, err)
	}
	d := &LogDir{FS: fsys, Path: path, Identity: id, bootID: bootID}
	if err := d.refuseForeign(); err != nil {
		return nil, err
	}
	lock, err := fsys.Lock(d.file(lockFile))
	if err != nil {
		return nil, fmt.Errorf("log directory %s: %w", path, err)
	}
	d.lock = lock
	if err := d.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("log directory %s: %w", path, err), lock.Close())
	}
	return d, nil
}

func (d *LogDir) file(name string) string { return filepath.Join(d.Path, name) }

// refuseForeign lets only an empty directory, or one with meta.properties, pass.
func (d *LogDir) refuseForeign() error {
	entries, err := d.FS.ReadDir(d.Path)
	if err != nil {
		return fmt.Errorf("log directory %s: %w", d.Path, err)
	}
	foreign := ""
	for _, e := range entries {
		switch e.Name() {
		case metaFile:
			return nil
		case lockFile, stateFile, stateFile + ".tmp", metaFile + ".tmp", "lost+found": // of a start that was cut short
		default:
			foreign = e.Name()
		}
	}
	if foreign == "" {
		return nil
	}
	return fmt.Errorf("%w: %s has no %s but holds %q; nothing was changed; name an empty directory", ErrForeignDir, d.Path, metaFile, foreign)
}

func (d *LogDir) load() error {
	b, err := readFile(d.FS, d.file(metaFile), maxSidecarBytes)
	if notExist(err) {
		return d.format()
	}
	if err != nil {
		return err
	}
	p := parseProperties(b)
	if p["version"] != "1" && p["version"] != "0" {
		return fmt.Errorf("%w: %s has version %q, expected 1", ErrOtherOwner, metaFile, p["version"])
	}
	node, err := strconv.ParseInt(p["node.id"]+p["broker.id"], 10, 32)
	if err != nil {
		return fmt.Errorf("%w: %s: node.id %q is no number", ErrOtherOwner, metaFile, p["node.id"])
	}
	if d.Identity.NodeID >= 0 && int64(d.Identity.NodeID) != node {
		return fmt.Errorf("%w: it belongs to node %d, this is node %d", ErrOtherOwner, node, d.Identity.NodeID)
	}
	if d.Identity.ClusterID != "" && d.Identity.ClusterID != p["cluster.id"] {
		return fmt.Errorf("%w: it belongs to cluster %s, this is cluster %s", ErrOtherOwner, p["cluster.id"], d.Identity.ClusterID)
	}
	d.Identity = Identity{p["cluster.id"], int32(node)}
	d.DirectoryID = p["directory.id"]
	return d.takeOver()
}

// format makes an empty directory ours.
func (d *LogDir) format() error {
	if d.Identity.ClusterID == "" {
		d.Identity.ClusterID = randomID()
	}
	d.Identity.NodeID = max(d.Identity.NodeID, 0)
	d.DirectoryID = randomID()
	d.Clean = true
	if err := d.FS.SyncDir(filepath.Dir(d.Path)); err != nil {
		return err
	}
	if err := d.writeState(); err != nil {
		return err
	}
	return ReplaceFile(d.FS, d.file(metaFile), properties(map[string]string{
		"version": "1", "cluster.id": d.Identity.ClusterID, "directory.id": d.DirectoryID,
		"node.id": strconv.Itoa(int(d.Identity.NodeID)),
	}))
}

// takeOver finds out how the last owner stopped, and raises the leader epoch
// before anything is served if it did not stop properly.
func (d *LogDir) takeOver() error {
	err := d.FS.Remove(d.file(cleanFile))
	if err != nil && !notExist(err) {
		return err
	}
	d.Clean = err == nil
	if d.Clean {
		// Gone before anything is written: a crash from here on is a crash.
		if err := d.FS.SyncDir(d.Path); err != nil {
			return err
		}
	}
	state := map[string]string{}
	if b, err := readFile(d.FS, d.file(stateFile), maxSidecarBytes); err == nil {
		state = parseProperties(b)
	}
	epoch, err := strconv.ParseInt(state["leader.epoch"], 10, 32)
	if err != nil {
		// Lost: the partitions' own epochs bound it from below (partition sees to that).
		epoch = 0
	}
	d.LeaderEpoch = int32(epoch)
	if d.Clean {
		if state["boot.id"] == d.bootID && state["leader.epoch"] != "" {
			return nil
		}
		return d.writeState()
	}
	d.HostCrash = d.bootID == "" || state["boot.id"] != d.bootID
	d.LeaderEpoch++
	return d.writeState()
}

func (d *LogDir) writeState() error {
	return ReplaceFile(d.FS, d.file(stateFile), properties(map[string]string{
		"version": "1", "leader.epoch": strconv.Itoa(int(d.LeaderEpoch)), "boot.id": d.bootID,
	}))
}

// Close releases the lock. clean writes the marker first: only when every log
// was closed without an error and SyncTree succeeded.
func (d *LogDir) Close(clean bool) error {
	var err error
	if clean {
		err = ReplaceFile(d.FS, d.file(cleanFile), []byte(`{"version":0,"brokerEpoch":-1}`))
	}
	return errors.Join(err, d.lock.Close())
}

// TopicPartition names a line of a checkpoint.
type TopicPartition struct {
	Topic string
	Index int32
}

// ReadOffsets reads a checkpoint of offsets. Lines that make no sense, and files that
// are torn or missing, count as absent: recovery then looks at more of the log.
func (d *LogDir) ReadOffsets(name string) map[TopicPartition]int64 {
	lines, err := readCheckpoint(d.FS, d.file(name))
	if err != nil {
		return nil
	}
	offsets := make(map[TopicPartition]int64, len(lines))
	for _, l := range lines {
		f := strings.Fields(l)
		if len(f) != 3 {
			continue
		}
		index, err1 := strconv.ParseInt(f[1], 10, 32)
		offset, err2 := strconv.ParseInt(f[2], 10, 64)
		if err1 == nil && err2 == nil && index >= 0 && offset >= 0 {
			offsets[TopicPartition{f[0], int32(index)}] = offset
		}
	}
	return offsets
}

// WriteOffsets replaces a checkpoint of offsets, durably.
func (d *LogDir) WriteOffsets(name string, offsets map[TopicPartition]int64) error {
	lines := make([]string, 0, len(offsets))
	for p, o := range offsets {
		lines = append(lines, fmt.Sprintf("%s %d %d", p.Topic, p.Index, o))
	}
	sort.Strings(lines)
	return ReplaceFile(d.FS, d.file(name), checkpointBytes(lines))
}

func parseProperties(b []byte) map[string]string {
	p := map[string]string{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if key, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			p[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return p
}

func properties(p map[string]string) []byte {
	keys := make([]string, 0, len(p))
	for k := range p {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var b bytes.Buffer
	for _, k := range keys {
		fmt.Fprintf(&b, "%s=%s\n", k, p[k])
	}
	return b.Bytes()
}

// randomID is a Kafka Uuid: 16 random bytes in URL-safe base64, not beginning with '-'.
func randomID() string {
	for {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails, says crypto/rand
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}

// EncodeID writes a topic id as Kafka writes it in partition.metadata.
func EncodeID(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// DecodeID is the reverse of EncodeID.
func DecodeID(s string) (id [16]byte, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != 16 {
		return id, fmt.Errorf("topic id %q is not 16 bytes in base64", s)
	}
	return [16]byte(b), nil
}

const partitionMetadataFile = "partition.metadata"

// WritePartitionMetadata stores the topic id in a partition's directory. It
// is not synced; it is durable with the log's next Sync that syncs the directory,
// and the cluster's metadata has it as well.
func WritePartitionMetadata(fsys FS, dir string, id [16]byte) error {
	return replaceFileLazily(fsys, filepath.Join(dir, partitionMetadataFile), []byte("version: 0\ntopic_id: "+EncodeID(id)), false)
}

// ReadPartitionMetadata reads the topic id; ok is false when the file is
// missing or makes no sense.
func ReadPartitionMetadata(fsys FS, dir string) (id [16]byte, ok bool) {
	b, err := readFile(fsys, filepath.Join(dir, partitionMetadataFile), maxSidecarBytes)
	if err != nil {
		return id, false
	}
	for line := range strings.Lines(string(b)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == "topic_id" {
			id, err = DecodeID(strings.TrimSpace(value))
			return id, err == nil
		}
	}
	return id, false
}
