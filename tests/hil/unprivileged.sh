#!/usr/bin/env bash
# tests/hil/unprivileged.sh - checks that a process without rights runs a guest. It has no capability, its own user, an
# empty /dev and a filter of system calls; root has opened its descriptors (examples/unprivileged). Runs in the lab,
# with
# an NVMe drive at 00:02.0 and a NIC at 00:03.0 on vfio-pci, and the other end of the NIC's cable at 00:04.0.
# usage: unprivileged.sh DRIVE-IMAGE GUEST-IMAGES WAY...
# WAY is `alone` (no device), `groups` or `cdevs` (both devices, as descriptors of groups or cdevs).
# SPDX-License-Identifier: MIT
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"
# shellcheck source=tests/hil/refused.sh
source "${BASH_SOURCE[0]%/*}/refused.sh"
# shellcheck source=scripts/lab.d/own_nic.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lab.d/own_nic.sh"

readonly image=$1
readonly nvme=0000:00:02.0 nic=0000:00:03.0 own_nic=0000:00:04.0
readonly own_address=10.9.0.1 guest_address=10.9.0.2 write_at_mib=8
readonly results=$LAB_OUT/unprivileged

# A path that any user can reach, wherever the repository is.
readonly reachable=/tmp/reachable
mkdir -p $reachable/tools $reachable/examples $reachable/guest
mount --bind build/release/tools $reachable/tools
mount --bind build/release/examples $reachable/examples
mount --bind "$2" $reachable/guest
readonly example=$reachable/examples/unprivileged
readonly run=("$reachable/tools/passthru" run --kernel "$reachable/guest/vmlinux" --initrd "$reachable/guest/initrd")

# start_guest NAME OPTIONS-OF-THE-EXAMPLE... -- JOB ARGUMENT...: starts a guest through the example.
start_guest() {
  local options=()
  name=$1
  shift
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  boot "$results/$name.log" "$results/$name.vmm" "$example" "${options[@]}" -- "${run[@]}" --append "$guest_append passthru.job=$2" "${@:3}"
}

# Prints the pid of the VMM. Its parent is the first process of a PID namespace, and a child of the example.
vmm_itself() { pgrep -x -P "$(pgrep -P "$vmm")" passthru; }

it_has_no_right() {
  local process its_root user=$((0x70000000 + vmm))
  process=$(vmm_itself) || true # if there is no VMM, the following checks fail
  its_root=/proc/$process/root
  equal "$name: the VMM has its own user, no group, no capability, and a filter of system calls" \
    "$(sed -nE 's/^(Uid|Gid|Groups|Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp)://p' "/proc/$process/status" | xargs)" \
    "$(echo "$user"{,,,} "$user"{,,,} 0000000000000000{,,,} 1 2)"
  equal "$name: processes of its user cannot copy its descriptors" "$(stat -c %u "/proc/$process/fd")" 0
  equal "$name: its /dev is empty" "$(cd "$its_root/dev" && echo 'content:' && ls -A)" 'content:'
}

a_guest_without_devices() {
  start_guest alone --memlock 1 -- "devices passthru.end=stay" --cpus 1 --memory 128M
  wait_until_says 'guest: devices: done'
  equal "$name: the guest did its job" "$(said 'guest: devices:')" 'done' "$results/$name.log"
  it_has_no_right
  # The end of the parent also ends the guest.
  local process
  process=$(vmm_itself)
  kill -TERM "$vmm"
  wait_for_guest
  for ((i = 0; i < 100; i++)); do
    [ -e "/proc/$process" ] || break
    sleep 0.1
  done
  equal "$name: the VMM ends with its parent" "$(ls -d "/proc/$process" 2>/dev/null)" ''

  # Other options that work without rights.
  start_guest interrupts-forwarded -- devices --memory 128M --forward-interrupts --memory-from memfd \
    --summary /tmp/summary.json --inspect /tmp/inspect.sock
  wait_for_guest
  equal "$name: exit status 0" "$status" 0 "$results/$name.vmm"
  equal "$name: the VMM wrote its summary" "$(jq -r .end /tmp/summary.json)" power-off
}

what_is_missing_is_said() {
  local no_dev=(unshare --mount sh -c 'mount -t tmpfs none /dev && exec "$@"' sh
    setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs '--bounding-set=-all')
  refused 'without --kvm-fd' 3 /dev/kvm 'No such file' -- "${no_dev[@]}" "${run[@]}"
  refused 'a descriptor that is not open' 3 'descriptor 9' '3<>/dev/kvm' -- "${no_dev[@]}" "${run[@]}" --kvm-fd 9
  refused 'a descriptor of something else' 3 'descriptor 0' 'of another file' -- "${no_dev[@]}" "${run[@]}" --kvm-fd 0
  refused 'an inspect socket in a directory without write permission' 3 'create the inspect socket /sys/x' -- \
    "$example" -- "${run[@]}" --inspect /sys/x
  refused 'the example: a missing device' 3 0000:00:19.0 'no VFIO device' "'passthru bind 0000:00:19.0'" -- \
    "$example" 0000:00:19.0 -- "${run[@]}"
  refused 'the example: a missing device, by group' 3 0000:00:19.0 'no IOMMU group' -- \
    "$example" --group 0000:00:19.0 -- "${run[@]}"
  refused 'the example: a missing command' 3 /no/such/command 'No such file' -- "$example" -- /no/such/command
}

found() { said "result $1"; }

# devices NAME OPTIONS-OF-THE-EXAMPLE...: runs the demo's guest.
devices() {
  local interrupts outside
  echo 3 >/proc/sys/vm/drop_caches # a previous guest may have written to the drive's file
  outside=$(sha256sum <"$image" | cut -d' ' -f1)
  start_guest "$@" "$nvme" "$nic" -- \
    "demo demo.peer=$own_address demo.address=$guest_address demo.write-at-mib=$write_at_mib" --cpus 1 --memory 128M
  wait_until_says 'result nic-sent'
  it_has_no_right
  busybox wget -q -O /tmp/fetched "http://$guest_address/data" || failed "$name: the guest serves its file"
  echo ok >"$served/done"
  wait_for_guest
  rm -f "$served/done"
  equal "$name: exit status 0" "$status" 0 "$results/$name.vmm"
  equal "$name: the guest read the content of the drive" "$(found nvme-read)" "$outside" "$results/$name.log"
  echo 3 >/proc/sys/vm/drop_caches
  equal "$name: the guest's data is on the drive" "$(found nvme-wrote)" \
    "$(dd if="$image" bs=1M skip=$write_at_mib count=8 status=none | sha256sum | cut -d' ' -f1)"
  equal "$name: it received the served file" "$(found nic-received)" "$(sha256sum <"$served/data" | cut -d' ' -f1)"
  equal "$name: its file was received" "$(found nic-sent)" "$(sha256sum </tmp/fetched | cut -d' ' -f1)"
  interrupts=$(found nvme-interrupts)
  equal "$name: the drive used MSI-X" "${interrupts%% *}" msix
}

rm -rf "$results"
mkdir -p "$results"
remember_state
shift 2
for way in "$@"; do
  case $way in
    alone)
      a_guest_without_devices
      what_is_missing_is_said
      ;;
    groups | cdevs)
      [ -e "$served/data" ] || serve_on_own_nic "$own_nic" "$own_address" 8M
      # Enough for the guest's RAM and for the BARs that are mapped for DMA between the devices.
      if [ "$way" = groups ]; then devices "$way" --group --memlock 320; else devices "$way" --memlock 320; fi
      ;;
    *) failed "$way: unknown WAY" ;;
  esac
done
finish
