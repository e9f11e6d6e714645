package runner

import (
	"bufio"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"fluxmq/reports"
)

// runtimeCounters are what our broker tells of itself on its admin port;
// known is false where there is none, or an older build lacks a counter.
type runtimeCounters map[string]float64

// runtimeNames are the metrics that are kept: name on /metrics, summed over labels.
var runtimeNames = map[string]bool{
	"go_memstats_mallocs_total": true, "go_memstats_alloc_bytes_total": true, "go_gc_cycles_total_gc_cycles_total": true,
	"kafka_server_socket_server_metrics_outgoing_byte_total": true, "kafka_server_socket_server_metrics_incoming_byte_total": true,
	"go_gc_heap_allocs_objects_total": true, "go_gc_heap_allocs_bytes_total": true,
}

// Bounds of one reading.
const (
	runtimeTimeout = 2 * time.Second
	runtimeBytes   = 4 << 20
)

// readRuntime asks the broker once; nil when it does not answer: an arm-run does not fail for it.
func readRuntime(admin string) runtimeCounters {
	if admin == "" {
		return nil
	}
	client := http.Client{Timeout: runtimeTimeout, Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	response, err := client.Get("http://" + admin + "/metrics")
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil
	}
	return parseRuntime(io.LimitReader(response.Body, runtimeBytes))
}

// parseRuntime reads Prometheus' text format for the names that are kept.
func parseRuntime(r io.Reader) runtimeCounters {
	counters := runtimeCounters{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		end := strings.IndexAny(line, "{ ")
		if end < 0 || !runtimeNames[line[:end]] {
			continue
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err == nil {
			counters[line[:end]] += value
		}
	}
	return counters
}

// since is the difference of two readings; nil when either is missing.
func (c runtimeCounters) since(earlier runtimeCounters) *reports.RuntimeCost {
	if c == nil || earlier == nil {
		return nil
	}
	difference := func(names ...string) int64 {
		for _, name := range names {
			to, ok := c[name]
			from, before := earlier[name]
			if ok && before {
				return int64(to - from)
			}
		}
		return -1
	}
	return &reports.RuntimeCost{
		Allocations: difference("go_gc_heap_allocs_objects_total", "go_memstats_mallocs_total"), AllocatedBytes: difference("go_gc_heap_allocs_bytes_total", "go_memstats_alloc_bytes_total"),
		GCCycles:  difference("go_gc_cycles_total_gc_cycles_total"),
		SentBytes: difference("kafka_server_socket_server_metrics_outgoing_byte_total"), ReceivedBytes: difference("kafka_server_socket_server_metrics_incoming_byte_total"),
	}
}
