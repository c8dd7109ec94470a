# shellcheck shell=bash
# Gets one of Debian's cloud kernels. Sourced by tests/vm/run, after packaging/lib.sh.
#
# The mirror is the one of this machine's own apt sources, and apt itself does the
# work, with a state of its own below the cache: it verifies the signature of the
# suite, the checksum of its index and the checksum of every package.

cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/bindlens/kernels
index_hours=24 # a younger index is not fetched again

# The suites that carry a series. The newest version of them all is taken.
suites_of() {
  case $1 in
    5.10) echo bullseye bullseye-security ;;
    6.1) echo bookworm bookworm-security ;;
    6.12) echo bookworm-backports bookworm-security trixie-security ;;
    7.x) echo trixie-backports ;;
  esac
}

# get_kernel SERIES: sets `kernel`, a directory with vmlinuz, release, version and
# lib/modules. Returns 77 when there is none to be had.
get_kernel() {
  local series=$1 dir=$cache/$1 lock trouble=
  mkdir -p "$dir"
  exec {lock}>"$dir/lock"
  flock "$lock"
  refresh_kernel "$series" "$dir" || trouble=$REPLY
  exec {lock}>&-
  kernel=$(newest_cached "$dir")
  if [[ -z $kernel ]]; then
    printf 'vm: cannot run here: no kernel %s: %s\n' "$series" "$trouble" >&2
    return 77
  fi
  [[ -z $trouble ]] || say "kernel $series: $trouble; taking the cached $(<"$kernel/version")"
}

newest_cached() { find "$1" -mindepth 2 -maxdepth 2 -name release -printf '%h\n' | sort -V | tail -n 1; }

# Puts the newest version into the cache, unless it is there.
# On failure REPLY says what stood in the way.
refresh_kernel() {
  local series=$1 dir=$2 name version
  update_index "$series" "$dir" || return 1
  read -r version name < <(newest_in_index "$series" "$dir") || {
    REPLY="the mirror of this machine's apt sources does not have it in $(suites_of "$series")"
    return 1
  }
  [[ -e $dir/$version/release ]] && return
  say "kernel $series: downloading $name $version"
  download_kernel "$dir" "$name" "$version"
}

# private_apt DIR PROGRAM ARGS...: apt-get or apt-cache on the cache's own state.
private_apt() {
  local state=$1/apt
  "$2" -qq -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" \
    -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Sandbox::User=root \
    -o Acquire::Languages=none -o Acquire::Check-Valid-Until=false \
    -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 "${@:3}"
}

# A suite that the mirror does not have is left out. On failure REPLY says why.
update_index() {
  local series=$1 dir=$2 state=$2/apt unreachable
  [[ $(find "$state/stamp" -mmin "-$((index_hours * 60))" 2>/dev/null) ]] && return
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  : >"$state/status"
  sources_of "$series" >"$state/sources.list"
  if [[ ! -s $state/sources.list ]]; then
    REPLY="this machine's apt sources name no Debian mirror"
    return 1
  fi
  private_apt "$dir" apt-get update >"$state/update.log" 2>&1 || true
  if unreachable=$(grep -m 1 'Failed to fetch' "$state/update.log"); then
    REPLY="the mirror does not answer (${unreachable#*: })"
    return 1
  fi
  touch "$state/stamp"
}

# The lines of a sources.list for a series.
sources_of() {
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg suite uri trust=
  [[ -e $keyring ]] && trust="[signed-by=$keyring] "
  for suite in $(suites_of "$1"); do
    uri=$(mirror_for "$suite")
    [[ -z $uri ]] || printf 'deb %s%s %s main\n' "$trust" "$uri" "$suite"
  done
}

# The archive this machine takes suites of that kind from. apt reads both formats
# of its sources, so it is asked instead of them.
mirror_for() {
  local kind='^[a-z]+$'
  [[ $1 == *-security ]] && kind='^[a-z]+-security$'
  apt-get --print-uris update 2>/dev/null |
    sed -n "s|^'\(.*\)/dists/\([^/']*\)/InRelease'.*|\2 \1|p" |
    awk -v kind="$kind" '$1 ~ kind && !found { print $2; found = 1 }'
}

# "VERSION RELEASE" of the newest kernel, RELEASE as in linux-image-RELEASE.
newest_in_index() {
  local series=$1 dir=$2
  local -a names
  mapfile -t names < <(private_apt "$dir" apt-cache pkgnames linux-image- |
    grep -E "^linux-image-${series/.x/\\.[0-9]+}\.[0-9].*-cloud-amd64$")
  ((${#names[@]})) || return 0
  private_apt "$dir" apt-cache madison "${names[@]}" |
    awk '{ sub(/^linux-image-/, "", $1); print $3, $1 }' | sort -V | tail -n 1
}

# On failure REPLY says why, and nothing is left in the cache.
download_kernel() {
  local dir=$1 release=$2 version=$3 log=$1/apt/download.log tmp
  tmp=$(mktemp -d "$dir/new.XXXXXX")
  if fetch_packages "$dir" "$tmp" "$release" "$version" >"$log" 2>&1 &&
    arrange_kernel "$tmp" "$release" "$version" >>"$log" 2>&1; then
    mv -T "$tmp/kernel" "$dir/$version"
    rm -rf "$tmp"
  else
    rm -rf "$tmp"
    REPLY="download of $version failed ($(tail -n 1 "$log"))"
    return 1
  fi
}

# Newer kernels are split: image, binary (vmlinuz), modules, base.
fetch_packages() {
  local dir=$1 to=$2 release=$3 version=$4 deb
  local -a packages
  mapfile -t packages < <(private_apt "$dir" apt-cache pkgnames linux- |
    grep -Fx -e "linux-image-$release" -e "linux-binary-$release" -e "linux-modules-$release" -e "linux-base-$release")
  (cd "$to" && private_apt "$dir" apt-get download "${packages[@]/%/=$version}") || return 1
  for deb in "$to"/*.deb; do
    dpkg -x "$deb" "$to/files" || return 1
  done
}

# One layout for all releases, whichever way the packages are cut.
arrange_kernel() {
  local files=$1/files release=$2 version=$3 to=$1/kernel modules image
  modules=$files/usr/lib/modules/$release
  [[ -d $modules ]] || modules=$files/lib/modules/$release
  image=$files/boot/vmlinuz-$release
  [[ -e $image ]] || image=$modules/vmlinuz
  mkdir -p "$to/lib/modules" &&
    mv "$image" "$to/vmlinuz" &&
    mv "$modules" "$to/lib/modules/$release" &&
    depmod -b "$to" "$release" &&
    printf '%s\n' "$version" >"$to/version" &&
    printf '%s\n' "$release" >"$to/release"
}
