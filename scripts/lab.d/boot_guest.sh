# shellcheck shell=bash
# scripts/lab.d/boot_guest.sh - starts a guest in the lab, and watches its progress. The guest runs on virtualisation
# that the emulator emulates. Its timer sometimes stops before the guest's first process runs. That says nothing about a
# device, so this starts the guest again. The demo and the lab tests source this file.
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2034 # the caller uses vmm

# The kernel command line of every guest; the caller appends the job and its arguments. no_timer_check: that check is
# too impatient for a clock that is emulated twice. The tick is periodic: a timer that is armed for each tick, like the
# TSC deadline timer, stays dead if one of its interrupts comes too late.
guest_append='console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests no_timer_check'
guest_append+=' lapic=notscdeadline nohz=off highres=off'
readonly guest_append
readonly BOOTS=4  # attempts to boot a guest
consoles=()       # the consoles of the booted guests
guest_boot_ms=0   # how long the guest that was booted last took from its first KVM_RUN to its first process
recorder=''       # the process that runs record_progress until the lab machine is switched off
watchers=()       # the processes that run watch_guest, one for each guest

# patience TIMES: prints TIMES times the seconds that this lab machine took to boot. A guest takes about as long: 5 to 8
# s on an idle machine. So deadlines grow with the load of the machine around the lab.
patience() { echo $(($1 * (${LAB_BOOT:-0} > 5 ? LAB_BOOT : 5))); }
# A guest that makes no progress for this many seconds has hung.
SILENCE=$(patience 12)
readonly SILENCE

# nap SECONDS: sleeps without starting a process: guest and test share the lab machine's only CPU.
exec {nothing_comes}<> <(:)
nap() { read -r -t "$1" -u "$nothing_comes" || true; }

# Returns 0 if a guest's kernel reports that its own timer does not fire: a fault of the emulator, not a test result.
timer_stopped() {
  [ "${#consoles[@]}" != 0 ] && grep -qs "timer wakeup didn't happen" "${consoles[@]}"
}

# The file that record_progress writes. Every few seconds it gets a line for each VM: the VMM's pid, the number of
# interrupts that KVM has injected (the guest's tick included), the number of vCPUs, and how many of them run or are
# halted in KVM_RUN (16 is ioctl). A thread counts as a vCPU once it was seen in KVM_RUN, because other threads of a VMM
# run too.
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

# Returns 0 if a guest that had ticked then hung while all its vCPUs ran in KVM: KVM injected no interrupt for 20 s. KVM
# and the emulator produce the tick. A VMM that holds a vCPU back does not count, nor does a kernel that unpacks itself.
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

# watch_guest PID CONSOLE: runs as long as the VMM. Ends the VMM if its guest makes no progress for SILENCE seconds: the
# guest wrote nothing, and no assigned device interrupted. CONSOLE.silent then has the guest's last output.
watch_guest() {
  local pid=$1 console=$2 lines line last='' since=$SECONDS counted counted_before='' told=''
  exec {lines}<"$console"
  while kill -0 "$pid" 2>/dev/null; do
    nap 1
    while IFS= read -r -u "$lines" line || [ -n "$line" ]; do last=$line since=$SECONDS; done
    count_interrupts
    [ "$counted" = "$counted_before" ] || since=$SECONDS
    counted_before=$counted
    # scripts/lab, outside, waits for a sign of life too.
    [ "$since" = "$told" ] || echo "$since" >/run/lab/share/progress
    told=$since
    if [ $((SECONDS - since)) -ge "$SILENCE" ]; then
      printf '%s: no progress for %s s. Last output: %s\n' "${console##*/}" "$SILENCE" "${last%$'\r'}" >"$console.silent"
      # TERM first: a VMM that is asked to end reports what its devices did.
      kill -TERM "$pid" 2>/dev/null || true # it may have ended
      nap 5
      kill -KILL "$pid" 2>/dev/null || true
      return
    fi
  done
}

# Returns 0 if a guest made no progress. Prints which guest, and its last output.
guest_was_silent() {
  local console silent=no
  for console in "${consoles[@]}"; do
    [ ! -s "$console.silent" ] || { cat "$console.silent" >&2 && silent=yes; }
  done
  [ "$silent" = yes ]
}

# Prints the debugfs directories of KVM's VMs.
kvm_vms() { (shopt -s nullglob && echo /sys/kernel/debug/kvm/*-*); }

# boot CONSOLE VMM-OUTPUT COMMAND...: starts the VMM in the background and sets `vmm` to its pid. Returns when the
# guest's first process runs, when the VMM has ended with a message, or after BOOTS attempts without either.
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
    echo "        a guest did not reach its first process; starting another" >&2
    tail -n 3 "$console" | tr -d '\r' | sed 's/^/        | /' >&2
    # TERM, because KILL would leave children of the VMM behind. The VMM may have ended already; its status does not
    # matter.
    kill -TERM "$vmm" 2>/dev/null || true
    wait "$vmm" 2>/dev/null || true
    wait_for_its_vms
    rm -f "$console.silent"
  done
}

# boot_once CONSOLE VMM-OUTPUT COMMAND...: starts the VMM once. Sets `vmm`, `started` and `its_vms`.
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
    begun+=$line # the start of an incomplete line
    if [ -z "$entered" ]; then
      # The first exit follows the first entry immediately.
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
    guest_boot_ms=$(((now - entered) / 1000))
    printf '        %s: the first process after %s.%s s in KVM_RUN\n' "$(basename "$console" .log)" \
      $((guest_boot_ms / 1000)) $((guest_boot_ms / 100 % 10))
  fi
}

# Waits until the VM of the previous attempt is gone, so that the device is free: a VMM's children may outlive it.
wait_for_its_vms() {
  local until=$((SECONDS + $(patience 5)))
  while [ -n "$its_vms" ] && [ -e "$its_vms" ] && [ "$SECONDS" -lt "$until" ]; do nap 0.2; done
}
