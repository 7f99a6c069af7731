#!/usr/bin/env bash
# tests/unit/command_words.sh - that the generated completion completes what the command knows, and that the manual page
# has all of it. usage: command_words.sh PASSTHRU
# SPDX-License-Identifier: MIT
set -euo pipefail

readonly passthru=$1
failures=0

# shellcheck source=/dev/null
source <("$passthru" generate bash)

# completed WORD...: what the last of them is completed to, as bash has it for a function: what it is to put after the
# last colon of the word, where colons divide words.
completed() {
  local words=(passthru "$@")
  COMP_LINE=${words[*]} COMPREPLY=()
  COMP_POINT=${#COMP_LINE}
  _passthru
  echo "${COMPREPLY[*]}"
}
equal() {
  if [ "$2" = "$3" ]; then
    echo "ok      $1"
  else
    echo "FAILED  $1: '$2', not '$3'"
    failures=$((failures + 1))
  fi
}

equal 'a subcommand' "$(completed tr)" trace
equal 'one below it' "$(completed msix a)" audit
equal 'all below it' "$(completed msix '')" '--help show watch audit trigger'
equal 'an option' "$(completed run --ke)" --kernel
equal 'none of another subcommand' "$(completed trace --ke)" ''
equal 'nothing that is not for people' "$(completed gen)" ''
if [ -d /sys/bus/pci/devices ]; then
  device=$(ls /sys/bus/pci/devices | head -n 1)
  COMP_WORDBREAKS=' '
  equal 'a device' "$(completed msix show "${device%.*}" | tr ' ' '\n' | head -n 1)" "$device"
  equal 'a device to run with' "$(completed run --device "$device")" "$device"
  COMP_WORDBREAKS=' :'
  equal 'a device, where colons divide words' "$(completed run --device "$device")" "${device##*:}"
fi

"$passthru" generate zsh | bash -n
equal 'zsh loads it as a completion of passthru' "$("$passthru" generate zsh | head -n 1)" '#compdef passthru'

page=$("$passthru" generate man)
for command in list 'msix show' 'msix audit' trace run bind; do
  equal "the manual has '$command'" "$(grep -c "^\.SS passthru $command\$" <<<"$page")" 1
done
equal 'and its options' "$(grep -c '^\.B \\-\\-kernel' <<<"$page")" 1
equal 'no line of text is taken for a request' "$(grep -vE '^\.(TH|SH|SS|TP|B|I|PP|nf|fi)\b' <<<"$page" | grep -c '^\.' || [ $? -eq 1 ])" 0
[ "$failures" = 0 ]
