package tune

import (
	"fmt"
	"io"
	"strings"
)

// scriptHead defines what the lines below it call. put writes one file and says so; back restores only what put wrote.
const scriptHead = `#!/usr/bin/env bash
# Host settings for a measurement, as fluxbench tune found them wanting on this machine.
#   sudo bash THIS apply    sets them
#   sudo bash THIS undo     sets back what was there when this script was printed
# Nothing here outlives a reboot. An undo leaves alone what somebody else has changed since.
set -u
failed=0
value() { # FILE: its value as it is compared: the bracketed word of a choice, single spaces
  sed -e 's/.*\[\(.*\)\].*/\1/' "$1" | tr -s ' \t\n' ' ' | sed -e 's/ $//'
}
put() { # FILE VALUE
  if echo "$2" >"$1" && [ "$(value "$1")" = "$2" ]; then echo "$1 = $2"; else echo "FAILED: $1 = $2" >&2; failed=1; fi
}
back() { # FILE WROTE OLD
  local now
  now=$(value "$1")
  if [ "$now" = "$3" ]; then echo "$1 is $3 already"
  elif [ "$now" != "$2" ]; then echo "$1 is $now: changed by somebody else, left alone" >&2
  else put "$1" "$3"; fi
}
`

// WriteScript prints a bash script that applies what the rows want (argument apply) and takes it back (argument undo).
func (h Host) WriteScript(w io.Writer, rows []Row) error {
	var forward, backward []string
	var notes strings.Builder
	for _, r := range rows {
		switch {
		case r.Status == WouldChange || r.Status == NeedsRoot:
			forward = append(forward, "    "+h.applyLine(r))
			backward = append([]string{"    " + h.undoLine(r)}, backward...)
		case r.Status == ByHand:
			fmt.Fprintf(&notes, "# by hand: %s: %s\n#   %s\n", r.Knob, r.Wanted, r.Why)
		case r.Status == Refused:
			fmt.Fprintf(&notes, "# never: %s\n#   %s\n", r.Why, r.Reason)
		}
	}
	if forward == nil {
		forward, backward = []string{"    echo 'nothing to change'"}, []string{"    echo 'nothing to undo'"}
	}
	_, err := fmt.Fprintf(w, "%scase \"${1:-}\" in\n  apply)\n%s\n    ;;\n  undo)\n%s\n    ;;\n  *) echo \"usage: $0 apply|undo\" >&2; exit 2 ;;\nesac\nexit $failed\n%s",
		scriptHead, strings.Join(forward, "\n"), strings.Join(backward, "\n"), notes.String())
	return err
}

func (h Host) applyLine(r Row) string {
	if r.swap {
		return fmt.Sprintf("swapoff %s || failed=1", quote(r.Path))
	}
	return fmt.Sprintf("put %s %s", quote(h.under(r.Path)), quote(r.value))
}

func (h Host) undoLine(r Row) string {
	if r.swap {
		priority := ""
		if _, number, ok := strings.Cut(r.Current, "priority "); ok {
			priority = "-p " + number + " "
		}
		return fmt.Sprintf("swapon --show=NAME --noheadings | grep -qxF %[1]s || swapon %[2]s%[1]s || failed=1", quote(r.Path), priority)
	}
	return fmt.Sprintf("back %s %s %s", quote(h.under(r.Path)), quote(r.value), quote(r.Current))
}

// quote makes a word of the shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
