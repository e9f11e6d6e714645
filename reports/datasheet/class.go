package datasheet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"fluxmq/reports"
)

// ClassOf names the machines to which one datasheet applies: same number and
// model of CPUs, same kernel series and virtualization, memory of the same
// size. The name is safe as a folder: 2-amd-epyc-linux-6.18-kvm-guest-24gib.
// Host names do not matter, clouds give out many hosts of one class.
func ClassOf(host reports.HostFingerprint) string {
	parts := []string{
		fmt.Sprint(host.CPUs), plainModel(host.CPUModel), host.OS + " " + kernelSeries(host.Kernel), host.Virtualization,
		fmt.Sprintf("%dGiB", memoryGiB(host.MemoryBytes)),
	}
	var named []string
	for _, part := range parts {
		if name := fileName(strings.ToLower(part)); name != "" {
			named = append(named, name)
		}
	}
	return strings.Join(named, "-")
}

var trademarks = regexp.MustCompile(`(?i)\((r|tm)\)`)

// plainModel drops the signs of trademarks from a CPU's name.
func plainModel(model string) string {
	return strings.Join(strings.Fields(trademarks.ReplaceAllString(model, " ")), " ")
}

var series = regexp.MustCompile(`^\d+\.\d+`)

// kernelSeries is major.minor of a kernel's release; the whole text where there are no such numbers.
func kernelSeries(release string) string {
	if found := series.FindString(release); found != "" {
		return found
	}
	return release
}

// memoryGiB rounds up to the size that was bought: the kernel keeps 1 to 4 % for itself. Steps of 1 up to 16, 4 up to 64, 16 above.
func memoryGiB(bytes uint64) int {
	gib := float64(bytes) / (1 << 30)
	step := 16.0
	if gib <= 16 {
		step = 1
	} else if gib <= 64 {
		step = 4
	}
	return int(math.Ceil(gib/step) * step)
}

// machineName is the class in words: "2 × AMD EPYC, 24 GiB, linux 6.18, kvm guest".
func machineName(host reports.HostFingerprint) string {
	name := fmt.Sprintf("%d × %s, %d GiB, %s %s", host.CPUs, plainModel(host.CPUModel), memoryGiB(host.MemoryBytes), host.OS, kernelSeries(host.Kernel))
	if host.Virtualization != "" {
		name += ", " + host.Virtualization
	}
	return name
}

// Find reads the datasheet of a host's class under root; nil without an error when the class has none.
func Find(root string, host reports.HostFingerprint) (*Datasheet, error) {
	return Read(filepath.Join(root, ClassOf(host)))
}

// Read reads the datasheet in a pool's folder; nil without an error when there is none.
func Read(dir string) (*Datasheet, error) {
	text, err := os.ReadFile(filepath.Join(dir, sheetFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("datasheet: %w", err)
	}
	var sheet Datasheet
	if err := json.Unmarshal(text, &sheet); err != nil {
		return nil, fmt.Errorf("datasheet: %s: %w", dir, err)
	}
	if sheet.Schema > Schema || sheet.Schema < 1 {
		return nil, fmt.Errorf("datasheet: schema %d, this program reads up to %d", sheet.Schema, Schema)
	}
	return &sheet, nil
}
