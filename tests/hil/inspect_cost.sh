#!/usr/bin/env bash
# tests/hil/inspect_cost.sh - measures what inspections cost a guest: SHOWS inspections as by `passthru msix show`, and
# a running `msix watch`, on a guest that reads its drive as fast as it can. Runs in the lab with NVMe drives at 00:02.0
# and 00:03.0. usage: inspect_cost.sh GUEST-IMAGES SHOWS
#
# The lab machine has one CPU, because with two the emulator breaks guests. So each command takes CPU time from the
# guest; on a host with a free CPU it would not. The test removes this time from the result. In each round the commands
# inspect the guest with the drive, then twice an idle guest, then the guest with the drive again. Their own CPU time is
# the same for both guests, so the difference is the cost of inspecting the guest.
# The windows are short, so that other load around the lab machine affects both guests. Each kind of window follows its
# own kind, with warm caches, as often as it follows the other.
# The test counts reads as the host's interrupts of the drive, one for each read, and checks them against the guest's
# count.
#
# Checks:
# - The guest's vCPU never waits for a lock during an inspection. A probe on the kernel's futex_wait counts each wait.
# - The guest loses at most 2 % of its reads a second: the ratio looked-at to other, round by round. The test fails if
#   more ratios are below 0.98 than chance gives once in a thousand times (a sign test). It also fails if the median is
#   below 0.98 and there are enough rounds to resolve 2 %. It prints the median and its confidence interval.
# The test replaces a guest that the emulator breaks, and ignores rounds without reads. Any other guest that ends or
# hangs is a failure. The test prints the VMM's CPU time for each inspection, but does not judge it, because the
# emulator shares its machine.
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2317 # tear_down is called from the trap
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly guest=$1 shows=$2 nvme=0000:00:02.0 idle_nvme=0000:00:03.0
# Copies in memory: starting them from the share of the repository takes longer than an inspection.
readonly passthru=/tmp/passthru look=/tmp/look results=$LAB_OUT/inspect_cost
readonly tracing=/sys/kernel/tracing windows=/tmp/windows this_round=/tmp/this_round
declare -rA shows_in=([looked-at]=12 [other]=4) # inspections in a window; the test compares reads a second
rm -rf "$results"
mkdir -p "$results"
cp build/release/tools/passthru "$passthru"
cp build/release/tests/passthru_look "$look"

# ---- two guests: a reading guest and an idle guest -------------------------------------------------------------------

"$passthru" bind "$nvme" "$idle_nvme"
boot "$results/idle.log" "$results/idle.vmm" "$passthru" run --inspect --kernel "$guest/vmlinux" --initrd "$guest/initrd" \
  --append "$guest_append passthru.end=stay" --memory 128M --device "$idle_nvme"
idle=$vmm
tear_down() {
  cp "$windows" "$results/windows" || true # it may not exist yet
  kill -KILL "$vmm" "$idle" "${watch_of[@]}" "${looks_of[@]}" 2>/dev/null || true # some may have ended
}
declare -A device_of=([looked-at]=$nvme [other]=$idle_nvme) socket_of watch_of asks_of answers_of looks_of
guests=0 # reading guests so far; if the emulator breaks guests often, each lasts about a hundred rounds
readonly most_guests=50 most_still=5
trap : PIPE # the inspecting program may have ended

# start_looking KIND: starts the programs that inspect a guest, once, because their start takes longer than an
# inspection. The watch stays stopped outside of its windows.
start_looking() {
  local asks answers
  "$passthru" msix watch "${device_of[$1]}" --socket "${socket_of[$1]}" --interval 0.5 >"/tmp/watch.$1" &
  watch_of[$1]=$!
  kill -STOP "${watch_of[$1]}"
  rm -f "/tmp/asks.$1" "/tmp/answers.$1"
  mkfifo "/tmp/asks.$1" "/tmp/answers.$1"
  "$look" "${device_of[$1]}" "${socket_of[$1]}" <"/tmp/asks.$1" >/dev/null 3>"/tmp/answers.$1" &
  looks_of[$1]=$!
  exec {asks}>"/tmp/asks.$1" {answers}<"/tmp/answers.$1"
  asks_of[$1]=$asks answers_of[$1]=$answers
}

