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
# However it ends: what the lab did to a guest is no result of a test.
trap 'ends_with $?' EXIT

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

# Whether a guest's kernel says that its CPU took an interrupt where it takes none: at the first instruction of a system
# call, with interrupts off, on the stack of the program that made it. KVM injects none there. The emulator's VMRUN does
# what KVM asks, and leaves the vector where its loop looks for exceptions: left before the guest has, the loop delivers
# it once more (docs/performance.md). usage: cpu_went_wrong CONSOLE...
cpu_went_wrong() {
  local console
  for console in "$@"; do
    if grep -qs 'PANIC: double fault' "$console" && grep -qs 'RIP: 0010:entry_SYSCALL_64+0x0/' "$console" &&
      grep -qs 'EFLAGS: 00000002' "$console"; then
      return 0 # not as it was before the trap
    fi
  done
  return 1
}

# Whether the lab broke a guest, which says nothing about a device; says so.
lab_failed() {
  local what
  if timer_stopped; then
    what='timer stopped'
  elif guest_stood_still; then
    what='CPUs stood still, its own tick with them'
  elif cpu_went_wrong "${consoles[@]}"; then
    what='CPU took an interrupt with interrupts off'
  elif guest_was_silent; then
    what='progress ended (above: what it said last)'
  else
    return 1
  fi
  echo "a guest's $what, which the emulator does to guests: no result, once" >&2
}

ends_with() {
  tear_down
  if [ "$1" != 0 ] && lab_failed; then exit 125; fi
  exit "$1"
}

finish() {
  if [ "$failures" = 0 ]; then exit 0; fi
  printf '%s checks failed\n' "$failures" >&2
  exit 1
}
