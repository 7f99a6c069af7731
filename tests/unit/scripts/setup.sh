#!/usr/bin/env bash
# tests/unit/scripts/setup.sh - tests of scripts/setup: the packages for each Debian release and purpose, and the error
# on other systems. Installs nothing.
# usage: setup.sh
# SPDX-License-Identifier: MIT
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

# shellcheck source=tests/unit/tools/equal.sh
source tests/unit/tools/equal.sh
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

# release NAME ID VERSION_ID: writes an os-release file.
release() { printf 'ID=%s\n%s' "$2" "${3:+VERSION_ID=\"$3\"$'\n'}" >"$directory/$1"; }
release 12 debian 12
release 13 debian 13
release sid debian ''
release derivative ubuntu 24.04

# setup_on RELEASE ARGUMENT...: runs scripts/setup on that release.
setup_on() { PASSTHRU_OS_RELEASE=$directory/$1 scripts/setup "${@:2}" 2>&1; }

# packages_like PATTERN RELEASE WHAT: prints the packages of --for WHAT with a matching name.
packages_like() { setup_on "$2" --list --for "$3" | grep -xE -- "$1" | xargs; }

# refused WHAT STATUS LINE RELEASE ARGUMENT...: setup must exit with STATUS and print LINE first.
refused() {
  local status=0 said
  said=$(setup_on "${@:4}") || status=$?
  equal "$1: status" "$status" "$2"
  equal "$1" "${said%%$'\n'*}" "$3"
}

readonly clang='clang.*|libclang.*' heavy='clang.*|libclang.*|lib(gtest|gmock|benchmark)-dev|zsh|shellcheck|codespell|bison|flex|bc'
readonly manuals='man-db|groff-base|doxygen|mandoc'
equal 'Debian 12: clang' "$(packages_like "$clang" 12 all)" 'clang-14 clang-tidy-14 clang-format-14 libclang-rt-14-dev'
equal 'Debian 13: clang' "$(packages_like "$clang" 13 all)" 'clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev'
equal 'Debian 13: version of clang' "$(setup_on 13 --clang-version)" 19
demo=$(setup_on 12 --list --for demo)
equal 'a demo: packages that it does not need' "$(grep -xcE -- "$heavy" <<<"$demo" || [ $? -eq 1 ])" 0
equal 'a demo: compiler and emulator' "$(packages_like 'g\+\+|qemu-system-x86' 12 demo)" 'g++ qemu-system-x86'
equal 'tests: the manual pages' "$(packages_like "$manuals" 12 tests)" 'man-db groff-base'
equal 'checks: the reference' "$(packages_like "$manuals" 13 checks)" 'man-db groff-base doxygen mandoc'
equal 'tests: their libraries' "$(packages_like 'lib(gtest|benchmark)-dev' 12 tests)" 'libgtest-dev libbenchmark-dev'
equal 'packages: their tools' "$(packages_like 'g\+\+|debhelper|lintian|clang.*' 13 packages)" 'g++ debhelper lintian'
for what in build demo tests checks packages; do
  equal "--for $what: packages that --for all lacks" \
    "$(comm -23 <(setup_on 12 --list --for $what | sort) <(setup_on 12 --list | sort) | xargs)" ''
done
readonly supports='Passthru supports Debian 12 and Debian 13. Install the equivalents of the packages in scripts/setup yourself'
for mode in --check --list --clang-version; do
  refused "a derivative, $mode" 1 "setup: cannot set up this machine: it runs ubuntu 24.04 ($directory/derivative), \
and $supports" derivative $mode
done
refused 'Debian without a version' 1 "setup: cannot set up this machine: it runs debian without VERSION_ID \
($directory/sid), and $supports" sid --check
refused 'an unknown purpose' 2 'usage: scripts/setup [--check | --list] [--for WHAT]' 12 --for fun

[ "$failures" = 0 ]
