package loglevel

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// lines is what loggers of a set wrote since the last call.
type lines struct{ bytes.Buffer }

func (l *lines) take() string {
	var messages []string
	for line := range strings.Lines(l.String()) {
		_, message, _ := strings.Cut(strings.TrimSpace(line), "msg=")
		messages = append(messages, message)
	}
	l.Reset()
	return strings.Join(messages, " ")
}

func TestLevels(t *testing.T) {
	var out lines
	everything := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: Trace.slog()})
	s := New(Info, FloorOf(everything))
	a, b := s.Logger("a", everything), s.Logger("b", everything).With("k", "v").WithGroup("g")
	say := func() string {
		for _, log := range []*slog.Logger{a, b} {
			name := "a"
			if log == b {
				name = "b"
			}
			log.Debug("debug")
			log.Info("info")
			log.Error("error")
			out.WriteString("msg=" + name + "\n")
		}
		return out.take()
	}
	without := func(s string) string { return strings.ReplaceAll(s, " k=v", "") }
	for _, step := range []struct {
		why  string
		do   func() error
		want string
	}{
		{"both follow the root", func() error { return nil }, "info error a info error b"},
		{"one has its own", func() error { return s.SetLevel("a", Debug) }, "debug info error a info error b"},
		{"the root's moves the other", func() error { return s.SetLevel(Root, Error) }, "debug info error a error b"},
		{"nothing is fatal", func() error { return s.SetLevel("b", Fatal) }, "debug info error a b"},
		{"back to the root", func() error { return errors.Join(s.Unset("a"), s.Unset("b")) }, "error a error b"},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.why, err)
		}
		if got := without(say()); got != step.want {
			t.Errorf("%s: %q, want %q", step.why, got, step.want)
		}
	}
	if got := s.Levels(); len(got) != 3 || got[0] != (Named{"a", Error}) || got[2] != (Named{Root, Error}) {
		t.Errorf("%v", got)
	}
}

func TestRefusals(t *testing.T) {
	warnings := slog.NewTextHandler(new(bytes.Buffer), &slog.HandlerOptions{Level: slog.LevelWarn})
	s := New(Info, FloorOf(warnings))
	s.Logger("a", warnings)
	for _, c := range []struct {
		why       string
		err, want error
	}{
		{"a logger that is not there", s.SetLevel("c", Error), ErrUnknown},
		{"below what the handler shows", s.SetLevel("a", Info), ErrFloor},
		{"the root, too", s.SetLevel(Root, Trace), ErrFloor},
		{"the root without a level", s.Unset(Root), ErrRoot},
		{"no level of what is not there", s.Unset("c"), ErrUnknown},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v", c.why, c.err)
		}
	}
	if got := s.Levels(); got[1].Level != Warn {
		t.Errorf("a root below the floor says %v", got)
	}
	for name, want := range map[string]bool{"INFO": true, "info": false, "FATAL": true, "OFF": false} {
		if _, ok := Parse(name); ok != want {
			t.Errorf("%s is a level: %v", name, ok)
		}
	}
	if l, ok := ParseAnyCase("debug"); !ok || l != Debug {
		t.Error("settings write levels small")
	}
}
