#!/usr/bin/env bash
# tests/hil/inspect_cost.sh - what looking at a guest costs it: SHOWS times what `passthru msix show` does, with a `msix
# watch` all the while, on a guest that reads its drive as fast as it can. Runs in the lab with NVMe drives at 00:02.0
# and 00:03.0. usage: inspect_cost.sh GUEST-IMAGES SHOWS
#
# The lab machine has one CPU (with two, the emulator breaks guests), so that each command takes its own time from the
# guest, which on a host with a CPU for it it would not. That is taken out of the account: in each round the guest with
# the drive is looked at, then twice another guest, which does nothing, by the same commands, then the one with the drive
# again. Whoever is asked, they take the same time: what looking takes from the guest that is looked at is the difference
# between the two. The windows are short, so that what else goes on around the lab machine falls upon both, and each
# follows as often one of its own kind, whose caches are warm, as one of the other. Reads are counted as the drive's
# interrupts by the host, one for each; the guest's own count is the check. What is judged:
# - its vCPU never waits for a lock while it is looked at: by the kernel's probe on futex_wait, each time counts;
# - of its reads a second it loses no more than 2 %: looked-at to other, round by round. What is below 0.98 more often
#   than chance has it once in a thousand times (a sign test) is a failure, and so is a median below it where the rounds
#   are enough to tell 2 %. The median is told, and how sure it is.
# A guest that the emulator breaks is replaced, and rounds without reads do not count; another that ends, or stands still,
# is a failure.
# How much CPU time a look takes in the VMM is told, not judged: the emulator's seconds are those of a shared machine.
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2317 # tear_down is called from the trap
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly guest=$1 shows=$2 nvme=0000:00:02.0 idle_nvme=0000:00:03.0
# In memory: to start them from the share that the repository is takes longer than to look.
readonly passthru=/tmp/passthru look=/tmp/look results=$LAB_OUT/inspect_cost
readonly tracing=/sys/kernel/tracing windows=/tmp/windows this_round=/tmp/this_round
declare -rA shows_in=([looked-at]=12 [other]=4) # a window; what is compared is reads a second
rm -rf "$results"
mkdir -p "$results"
cp build/release/tools/passthru "$passthru"
cp build/release/tests/passthru_look "$look"

# ---- two guests: one that reads, one that is idle --------------------------------------------------------------------

"$passthru" bind "$nvme" "$idle_nvme"
boot "$results/idle.log" "$results/idle.vmm" "$passthru" run --inspect --kernel "$guest/vmlinux" --initrd "$guest/initrd" \
  --append "$guest_append passthru.end=stay" --memory 128M --device "$idle_nvme"
idle=$vmm
tear_down() {
  cp "$windows" "$results/windows" || true # there may be none yet
  kill -KILL "$vmm" "$idle" "${watch_of[@]}" "${looks_of[@]}" 2>/dev/null || true # some may have ended
}
declare -A device_of=([looked-at]=$nvme [other]=$idle_nvme) socket_of watch_of asks_of answers_of looks_of
guests=0 # that read; one lasts a hundred rounds where the emulator breaks them often
readonly most_guests=50 most_still=5
trap : PIPE # what looks may have ended

# Starts what looks at a guest, KIND, once: to start it takes longer than to look. A watch sleeps until its window comes.
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

# The guest that reads, and what looks at it.
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
  look_at looked-at 10 # what is made once is made
  count
  still=0
}

mountpoint -q "$tracing" || mount -t tracefs tracefs "$tracing"
echo 'p:waits futex_wait' >"$tracing/kprobe_events"
echo 1 >"$tracing/events/kprobes/waits/enable"
# Of the vCPU: an event each.
lock_waits() { grep -c 'waits:' "$tracing/trace" || [ $? -eq 1 ]; }

# ---- windows ---------------------------------------------------------------------------------------------------------

# Sets `reads`, of the guest so far, `now` in us, and `served`, in ns of CPU time. No process is started for it.
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

# look_at KIND SHOWS: whether each was shown.
look_at() {
  local shown=0
  echo "$2" >&"${asks_of[$1]}" && read -r -u "${answers_of[$1]}" shown && [ "$shown" = "$2" ]
}
# window KIND: a line in `this_round`: round, kind, reads, us, ns of CPU time that the VMM took to answer.
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

# What is seen of a guest that does not read any more: whether its own tick goes on, what its vectors are, why its CPU
# takes none of them, and what KVM does with it.
describe_stall() {
  local second
  for second in 1 2 3; do
    count
    echo "reads $reads, injected $(cat "/sys/kernel/debug/kvm/$vmm-"*/irq_injections), vCPU in $(cut -d' ' -f1-4 "/proc/$vmm/task/$vcpu/syscall")"
    sleep "$second"
  done
  "$passthru" msix show "$nvme" || true # it is shown that it fails, too
  echo 1 >"$tracing/events/kvm/enable"
  sleep 1
  echo 0 >"$tracing/events/kvm/enable"
  tail -n 60 "$tracing/trace"
  for second in 1 2 3; do tests/hil/guest_cpu "$vmm" || true; done # gdb may not be there
}

