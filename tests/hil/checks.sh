# tests/hil/checks.sh - owns how the lab's shell tests report: one line a check, and exit status 1 if one failed, or 125
# if that is the lab's own fault. Sourced by them.
# SPDX-License-Identifier: MIT
# shellcheck shell=bash
failures=0

# shellcheck source=scripts/lab.d/boot_guest.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lab.d/boot_guest.sh"

ok() { printf 'ok      %s\n' "$*"; }

# failed WHAT [FILE]: the end of FILE says more.
failed() {
  printf 'FAILED  %s\n' "$1"
  if [ $# -gt 1 ]; then tail -n 25 "$2" | tr -d '\r' | sed 's/^/        | /'; fi
  failures=$((failures + 1))
}

# equal WHAT GOT WANTED [FILE]
equal() {
  if [ "$2" = "$3" ]; then ok "$1"; else failed "$1: '$2', not '$3'" "${@:4}"; fi
}

finish() {
  if [ "$failures" = 0 ]; then exit 0; fi
  printf '%s checks failed\n' "$failures" >&2
  if timer_stopped; then
    echo "a guest's timer stopped, which is the emulator's fault: no result" >&2
    exit 125
  fi
  exit 1
}
