#!/usr/bin/env bash
# tests/hil/memory.sh - checks that a guest uses its drive with each kind of memory: a memfd, huge pages of 2 MiB and of
# 1 GiB. Checks also the errors if too few huge pages are free. Runs in the lab, with an NVMe drive at 00:02.0 on
# vfio-pci, on a kernel booted with hugepagesz=1G hugepages=1: the kernel can set such pages aside only during the boot.
# usage: memory.sh DRIVE-IMAGE GUEST-IMAGES
# SPDX-License-Identifier: MIT
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"
# shellcheck source=tests/hil/refused.sh
source "${BASH_SOURCE[0]%/*}/refused.sh"

readonly image=$1 guest=$2 nvme=0000:00:02.0
readonly passthru=build/release/tools/passthru
readonly results=$LAB_OUT/memory
readonly small=/sys/kernel/mm/hugepages/hugepages-2048kB large=/sys/kernel/mm/hugepages/hugepages-1048576kB

readonly run=("$passthru" run --kernel "$guest/vmlinux" --initrd "$guest/initrd" --cpus 2 --device "$nvme")

# start_guest NAME OPTION...: starts a guest and waits until it reads its drive.
start_guest() {
  name=$1
  shift
  boot "$results/$name.log" "$results/$name.vmm" "${run[@]}" --append "$guest_append passthru.job=read-drive" "$@"
  wait_until_says reading
}

# Prints "yes" if the VMM has mapped RAM from a file whose name contains $1.
mapped_as() { grep -qE "rw-s .* /(memfd|anon_hugepage).*$1" "/proc/$vmm/maps" && echo yes; }

it_reads_its_drive() {
  wait_for_guest
  equal "$name: the guest ended by itself" "$status" 0 "$results/$name.vmm"
  equal "$name: the guest read the content of the drive" "$(said 'nvme sha256')" "$outside" "$results/$name.log"
}

pages_in_use() { echo $(($(<"$1/nr_hugepages") - $(<"$1/free_hugepages"))); }

memory_of_a_memfd() {
  start_guest memfd --memory 256M --memory-from memfd
  equal "$name: the RAM is a memfd" "$(mapped_as guest-ram)" yes
  it_reads_its_drive
}

too_few_huge_pages() {
  local huge=(--memory 256M --memory-from hugetlbfs)
  echo 10 >$small/nr_hugepages
  refused 'ten huge pages for 256 MiB' 3 '128 pages of 2 MiB are needed, 10 are free' \
    "echo 128 > $small/nr_hugepages" -- "${run[@]}" "${huge[@]}"
  equal 'no huge page is in use after the refusal' "$(pages_in_use $small)" 0
  refused 'one page of 1 GiB for two' 3 '2 pages of 1 GiB are needed, 1 are free' "echo 2 > $large/nr_hugepages" -- \
    "${run[@]}" --memory 2G --memory-from hugetlbfs --huge-page-size 1G
  refused 'a part of a page of 1 GiB' 2 'not a multiple' 'Use --memory 1024M' -- \
    "${run[@]}" "${huge[@]}" --huge-page-size 1G
}

# huge_pages NAME DIRECTORY PAGES OPTION...: runs a guest on the PAGES that the kernel has set aside.
huge_pages() {
  local pages=$3 directory=$2
  equal "$1: the lab machine has set $pages aside" "$(<"$directory/nr_hugepages")" "$pages"
  start_guest "$1" --memory-from hugetlbfs "${@:4}"
  equal "$name: the guest uses all of them" "$(pages_in_use "$directory")" "$pages"
  equal "$name: the RAM consists of huge pages" "$(mapped_as guest-ram)" yes
  it_reads_its_drive
  equal "$name: all huge pages are free again" "$(pages_in_use "$directory")" 0
}

rm -rf "$results"
mkdir -p "$results"
outside=$(sha256sum <"$image" | cut -d' ' -f1)
remember_state
memory_of_a_memfd
too_few_huge_pages
echo 128 >$small/nr_hugepages
huge_pages two-MiB $small 128 --memory 256M
huge_pages one-GiB $large 1 --memory 1G --huge-page-size 1G
finish
