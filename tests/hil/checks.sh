# tests/hil/checks.sh - the common functions of the lab's shell tests, which source it. Each check prints one line. The
# exit status is 1 if a check failed, and 125 if the lab caused the failure. No guest outlives its test.
# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2317 # the caller uses status; tear_down is called from the trap
failures=0

# shellcheck source=scripts/lab.d/boot_guest.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lab.d/boot_guest.sh"

# The pid of the running VMM that `boot` started.
vmm=''
tear_down() { [ -z "$vmm" ] || kill -KILL "$vmm" 2>/dev/null || true; } # it may have ended already
# In every case: a fault of the lab is not a test result.
trap 'ends_with $?' EXIT

# wait_for_guest: waits until the VMM has ended, and sets `status` to its exit status.
wait_for_guest() {
  status=0
  wait "$vmm" || status=$?
  vmm=''
}

# said WORDS: prints the rest of each line that begins with WORDS on the console of the guest that was booted last.
said() { sed -n "s/^$1 \(.*[^\r]\)\r*$/\1/p" "${consoles[-1]}"; }

# wait_until_says WORDS: waits for a line that begins with WORDS, or for the end of the guest. It starts one process
# only: test and guest share the lab machine's only CPU.
wait_until_says() {
  grep -q "^$1" < <(exec tail -n +1 -f -s 0.1 --pid="$vmm" "${consoles[-1]}") || true # later checks find missing lines
}

ok() { printf 'ok      %s\n' "$*"; }

# failed WHAT [FILE]: reports a failure, with the end of FILE.
failed() {
  printf 'FAILED  %s\n' "$1"
  if [ $# -gt 1 ]; then tail -n 25 "$2" | tr -d '\r' | sed 's/^/        | /'; fi
  failures=$((failures + 1))
}

# equal WHAT GOT WANTED [FILE]: checks that GOT equals WANTED.
equal() {
  if [ "$2" = "$3" ]; then ok "$1"; else failed "$1: got '$2', expected '$3'" "${@:4}"; fi
}

# succeeds_within SECONDS WHAT FILE COMMAND...: checks that COMMAND succeeds within SECONDS, and before the running VMM
# ends. A failure shows the end of FILE.
succeeds_within() {
  local until=$((SECONDS + $1)) what=$2 file=$3
  shift 3
  until "$@"; do
    if [ "$SECONDS" -gt "$until" ] || { [ -n "$vmm" ] && ! kill -0 "$vmm" 2>/dev/null; }; then
      failed "$what" "$file"
      return 0
    fi
    nap 0.1
  done
  ok "$what"
}

# absent DEVICE: returns 0 if the host does not have the device.
absent() { [ ! -e "/sys/bus/pci/devices/$1" ]; }

# Prints the processes that have files of VFIO open or mapped, and how often: "812 qemu -m 1G: 2 /dev/vfio/12".
vfio_users() {
  local process files
  for process in /proc/[0-9]*; do
    # A process that ends meanwhile has no files.
    files=$({ readlink "$process"/fd/*; cat "$process/maps"; } 2>/dev/null |
      awk 'match($0, /(\/dev\/vfio\/|anon_inode:\[vfio).*/) { print substr($0, RSTART) }' |
      sort | uniq -c | xargs) || continue
    [ -z "$files" ] || printf '%s %s: %s\n' "${process##*/}" "$(tr '\0' ' ' <"$process/cmdline")" "$files"
  done
}

# cpu_went_wrong CONSOLE...: returns 0 if a guest's CPU took an interrupt with interrupts off: at the first instruction
# of a system call, on the stack of the calling program. KVM injects no interrupt there. The emulator's VMRUN injects
# the vector that KVM asks for, but leaves it where the emulator's loop looks for exceptions. If the loop ends before
# the guest exits, it delivers the vector a second time (docs/performance.md).
cpu_went_wrong() {
  local console
  for console in "$@"; do
    if grep -qs 'PANIC: double fault' "$console" && grep -qs 'RIP: 0010:entry_SYSCALL_64+0x0/' "$console" &&
      grep -qs 'EFLAGS: 00000002' "$console"; then
      return 0 # explicit, because `return` alone in an EXIT trap returns the status from before the trap
    fi
  done
  return 1
}

# Returns 0 if the lab broke a guest, and prints how. Such a failure says nothing about a device.
lab_failed() {
  local what
  if timer_stopped; then
    what='timer stopped'
  elif guest_stood_still; then
    what='CPUs hung, and its own tick stopped'
  elif cpu_went_wrong "${consoles[@]}"; then
    what='CPU took an interrupt with interrupts off'
  elif guest_was_silent; then
    what='progress ended (its last output is above)'
  else
    return 1
  fi
  echo "a guest's $what: a fault of the emulator, so this is not a test result" >&2
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
