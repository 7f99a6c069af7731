#!/usr/bin/env bash
# tests/hil/distribution.sh - checks that a guest boots an installation of Debian from an assigned NVMe drive, with the
# installation's own kernel and initrd. Runs in the lab, with the drive at 00:02.0 on vfio-pci.
# usage: distribution.sh DIR (of make_distribution)
# SPDX-License-Identifier: MIT
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"
# shellcheck source=tests/hil/guest_log.sh
source "${BASH_SOURCE[0]%/*}/guest_log.sh"

readonly directory=$1 nvme=0000:00:02.0
readonly results=$LAB_OUT/${directory##*/}
readonly on_console=$results/guest.log vmm_output=$results/guest.vmm

rm -rf "$results"
mkdir -p "$results"
root=UUID=$(blkid -s UUID -o value "$directory/drive.img")
# A login prompt would come between the words of the report.
readonly append="$guest_append systemd.wants=guest.service systemd.mask=serial-getty@ttyS0.service"
boot "$on_console" "$vmm_output" build/release/tools/passthru run \
  --kernel "$directory/vmlinuz" --initrd "$directory/initrd.img" --memory 1G --device "$nvme" \
  --append "root=$root $append" --summary "$results/guest.json"
wait_for_guest
equal 'exit status 0' "$status" 0 "$vmm_output"
equal 'the guest powered off' "$(jq -r .end "$results/guest.json")" power-off "$on_console"

equal "the guest runs the installation's kernel" "$(said release)" "$(<"$directory/release")"
equal 'its root is the drive' "$(said root)" '/dev/nvme0n1 ext4 rw'
# Debian's kernel has both as modules. Without the initrd it could not mount its root.
equal 'the drivers came from the initrd' "$(said module | sort | xargs)" 'ext4 nvme'
equal 'the drive interrupted' "$(said interrupts | grep -c '^[1-9]')" 1
equal 'a file that the guest wrote is on the drive' "$(said file)" equal

log_of "$on_console" >"$results/guest.dmesg"
equal "the guest's log has its driver's lines" "$(grep -c 'nvme nvme0: pci function' "$results/guest.dmesg")" 1
equal "the guest's log has no complaint about the machine" "$(complaints_in "$results/guest.dmesg")" ''
finish
