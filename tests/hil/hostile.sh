#!/usr/bin/env bash
# tests/hil/hostile.sh - checks that a hostile guest harms only itself. While nobody reads the console, it writes bad
# BAR addresses and switches MSI-X Enable and memory decode of a drive, thousands of times. Meanwhile the host takes
# another device back. The VMM's memory must not grow, the host must get its device at once, and the VMM must report few
# events. Runs in the lab with an NVMe drive at 00:02.0 and a device to take back, both on vfio-pci. PASSTHRU_SEED
# repeats a run.
# usage: hostile.sh GUEST-IMAGES TAKEN-BACK ADDRESSES ENABLES DECODES FLOOD-BYTES
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2317 # called by boot and by wait_until
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly guest=$1 taken=$2 addresses=$3 enables=$4 decodes=$5 flood=$6
readonly nvme=0000:00:02.0 passthru=build/release/tools/passthru
readonly results=$LAB_OUT/hostile log=$LAB_OUT/hostile/guest.log said_by_vmm=$LAB_OUT/hostile/vmm.log
readonly seed=${PASSTHRU_SEED:-$RANDOM}
readonly GROWTH_KIB=4096
readonly KEPT=$((64 << 10)) # bytes of unread console output that the VMM keeps
# The host takes one device back. Impossible BAR addresses are not events.
readonly EVENTS=10
# 1 s on a lab machine that boots in 5 s, proportionally more on a slower one.
LIMIT_MS=$(patience 200)
readonly LIMIT_MS

# Not in $LAB_OUT: the share does not support pipes.
readonly typed=/tmp/hostile.typed shown=/tmp/hostile.shown reader=/tmp/hostile.reader

# Runs a VMM whose console is a pipe. The test stops the reader of this pipe.
with_reader() {
  cat "$shown" >>"$log" &
  echo $! >"$reader"
  exec "$@" <"$typed" >"$shown"
}

# wait_until WHAT COMMAND...: waits until COMMAND succeeds. Fails if the VMM ends, or after 30 times the boot of the lab
# machine plus a tenth of a second for each act of the guest.
wait_until() {
  local what=$1 until=$((SECONDS + $(patience 30) + (addresses + enables + decodes + flood / 64) / 10))
  shift
  until "$@"; do
    if [ "$SECONDS" -gt "$until" ] || ! kill -0 "$vmm" 2>/dev/null; then
      failed "$what" "$log"
      tail -n 5 "$said_by_vmm"
      finish
    fi
    nap 0.5
  done
  ok "$what"
}
memory() { awk '$1 == "RssAnon:" { print $2 }' "/proc/$vmm/status"; }
bar_of_guest() { "$passthru" bars "$nvme" --json 2>/dev/null | jq '.bars[0].guest_address'; }
# The guest's console is blocked. `boot` watches the log for signs of life, so this writes to the log when the VMM
# answers.
shows_life() { echo 'the VMM answers' >>"$log"; }
attacks() {
  local now
  now=$(bar_of_guest)
  [ -n "$now" ] && shows_life && [ "$now" != "$home" ]
}
# Returns 0 if the guest has ended its attacks. Each call also records the VMM's memory.
has_ended() {
  local now
  shows_life
  now=$(memory)
  [ "${now:-0}" -le "$most" ] || most=$now
  [ "$("$passthru" msix show "$nvme" --json 2>/dev/null | jq .msix.guest_function_masked)" = true ]
}
at_most() {
  if [ "$2" -le "$3" ]; then ok "$1: $2, at most $3"; else failed "$1: $2, expected at most $3" "$4"; fi
}

rm -rf "$results"
mkdir -p "$results"
mkfifo "$typed" "$shown"
exec 5<>"$typed"
exec 6<>"$shown"
echo "seed $seed: PASSTHRU_SEED=$seed repeats it"
append="$guest_append iomem=relaxed passthru.job=hostile hostile.flood=$flood hostile.seed=$seed"
append+=" hostile.addresses=$addresses hostile.enables=$enables hostile.decodes=$decodes"
boot "$log" "$said_by_vmm" with_reader "$passthru" run --inspect --kernel "$guest/vmlinux" --initrd "$guest/initrd" \
  --append "$append" --cpus 1 --memory 128M --summary "$results/summary.json" --force --device "$nvme" --device "$taken"
wait_until 'the guest is ready' grep -q '^ready' "$log"

kill -STOP "$(cat "$reader")"
# A nonblocking write to a full pipe fails.
refusal=$(LC_ALL=C dd if=/dev/zero of="$shown" bs=4096 count=1000 oflag=nonblock 2>&1) && refusal='none'
equal 'the pipe of the console is full' "$(grep -o 'Resource temporarily unavailable' <<<"$refusal" || echo "$refusal")" \
  'Resource temporarily unavailable'
home=$(bar_of_guest)
before=$(memory) most=$before began=$SECONDS
echo >&5
wait_until 'the guest has filled its console and attacks' attacks
start=${EPOCHREALTIME/./}
echo "$taken" >/sys/bus/pci/drivers/vfio-pci/unbind
took=$(((${EPOCHREALTIME/./} - start) / 1000))
at_most "$taken: ms until the host had it back" "$took" "$LIMIT_MS" "$said_by_vmm"
wait_until 'the guest has ended its attacks' has_ended
attacked=$((SECONDS - began))
at_most 'growth of the VMM in KiB' $((most - before)) $GROWTH_KIB "$said_by_vmm"

kill -CONT "$(cat "$reader")"
if [ "$flood" -gt "$KEPT" ]; then
  wait_until 'the console reports the dropped output' grep -qa '^\[[0-9]* bytes of console output were dropped\]' "$log"
fi
echo >&5
wait_for_guest
# A mark after the VMM's output. Processes of `boot` keep the pipe open, so its reader would never see the end.
echo 'the pipe is empty' >&6
# shellcheck disable=SC2016 # the inner shell's
timeout "$(patience 10)" sh -c 'until grep -qx "the pipe is empty" "$1"; do sleep 0.2; done' sh "$log" ||
  failed 'the reader has read the whole console' "$log"
kill "$(cat "$reader")"
equal 'the guest ended by itself' "$status" 0 "$log"
for kind in "addresses $addresses" "enables $enables" "decodes $decodes"; do
  printf '        %s: %s\n' "${kind% *}" "$(said "${kind% *}")"
  equal "the guest did all of its attacks: $kind" "$(said "${kind% *}" | cut -d' ' -f1)" "${kind#* }" "$log"
done
printf '        %s s without a reader of the console; flood: %s\n' "$attacked" "$(said flooded)"
equal 'the drive still answers' "$(said answers)" 'as before' "$log"
equal "the guest's log has no error" "$(said complaint)" ''
equal 'the summary says whether the console lost output' "$(jq '.console_dropped > 0' "$results/summary.json")" \
  "$([ "$flood" -gt "$KEPT" ] && echo true || echo false)"
if [ "$flood" -le "$KEPT" ]; then
  equal 'all of the unread output arrived later' \
    "$(grep -ac '^Nobody reads this' "$log")" $((flood / 19)) "$log"
fi
equal "$taken: the summary says why it was detached" \
  "$(jq -r --arg device "$taken" '.devices[] | select(.device == $device) | .detached' "$results/summary.json")" \
  'the host asked for it back'
at_most 'events of the VMM' "$(grep -c '^passthru: 0' "$said_by_vmm")" $EVENTS "$said_by_vmm"
finish
