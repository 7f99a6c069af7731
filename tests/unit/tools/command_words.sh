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
equal 'a verdict' "$(completed explain clear)" cleared
equal 'a verdict of several words' "$(completed explain not)" 'not-routed not-seen'
equal 'no verdict of another subcommand' "$(completed trace clear)" ''
functions=(/sys/bus/pci/devices/*) device=''
[ ! -e "${functions[0]}" ] || device=${functions[0]##*/}
if [ -n "$device" ]; then
  COMP_WORDBREAKS=' '
  equal 'a device' "$(completed msix show "${device%.*}" | tr ' ' '\n' | head -n 1)" "$device"
  equal 'a device of run' "$(completed run --device "$device")" "$device"
  COMP_WORDBREAKS=' :'
  equal 'a device, where colons divide words' "$(completed run --device "$device")" "${device##*:}"
fi

# The names of devices, on a machine that the test makes.
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
devices=$directory/sys/bus/pci/devices
mkdir -p "$devices"/0000:0{1,2,3,4}:00.0 "$devices/0000:01:00.0/net/eth7" "$devices/0000:02:00.0/virtio0/net/ens4" \
  "$devices/0000:03:00.0/nvme/nvme5/nvme5n1" "$devices/0000:04:00.0/ata1/host0/target0:0:0/0:0:0:0/block/sdq"
made_up() { sed "s#/sys/bus#$directory/sys/bus#g"; }
(
  # shellcheck source=/dev/null
  source <("$passthru" generate bash | made_up)
  COMP_WORDBREAKS=' '
  for name in eth7 ens4 sdq; do equal "the name $name" "$(completed bind "${name%?}")" "$name"; done
  equal 'the names of a drive' "$(completed bind nv)" 'nvme5 nvme5n1'
  equal 'an address' "$(completed msix show 0000:03)" 0000:03:00.0
  equal 'a name of run' "$(completed run --device eth)" eth7
  equal 'no name without a file' "$(completed bind '*')" ''
  [ "$failures" = 0 ]
) || failures=$((failures + 1))

# Types the words into a real zsh on a terminal, which completes and runs them.
"$passthru" generate zsh | made_up >"$directory/_passthru"
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
equal 'zsh: a verdict' "$(zsh_completed 'explain f')" 'explain function-mask-left-on'
for name in eth7 ens4 sdq; do equal "zsh: the name $name" "$(zsh_completed "bind ${name%?}")" "bind $name"; done
equal 'zsh: a file' "$(zsh_completed "run --kernel $directory/ty")" "run --kernel $directory/type"
equal 'zsh: a device' "$(zsh_completed 'msix show 0000:03')" 'msix show 0000:03:00.0'
equal 'zsh: a device of run' "$(zsh_completed 'run --device 0000:03')" 'run --device 0000:03:00.0'

# The recipe for a node exporter in the help of `msix audit`, run with each exit status of an audit.
recipe=$("$passthru" msix audit --help | grep -A1 'format=prometheus')
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

# Each verdict: its completion is a word that the command accepts, and the documents name it.
documents=${BASH_SOURCE[0]%/*}/../../../docs
verdicts=0
while read -r word; do
  verdicts=$((verdicts + 1))
  explained=$("$passthru" explain "$word") || true # `equal` reports it
  name=${word//-/ }
  equal "explain $word" "${explained:0:${#name}}" "$name"
  # shellcheck disable=SC2086 # words
  equal "explain $name" "$("$passthru" explain $name)" "$explained"
  equal "the documents name the verdict '$name'" \
    "$(grep -qF "\`\"$name\"\`" "$documents/inspect.md" "$documents/json.md" && echo yes || echo no)" yes
done < <(completed explain '' | tr ' ' '\n' | grep -v '^--')
equal 'all verdicts' "$verdicts" "$("$passthru" explain | tail -n +2 | wc -l)"

page=$("$passthru" generate man)
for command in list 'msix show' 'msix audit' explain trace run bind help version; do
  equal "the manual has '$command'" "$(grep -c "^\.SS passthru $command\$" <<<"$page")" 1
done
equal 'the manual has the environment variable' "$(grep -c '^\.B PASSTHRU_BACKEND$' <<<"$page")" 1
equal 'the manual has its options' "$(grep -c '^\.B \\-\\-kernel' <<<"$page")" 1
equal 'the manual has no type names of a programming language' \
  "$(grep -E '^\.B ' <<<"$page" | grep -cE 'UINT|INT|FLOAT|TEXT| in \[|:SIZE|\{' || [ $? -eq 1 ])" 0
equal 'the manual has defaults' "$(grep -A2 '^\.B .*interval SECONDS$' <<<"$page" | grep -c 'default: 1)')" 1
equal 'no text line of the manual is a troff request' \
  "$(grep -vE '^\.(TH|SH|SS|TP|B|I|PP|nf|fi|BR)\b' <<<"$page" | grep -c '^\.' || [ $? -eq 1 ])" 0

# The manual page as a reader sees it, and the help of each command, at 80 columns.
command -v man >/dev/null || {
  echo 'FAILED  man is not installed. Run scripts/setup --for tests'
  exit 1
}
export LC_ALL=C.UTF-8
echo "$page" >"$directory/passthru.1"
shown=$(MANWIDTH=80 man --warnings -l "$directory/passthru.1" 2>&1)
for section in NAME SYNOPSIS DESCRIPTION COMMANDS 'EXIT STATUS' ENVIRONMENT FILES 'SEE ALSO'; do
  equal "the manual has the section $section" "$(grep -cxF "$section" <<<"$shown")" 1
done
equal 'the manual renders without a warning' "$(grep -E '(man|troff|groff|<standard input>).*(warning|error)' <<<"$shown" || [ $? -eq 1 ])" ''
equal 'no line of the manual is wider than 80 columns' "$(grep -E '^.{81}' <<<"$shown" || [ $? -eq 1 ])" ''
words_of() { "$passthru" help "$@" | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]\+\) .*/\1/p'; }
helps=0 wide=''
for command in '' $(words_of) $(words_of msix | sed 's/^/msix_/'); do
  read -ra words <<<"${command/_/ }"
  helps=$((helps + 1))
  wide+=$("$passthru" help "${words[@]}" | grep -E '^.{81}' || [ $? -eq 1 ])
done
equal 'no line of a help is wider than 80 columns' "$wide" ''
equal 'there are helps' "$((helps > 14))" 1
[ "$failures" = 0 ]
