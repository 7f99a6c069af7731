#!/usr/bin/env bash
# tests/hil/guest_life.sh - checks that a guest's devices are usable again after each kind of end: power-off, kill -9 of
# the VMM, reboot, SIGTERM. Checks also how the guest's kernel sees the devices. Runs in the lab, with an NVMe drive at
# 00:02.0 and a NIC at 00:03.0, both on vfio-pci. usage: guest_life.sh DRIVE-IMAGE GUEST-IMAGES
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2317 # called from a trap
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"
# shellcheck source=tests/hil/guest_log.sh
source "${BASH_SOURCE[0]%/*}/guest_log.sh"

readonly image=$1 guest=$2
readonly nvme=0000:00:02.0 nic=0000:00:03.0
readonly passthru=build/release/tools/passthru
readonly results=$LAB_OUT/guest_life

job() { printf '%s passthru.job=%s' "$guest_append" "$*"; }

# start_guest NAME JOB BDF...: starts a guest in the background and sets `vmm` to its pid. The guest `power-off` boots a
# bzImage, as distributions do, with two CPUs. The others boot in a third of that time.
start_guest() {
  local name=$1 append=$2 bdf devices=() kernel=vmlinux cpus=1
  shift 2
  [ "$name" != power-off ] || kernel=bzImage cpus=2
  [ "$name" != forwarded ] || devices+=(--forward-interrupts)
  for bdf in "$@"; do devices+=(--device "$bdf"); done
  boot "$results/$name.log" "$results/$name.vmm" \
    "$passthru" run --kernel "$guest/$kernel" --initrd "$guest/initrd" --append "$append" --cpus "$cpus" --memory 128M \
    --summary "$results/$name.json" --force "${devices[@]}"
}

# story NAME: writes the console and the VMM's output to one file, for `failed`, and prints its name.
story() { cat "$results/$1.log" "$results/$1.vmm" >"$results/$1.story" && echo "$results/$1.story"; }

# Waits until the VMM has ended, and sets `status` to its exit status.
wait_for_end() {
  status=0
  wait "$vmm" 2>/dev/null || status=$?
  vmm=''
}

# begins_to_read WHAT NAME: waits until guest NAME reads its drive.
begins_to_read() {
  wait_until_says reading
  if grep -q '^reading' "$results/$2.log"; then ok "$1: the guest began to read"; else
    failed "$1: the guest began to read" "$(story "$2")"
  fi
}

sha_read() { sed -n 's/^nvme sha256 \([0-9a-f]*\)\r*$/\1/p' "$results/$1.log"; }
driver() { basename "$(readlink "/sys/bus/pci/devices/$1/driver" || echo none)"; }
of_summary() { jq -r "$2" "$results/$1.json"; }

still_assigned() {
  equal "$1: both devices are still on vfio-pci" "$(driver $nvme) $(driver $nic)" 'vfio-pci vfio-pci'
}

# ---- the checks -----------------------------------------------------------------------------------------------

a_guest_reads_the_drive_and_powers_off() {
  start_guest power-off "$(job read-drive)" $nvme $nic
  wait_for_end
  equal 'power-off: exit status 0' "$status" 0 "$(story power-off)"
  equal 'power-off: the guest powered off' "$(of_summary power-off .end)" power-off
  equal 'power-off: the guest read the content of the drive' "$(sha_read power-off)" "$outside"
  still_assigned power-off
}

its_log_has_no_complaint() {
  local log=$results/power-off.dmesg
  log_of "$results/power-off.log" >"$log"
  # Without the drivers' lines, the following search would prove nothing.
  if grep -q 'nvme nvme0' "$log" && grep -q 'e1000e 0000:00:02.0 eth0' "$log"; then
    ok "power-off: the guest's log has its drivers' lines"
  else
    failed "power-off: the guest's log has its drivers' lines" "$log"
  fi
  equal "power-off: the guest's log has no complaint about its devices or the machine" "$(complaints_in "$log")" ''
}

# The lab's own small kernel is built without PAT.
its_kernel_has_write_combining() {
  [[ $guest != */small ]] || return 0
  equal "power-off: the guest's kernel has write combining" \
    "$(grep -oE 'x86/PAT: Configuration \[0-7\]: WB +WC ' "$results/power-off.dmesg" | tr -s ' ')" \
    'x86/PAT: Configuration [0-7]: WB WC '
}

