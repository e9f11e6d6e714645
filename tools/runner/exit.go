package runner

import (
	"context"
	"errors"
)

// Exit codes of fluxbench.
const (
	ExitOK           = 0
	ExitRun          = 1   // a process died, a build failed, a result could not be read
	ExitUsage        = 2   // unknown scenario, profile or flag; a bad file
	ExitPreflight    = 3   // the machine lacks what the run needs
	ExitRegression   = 4   // gate: a metric got worse than its rules allow
	ExitInconclusive = 5   // gate: cannot tell; no baseline; results that do not compare
	ExitCorrectness  = 6   // lost, duplicated, reordered or corrupt records
	ExitInterrupted  = 130 // SIGINT or SIGTERM
)

// ExitError is an error with the exit code that it stands for.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }
func (e *ExitError) Unwrap() error { return e.Err }

// ExitCode of an error: its own, 130 for a cancelled context, else 1.
func ExitCode(err error) int {
	var exit *ExitError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &exit):
		return exit.Code
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	}
	return ExitRun
}
