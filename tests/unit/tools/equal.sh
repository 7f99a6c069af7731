# tests/unit/tools/equal.sh - a check for shell tests, which source this file. It prints a line and counts failures.
# SPDX-License-Identifier: MIT
# shellcheck shell=bash
failures=0

# equal WHAT GOT WANTED: compares two strings.
equal() {
  if [ "$2" = "$3" ]; then
    echo "ok      $1"
  else
    echo "FAILED  $1: '$2', not '$3'"
    failures=$((failures + 1))
  fi
}