# Whether all windows of a round were. `still`: how many rounds in a row had no reads, and do not count.
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

# Whether the emulator broke the guest: it lets its CPU take an interrupt a second time, where it takes none. In the first
# instruction of a system call that is a panic; in the switch away from a task, one that is never run again; and while
# its kernel has a lock that the handler wants, too, the handler waits for ever: there is no other CPU that would let go.
is_broken() {
  cpu_went_wrong "$log" || has_forgotten_a_task || spins
}
has_forgotten_a_task() {
  for _ in 1 2 3; do # not one that is just being switched away from
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

# Another takes the place of a guest that the emulator broke.
replace_reader() {
  local asks=${asks_of[looked-at]} answers=${answers_of[looked-at]}
  exec {asks}>&- {answers}<&-
  # They may have ended by themselves; the guest panicked, or is killed.
  kill -KILL "$vmm" "${watch_of[looked-at]}" "${looks_of[looked-at]}" 2>/dev/null || true
  wait "$vmm" "${watch_of[looked-at]}" "${looks_of[looked-at]}" 2>/dev/null || true
  echo "        in round $round, after $reads reads, the emulator broke the guest: another takes its place"
  [ "$guests" -lt "$most_guests" ] || { failed "of $most_guests guests, one reads on" "$log"; finish; }
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
    is_broken || { failed 'each show is shown, and the guest reads to the end' "$log"; finish; }
    replace_reader
    continue
  fi
  [ "$still" -ge "$most_still" ] || continue
  if is_broken; then
    replace_reader
    continue
  fi
  sleep 25 # so that it is told whether its tick stands still
  kill "$recorder" # a guest that is looked at closely stands still
  describe_stall >"$results/stall" 2>&1
  failed "the guest reads to the end: it did not until round $round" "$results/stall"
  finish
done
waits=$(lock_waits)

# ---- what it was -----------------------------------------------------------------------------------------------------

kill -0 "$vmm" || failed 'the guest reads to the end' "$log"
for kind in looked-at other; do
  kill -CONT "${watch_of[$kind]}"
  kill -TERM "${watch_of[$kind]}"
  wait "${watch_of[$kind]}" || failed "the watch of $kind ends well"
done
equal 'of all the vectors none is damaged' "$("$passthru" msix show "$nvme" --json | jq '[.vectors[] | select(.damaged)] | length')" 0
# The host counts what the guest reads: 2,000 at a time, and some when it began.
said_reads=$(said reads | tail -n 1)
count
equal "each of the guest's $said_reads reads is an interrupt, of $reads" \
  "$((reads >= said_reads && reads < said_reads + 2000 + 500))" 1 "$log"
awk -v shows="$((round * 2 * shows_in[looked-at]))" '{ reads[$2] += $3; us[$2] += $4; served[$2] += $5 }
  END {
    for (kind in reads) printf "        %s: %.1f reads a second\n", kind, reads[kind] * 1e6 / us[kind]
    printf "        the VMM took %.2f ms of CPU time for each show\n", served["looked-at"] / shows / 1e6
  }' "$windows"
awk '{ reads[$1, $2] += $3; us[$1, $2] += $4; rounds[$1] }
  function rate(round, kind) { return reads[round, kind] / us[round, kind] }
  END { for (round in rounds) print reads[round, "other"] ? rate(round, "looked-at") / rate(round, "other") : 1 }' \
  "$windows" | sort -g >"$results/ratios"
# A median lies between two that are sqrt(n) apart in order, 19 times of 20.
verdict=$(awk '{ ratio[NR] = $1; below += ($1 < 0.98) }
  function at(place) { place = int(place + 0.5); return ratio[place < 1 ? 1 : place > NR ? NR : place] }
  END { median = at((NR + 1) / 2); low = at((NR + 1) / 2 - sqrt(NR)); high = at((NR + 1) / 2 + sqrt(NR))
    printf "%.3f %.3f %.3f %d", median, low, high,
      (below > NR / 2 + 3.09 * sqrt(NR) / 2 || (high - low < 0.04 && median < 0.98)) }' "$results/ratios")
read -r median low high loses <<<"$verdict"
echo "        reads a second of a guest that is looked at, to those while another is: $median, the median of $round rounds" \
  "($low to $high)"
equal 'it loses no more than 2 % of its reads a second, beyond chance' "$loses" 0 "$results/ratios"
equal 'its vCPU never waited for a lock' "$waits" 0 "$tracing/trace"
kill -TERM "$vmm" "$idle"
wait "$idle" || true # it was stopped
equal 'the probe sees waits: of threads for others that end' \
  "$(awk '$1 == "waits" { print ($2 > 0) }' "$tracing/kprobe_profile")" 1
finish
