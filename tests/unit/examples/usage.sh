#!/usr/bin/env bash
# tests/unit/examples/usage.sh - tests of what every example does without a device, and of its length.
# usage: usage.sh DIRECTORY      (of the built examples)
# SPDX-License-Identifier: MIT
set -euo pipefail

readonly directory=$1
# shellcheck source=tests/unit/tools/equal.sh
source "${BASH_SOURCE[0]%/*}/../tools/equal.sh"
readonly absent=ffff:ff:1f.7

# outcome COMMAND...: prints the exit status, and the first line of each output up to its second space.
outcome() {
  local status=0 output errors
  errors=$(mktemp)
  output=$("$@" 2>"$errors") || status=$?
  printf '%s|%s|%s' "$status" "$(head -n 1 <<<"$output" | cut -d' ' -f1-2)" "$(head -n 1 "$errors" | cut -d' ' -f1-2)"
  rm "$errors"
}

# explains NAME ARGUMENT...: checks an example. With the arguments it looks for a device that does not exist.
explains() {
  local name=$1 program=$directory/$1 failure
  shift
  equal "$name --help" "$(outcome "$program" --help)" "0|usage: $name|"
  equal "$name without arguments" "$(outcome "$program")" "2||usage: $name"
  equal "$name with an argument too many" "$(outcome "$program" "$@" 1 1 1 1)" "2||usage: $name"
  failure=$(outcome "$program" "$@")
  equal "$name without the device" "${failure%% *}" "1||$name:"
}
explains minimal_vmm $absent 0
explains pci_registers $absent 0
explains interrupts $absent
explains list_vectors $absent 1
explains epoll_loop $absent 1

equal 'a BAR that is no number' "$(outcome "$directory/minimal_vmm" $absent x)" '2||usage: minimal_vmm'
equal 'a BAR that does not exist' "$(outcome "$directory/pci_registers" $absent 6)" '2||usage: pci_registers'
equal 'an offset within a register' "$(outcome "$directory/pci_registers" $absent 0 2)" '2||usage: pci_registers'
equal 'no vectors' "$(outcome "$directory/list_vectors" $absent 0)" '2||usage: list_vectors'
equal 'too many vectors' "$(outcome "$directory/list_vectors" $absent 225)" '2||usage: list_vectors'
equal 'no time' "$(outcome "$directory/epoll_loop" $absent 0)" '2||usage: epoll_loop'

# Each example fits on a few screens, and its first comment shows how to run it.
for source in "${BASH_SOURCE[0]%/*}"/../../../examples/*.{c,cc,py}; do
  equal "${source##*/}: at most 120 lines" "$(($(wc -l <"$source") <= 120))" 1
  equal "${source##*/}: says what it prints" "$(head -n 10 "$source" | grep -m 1 -cE '^( \*|//|)  +\$ \./')" 1
done
exit "$((failures > 0))"
