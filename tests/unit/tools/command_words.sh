#!/usr/bin/env bash
# tests/unit/tools/command_words.sh - that the generated completions, of bash and zsh, complete what the command knows, and that
# the manual page has all of it in words of its field. usage: command_words.sh PASSTHRU
# SPDX-License-Identifier: MIT
set -euo pipefail

readonly passthru=$1
# shellcheck source=tests/unit/tools/equal.sh
source "${BASH_SOURCE[0]%/*}/equal.sh"

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

# In zsh itself, on a terminal: what is typed and completed there is run.
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
# zsh_completed WORDS: the words that are run, without the space that ends them.
zsh_completed() { timeout 60 zsh -f "$directory/type" "$directory" "$1" | tr -d '\r' || echo "nothing ($?)"; }
equal 'zsh: a subcommand' "$(zsh_completed tr)" trace
equal 'zsh: one below it' "$(zsh_completed 'msix a')" 'msix audit'
equal 'zsh: an option' "$(zsh_completed 'run --ke')" 'run --kernel'
equal 'zsh: none of another subcommand' "$(zsh_completed 'trace --ke')" 'trace --ke'
equal 'zsh: nothing that is not for people' "$(zsh_completed gen)" gen
equal 'zsh: a file' "$(zsh_completed "run --kernel $directory/ty")" "run --kernel $directory/type"
if [ -d /sys/bus/pci/devices ]; then
  # The shortest beginning that no other device has.
  for ((length = 1; length <= ${#device}; ++length)); do
    [ "$(find /sys/bus/pci/devices -name "${device:0:length}*" | wc -l)" != 1 ] || break
  done
  equal 'zsh: a device' "$(zsh_completed "msix show ${device:0:length}")" "msix show $device"
  equal 'zsh: a device to run with' "$(zsh_completed "run --device ${device:0:length}")" "run --device $device"
fi

# What the help of `msix audit` says to do for a node exporter, with an audit that ends with each of its statuses.
recipe=$("$passthru" msix audit --help | grep 'format=prometheus')
for status in 0 1 3; do
  rm -f "$directory"/*.prom
  (
    cd "$directory"
    sudo() {
      echo metrics
      return $status
    }
    eval "$recipe" || true # the status of what is not done
  )
  equal "what an audit writes that ends with $status is taken" "$([ -s "$directory/passthru.prom" ] && echo yes || echo no)" \
    "$([ $status -lt 2 ] && echo yes || echo no)"
done

page=$("$passthru" generate man)
for command in list 'msix show' 'msix audit' trace run bind; do
  equal "the manual has '$command'" "$(grep -c "^\.SS passthru $command\$" <<<"$page")" 1
done
equal 'and its options' "$(grep -c '^\.B \\-\\-kernel' <<<"$page")" 1
equal "and no type of a programming language's" \
  "$(grep -E '^\.B ' <<<"$page" | grep -cE 'UINT|INT|FLOAT|TEXT| in \[|:SIZE|\{' || [ $? -eq 1 ])" 0
equal 'and what holds without an option' "$(grep -A2 '^\.B .*interval SECONDS$' <<<"$page" | grep -c 'default: 1)')" 1
equal 'no line of text is taken for a request' "$(grep -vE '^\.(TH|SH|SS|TP|B|I|PP|nf|fi)\b' <<<"$page" | grep -c '^\.' || [ $? -eq 1 ])" 0
[ "$failures" = 0 ]