# The doorbells and the table are in spans. A span is either mapped completely or not at all.
doorbells_are_mapped_and_the_table_is_not() {
  local msix bar table span
  equal 'power-off: no access to the page of the doorbells was trapped' "$(of_summary power-off "
    .devices[] | select(.device == \"$nvme\") | .bars[0].spans[] | select(.offset <= 4096 and .offset + .size > 4096)
    | \"\(.mapped) \(.trapped_reads) \(.trapped_writes)\"")" 'true 0 0'
  for bdf in $nvme $nic; do
    msix=$("$passthru" list --json | jq -c ".devices[] | select(.device == \"$bdf\") | .msix")
    bar=$(jq .table.bar <<<"$msix")
    table=$(jq .table.offset <<<"$msix")
    # Every span that overlaps a page of the table.
    span=$(of_summary power-off "
      ($table / 4096 | floor * 4096) as \$start
      | (($table + 16 * $(jq .vectors <<<"$msix") + 4095) / 4096 | floor * 4096) as \$stop
      | .devices[] | select(.device == \"$bdf\") | .bars[] | select(.index == $bar) | .spans[]
      | select(.offset < \$stop and .offset + .size > \$start) | .mapped" | sort -u)
    equal "power-off: the pages of the MSI-X table of $bdf are not mapped" "$span" false
  done
}

# Forwards all interrupts, as for a VMM without irqfds, and at most 200 interrupts a second of the drive.
a_guest_lives_without_irqfds() {
  start_guest forwarded "$(job read-drive)" $nvme,moderate=200 $nic
  wait_for_end
  equal 'forwarded: the guest powered off' "$(of_summary forwarded .end)" power-off "$(story forwarded)"
  equal 'forwarded: the guest read the content of the drive' "$(sha_read forwarded)" "$outside"
  equal 'forwarded: the forwarder delivered its interrupts, and KVM refused no interrupt' "$(of_summary forwarded '
    [.devices[].vectors[].forwarded | select(. != null)]
    | "\(map(.delivered) | add > 10) \(map(.sink_failed) | add)"')" 'true 0'
  equal 'forwarded: the forwarder held interrupts of the drive back' "$(of_summary forwarded "
    [.devices[] | select(.device == \"$nvme\") | .vectors[].forwarded | select(. != null) | .held] | add > 0")" true
  equal 'power-off: the forwarder delivered no interrupt' "$(of_summary power-off '[.devices[].vectors[].forwarded] | unique | tostring')" '[null]'
}

the_vmm_is_killed_while_the_guest_reads() {
  start_guest killed "$(job read-on)" $nvme $nic
  begins_to_read 'kill -9' killed
  wait_until_says 'reads 2000'
  kill -KILL "$vmm" 2>/dev/null || true # if it has ended already, its status differs
  wait_for_end
  equal 'kill -9: it killed the VMM during the read' \
    "$status $(sed -n 's/^\(read failed\).*/\1/p' "$results/killed.log")" '137 '
  still_assigned 'kill -9'
}

the_next_guest_reads_the_same_and_reboots() {
  start_guest reboot "$(job read-drive passthru.end=reboot)" $nvme $nic
  wait_for_end
  equal 'reboot, after kill -9: exit status 0' "$status" 0 "$(story reboot)"
  equal 'reboot: the guest read the content of the drive' "$(sha_read reboot)" "$outside"
  equal 'reboot: the summary says reset' "$(of_summary reboot .end)" reset
  still_assigned reboot
}

the_vmm_is_terminated() {
  start_guest terminated "$(job read-drive passthru.end=stay)" $nvme $nic
  begins_to_read SIGTERM terminated
  kill -TERM "$vmm" 2>/dev/null || true # it may have ended
  wait_for_end
  equal 'SIGTERM: status 1, as documented' "$status" 1
  equal 'SIGTERM: the summary says stopped' "$(of_summary terminated .end)" stopped
  still_assigned SIGTERM
}

the_host_gets_the_drive_back() {
  local i log found
  "$passthru" unbind $nvme $nic >"$results/unbind.log" 2>&1 || failed 'unbind' "$results/unbind.log"
  for ((i = 0; i < 100; i++)); do
    [ ! -b /dev/nvme0n1 ] || break
    sleep 0.1
  done
  equal "unbind: the host's drivers have the devices" "$(driver $nvme) $(driver $nic)" 'nvme e1000e'
  equal 'unbind: the host reads the content of the drive' "$(sha256sum </dev/nvme0n1 | cut -d' ' -f1)" "$outside"
  log=$(dmesg)
  found=$(grep -E 'WARNING: CPU|BUG:|Oops|nobody cared|DMAR:.*fault' <<<"$log" || [ $? -eq 1 ])
  equal "the host's log has no error" "$found" ''
}

rm -rf "$results"
mkdir -p "$results"
outside=$(sha256sum <"$image" | cut -d' ' -f1)
a_guest_reads_the_drive_and_powers_off
its_log_has_no_complaint
its_kernel_has_write_combining
doorbells_are_mapped_and_the_table_is_not
a_guest_lives_without_irqfds
the_vmm_is_killed_while_the_guest_reads
the_next_guest_reads_the_same_and_reboots
the_vmm_is_terminated
the_host_gets_the_drive_back
finish
