// Command fluxbench runs scenarios against a broker and reports what was delivered.
package main

import (
	"os"

	"fluxmq/tools/cli"
)

func main() { os.Exit(cli.Main(os.Args, os.Stdout, os.Stderr)) }
