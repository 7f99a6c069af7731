# tests/hil/checks.sh - owns what the lab's shell tests have in common: one line a check, and exit status 1 if one failed,
# or 125 if that is the lab's own fault; what a guest said; and that none outlives its test. Sourced by them.
# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2317 # status is for those who source this; tear_down is called from the trap
failures=0

# shellcheck source=scripts/lab.d/boot_guest.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lab.d/boot_guest.sh"

# The VMM of the guest that `boot` started, while it runs.
vmm=''
tear_down() { [ -z "$vmm" ] || kill -KILL "$vmm" 2>/dev/null || true; } # it may have ended by itself
trap tear_down EXIT

# wait_for_guest: until the VMM has ended; its exit status is in `status`.
wait_for_guest() {
  status=0
  wait "$vmm" || status=$?
  vmm=''
}

# said WORDS: what the guest that was booted last said on lines that begin with WORDS.
said() { sed -n "s/^$1 \(.*[^\r]\)\r*$/\1/p" "${consoles[-1]}"; }

# wait_until_says WORDS: at the beginning of a line, or until the guest has ended. One process waits, because each that
# is started takes time from the guest: both have the lab machine's only CPU.
wait_until_says() {
  grep -q "^$1" < <(exec tail -n +1 -f -s 0.1 --pid="$vmm" "${consoles[-1]}") || true # what is missing then is seen later
}

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
  if guest_stood_still; then
    echo "a guest stood still, its own tick with it, which is the emulator's fault: no result" >&2
    exit 125
  fi
  exit 1
}
