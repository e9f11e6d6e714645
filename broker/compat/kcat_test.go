package compat

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// kcat runs kcat against a broker with that input and returns what it printed.
func kcat(t *testing.T, addr, input string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out, errors bytes.Buffer
	cmd := exec.CommandContext(ctx, "kcat", append([]string{"-b", addr}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errors
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kcat %s: %w\n%s", strings.Join(args, " "), err, &errors)
	}
	return out.String(), nil
}

// TestKcat produces with librdkafka in every codec, with and without
// idempotence, and reads back alone and as a group. It runs where kcat is
// installed.
func TestKcat(t *testing.T) {
	if _, err := exec.LookPath("kcat"); err != nil {
		t.Skip("kcat is not installed")
	}
	addr := embedded(t)
	var lines []string
	for i := range 2000 {
		lines = append(lines, fmt.Sprintf("k%d:value %d", i, i))
	}
	input := strings.Join(lines, "\n") + "\n"
	var topics []string
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		for _, idempotent := range []string{"false", "true"} {
			topic := codec + "-" + idempotent
			topics = append(topics, topic)
			_, err := kcat(t, addr, input, "-P", "-t", topic, "-K:", "-X", "compression.codec="+codec, "-X", "enable.idempotence="+idempotent)
			must(t, topic, err)
			out, err := kcat(t, addr, "", "-C", "-t", topic, "-K:", "-o", "beginning", "-e", "-q")
			must(t, topic, err)
			if out != input {
				t.Errorf("%s: read back %d bytes that are not the %d produced", topic, len(out), len(input))
			}
		}
	}
	for _, want := range []int{len(lines) * len(topics), 0} { // the second time from the committed offsets
		out, err := kcat(t, addr, "", append([]string{"-q", "-e", "-X", "auto.offset.reset=earliest", "-G", "g"}, topics...)...)
		must(t, "group", err)
		if got := strings.Count(out, "\n"); got != want {
			t.Errorf("the group read %d records, want %d", got, want)
		}
	}
	out, err := kcat(t, addr, "", "-Q", "-t", "gzip-true:0:-1")
	must(t, "query", err)
	if !strings.Contains(out, fmt.Sprintf("offset %d", len(lines))) {
		t.Errorf("query: %q", out)
	}
	out, err = kcat(t, addr, "", "-L")
	must(t, "metadata", err)
	for _, topic := range topics {
		if !slices.Contains(strings.Fields(out), `"`+topic+`"`) {
			t.Errorf("the metadata lack %s:\n%s", topic, out)
		}
	}
	if _, err := kcat(t, addr, "x\n", "-P", "-t", "__consumer_offsets", "-p", "0"); err == nil {
		t.Error("a client wrote to __consumer_offsets")
	}
}

// TestOldKcat holds librdkafka to the brokers of old, to which it sends
// messages of format v0 (with the LZ4 header checksum that only Kafka's first
// clients wrote) and v1.
func TestOldKcat(t *testing.T) {
	if _, err := exec.LookPath("kcat"); err != nil {
		t.Skip("kcat is not installed")
	}
	addr := embedded(t)
	var lines []string
	for i := range 2000 {
		lines = append(lines, fmt.Sprintf("k%d:value %d", i, i))
	}
	input := strings.Join(lines, "\n") + "\n"
	for _, version := range []string{"0.8.2.2", "0.9.0.1", "0.10.0.0", "0.10.2.0"} {
		for _, codec := range []string{"none", "gzip", "snappy", "lz4"} {
			if version == "0.8.2.2" && codec == "lz4" {
				continue // librdkafka sends it to 0.9 and later
			}
			topic := version + "-" + codec
			_, err := kcat(t, addr, input, "-P", "-t", topic, "-K:", "-X", "compression.codec="+codec, "-X", "api.version.request=false", "-X", "broker.version.fallback="+version)
			must(t, topic, err)
			out, err := kcat(t, addr, "", "-C", "-t", topic, "-K:", "-o", "beginning", "-e", "-q")
			must(t, topic, err)
			if out != input {
				t.Errorf("%s: read back %d bytes that are not the %d produced", topic, len(out), len(input))
			}
		}
	}
}
