# shellcheck shell=bash
# Shared by packaging/run, packaging/install-build-deps, tests/run and
# tests/vm/run. Source it; it only defines functions and `root`, the checkout.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# One line about what is being done.
say() { printf '==> %s\n' "$*"; }

# fail STATUS MESSAGE: the cause and the remedy, then the end.
fail() {
  local status=$1
  shift
  printf '%s: %s\n' "${0#"$root"/}" "$*" >&2
  exit "$status"
}

usage_error() { fail 2 "$1 (see --help)"; }

# Prints the comment block at the top of the calling script.
print_help() { sed -n '2,/^[^#]/ { /^#/ s/^# \{0,1\}//p }' "$1"; }

# become_root "$@": the same command line again, as root.
become_root() {
  ((EUID == 0)) && return
  command -v sudo >/dev/null ||
    fail 3 "needs root (installs packages, loads BPF programs), and there is no sudo here: run it as root"
  say "needs root: starting again through sudo"
  exec sudo -- "$0" "$@"
}

# What root built inside a user's checkout belongs to that user again.
give_back() {
  local owner
  owner=$(stat -c %u "$root")
  if ((EUID == 0 && owner != 0)) && [[ -e $1 ]]; then
    chown -R --reference="$root" "$1"
  fi
}

# run_logged LOG COMMAND...: silent unless it fails; then the log is shown.
run_logged() {
  local log=$1 status=0
  shift
  mkdir -p "$(dirname "$log")"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if ((status != 0)); then
    tail -n 100 "$log" >&2
    printf '%s: "%s" failed with status %d; the whole output is in %s\n' "${0#"$root"/}" "$*" "$status" "$log" >&2
  fi
  return "$status"
}

# listed_packages SECTION...: the names in these sections of packages.txt.
listed_packages() {
  awk -v wanted=" $* " '
    /^\[/ { section = substr($1, 2, length($1) - 2); next }
    /^[^#]/ && index(wanted, " " section " ") { print $1 }' "$root/packaging/packages.txt"
}

# missing_packages SECTION...: those of them that are not installed.
missing_packages() {
  local -a wanted
  mapfile -t wanted < <(listed_packages "$@")
  { dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null || true; } |
    awk -v wanted="${wanted[*]}" '
      $2 == "installed" { here[$1] = 1 }
      END { n = split(wanted, names, " "); for (i = 1; i <= n; i++) if (!(names[i] in here)) print names[i] }'
}

# install_packages SECTION...: says nothing when nothing is missing. Needs root.
install_packages() {
  local -a missing
  command -v dpkg-query >/dev/null || fail 3 "no dpkg here: install the counterparts of packaging/packages.txt by hand"
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  say "installing ${missing[*]}"
  local log=$root/build/log/install.log
  apt_get_logged "$log" update
  apt_get_logged "$log" install --yes --no-install-recommends "${missing[@]}"
}

apt_get_logged() {
  DEBIAN_FRONTEND=noninteractive run_logged "$1" apt-get -o DPkg::Lock::Timeout=300 "${@:2}" ||
    fail 3 "apt-get $2 failed: look at the lines above, and at the machine's apt sources"
}

# build PRESET [TARGET...]: configures and builds; the output is shown only on failure.
build() {
  local preset=$1 log=$root/build/log/build-$1.log
  say "building preset $preset"
  (cd "$root" && run_logged "$log" cmake --preset "$preset" && run_logged "$log" cmake --build --preset "$preset" ${2:+--target "${@:2}"})
}
