package main

import (
	"io"
	"log/slog"
	"math"
)

// newLogger writes log lines of every level, as text (logfmt) or JSON; which
// of them are written is for the levels of their loggers to say.
func newLogger(w io.Writer, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.Level(math.MinInt)}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
