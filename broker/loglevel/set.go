// Package loglevel owns the levels of the broker's loggers, which can be
// altered while it runs (KIP-412): one logger for each room that logs, and the
// root, whose level those without one of their own have. node makes the
// loggers, handlers describe and alter the levels. It writes no log line and
// imports nothing of ours; levels are not kept across a restart, as in Kafka.
package loglevel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Level is one of Kafka's (LogLevelConfig), the most talkative first.
type Level int8

// The levels. The broker has no lines of Trace and Fatal: with Trace a logger
// shows what it does with Debug, with Fatal nothing.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
	Fatal
)

var names = [...]string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}

// String is Kafka's name of the level.
func (l Level) String() string { return names[l] }

// Parse reads a level by Kafka's name, which is in capitals.
func Parse(name string) (Level, bool) {
	at := slices.Index(names[:], name)
	return Level(at), at >= 0
}

// ParseAnyCase is Parse for a name in any case, as settings have it.
func ParseAnyCase(name string) (Level, bool) { return Parse(strings.ToUpper(name)) }

// Names are the levels' names in order.
func Names() []string { return slices.Clone(names[:]) }

// slog is the level as slog counts: four apart, Info at 0.
func (l Level) slog() slog.Level { return slog.Level(4 * (int(l) - int(Info))) }

// Root is the name of the logger that gives others their level.
const Root = "root"

// Errors of Check and CheckUnset.
var (
	ErrUnknown = errors.New("no such logger")
	ErrRoot    = errors.New("the root logger always has a level")
	ErrFloor   = errors.New("nothing below that level is shown")
)

// Set is the loggers of one broker. Safe for concurrent use.
type Set struct {
	floor Level

	mu      sync.Mutex // guards what follows, and the loggers' own levels
	root    Level
	loggers map[string]*logger
}

// logger is the level of one name; effective is read by every log call.
type logger struct {
	own       *Level // nil: the root's
	effective atomic.Int64
}

// New returns a set whose root has that level. floor is the least level that
// the handlers of its loggers show at all; levels below it are refused, as
// they would be a lie.
func New(root, floor Level) *Set {
	return &Set{floor: floor, root: max(root, floor), loggers: map[string]*logger{}}
}

// FloorOf is the least level that a handler shows.
func FloorOf(h slog.Handler) Level {
	for level := Trace; level < Fatal; level++ {
		if h.Enabled(context.Background(), level.slog()) {
			return level
		}
	}
	return Fatal
}

// Logger is the logger of that name over h. Loggers of one name share a level.
func (s *Set) Logger(name string, h slog.Handler) *slog.Logger {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.loggers[name]
	if l == nil {
		l = new(logger)
		s.loggers[name] = l
		s.settle(l)
	}
	return slog.New(handler{h, l})
}

// settle makes a logger's level the effective one. s.mu is held.
func (s *Set) settle(l *logger) {
	level := s.root
	if l.own != nil {
		level = *l.own
	}
	l.effective.Store(int64(level.slog()))
}

// Named is one logger and the level it works at.
type Named struct {
	Name  string
	Level Level
}

// Levels are the loggers by name, the root among them.
func (s *Set) Levels() []Named {
	s.mu.Lock()
	defer s.mu.Unlock()
	levels := []Named{{Root, s.root}}
	for _, name := range slices.Sorted(maps.Keys(s.loggers)) {
		level := s.root
		if own := s.loggers[name].own; own != nil {
			level = *own
		}
		levels = append(levels, Named{name, level})
	}
	slices.SortFunc(levels, func(a, b Named) int { return strings.Compare(a.Name, b.Name) })
	return levels
}

// Check tells whether SetLevel would work: ErrUnknown, ErrFloor.
func (s *Set) Check(name string, level Level) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name != Root && s.loggers[name] == nil {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	if level < s.floor {
		return fmt.Errorf("%w: %s, the program that embeds the broker shows %s and up", ErrFloor, level, s.floor)
	}
	return nil
}

// CheckUnset tells whether Unset would work: ErrUnknown, ErrRoot.
func (s *Set) CheckUnset(name string) error {
	if name == Root {
		return ErrRoot
	}
	return s.Check(name, Fatal)
}

// SetLevel gives a logger a level of its own, or all without one theirs.
func (s *Set) SetLevel(name string, level Level) error {
	if err := s.Check(name, level); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if name != Root {
		s.loggers[name].own = &level
		s.settle(s.loggers[name])
		return nil
	}
	s.root = level
	for _, l := range s.loggers {
		s.settle(l)
	}
	return nil
}

// Unset takes a logger's own level away: it follows the root again.
func (s *Set) Unset(name string) error {
	if err := s.CheckUnset(name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loggers[name].own = nil
	s.settle(s.loggers[name])
	return nil
}

// handler lets pass what its logger's level allows.
type handler struct {
	slog.Handler
	of *logger
}

// Enabled implements slog.Handler.
func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return int64(level) >= h.of.effective.Load() && h.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs), h.of}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.of}
}
