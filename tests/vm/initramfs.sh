# shellcheck shell=bash
# Makes an initramfs out of busybox, the programs under test and what `ldd` names
# for them. Sourced by tests/vm/run. Every file keeps the path it has on the host.
# shellcheck disable=SC2154 # root, tier, command_line, added_files: set by the caller

# What the kernel tests may ask for; the kernel loads them by itself, as anywhere.
guest_modules=(inet_diag tcp_diag udp_diag raw_diag unix_diag mptcp_diag sctp_diag
  sctp tls veth dummy vrf bridge macvlan tun)

# make_initramfs KERNEL TREE OUT: TREE, an empty directory, is filled and packed.
# Uses `command_line` (the program and its arguments) and `added_files`.
make_initramfs() {
  local kernel=$1 tree=$2 out=$3 file
  make_skeleton "$tree"
  copy_modules "$kernel" "$tree"
  # Not busybox's shell: it prefers its own applets, `ip` among them, to what PATH says.
  for file in /bin/sh "$(command -v ip)" "$(command -v ss)" "$root"/build/release/bin/* "${command_line[0]}"; do
    [[ ! -e $file ]] || add_path "$tree" "$file" "$file"
  done
  for file in "${added_files[@]}"; do add_path "$tree" "${file%%:*}" "${file#*:}"; done
  write_command "$tree/command"
  (cd "$tree" && find . -print0 | cpio --quiet --null --create --format=newc --owner=0:0) >"$out"
}

# Debian's merged layout, so that a library's path leads to the same file as outside.
make_skeleton() {
  local tree=$1 dir
  mkdir -p "$tree"/{dev,etc,proc,results,root,run,sys,tmp,var/lib,busybox,usr/{bin,sbin,lib,lib64}}
  for dir in bin sbin lib lib64; do ln -s "usr/$dir" "$tree/$dir"; done
  cp "$(command -v busybox)" "$tree/busybox/busybox"
  ln -s /busybox/busybox "$tree/sbin/modprobe"
  install -m 755 "$root/tests/vm/guest-init" "$tree/init"
  printf '%s\n' root:x:0:0:root:/root:/bin/sh nobody:x:65534:65534:nobody:/:/bin/false >"$tree/etc/passwd"
  printf '%s\n' root:x:0: bindlens:x:900: nogroup:x:65534: >"$tree/etc/group"
  printf '%s\n' '127.0.0.1 localhost' '::1 localhost' >"$tree/etc/hosts"
  printf '%s\n' 'passwd: files' 'group: files' 'hosts: files' >"$tree/etc/nsswitch.conf"
}

copy_modules() {
  local kernel=$1 tree=$2 release module file to
  release=$(<"$kernel/release")
  mkdir -p "$tree/lib/modules/$release"
  for module in "${guest_modules[@]}"; do
    modprobe --dirname "$kernel" --set-version "$release" --ignore-install --show-depends "$module" 2>/dev/null || true
  done | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r file; do
    to=$tree/lib/modules/$release/$(basename "${file%.xz}")
    if [[ $file == *.xz ]]; then xz -dc "$file" >"$to"; else cp "$file" "$to"; fi
  done
  depmod -b "$tree" "$release" 2>/dev/null
}

# add_path TREE FROM TO: a file with everything it needs to run, or a directory.
add_path() {
  local tree=$1 from=$2 to=$3 file
  [[ -e $from ]] || fail 2 "no such file: $from"
  if [[ -d $from ]]; then
    while IFS= read -r -d '' file; do add_path "$tree" "$file" "$to${file#"$from"}"; done \
      < <(find "$from" -type f -print0)
    return
  fi
  [[ ! -e $tree$to && ! -L $tree$to ]] || return 0
  mkdir -p "$tree$(dirname "$to")"
  cp -L "$from" "$tree$to"
  for file in $(interpreter_of "$from") $(libraries_of "$from"); do add_path "$tree" "$file" "$file"; done
}

interpreter_of() { LC_ALL=C sed -n '1 s|^#! *\(/[^ ]*\).*|\1|p; 1 q' "$1" | tr -d '\0'; }

libraries_of() {
  local lines
  lines=$(ldd "$1" 2>/dev/null) || return 0 # a static program, a script, data
  if [[ $lines == *'not found'* ]]; then fail 2 "$1 needs a library that is not here: $(grep 'not found' <<<"$lines")"; fi
  awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^\//) print $i }' <<<"$lines"
}

# The environment and the command line, for the guest's shell.
write_command() {
  local name
  {
    for name in $(compgen -e | grep -E '^(BINDLENS|GTEST)_'); do
      printf 'export %s=%s\n' "$name" "$(quoted "${!name}")"
    done
    printf 'export BINDLENS_VM=1 BINDLENS_TIER=%s GTEST_OUTPUT=xml:/results/\n' "$tier"
    printf 'cd %s\n' "$(quoted "$PWD")"
    printf 'exec'
    for name in "${command_line[@]}"; do printf ' %s' "$(quoted "$name")"; done
    printf '\n'
  } >"$1"
  mkdir -p "$(dirname "$1")$PWD"
}

quoted() { printf "'%s'" "${1//\'/\'\\\'\'}"; }
