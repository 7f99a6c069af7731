# shellcheck shell=bash
# scripts/lab.d/boot_guest.sh - the start of a guest in the lab, and the watch over its progress. A guest there runs on
# an emulator's emulated virtualisation, whose timer now and then stops before the guest's first process. That says
# nothing about a device, so such a guest is started again. Sourced by the demo and the lab tests.
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2034 # vmm is for those who source this

# What every guest's kernel is told; its job and that job's words follow. no_timer_check: that check is too impatient
# for a clock that is emulated twice. And a tick that comes by itself: a timer that is armed again for each tick, as the
# TSC deadline is, stays dead when one of its interrupts comes too late.
guest_append='console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests no_timer_check'
guest_append+=' lapic=notscdeadline nohz=off highres=off'
readonly guest_append
readonly BOOTS=4  # guests
consoles=()       # of the guests that were booted
recorder=''       # what runs record_progress, until the lab machine is switched off
watchers=()       # what runs watch_guest, one a guest

# patience TIMES: that many times the seconds that this lab machine took to boot, which a guest takes too: some 5 to 8
# where nothing else runs. So deadlines grow with the load of the machine around the lab.
patience() { echo $(($1 * (${LAB_BOOT:-0} > 5 ? LAB_BOOT : 5))); }
# A guest that makes no progress for so long stands still.
SILENCE=$(patience 12)
readonly SILENCE

# nap SECONDS: sleeps without a process being started: guest and test share the lab machine's only CPU.
exec {nothing_comes}<> <(:)
nap() { read -r -t "$1" -u "$nothing_comes" || true; }

# Whether a guest's kernel complains that its own timer does not fire: the emulator's fault, and no result of a test.
timer_stopped() {
  [ "${#consoles[@]}" != 0 ] && grep -qs "timer wakeup didn't happen" "${consoles[@]}"
}

# What stands still: of each VM every few seconds its VMM's pid, how many interrupts KVM has injected, its own tick among
# them, how many CPUs it has, and how many of them run or are halted in KVM_RUN (16 is ioctl). A thread is a CPU's once it
# was seen there: other threads of a VMM run, too.
readonly progress=/tmp/guest-progress.$$
record_progress() {
  local vm pid injected file call request cpus running
  local -A is_cpu=()
  while nap 4; do
    for vm in /sys/kernel/debug/kvm/*-*; do
      pid=${vm##*/} pid=${pid%%-*} cpus=0 running=0
      read -r injected <"$vm/irq_injections" || continue
      for file in "/proc/$pid/task/"*/syscall; do
        read -r call _ request _ <"$file" || continue
        [ "$call $request" != '16 0xae80' ] || is_cpu[$file]=yes
        [ -n "${is_cpu[$file]:-}" ] || continue
        cpus=$((cpus + 1))
        if [ "$call" = running ] || [ "$call $request" = '16 0xae80' ]; then running=$((running + 1)); fi
      done
      printf '%s %s %s %s\n' "$pid" "$injected" "$cpus" "$running"
    done
  done
}

# Whether a guest that had ticked came to stand still while all its CPUs ran in KVM: its own tick, which is KVM's and the
# emulator's, was not injected for 20 s. A VMM that holds a CPU back is none of these, nor is a kernel that unpacks.
guest_stood_still() {
  [ -s "$progress" ] && awk '
    { same[$1] = (($1 in last) && last[$1] == $2 && $2 > 1000 && $3 > 0 && $4 == $3) ? same[$1] + 1 : 0; last[$1] = $2
      if (same[$1] == 5) still = 1 }
    END { exit !still }' "$progress"
}

# Sets `counted` to the host's counts of the assigned devices' interrupts.
count_interrupts() {
  local line
  counted=''
  while IFS= read -r line; do
    [[ $line != *vfio* ]] || counted+=$line
  done </proc/interrupts
}

