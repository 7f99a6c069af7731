# shellcheck shell=bash
# scripts/check.d/debian13.sh - the check `debian13`: build and unit tests in a Debian 13 root, on any machine.
# scripts/check sources it; it only defines functions. Each step in the root has its own mount namespace, so that no
# mount stays behind. The root is in the cache, build trees are in build/debian13, objects also in ccache.
# SPDX-License-Identifier: MIT
: "${repo:=}" "${cache:=}"
# shellcheck source=scripts/lab.d/images.sh
source "$repo/scripts/lab.d/images.sh"

readonly DEBIAN13_BUILD=$repo/build/debian13 DEBIAN13_UNUSED_DAYS=14

debian13_say() { printf 'debian13: %3d s: %s\n' "$SECONDS" "$*"; }

# in_debian13 ROOT COMMAND...: runs COMMAND as root in ROOT. COMMAND sees this clone at /src, read-only, and can write
# to /build, /ccache and /tmp.
in_debian13() {
  local ccache
  ccache=$(ccache --get-config cache_dir)
  mkdir -p "$DEBIAN13_BUILD" "$ccache"
  unshare --mount -- bash -euo pipefail -c '
    root=$1 src=$2 build=$3 ccache=$4
    shift 4
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
  ' bash "$1" "$repo" "$DEBIAN13_BUILD" "$ccache" \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/tmp ${http_proxy:+"http_proxy=$http_proxy"} \
    CCACHE_DIR=/ccache \
    CMAKE_BUILD_PARALLEL_LEVEL="${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}" \
    PASSTHRU_STEPS="${PASSTHRU_STEPS:-3000}" "${@:2}"
}

# fill_debian13_root ROOT MIRROR: installs Debian 13 and the packages of --for checks in ROOT.
fill_debian13_root() {
  local log=$DEBIAN13_BUILD/root.log proxy=''
  mkdir -p "$DEBIAN13_BUILD"
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  [ -z "$proxy" ] || export http_proxy="${http_proxy:-$proxy}"
  debian13_say "making a Debian 13 root from $2 (once; kept in $cache)"
  if ! unshare --mount -- debootstrap --variant=minbase --force-check-gpg trixie "$1" "$2" >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    images_fail "cannot make a Debian 13 root: debootstrap failed (complete log: $log)"
    return
  fi
  debian13_say "running scripts/setup --for checks in it"
  in_debian13 "$1" /src/scripts/setup --for checks || return
  # Nothing here needs the lab's packages: check only that Debian 13 has them.
  in_debian13 "$1" bash -c '/src/scripts/setup --list | xargs apt-get -qq --simulate install' >"$log" || return
  in_debian13 "$1" apt-get clean
}

# make_debian13_root ROOT MIRROR: makes ROOT unless it exists. A root gets its name only when it is complete.
make_debian13_root() {
  local root=$1 mirror=$2 new
  [ ! -d "$root" ] || return 0
  rm -rf --one-file-system "$cache"/debian13.new.* # left over from a killed run: we hold the lock
  new=$(mktemp -d "$cache/debian13.new.XXXXXX")
  chmod 755 "$new"
  if ! fill_debian13_root "$new" "$mirror"; then
    rm -rf --one-file-system "$new"
    return 1
  fi
  mv "$new" "$root"
  find "$cache" -maxdepth 1 -name 'debian13-*' -mtime "+$DEBIAN13_UNUSED_DAYS" -exec rm -rf --one-file-system {} +
}

build_in_debian13() {
  local root=$1
  debian13_say "GCC 14, warnings are errors: the command and the unit tests"
  in_debian13 "$root" cmake -S /src --preset ci -B /build/gcc &&
    in_debian13 "$root" cmake --build /build/gcc --target passthru-command passthru_unit_tests || return
  debian13_say "clang 19, warnings are errors: the library, without precompiled headers"
  in_debian13 "$root" cmake -S /src --preset clang -B /build/clang -DBUILD_TESTING=OFF \
      -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON &&
    in_debian13 "$root" cmake --build /build/clang --target passthru passthru_vmm
}

check_debian13() {
  local mirror root
  if [ "$(id -u)" != 0 ]; then
    images_fail "cannot check on Debian 13: this needs root. Run: sudo scripts/check debian13"
    return
  fi
  cache=$(cache_dir)
  mirror=$(debian_mirror) ||
    images_fail "cannot make a Debian 13 root: this machine has no APT source of Debian. Add one" || return
  root=$cache/debian13-$(content_key "$mirror" <<<"$repo/scripts/setup")
  with_lock debian13.lock make_debian13_root "$root" "$mirror" || return
  touch "$root"
  debian13_say "the root is $root"
  in_debian13 "$root" /src/scripts/setup --check --for checks || return
  build_in_debian13 "$root" || return
  debian13_say "the unit tests"
  in_debian13 "$root" /build/gcc/tests/passthru_unit_tests --gtest_brief=1
}
