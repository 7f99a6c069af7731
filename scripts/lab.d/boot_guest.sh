# shellcheck shell=bash
# scripts/lab.d/boot_guest.sh - owns the start of a guest in the lab. A guest there runs on an emulator's emulated
# virtualisation, whose timer now and then stops before the guest's first process; that says nothing about a device,
# so such a guest is started again, and it is told. Sourced by the demo and the lab tests.
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2034 # vmm is for those who source this

# What every guest's kernel is told; its job and that job's words follow. no_timer_check: that check is too impatient
# for a clock that is emulated twice. And a tick that comes by itself: a timer that is armed anew for each tick, as the
# TSC deadline is, stays dead when one of its interrupts comes too late.
guest_append='console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests no_timer_check'
guest_append+=' lapic=notscdeadline nohz=off highres=off'
readonly guest_append
readonly BOOT_DEADLINE=50 BOOTS=4 # seconds, some 10 are usual; guests
consoles=()                       # of the guests that were booted
recorder=''                       # what runs record_progress, until the lab machine is switched off

# Whether a guest's kernel complains that its own timer does not fire: the emulator's fault, and no result of a test.
timer_stopped() {
  [ "${#consoles[@]}" != 0 ] && grep -qs "timer wakeup didn't happen" "${consoles[@]}"
}

# What stands still: of each VM every few seconds its VMM's pid, how many interrupts KVM has injected, its own tick among
# them, how many CPUs it has, and how many of them run or are halted in KVM_RUN (16 is ioctl). A thread is a CPU's once it
# was seen there: other threads of a VMM run, too. No process is started for it but `sleep`.
readonly progress=/tmp/guest-progress.$$
record_progress() {
  local vm pid injected file call request cpus running
  local -A is_cpu=()
  while sleep 4; do
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

# boot CONSOLE VMM-OUTPUT COMMAND...: starts the VMM in the background, its pid in `vmm`. Returns when the guest's first
# process runs, or the VMM has ended and said why, or after BOOTS guests that came to neither.
boot() {
  local console=$1 output=$2 attempt until
  shift 2
  consoles+=("$console")
  if [ -z "$recorder" ]; then
    record_progress >"$progress" 2>/dev/null &
    recorder=$!
  fi
  for ((attempt = 1; attempt <= BOOTS; ++attempt)); do
    "$@" </dev/null >"$console" 2>"$output" &
    vmm=$!
    until=$((SECONDS + BOOT_DEADLINE))
    until grep -q '^guest: started' "$console"; do
      kill -0 "$vmm" 2>/dev/null || break
      [ "$SECONDS" -lt "$until" ] || break
      sleep 0.1
    done
    if grep -q '^guest: started' "$console" || grep -q '^passthru' "$output"; then return; fi
    [ "$attempt" != "$BOOTS" ] || return 0
    echo "        a guest did not come to its first process; another is started" >&2
    tail -n 3 "$console" | tr -d '\r' | sed 's/^/        | /' >&2
    # Not KILL: that would leave the VMM behind where `timeout` is what is killed. It may have ended by itself, and its
    # status is of no interest: another guest takes its place.
    kill -TERM "$vmm" 2>/dev/null || true
    wait "$vmm" 2>/dev/null || true
  done
}
