#!/usr/bin/env bash
# tune's own test, on this machine, as root. It applies the sysctls and the huge page setting, is killed with SIGKILL at random
# moments, and undoes; after each round every value must be what it was. Fails too when no kill hit the middle. Swap, disks and
# CPUs are left alone. KILLS (default 40) is how many kills.
set -euo pipefail
kills=${KILLS:-40}
seed=${SEED:-$RANDOM}
RANDOM=$seed
[ "$(id -u)" = 0 ] || { echo "prove-tune: needs root" >&2; exit 3; }
dir=$(mktemp -d)
journal=$dir/tune.journal
tune() { bin/fluxbench tune --journal "$journal" "$@"; }

# Knob, path and status of what the tool manages here and this test may touch.
listing() { tune --json | awk -F'"' '$2=="knob"{k=$4} $2=="path"{p=$4} $2=="status"&&(p ~ "^/proc/sys/(net|vm)/"||p ~ "/transparent_hugepage/"){print k, p, $4}'; }
mapfile -t paths < <(listing | awk '$3!="not"{print $2}')
mapfile -t knobs < <(listing | awk '$3" "$4=="would change"{print $1}')
values() { for path in "${paths[@]}"; do printf '%s %s\n' "$path" "$(tr '\t' ' ' <"$path" | sed 's/.*\[\(.*\)\].*/\1/')"; done; }
before=$(values)
# Whatever happens to this script, the machine gets its values back without the tool's help.
restore() {
  values | diff - <(echo "$before") >/dev/null || while read -r path value; do echo "$value" >"$path"; done <<<"$before"
  rm -rf "$dir"
}
trap restore EXIT
if [ "${#knobs[@]}" -lt 2 ]; then
  echo "prove-tune: ${#knobs[@]} of ${#paths[@]} values differ from what is wanted here; nothing to be killed in the middle of" >&2
  exit 3
fi
echo "seed $seed; ${#paths[@]} values watched, ${#knobs[@]} to change: ${knobs[*]}"

# A kill falls at a random moment between the journal's appearance and the end of an apply. How long that is
# is measured first, and is only a few milliseconds: no process can be started to wait for it.
apply() { bin/fluxbench tune --journal "$journal" --apply "${knobs[@]}" >"$dir/out" 2>&1 & pid=$!; } # itself, not a subshell
await_journal() { while [ ! -e "$journal" ] && kill -0 $pid 2>/dev/null; do :; done; }
apply
await_journal
begin=${EPOCHREALTIME/[.,]/}
wait $pid
span=$((${EPOCHREALTIME/[.,]/} - begin))
tune --undo >/dev/null
echo "an apply takes $span µs from its journal to its end"

half=0 none=0 all=0 finished=0
for ((i = 1; i <= kills; i++)); do
  apply
  await_journal
  until=$((${EPOCHREALTIME/[.,]/} + RANDOM * span / 32768))
  while [ ${EPOCHREALTIME/[.,]/} -lt $until ]; do :; done
  kill -9 $pid 2>/dev/null || true # it may have ended
  code=0; wait $pid 2>/dev/null || code=$?
  [ $code = 137 ] || finished=$((finished + 1))
  [ $code = 137 ] || [ $code = 0 ] || { echo "apply ended by itself with $code" >&2; cat "$dir/out" >&2; exit 1; }
  changed=$(values | diff - <(echo "$before") | grep -c '^<' || true)
  if [ "$changed" = 0 ]; then none=$((none + 1)); elif [ "$changed" = "${#knobs[@]}" ]; then all=$((all + 1)); else half=$((half + 1)); fi
  if [ -e "$journal" ]; then
    code=0; tune --apply "${knobs[@]}" >/dev/null 2>&1 || code=$?
    [ $code = 3 ] || { echo "round $i: apply over a journal ended with $code, want 3" >&2; exit 1; }
  fi
  tune --undo >"$dir/undo" || { echo "round $i: undo failed" >&2; cat "$dir/undo" >&2; exit 1; }
  [ ! -e "$journal" ] || { echo "round $i: undo left its journal" >&2; exit 1; }
  if ! values | diff <(echo "$before") - >"$dir/diff"; then
    echo "round $i: undo left differences (< before, > after):" >&2; cat "$dir/diff" >&2; exit 1
  fi
done
echo "$kills rounds: killed with nothing written $none, half-way $half, everything written $all; $finished had ended before the kill"
[ $half -gt 0 ] || { echo "prove-tune: the kill never hit the middle of an apply" >&2; exit 1; }
tune --undo
echo "prove-tune: every value was as before after each of $kills rounds"
