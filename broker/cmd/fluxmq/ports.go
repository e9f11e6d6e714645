package main

import (
	"fmt"
	"os"
	"strings"

	"fluxmq/broker/node"
)

// writePorts writes the listeners' addresses, one a line, in one step, so
// that a reader finds nothing or everything.
func writePorts(path string, n *node.Node) error {
	var text strings.Builder
	for _, addr := range n.Addrs() {
		fmt.Fprintln(&text, addr)
	}
	if err := os.WriteFile(path+".tmp", []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("ports file: %w", err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("ports file: %w", err)
	}
	return nil
}
