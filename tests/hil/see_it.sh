#!/usr/bin/env bash
# tests/hil/see_it.sh - each subcommand that looks at a device, once, while a guest reads the drive and nobody but these
# looks: on a device of a host driver, on one that is bound and idle, and on the guest's. SVG and trace are left in
# $LAB_OUT/see_it. Runs in the lab with an NVMe drive at 00:02.0 and a NIC at 00:03.0. usage: see_it.sh [GUEST-IMAGES]
# SPDX-License-Identifier: MIT
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly guest=${1:-build/lab/guest-test} nvme=0000:00:02.0 nic=0000:00:03.0
readonly passthru=build/release/tools/passthru results=$LAB_OUT/see_it
readonly log=$results/guest.log seconds=40

[ -e "$guest/initrd" ] || {
  echo "see_it.sh: $guest/initrd: no such image; scripts/guest-image --jobs tests/hil/jobs $guest makes it" >&2
  exit 2
}
rm -rf "$results"
mkdir -p "$results"

# see NAME STATUS COMMAND...: its output is kept in NAME, and shown.
see() {
  local name=$1 wanted=$2 got=0
  shift 2
  printf '\n$ passthru %s\n' "$*"
  "$passthru" "$@" >"$results/$name" 2>&1 || got=$?
  head -n 30 "$results/$name"
  equal "$name: exit status" "$got" "$wanted"
}
# has NAME WORDS: on some line of what was seen.
has() {
  if grep -qE "$2" "$results/$1"; then ok "$1: '$2'"; else failed "$1: '$2'" "$results/$1"; fi
}
of() { jq -r "$2" "$results/$1"; }

# ---- a driver of the host has it ---------------------------------------------------------------------------------

see list 0 list
see topology 0 topology
see host 0 msix show "$nvme"
has host '^ +0 +ok '
see host.json 0 msix show "$nvme" --json
equal 'host: every vector that the driver has requested is ok' \
  "$(of host.json '[.vectors[] | select(.host != null) | .verdict] | unique | join(" ")')" ok
see audit.host 0 msix audit "$nvme"
see dry-run 0 bind --dry-run "$nvme" "$nic"
equal 'dry-run: it changed nothing' "$(basename "$(readlink "/sys/bus/pci/devices/$nvme/driver")")" nvme

# ---- bound, and idle -----------------------------------------------------------------------------------------------

see bind 0 bind "$nvme" "$nic"
see doctor 0 doctor "$nvme"
see idle 0 msix show "$nvme"
has idle 'unused'
see idle.trigger 0 msix trigger "$nvme" 3
has idle.trigger 'arrived at its eventfd'
see plan 0 bars "$nvme"

# ---- a guest has it --------------------------------------------------------------------------------------------------

# Without an audit of its own: what is wrong stays wrong until somebody looks.
boot "$log" "$results/vmm.log" timeout --kill-after=5 150 "$passthru" run --inspect --audit off \
  --kernel "$guest/bzImage" --initrd "$guest/initrd" \
  --append "$guest_append passthru.job=read-latency read-latency.seconds=$seconds" \
  --cpus 2 --memory 256M --summary "$results/summary.json" --device "$nvme" --device "$nic"
wait_until_says reading
see show 0 msix show "$nvme"
has show 'by the VMM with pid'
has show ' ok .* irqfd '
see show.json 0 msix show "$nvme" --json
equal 'show: nothing is damaged' "$(of show.json '[.vectors[] | select(.damaged)] | length')" 0
see watch 0 msix watch "$nvme" --interval 0.5 --count 3
has watch 'vector [0-9]+ rate [1-9]'
see watch.latency 0 msix watch "$nvme" --interval 0.5 --count 2 --latency
has watch.latency 'via forwarder p50_ns [0-9]+ p99_ns [0-9]+'
see trace 0 trace "$nvme" -o "$results/trace.json" --seconds 2
equal 'trace: one slice for each interrupt that the VMM has counted, by vector' \
  "$(of trace.json '[.traceEvents[] | select(.ph == "X") | .tid - 1] | group_by(.) | map("\(.[0]):\(length)") | join(" ")')" \
  "$(of trace.json '[.otherData.vectors[] | "\(.vector):\(.delivered)"] | join(" ")')"
equal 'trace: there were some, and none is missing' \
  "$(of trace.json '"\([.traceEvents[] | select(.ph == "X")] | length > 10) \(.otherData.lost)"')" 'true 0'
see trigger 0 msix trigger "$nvme" 1
has trigger 'arrived in the guest'
see bars 0 bars "$nvme"
see svg 0 bars "$nvme" --svg "$results/bars.svg"
has bars.svg '^<svg|<svg '
build/release/tests/passthru_damage "$nvme" 1 1
see damaged 1 msix audit "$nvme" "$nic" --format=prometheus
has damaged 'vector="1",verdict="cleared"} 1'
see healed 0 msix audit "$nvme" --heal
has healed 'restored'
see audit.all 0 msix audit --all
see topology.guest 0 topology "$nvme"

# ---- afterwards ------------------------------------------------------------------------------------------------------

wait_for_guest
equal 'the guest ended by itself' "$status" 0 "$log"
equal "the guest's log has no timeout" "$(said complaint)" ''
equal 'its socket is gone' "$(ls /run/passthru/vm)" ''
see unbind 0 unbind "$nvme" "$nic"
finish