# watch_guest PID CONSOLE: while the VMM runs. Ends it when its guest has made no progress for SILENCE seconds: it wrote
# nothing, and no assigned device has interrupted. What it said last is then in CONSOLE.silent.
watch_guest() {
  local pid=$1 console=$2 lines line last='' since=$SECONDS counted counted_before='' told=''
  exec {lines}<"$console"
  while kill -0 "$pid" 2>/dev/null; do
    nap 1
    while IFS= read -r -u "$lines" line || [ -n "$line" ]; do last=$line since=$SECONDS; done
    count_interrupts
    [ "$counted" = "$counted_before" ] || since=$SECONDS
    counted_before=$counted
    # The other half of the lab waits for a sign of life, too.
    [ "$since" = "$told" ] || echo "$since" >/run/lab/share/progress
    told=$since
    if [ $((SECONDS - since)) -ge "$SILENCE" ]; then
      printf '%s: no progress for %s s; it said last: %s\n' "${console##*/}" "$SILENCE" "${last%$'\r'}" >"$console.silent"
      # Not KILL at once: a VMM that is asked to end tells what its devices did.
      kill -TERM "$pid" 2>/dev/null || true # it may have ended
      nap 5
      kill -KILL "$pid" 2>/dev/null || true
      return
    fi
  done
}

# Whether a guest made no progress; says which, and what it said last.
guest_was_silent() {
  local console silent=no
  for console in "${consoles[@]}"; do
    [ ! -s "$console.silent" ] || { cat "$console.silent" >&2 && silent=yes; }
  done
  [ "$silent" = yes ]
}

# Prints the directories of the VMs that KVM has.
kvm_vms() { (shopt -s nullglob && echo /sys/kernel/debug/kvm/*-*); }

# boot CONSOLE VMM-OUTPUT COMMAND...: starts the VMM in the background, its pid in `vmm`. Returns when the guest's first
# process runs, or the VMM has ended and said why, or after BOOTS guests that came to neither.
boot() {
  local console=$1 output=$2 attempt
  shift 2
  consoles+=("$console")
  if [ -z "$recorder" ]; then
    record_progress >"$progress" 2>/dev/null &
    recorder=$!
  fi
  for ((attempt = 1; attempt <= BOOTS; ++attempt)); do
    boot_once "$console" "$output" "$@"
    if [ "$started" = yes ] || { [ ! -e "$console.silent" ] && grep -q '^passthru' "$output"; }; then return; fi
    [ "$attempt" != "$BOOTS" ] || return 0
    echo "        a guest did not come to its first process; another is started" >&2
    tail -n 3 "$console" | tr -d '\r' | sed 's/^/        | /' >&2
    # Not KILL at once: it would leave children of a VMM behind. It may have ended, and its status is of no interest.
    kill -TERM "$vmm" 2>/dev/null || true
    wait "$vmm" 2>/dev/null || true
    wait_for_its_vms
    rm -f "$console.silent"
  done
}

# boot_once CONSOLE VMM-OUTPUT COMMAND...: sets `vmm`, `started` and, until the next, `its_vms`.
boot_once() {
  local console=$1 output=$2 before vm exits lines line='' begun='' entered='' now
  shift 2
  before=" $(kvm_vms) " its_vms='' started=no
  rm -f "$console.silent"
  : >"$console"
  exec {lines}<"$console"
  "$@" </dev/null >"$console" 2>"$output" {lines}<&- &
  vmm=$!
  watch_guest "$vmm" "$console" >/dev/null 2>&1 {lines}<&- &
  watchers+=("$!")
  while kill -0 "$vmm" 2>/dev/null; do
    while IFS= read -r -u "$lines" line; do
      [[ $begun$line != 'guest: started'* ]] || started=yes
      begun=''
    done
    begun+=$line # of a line that is not whole yet
    if [ -z "$entered" ]; then
      # The first exit comes at once after the first entry.
      for vm in /sys/kernel/debug/kvm/*-*; do
        [[ $before != *" $vm "* ]] && { read -r exits <"$vm/exits"; } 2>/dev/null || continue
        [ "$exits" = 0 ] || entered=${EPOCHREALTIME/./}
        its_vms=$vm
      done
    fi
    if [ "$started" = yes ]; then break; fi
    nap 0.1
  done
  exec {lines}<&-
  if [ "$started" = yes ] && [ -n "$entered" ]; then
    now=${EPOCHREALTIME/./}
    printf '        %s: the first process after %s.%s s in KVM_RUN\n' "$(basename "$console" .log)" \
      $(((now - entered) / 1000000)) $(((now - entered) / 100000 % 10))
  fi
}

# Until the VM of a guest that is started again is gone, and the device with it: a VMM's children may outlive it.
wait_for_its_vms() {
  local until=$((SECONDS + $(patience 5)))
  while [ -n "$its_vms" ] && [ -e "$its_vms" ] && [ "$SECONDS" -lt "$until" ]; do nap 0.2; done
}
