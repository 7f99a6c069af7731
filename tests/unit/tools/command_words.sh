#!/usr/bin/env bash
# tests/unit/tools/command_words.sh - tests of the generated completions for bash and zsh and of the generated manual
# page.
# usage: command_words.sh PASSTHRU
# SPDX-License-Identifier: MIT
set -euo pipefail

readonly passthru=$1
# shellcheck source=tests/unit/tools/equal.sh
source "${BASH_SOURCE[0]%/*}/equal.sh"

# shellcheck source=/dev/null
source <("$passthru" generate bash)

# completed WORD...: prints the completions of the last word, as bash receives them. If colons divide words, this is
# only the part after the last colon.
completed() {
  local words=(passthru "$@")
  COMP_LINE=${words[*]} COMPREPLY=()
  COMP_POINT=${#COMP_LINE}
  _passthru
  echo "${COMPREPLY[*]}"
}
equal 'a subcommand' "$(completed tr)" trace
equal 'a subcommand of msix' "$(completed msix a)" audit
equal 'all subcommands of msix' "$(completed msix '')" '--help show watch audit trigger'
equal 'an option' "$(completed run --ke)" --kernel
equal 'no option of another subcommand' "$(completed trace --ke)" ''
equal 'no internal subcommand' "$(completed gen)" ''
functions=(/sys/bus/pci/devices/*) device=''
[ ! -e "${functions[0]}" ] || device=${functions[0]##*/}
if [ -n "$device" ]; then
  COMP_WORDBREAKS=' '
  equal 'a device' "$(completed msix show "${device%.*}" | tr ' ' '\n' | head -n 1)" "$device"
  equal 'a device of run' "$(completed run --device "$device")" "$device"
  COMP_WORDBREAKS=' :'
  equal 'a device, where colons divide words' "$(completed run --device "$device")" "${device##*:}"
fi

# Types the words into a real zsh on a terminal, which completes and runs them.
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
"$passthru" generate zsh >"$directory/_passthru"
cat >"$directory/type" <<'ZSH'
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "fpath=($1 \$fpath); autoload -U compinit; compinit -u -D; passthru() print -r -- \"r\"an:\$*:\"e\"nd"
zpty -w -n shell "passthru $2"$'\t\n'
zpty -r shell said '*ran:*:end*'
print -r -- ${${said##*ran:}%%:end*}
zpty -d shell
ZSH
# zsh_completed WORDS: prints the words that zsh runs, without the last space.
zsh_completed() { timeout 60 zsh -f "$directory/type" "$directory" "$1" | tr -d '\r' || echo "nothing ($?)"; }
equal 'zsh: a subcommand' "$(zsh_completed tr)" trace
equal 'zsh: a subcommand of msix' "$(zsh_completed 'msix a')" 'msix audit'
equal 'zsh: an option' "$(zsh_completed 'run --ke')" 'run --kernel'
equal 'zsh: no option of another subcommand' "$(zsh_completed 'trace --ke')" 'trace --ke'
equal 'zsh: no internal subcommand' "$(zsh_completed gen)" gen
equal 'zsh: a file' "$(zsh_completed "run --kernel $directory/ty")" "run --kernel $directory/type"
if [ -n "$device" ]; then
  # The shortest prefix of the device that is unique.
  for ((length = 1; length <= ${#device}; ++length)); do
    [ "$(find /sys/bus/pci/devices -name "${device:0:length}*" | wc -l)" != 1 ] || break
  done
  equal 'zsh: a device' "$(zsh_completed "msix show ${device:0:length}")" "msix show $device"
  equal 'zsh: a device of run' "$(zsh_completed "run --device ${device:0:length}")" "run --device $device"
fi

# The recipe for a node exporter in the help of `msix audit`, run with each exit status of an audit.
recipe=$("$passthru" msix audit --help | grep 'format=prometheus')
for status in 0 1 3; do
  rm -f "$directory"/*.prom
  (
    cd "$directory"
    # shellcheck disable=SC2317 # the recipe calls it
    sudo() {
      echo metrics
      return "$status"
    }
    eval "$recipe" || true # fails if it skips the move
  )
  equal "output of an audit with status $status is used" "$([ -s "$directory/passthru.prom" ] && echo yes || echo no)" \
    "$([ $status -lt 2 ] && echo yes || echo no)"
done

page=$("$passthru" generate man)
for command in list 'msix show' 'msix audit' trace run bind; do
  equal "the manual has '$command'" "$(grep -c "^\.SS passthru $command\$" <<<"$page")" 1
done
equal 'the manual has its options' "$(grep -c '^\.B \\-\\-kernel' <<<"$page")" 1
equal 'the manual has no type names of a programming language' \
  "$(grep -E '^\.B ' <<<"$page" | grep -cE 'UINT|INT|FLOAT|TEXT| in \[|:SIZE|\{' || [ $? -eq 1 ])" 0
equal 'the manual has defaults' "$(grep -A2 '^\.B .*interval SECONDS$' <<<"$page" | grep -c 'default: 1)')" 1
equal 'no text line of the manual is a troff request' \
  "$(grep -vE '^\.(TH|SH|SS|TP|B|I|PP|nf|fi)\b' <<<"$page" | grep -c '^\.' || [ $? -eq 1 ])" 0
[ "$failures" = 0 ]
