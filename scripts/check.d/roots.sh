# shellcheck shell=bash
# scripts/check.d/roots.sh - Debian roots for checks, and commands that run in them. scripts/check sources it; it only
# defines functions. Each command has its own mount namespace, so that no mount stays behind. The roots are in the cache,
# and all clones of a user share them; build trees are in build/, objects also in ccache.
# SPDX-License-Identifier: MIT
: "${repo:=}" "${cache:=}" "${check:=}"
# shellcheck source=scripts/lab.d/images.sh
source "$repo/scripts/lab.d/images.sh"

readonly ROOT_UNUSED_DAYS=14

check_say() { printf '%s: %3d s: %s\n' "$check" "$SECONDS" "$*"; }

# in_root ROOT BUILD COMMAND...: runs COMMAND as root in ROOT. COMMAND sees this clone at /src, read-only, and directory
# BUILD at /build. It can write to /build, /ccache and /tmp. If KEEP_ROOT is set, its other changes of ROOT vanish.
in_root() {
  local ccache
  ccache=$(ccache --get-config cache_dir)
  mkdir -p "$2" "$ccache"
  unshare --mount -- bash -euo pipefail -c '
    root=$1 src=$2 build=$3 ccache=$4 keep=$5
    shift 5
    if [ -n "$keep" ]; then
      layer=$build/layer
      mkdir -p "$layer"
      mount -t tmpfs tmpfs "$layer"
      mkdir "$layer"/{changes,work,root}
      mount -t overlay overlay -o "lowerdir=$root,upperdir=$layer/changes,workdir=$layer/work" "$layer/root"
      root=$layer/root
    fi
    mkdir -p "$root"/{src,build,ccache}
    mount --bind "$src" "$root/src"
    mount -o remount,bind,ro "$root/src"
    mount --bind "$build" "$root/build"
    mount --bind "$ccache" "$root/ccache"
    mount -t proc proc "$root/proc"
    mount --bind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/tmp"
    exec chroot "$root" "$@"
  ' bash "$1" "$repo" "$2" "$ccache" "${KEEP_ROOT-}" \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/tmp ${http_proxy:+"http_proxy=$http_proxy"} \
    CCACHE_DIR=/ccache CMAKE_BUILD_PARALLEL_LEVEL="${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}" \
    ${DEB_BUILD_OPTIONS:+"DEB_BUILD_OPTIONS=$DEB_BUILD_OPTIONS"} "${@:3}"
}

# install_in_root ROOT BUILD APT-ARGUMENT...: runs apt-get in ROOT. Prints its output only if it fails.
install_in_root() {
  local log=$2/apt.log
  mkdir -p "$2"
  in_root "$1" "$2" env DEBIAN_FRONTEND=noninteractive \
    apt-get --yes --no-install-recommends -o Acquire::Retries=3 "${@:3}" >"$log" 2>&1 </dev/null || {
    tail -n 20 "$log" >&2
    images_fail "cannot install packages in $1: apt-get ${*:3} failed (complete log: $log)"
  }
}

# use_roots: sets the variables that the following functions need. Fails without root or an APT source.
use_roots() {
  local proxy=''
  if [ "$(id -u)" != 0 ]; then
    images_fail "cannot check in a Debian root: this needs root. Run: sudo scripts/check $check"
    return
  fi
  cache=$(cache_dir)
  mirror=$(debian_mirror) ||
    images_fail "cannot make a Debian root: this machine has no APT source of Debian. Add one" || return
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  [ -z "$proxy" ] || export http_proxy="${http_proxy:-$proxy}"
}

# make_root ROOT FILL ARGUMENT...: makes ROOT unless it exists: `FILL ARGUMENT... DIRECTORY` fills an empty directory. A
# root gets its name only when it is complete.
make_root() {
  local root=$1 name new
  [ ! -d "$root" ] || return 0
  name=${root%-*}
  rm -rf --one-file-system "$name".new.* # left over from a killed run: we hold the lock
  new=$(mktemp -d "$name.new.XXXXXX")
  chmod 755 "$new"
  if ! "${@:2}" "$new"; then
    rm -rf --one-file-system "$new"
    return 1
  fi
  mv "$new" "$root"
  find "$cache" -maxdepth 1 -name "${name##*/}-*" -mtime "+$ROOT_UNUSED_DAYS" -exec rm -rf --one-file-system {} +
}

# cached_root NAME KEY FILL ARGUMENT...: prints the directory of the root NAME. KEY is a hash of its contents.
cached_root() {
  local root=$cache/$1-$2
  with_lock "$1.lock" make_root "$root" "${@:3}" >&2 || return
  touch "$root"
  printf '%s\n' "$root"
}

# fill_base_root SUITE ROOT: installs the required packages of a Debian release.
fill_base_root() {
  local log=$repo/build/$1.root.log
  mkdir -p "$repo/build"
  check_say "installing Debian $1 from $mirror (once; kept in $cache)"
  if ! unshare --mount -- debootstrap --variant=minbase --force-check-gpg "$1" "$2" "$mirror" >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    images_fail "cannot make a root of Debian $1: debootstrap failed (complete log: $log)"
  fi
}

# base_root SUITE: prints the directory of a root with only the required packages. Do not change this root.
base_root() { cached_root "base-$1" "$(content_key "$mirror" </dev/null)" fill_base_root "$1"; }

# copy_base_root SUITE ROOT: fills ROOT with a copy of that root.
copy_base_root() {
  local base
  base=$(base_root "$1") && cp -a "$base/." "$2"
}
