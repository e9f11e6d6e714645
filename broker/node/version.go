package node

import "runtime"

// Version and Commit are set by the build (-ldflags -X).
var (
	Version = "dev"
	Commit  = "unknown"
)

// Build is one line about the binary.
func Build() string {
	return "fluxmq " + Version + " (commit " + Commit + ", " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + ")"
}