thread_of() { grep -lx "$1" /proc/"$vmm"/task/*/comm | cut -d/ -f5; }

# Starts the reading guest, and the programs that inspect it.
start_reader() {
  guests=$((guests + 1))
  log=$results/guest.$guests.log
  boot "$log" "$results/vmm.log" "$passthru" run --inspect --kernel "$guest/vmlinux" --initrd "$guest/initrd" \
    --append "$guest_append nokaslr passthru.job=read-on" --memory 128M --device "$nvme"
  wait_until_says 'reads'
  vcpu=$(thread_of 'vcpu 0')
  inspector=$(thread_of inspect)
  echo "common_pid == $vcpu" >"$tracing/events/kprobes/waits/filter"
  socket_of[looked-at]=/run/passthru/vm/$vmm.sock
  start_looking looked-at
  look_at looked-at 10 # warm up
  count
  still=0
}

mountpoint -q "$tracing" || mount -t tracefs tracefs "$tracing"
echo 'p:waits futex_wait' >"$tracing/kprobe_events"
echo 1 >"$tracing/events/kprobes/waits/enable"
# Prints how often the vCPU waited for a lock.
lock_waits() { grep -c 'waits:' "$tracing/trace" || [ $? -eq 1 ]; }

# ---- windows ---------------------------------------------------------------------------------------------------------

# Sets `reads` (of the guest so far), `now` (in us) and `served` (the inspector thread's CPU time in ns). It starts no
# process.
count() {
  local line words
  reads=0
  while read -r line; do
    if [[ $line == *vfio-msix*"($nvme)" ]]; then
      read -ra words <<<"$line"
      reads=$((reads + words[1]))
    fi
  done </proc/interrupts
  served=0
  { read -ra words <"/proc/$vmm/task/$inspector/schedstat"; } 2>/dev/null && served=${words[0]}
  now=${EPOCHREALTIME/./}
}

# look_at KIND SHOWS: inspects a guest SHOWS times. Returns 0 if each inspection succeeded.
look_at() {
  local shown=0
  echo "$2" >&"${asks_of[$1]}" && read -r -u "${answers_of[$1]}" shown && [ "$shown" = "$2" ]
}
# window KIND: measures a window. Adds a line to `this_round`: round, kind, reads, us, ns of the VMM's CPU time.
window() {
  local reads_before now_before served_before
  [ "$1" = nobody ] || kill -CONT "${watch_of[$1]}"
  count
  reads_before=$reads now_before=$now served_before=$served
  case $1 in
    nobody) sleep 1 ;;
    *) look_at "$1" "${shows_in[$1]}" || return ;;
  esac
  count
  echo "$round $1 $((reads - reads_before)) $((now - now_before)) $((served - served_before))" >>"$this_round"
  [ "$1" = nobody ] || kill -STOP "${watch_of[$1]}"
}

# Prints the state of a guest that has stopped reading: its tick, its vectors, why its CPU takes no interrupt, and the
# events of KVM.
describe_stall() {
  local second
  for second in 1 2 3; do
    count
    echo "reads $reads, injected $(cat "/sys/kernel/debug/kvm/$vmm-"*/irq_injections), vCPU in $(cut -d' ' -f1-4 "/proc/$vmm/task/$vcpu/syscall")"
    sleep "$second"
  done
  "$passthru" msix show "$nvme" || true # a failure is useful output too
  echo 1 >"$tracing/events/kvm/enable"
  sleep 1
  echo 0 >"$tracing/events/kvm/enable"
  tail -n 60 "$tracing/trace"
  for second in 1 2 3; do tests/hil/guest_cpu "$vmm" || true; done # gdb may be missing
}

# Measures a round. Returns 0 if all its windows succeeded. `still` is the number of consecutive rounds without reads,
# which do not count.
one_round() {
  local kind before=$reads
  : >"$this_round"
  if [ $((round % 25)) = 0 ]; then window nobody || return; fi
  for kind in looked-at other other looked-at; do window "$kind" || return; done
  kill -0 "$vmm" || return
  still=$((still + 1))
  [ "$reads" != "$before" ] || return 0
  still=0
  round=$((round + 1))
  cat "$this_round" >>"$windows"
}

# Returns 0 if the emulator broke the guest: its CPU took an interrupt a second time, with interrupts off. The results:
# - in the first instruction of a system call: a panic
# - in the switch away from a task: a task that never runs again
# - while the kernel holds a lock that the handler needs: the handler spins forever, because no other CPU can release it
is_broken() {
  cpu_went_wrong "$log" || has_forgotten_a_task || spins
}
has_forgotten_a_task() {
  for _ in 1 2 3; do # repeat, because a switch away from a task may be in progress
    tests/hil/guest_kernel forgotten "$vmm" 128 || return
    sleep 1
  done
}
spins() {
  local at interrupts function
  for _ in 1 2; do
    at='' interrupts=''
    read -r at interrupts < <(tests/hil/guest_cpu "$vmm" | sed -n 's/^at \(0x[0-9a-f]*\), interrupts \(o[nf]*\),.*/\1 \2/p') || return
    function=$(tests/hil/guest_kernel symbol "$at")
    echo "        the guest is in $function, interrupts $interrupts"
    [ "$interrupts $function" = 'off native_queued_spin_lock_slowpath' ] || return
  done
}

