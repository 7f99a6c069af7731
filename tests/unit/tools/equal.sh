# tests/unit/tools/equal.sh - one check of a shell test: prints a line, and counts failures. Sourced by the shell tests.
# SPDX-License-Identifier: MIT
# shellcheck shell=bash
failures=0

# equal WHAT GOT WANTED
equal() {
  if [ "$2" = "$3" ]; then
    echo "ok      $1"
  else
    echo "FAILED  $1: '$2', not '$3'"
    failures=$((failures + 1))
  fi
}
