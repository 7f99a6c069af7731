#!/usr/bin/env bash
# tests/unit/tools/newcomer.sh - tests what a newcomer reads who types the hardware section of README.md with mistakes:
# each command line, its output and its exit status must be as in newcomer.expected. A command without sudo runs as a
# user that is not root.
# usage: newcomer.sh PASSTHRU [ANSWERS]
# ANSWERS: write the answers to this file instead: newcomer.expected, after the texts have changed on purpose.
# SPDX-License-Identifier: MIT
set -euo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
readonly here
# shellcheck source=tests/unit/tools/made_up_machine.sh
source "$here/made_up_machine.sh"

# The files that the newcomer has: a kernel of which only the header is right, and files that are something else.
readonly home=$machine/home
mkdir "$home"
cd "$home"
mkdir kernels
echo 'not a kernel' >notes.txt
truncate -s 4096 bzImage
bytes bzImage 0x1f1 01
bytes bzImage 0x1fe 55 aa eb 66 48 64 72 53 0f 02
bytes bzImage 0x211 01
bytes bzImage 0x236 01 00

# typed LINE: runs the line as the newcomer types it, and prints it with all that it prints.
typed() {
  local words=() as=as_user status=0
  echo
  echo "\$ $1"
  eval "words=($1)"
  if [ "${words[0]}" = sudo ]; then
    as=''
    words=("${words[@]:1}")
  fi
  $as "$passthru" "${words[@]:1}" </dev/null 2>&1 || status=$?
  [ $status = 0 ] || echo "[exit status $status]"
}

