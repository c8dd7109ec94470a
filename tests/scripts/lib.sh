# shellcheck shell=bash
# Helpers of the script tests. A test is an executable NAME.test here: exit status 0
# is passed, 77 "not possible here" (the last line says why), anything else failed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
trap clean_up EXIT
output=$scratch/output

# shellcheck disable=SC2317 # run by trap
clean_up() {
  local -a started
  mapfile -t started < <(jobs -p)
  ((${#started[@]} == 0)) || kill "${started[@]}" 2>/dev/null || true
  rm -rf "$scratch"
}

# expect STATUS COMMAND...: runs it; what it prints is in $output.
expect() {
  local wanted=$1 status=0
  shift
  "$@" >"$output" 2>&1 </dev/null || status=$?
  ((status == wanted)) || give_up "status $status instead of $wanted from: $*"
}

# said REGEX: it was in the output of the last command.
said() { grep -Eq -- "$1" "$output" || give_up "not in the output: $1"; }
not_said() { ! grep -Eq -- "$1" "$output" || give_up "in the output: $1"; }

# wait_for COMMAND...: until it succeeds, at most ten seconds.
wait_for() {
  local try
  for ((try = 0; try < 200; try++)); do
    ! "$@" >/dev/null || return 0
    sleep 0.05
  done
  give_up "in vain waited for: $*"
}

give_up() {
  printf '%s\n' "$1" '--- output of the last command:' >&2
  cat "$output" >&2
  exit 1
}

# A checkout with these scripts and nothing to build, at $scratch/tree.
make_tree() {
  tree=$scratch/tree
  mkdir -p "$tree"/{packaging,tests/scripts,tests/vm}
  cp "$root"/packaging/{lib.sh,packages.txt,install-build-deps,run} "$tree/packaging"
  cp "$root"/tests/{run,junit.awk} "$tree/tests"
}

# program PATH: an executable shell script from standard input.
program() {
  mkdir -p "$(dirname "$1")"
  { printf '#!/bin/bash\n' && cat; } >"$1"
  chmod +x "$1"
}

# without TOOL COMMAND...: COMMAND sees every program of this machine but TOOL.
without() {
  local tool=$1 file
  mkdir -p "$scratch/path"
  for file in /usr/bin/* /usr/sbin/*; do ln -sf "$file" "$scratch/path/"; done
  rm -f "$scratch/path/$tool"
  PATH=$scratch/path "${@:2}"
}

needs_root() {
  ((EUID == 0)) || {
    echo "needs root"
    exit 77
  }
}
