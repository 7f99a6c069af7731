#!/usr/bin/env bash
# tests/unit/tools/hostile_vmm.sh - runs each command that asks a VMM against a VMM that answers in many wrong ways. A
# command may cost 64 MiB and 12 s, prints no control character, and its error names the VMM. Prints the largest costs.
# usage: hostile_vmm.sh PASSTHRU
# SPDX-License-Identifier: MIT
set -euo pipefail

here=$(dirname "${BASH_SOURCE[0]}")
readonly here passthru=$1
directory=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$directory"' EXIT

# A device of this machine, which the VMM says it has. With --socket, no command opens it.
device=$(find /sys/bus/pci/devices -mindepth 1 -printf '%f\n' 2>/dev/null | sort | head -n 1)
[ -n "$device" ] || {
  echo "hostile_vmm.sh: cannot test: this machine has no PCI device. Run it where 'passthru list' lists a device" >&2
  exit 1
}

python3 "$here/hostile_vmm.py" "$directory" "$device" >"$directory/ways" &
server=$!
until [ -S "$directory/never-accepts.sock" ] && [ "$(tail -n 1 "$directory/ways")" = never-accepts ]; do
  kill -0 "$server"
  sleep 0.05
done
python3 "$here/hostile_runs.py" "$passthru" "$directory" "$device"