everything_typed() {
  echo "# What a newcomer types, and what the command answers. Made and checked by newcomer.sh."
  while IFS= read -r line; do
    [ -z "$line" ] || typed "$line"
  done <<'LINES'
passthru
passthru docter
passthru lst
passthru Bind
passthru bnd 0000:01:00.0
passthru msix
passthru msix shw 0000:02:00.0
passthru show 0000:02:00.0
passthru audit
passthru --list
passthru -v
passthru help bnd
passthru help bind nosuch

passthru list nvme
passthru list nvm
passthru list sata
passthru list --assignable nvme
passthru list --driver vfio
passthru list --class nvme
passthru list --sort driver,name
passthru list --jsn
passthru list -l
passthru ls
passthru doctor eth9
passthru doctor 1:0.0
passthru doctor --device eth0
passthru topology eth9
passthru topology --watch eth0

sudo passthru bind
sudo passthru bind eth0
sudo passthru bind ETH0
sudo passthru bind eth9
sudo passthru bind ethO
sudo passthru bind nvme1n1
sudo passthru bind /dev/nvme0n1p1
sudo passthru bind /dev/eth0
sudo passthru bind 0000:01:00
sudo passthru bind 01:00
sudo passthru bind 1:00.0
sudo passthru bind 0000:1:0.0
sudo passthru bind 0000.01.00.0
sudo passthru bind 0000:01:00:0
sudo passthru bind 01:00.8
sudo passthru bind 0000:0g:00.0
sudo passthru bind 0000:0A:00.0
sudo passthru bind 05:00.0
sudo passthru bind 0000:05:00.0
sudo passthru bind 8086:10D3
sudo passthru bind 8086:ffff
sudo passthru bind 0x8086:0x10d3
sudo passthru bind pci@0000:01:00.0
sudo passthru bind ""
sudo passthru bind Gigabit
sudo passthru bind "Fast Drive"
sudo passthru bind 03:00.0
sudo passthru bind 02:00.0 eth9
sudo passthru bind --dryrun nvme0
sudo passthru bind --dry-run=yes nvme0
sudo passthru bind nvme0 --dry-run
sudo passthru bind --device nvme0
sudo passthru bind --driver vfio nvme0
sudo passthru bind --driver
sudo passthru bind --group
sudo passthru bind --force
sudo passthru bind -f eth0
sudo passthru bind nvme0 --persists
sudo passthru bind --drivre vfio-pci nvme0
passthru bind nvme0
passthru bind 02:00.0
passthru bind --dry-run 02:00.0
passthru unbind 03:00.0

sudo passthru unbind
sudo passthru unbind 02:00.0
sudo passthru unbind eth0
sudo passthru unbind eth1
sudo passthru unbind 05:00.0
sudo passthru unbind --all

sudo passthru run
sudo passthru run bzImage
sudo passthru run --kernel
sudo passthru run --kernel bzImage 0000:03:00.0
sudo passthru run --kernel bzimage --device 0000:03:00.0
sudo passthru run --kernel kernels --device 0000:03:00.0
sudo passthru run --kernel notes.txt --device 0000:03:00.0
sudo passthru run --kernel "" --device 0000:03:00.0
sudo passthru run --kernel bzImage --initrd initrd --device 0000:03:00.0
sudo passthru run --kernel bzImage --initrd kernels
sudo passthru run --kernel bzImage --initrd --append console=ttyS0
sudo passthru run --kernel bzImage --append
sudo passthru run --kernel bzImage --append console=ttyS0 quiet
sudo passthru run --kernel bzImage --memory 2 --device 0000:03:00.0
sudo passthru run --kernel bzImage --memory 2GB --cpu 2
sudo passthru run --kernel bzImage --memory 2G5
sudo passthru run --kernel bzImage --memory 0
sudo passthru run --kernel bzImage --memory 100T
sudo passthru run --kernel bzImage --cpus 0
sudo passthru run --kernel bzImage --cpus two
sudo passthru run --kernel bzImage --device
sudo passthru run --kernel bzImage --device eth9
sudo passthru run --kernel bzImage --device 0000:03:00
sudo passthru run --kernel bzImage --device 0000:03:00.0 0000:02:00.0
sudo passthru run --kernel bzImage --device 0000:03:00.0,0000:02:00.0
sudo passthru run --kernel bzImage --device 0000:03:00.0 --device 03:00.0
sudo passthru run --kernel bzImage --device 0000:03:00.0,nomap
sudo passthru run --kernel bzImage --device 0000:03:00.0,msix=on
sudo passthru run --kernel bzImage --device host=0000:03:00.0
sudo passthru run --kernel bzImage --backend vfio
sudo passthru run --kernel bzImage --summary kernels
sudo passthru run --kernel bzImage --inspect-group nosuch --inspect
sudo passthru run --krenel bzImage
sudo passthru run -kernel bzImage
sudo passthru run -m 2G --kernel bzImage

sudo passthru msix show
sudo passthru msix show eth0
sudo passthru msix show 05:00.0
sudo passthru msix show nvme0n2
sudo passthru msix show 02:00.0 0
sudo passthru msix watch nvme0 --interval 0
sudo passthru msix watch nvme0 --count two
sudo passthru msix watch nvme0 --latency
sudo passthru msix audit
sudo passthru msix audit all
sudo passthru msix audit nvme0 --fix
sudo passthru msix audit --all nvme0
sudo passthru msix trigger nvme0
sudo passthru msix trigger nvme0 one
sudo passthru msix trigger nvme0 0
sudo passthru msix trigger 0 nvme0
sudo passthru trace nvme0
sudo passthru trace -o
sudo passthru trace nvme0 -o trace.json
sudo passthru trace nvme0 trace.json
sudo passthru trace nvme0 -o trace.json --seconds 0
sudo passthru trace nvme0 -o trace.json --socket notes.txt
sudo passthru bars
sudo passthru bars nvme9
sudo passthru bars nvme0 --svg
sudo passthru bars nvme0 --svg notes.txt
sudo passthru bars nvme0 --svg kernels
sudo passthru bars nvme0 --svg no/such.svg
sudo passthru bars nvme0 --socket /run/passthru/vm/1.sock
LINES
}

everything_typed >"$machine/answers"
if [ -n "${2-}" ]; then
  cp "$machine/answers" "$2"
  exit
fi
if diff -u "$here/newcomer.expected" "$machine/answers" >"$machine/differences"; then
  echo "ok      $(grep -c '^\$ ' "$machine/answers") command lines are answered as in newcomer.expected"
else
  echo 'FAILED  the answers to a newcomer are not as in newcomer.expected:'
  cat "$machine/differences"
  exit 1
fi