# Replaces a guest that the emulator broke.
replace_reader() {
  local asks=${asks_of[looked-at]} answers=${answers_of[looked-at]}
  exec {asks}>&- {answers}<&-
  # They may have ended already: the guest may have panicked.
  kill -KILL "$vmm" "${watch_of[looked-at]}" "${looks_of[looked-at]}" 2>/dev/null || true
  wait "$vmm" "${watch_of[looked-at]}" "${looks_of[looked-at]}" 2>/dev/null || true
  echo "        in round $round, after $reads reads, the emulator broke the guest: starting another"
  [ "$guests" -lt "$most_guests" ] || { failed "the emulator broke fewer than $most_guests guests" "$log"; finish; }
  start_reader
}

: >"$windows"
socket_of[other]=/run/passthru/vm/$idle.sock
start_looking other
look_at other 10
start_reader
: >"$tracing/trace"
for ((round = 0; round * 2 * shows_in[looked-at] < shows;)); do
  if ! one_round; then
    is_broken || { failed 'each inspection succeeds, and the guest reads to the end' "$log"; finish; }
    replace_reader
    continue
  fi
  [ "$still" -ge "$most_still" ] || continue
  if is_broken; then
    replace_reader
    continue
  fi
  sleep 25 # long enough for `guest_stood_still` to see that the tick has stopped
  kill "$recorder" # gdb stops the guest, which must not count as a stopped tick
  describe_stall >"$results/stall" 2>&1
  failed "the guest reads to the end: it stopped in round $round" "$results/stall"
  finish
done
waits=$(lock_waits)

# ---- results ---------------------------------------------------------------------------------------------------------

kill -0 "$vmm" || failed 'the guest reads to the end' "$log"
for kind in looked-at other; do
  kill -CONT "${watch_of[$kind]}"
  kill -TERM "${watch_of[$kind]}"
  wait "${watch_of[$kind]}" || failed "the watch of $kind ends with status 0"
done
equal 'damaged vectors' "$("$passthru" msix show "$nvme" --json | jq '[.vectors[] | select(.damaged)] | length')" 0
# The guest prints its count every 2,000 reads. The host also counts the reads of the guest's boot.
said_reads=$(said reads | tail -n 1)
count
equal "each of the guest's $said_reads reads is an interrupt; the host counted $reads" \
  "$((reads >= said_reads && reads < said_reads + 2000 + 500))" 1 "$log"
awk -v shows="$((round * 2 * shows_in[looked-at]))" '{ reads[$2] += $3; us[$2] += $4; served[$2] += $5 }
  END {
    for (kind in reads) printf "        %s: %.1f reads a second\n", kind, reads[kind] * 1e6 / us[kind]
    printf "        the VMM took %.2f ms of CPU time for each inspection\n", served["looked-at"] / shows / 1e6
  }' "$windows"
awk '{ reads[$1, $2] += $3; us[$1, $2] += $4; rounds[$1] }
  function rate(round, kind) { return reads[round, kind] / us[round, kind] }
  END { for (round in rounds) print reads[round, "other"] ? rate(round, "looked-at") / rate(round, "other") : 1 }' \
  "$windows" | sort -g >"$results/ratios"
# The median lies between the values at sqrt(n) places below and above the middle, 19 times of 20.
verdict=$(awk '{ ratio[NR] = $1; below += ($1 < 0.98) }
  function at(place) { place = int(place + 0.5); return ratio[place < 1 ? 1 : place > NR ? NR : place] }
  END { median = at((NR + 1) / 2); low = at((NR + 1) / 2 - sqrt(NR)); high = at((NR + 1) / 2 + sqrt(NR))
    printf "%.3f %.3f %.3f %d", median, low, high,
      (below > NR / 2 + 3.09 * sqrt(NR) / 2 || (high - low < 0.04 && median < 0.98)) }' "$results/ratios")
read -r median low high loses <<<"$verdict"
echo "        reads a second while the guest is inspected, relative to the other guest: $median" \
  "($low to $high), the median of $round rounds"
equal 'the guest loses at most 2 % of its reads a second, beyond chance' "$loses" 0 "$results/ratios"
equal "the guest's vCPU never waited for a lock" "$waits" 0 "$tracing/trace"
kill -TERM "$vmm" "$idle"
wait "$idle" || true # ended by the signal
equal 'the probe works: it counted threads that wait for the end of others' \
  "$(awk '$1 == "waits" { print ($2 > 0) }' "$tracing/kprobe_profile")" 1
finish
