# shellcheck shell=bash
# scripts/check.d/packages.sh - the check `packages`: builds the Debian packages in a root with only the packages that
# debian/control names, and tries them in a root without these. scripts/check sources it; it only defines functions.
# SPDX-License-Identifier: MIT
: "${repo:=}"
# shellcheck source=scripts/package.d/sources.sh
source "$repo/scripts/package.d/sources.sh"

readonly PACKAGES_BUILD=$repo/build/packages

# fill_build_root SUITE ROOT: installs what builds the packages.
fill_build_root() {
  local build=$PACKAGES_BUILD/$1
  copy_base_root "$1" "$2" || return
  check_say "installing the packages that debian/control names in $2 (once)"
  install_in_root "$2" "$build" update && # the copied root may be older than the mirror
    install_in_root "$2" "$build" install build-essential ccache lintian &&
    install_in_root "$2" "$build" build-dep /src &&
    install_in_root "$2" "$build" clean
}

# fill_clean_root SUITE ROOT: installs what the developer of a VMM has.
fill_clean_root() {
  local build=$PACKAGES_BUILD/$1
  copy_base_root "$1" "$2" || return
  check_say "installing compilers in $2 (once)"
  install_in_root "$2" "$build" update &&
    install_in_root "$2" "$build" install gcc g++ libc6-dev make cmake pkgconf python3 man-db &&
    install_in_root "$2" "$build" clean
}

# packages_on SUITE: builds the packages for a Debian release, and tries them there.
packages_on() {
  local suite=$1 build=$PACKAGES_BUILD/$1 root tree
  root=$(cached_root "build-$suite" "$(content_key "$mirror" <<<"$repo/debian/control")" fill_build_root "$suite") ||
    return
  check_say "building the packages on $suite, in $root"
  tree=passthru-$(changelog_version)
  rm -rf "$build"
  copy_tracked_files "$build/$tree"
  in_root "$root" "$build" /src/scripts/package.d/build "/build/$tree" || return
  root=$(cached_root "clean-$suite" "$(content_key "$mirror" </dev/null)" fill_clean_root "$suite") || return
  check_say "trying the packages on $suite, in a copy of $root"
  KEEP_ROOT=yes in_root "$root" "$build" /src/scripts/check.d/try_packages
}

check_packages() {
  local suite
  use_roots || return
  for suite in bookworm trixie; do
    packages_on "$suite" || return
  done
}
