#!/usr/bin/env bash
# tests/hil/vf_tokens.sh - checks that one guest has a drive with SR-IOV, and another guest one of its virtual
# functions, which the first guest puts online. Only a VMM with the token of the first guest may open that function.
# Runs in the lab with an NVMe drive with SR-IOV at 0000:01:00.0, and a device without SR-IOV at 0000:00:03.0 on
# vfio-pci.
# usage: vf_tokens.sh DRIVE-IMAGE GUEST-IMAGES
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2317 # called from a trap
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly image=$1 guest=$2
readonly physical=0000:01:00.0 virtual=0000:01:00.1 other=0000:00:03.0
export PASSTHRU_BACKEND=group # the backend that asks for tokens
readonly token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3 wrong=bd8d9d2b-5a5f-4f5a-a211-f591514ba1f4
readonly passthru=build/release/tools/passthru
readonly results=$LAB_OUT/vf_tokens
readonly resources=4 # queues and interrupts of a virtual function
# Blocks of 256 KiB, as in virtual_functions.sh.
readonly shared=3 mark=4 write=6

rm -rf "$results"
mkdir -p "$results"

vmms=()
tear_down() { [ "${#vmms[@]}" = 0 ] || kill -KILL "${vmms[@]}" 2>/dev/null || true; }

sha() { sha256sum | cut -d' ' -f1; }
on_image() { dd if="$image" bs=256k skip="$1" count="$2" 2>/dev/null; }

# start NAME JOB ARGUMENT...: starts a guest with these arguments of `passthru run`.
start() {
  local name=$1 job=$2
  shift 2
  boot "$results/$name.log" "$results/$name.vmm" "$passthru" run \
    --kernel "$guest/vmlinux" --initrd "$guest/initrd" --cpus 1 --memory 128M --summary "$results/$name.json" --force \
    --append "$guest_append passthru.job=$job share.mark=$mark share.write=$write" "$@"
  vmms+=("$vmm")
}
# refused NAME WORDS ARGUMENT...: checks that `passthru run` refuses to start a guest, with WORDS in its message.
refused() {
  local name=$1 words=$2 status=0
  shift 2
  timeout "$(patience 12)" "$passthru" run --kernel "$guest/vmlinux" --initrd "$guest/initrd" --memory 128M "$@" \
    </dev/null >"$results/$name" 2>&1 || status=$?
  equal "$name: exit status" "$status" 3 "$results/$name"
  equal "$name: the message has '$words'" "$(grep -cF "$words" "$results/$name")" 1 "$results/$name"
}

# The expected hash of a guest's reads.
there=$(on_image 0 "$shared" | sha)
"$passthru" bind --force "$physical"
echo Y >/sys/module/vfio_pci/parameters/enable_sriov

start owner "serve-vf serve.resources=$resources" --vf-token "$token" --device "$physical"
wait_until_says released
echo 2 >"/sys/bus/pci/devices/$physical/sriov_numvfs"
equal 'the virtual functions are on vfio-pci, like the physical function' \
  "$(basename "$(readlink "/sys/bus/pci/devices/$virtual/driver")")" vfio-pci
wait_until_says online

refused without "its physical function $physical is on vfio-pci" --device "$virtual"
refused wrong "this is not the token that its physical function $physical" --device "$virtual" --vf-token "$wrong"
refused useless 'the device neither is a virtual function nor can have virtual functions' --device "$other" --vf-token "$token"
status=0
"$passthru" doctor "$virtual" >"$results/doctor" || status=$?
equal 'doctor: the function can be assigned' "$status" 0 "$results/doctor"
equal 'doctor: the output names the physical function' \
  "$(grep -c "^warn  vf_token .*$physical is on vfio-pci" "$results/doctor")" 1 "$results/doctor"

start user "share-drive share.read=$shared" --device "$virtual,vf-token=$token"
for index in 1 0; do
  status=0
  wait "${vmms[index]}" || status=$?
  equal "guest $index: the guest ended by itself" "$status" 0 "${consoles[index]}"
done
vmms=()
equal 'the user: it read the content of the drive' "$(said read)" "$there" "$results/user.log"
equal 'the user: it had interrupts, by MSI-X' \
  "$(said kind) $([ "$(said interrupts)" -gt 10 ] && echo came)" 'MSI-X came' "$results/user.log"
equal 'the user: its log has no error' "$(said complaint)" ''
printf '        read %s times, %s interrupts\n' "$(said reads)" "$(said interrupts)"
wrote=$(said wrote)
consoles+=("$results/owner.log") # `said` reads the last console
equal "the owner: it finds the user's data" "$(said there)" "$wrote" "$results/owner.log"
equal 'the owner: its log has no error' "$(said complaint)" ''
equal "the user's data is in the image" "$(on_image "$write" 1 | sha)" "$wrote"
finish
