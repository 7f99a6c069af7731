# shellcheck shell=bash
# scripts/check.d/debian13.sh - the check `debian13`: build and unit tests in a Debian 13 root, on any machine.
# scripts/check sources it; it only defines functions.
# SPDX-License-Identifier: MIT
: "${repo:=}"

readonly DEBIAN13_BUILD=$repo/build/debian13

in_debian13() { in_root "$1" "$DEBIAN13_BUILD" "${@:2}"; }

# fill_debian13_root ROOT: installs Debian 13 and the packages of --for checks in ROOT.
fill_debian13_root() {
  copy_base_root trixie "$1" || return
  check_say "running scripts/setup --for checks in $1"
  in_debian13 "$1" /src/scripts/setup --for checks || return
  # Nothing here needs the lab's packages: check only that Debian 13 has them.
  in_debian13 "$1" bash -c '/src/scripts/setup --list | xargs apt-get -qq --simulate install' >/dev/null || return
  in_debian13 "$1" apt-get clean
}

build_in_debian13() {
  local root=$1
  check_say "GCC 14, warnings are errors: the command, the shared library and the unit tests"
  in_debian13 "$root" cmake -S /src --preset ci -B /build/gcc &&
    in_debian13 "$root" cmake --build /build/gcc --target passthru-command passthru_shared passthru_unit_tests || return
  check_say "clang 19, warnings are errors: the library, without precompiled headers"
  in_debian13 "$root" cmake -S /src --preset clang -B /build/clang -DBUILD_TESTING=OFF \
      -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON &&
    in_debian13 "$root" cmake --build /build/clang --target passthru passthru_vmm
}

check_debian13() {
  local root
  use_roots || return
  root=$(cached_root debian13 "$(content_key "$mirror" <<<"$repo/scripts/setup")" fill_debian13_root) || return
  check_say "the root is $root"
  in_debian13 "$root" /src/scripts/setup --check --for checks || return
  build_in_debian13 "$root" || return
  check_say "the unit tests"
  in_debian13 "$root" env PASSTHRU_STEPS="${PASSTHRU_STEPS:-3000}" \
    /build/gcc/tests/passthru_unit_tests --gtest_brief=1
}
