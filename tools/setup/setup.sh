#!/usr/bin/env bash
# Checks for the tools named as arguments (go git java maven python node kcat). What is missing
# is installed with apt when this is a Debian or Ubuntu and we are root;
# otherwise the one line to run is printed and the exit code is 3.
set -euo pipefail
missing=()
packages=()
for tool in "$@"; do
  case "$tool" in
    go)    if ! command -v go >/dev/null; then missing+=(go); packages+=(golang-go); fi ;;
    git)   if ! command -v git >/dev/null; then missing+=(git); packages+=(git); fi ;;
    java)  major=$(javac -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p' || true)
           if [ "${major:-0}" -lt 17 ]; then missing+=("JDK 17 or newer"); packages+=(openjdk-17-jdk-headless); fi ;;
    maven) if ! command -v mvn >/dev/null; then missing+=(maven); packages+=(maven); fi ;;
    python) if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then missing+=("Python 3 with venv"); packages+=(python3-venv); fi ;;
    node)  if ! command -v npm >/dev/null; then missing+=("Node.js with npm"); packages+=(nodejs npm); fi ;;
    kcat)  if ! command -v kcat >/dev/null; then missing+=(kcat); packages+=(kcat); fi ;;
    *) echo "setup: unknown tool $tool" >&2; exit 2 ;;
  esac
done
if [ ${#missing[@]} -gt 0 ]; then
  line="apt-get install -y --no-install-recommends ${packages[*]}"
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "setup: installing ${missing[*]}" >&2
    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive $line) >&2
  else
    printf 'setup: missing: %s\nrun: sudo %s\n' "$(IFS=,; echo "${missing[*]}")" "$line" >&2
    exit 3
  fi
fi
for tool in "$@"; do
  if [ "$tool" = go ]; then
    have=$(go env GOVERSION 2>/dev/null | sed 's/^go//')
    need=$(sed -n 's/^go //p' go.mod)
    if [ "$(printf '%s\n%s\n' "$need" "$have" | sort -V | head -1)" != "$need" ]; then
      echo "setup: Go $need or newer is needed, this is Go ${have:-unknown}; install it from https://go.dev/dl/" >&2
      exit 3
    fi
  fi
done
