// Package limits measures the ideal loop: what this machine charges for
// receiving bytes over loopback, a CRC-32C over them and a write to the page
// cache, with no protocol at all. The broker's cost per GB is judged against it.
package limits

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// writeChunk is the largest single pwrite: one 1 MB write of fresh pages
// costs two to three times as much per byte on this class of machine.
const writeChunk = 256 << 10

// Row is one chunk size, measured over Rounds fresh sink processes.
type Row struct {
	ChunkBytes       int    `json:"chunk_bytes"`
	TotalBytes       int64  `json:"total_bytes"`
	Rounds           int    `json:"rounds"`
	CPUSecondsPerGB  Spread `json:"cpu_seconds_per_gb"`
	CPUMicrosPerWork Spread `json:"cpu_micros_per_chunk"`
	GBPerSecond      Spread `json:"gb_per_second"`
}

// Spread is a median with its minimum and maximum over rounds.
type Spread struct{ Median, Min, Max float64 }

func spread(v []float64) Spread {
	slices.Sort(v)
	return Spread{v[len(v)/2], v[0], v[len(v)-1]}
}

// sinkReport is what the sink process prints when its one connection ended.
type sinkReport struct {
	Bytes  int64 `json:"bytes"`
	CPUNs  int64 `json:"cpu_ns"`
	WallNs int64 `json:"wall_ns"`
}

// Measure runs the loop for each chunk size in turn, rounds times over, with
// a fresh sink process and file each time (self is this program's path and
// must run Sink for the arguments `limits-sink DIR CHUNK`).
func Measure(ctx context.Context, self, dir string, chunks []int, totalBytes int64, rounds int) ([]Row, error) {
	cpu, work, rate := make([][]float64, len(chunks)), make([][]float64, len(chunks)), make([][]float64, len(chunks))
	for round := range rounds {
		for i := range chunks {
			if round%2 == 1 { // alternate the order, so that drift does not favour one size
				i = len(chunks) - 1 - i
			}
			// Small chunks cost far more per byte; a tenth of the bytes is plenty of work for them.
			total := totalBytes
			if chunks[i] < 64<<10 {
				total /= 8
			}
			r, err := once(ctx, self, dir, chunks[i], total)
			if err != nil {
				return nil, err
			}
			gb := float64(r.Bytes) / 1e9
			cpu[i] = append(cpu[i], float64(r.CPUNs)/1e9/gb)
			work[i] = append(work[i], float64(r.CPUNs)/1e3/(float64(r.Bytes)/float64(chunks[i])))
			rate[i] = append(rate[i], gb/(float64(r.WallNs)/1e9))
		}
	}
	rows := make([]Row, len(chunks))
	for i, c := range chunks {
		rows[i] = Row{ChunkBytes: c, TotalBytes: totalBytes, Rounds: rounds, CPUSecondsPerGB: spread(cpu[i]), CPUMicrosPerWork: spread(work[i]), GBPerSecond: spread(rate[i])}
	}
	return rows, nil
}

func once(ctx context.Context, self, dir string, chunk int, total int64) (sinkReport, error) {
	cmd := exec.CommandContext(ctx, self, "limits-sink", dir, fmt.Sprint(chunk))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return sinkReport{}, err
	}
	if err := cmd.Start(); err != nil {
		return sinkReport{}, err
	}
	report, err := feed(json.NewDecoder(out), chunk, total)
	if err != nil {
		_ = cmd.Process.Kill() // it may have ended already; Wait tells
	}
	if werr := cmd.Wait(); err == nil && werr != nil {
		err = fmt.Errorf("limits: the sink: %w: %s", werr, stderr.String())
	}
	return report, err
}

// feed sends total bytes to the sink in chunks and reads its report.
func feed(out *json.Decoder, chunk int, total int64) (sinkReport, error) {
	var report sinkReport
	var addr string
	if err := out.Decode(&addr); err != nil {
		return report, fmt.Errorf("limits: the sink gave no address: %w", err)
	}
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return report, err
	}
	payload := make([]byte, max(chunk, 256<<10)/chunk*chunk)
	for i := range payload {
		payload[i] = byte(i * 131)
	}
	for sent := int64(0); sent < total; sent += int64(len(payload)) {
		if _, err := conn.Write(payload); err != nil {
			conn.Close()
			return report, err
		}
	}
	if err := conn.Close(); err != nil {
		return report, err
	}
	return report, out.Decode(&report)
}

// Sink is the measured process: it accepts one connection and, for every
// chunk, reads, checks and appends it to a fresh file under dir.
func Sink(dir string, chunk int, out io.Writer) error {
	if chunk < 1 || chunk > 64<<20 {
		return fmt.Errorf("limits: chunk of %d bytes: want 1 to %d", chunk, 64<<20)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	file, err := os.CreateTemp(dir, "limits-*.log")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	reply := json.NewEncoder(out)
	if err := reply.Encode(listener.Addr().String()); err != nil {
		return err
	}
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	buffer := make([]byte, chunk)
	var position int64
	start, cpuStart := time.Now(), processCPU()
	for sum := uint32(0); ; {
		if _, err := io.ReadFull(conn, buffer); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		sum = crc32.Update(sum, castagnoli, buffer)
		for rest := buffer; len(rest) > 0; {
			n, err := file.WriteAt(rest[:min(len(rest), writeChunk)], position)
			if err != nil {
				return err
			}
			position += int64(n)
			rest = rest[n:]
		}
	}
	return reply.Encode(sinkReport{Bytes: position, CPUNs: int64(processCPU() - cpuStart), WallNs: int64(time.Since(start))})
}

func processCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Dir is where the files go: the data directories' file system, so that the loop pays what the broker pays.
func Dir(base string) (string, error) {
	dir := filepath.Join(base, "limits")
	return dir, os.MkdirAll(dir, 0o755)
}
