#!/usr/bin/env bash
# tests/unit/tools/command_refusals.sh - tests of the command's errors that need no device: the exit status, and one
# line with a hint. Output that cannot be written must not crash the command.
# usage: command_refusals.sh PASSTHRU
# SPDX-License-Identifier: MIT
set -euo pipefail

readonly passthru=$1 absent=0000:ff:1f.7
failures=0
said=$(mktemp)
large=$(mktemp)
directory=$(mktemp -d)
trap 'rm -rf "$said" "$large" "$directory"' EXIT

check() {
  local what=$1 status=$2 wanted=$3 word missing=''
  shift 3
  for word in "$@"; do
    grep -qF -- "$word" "$said" || missing+=" '$word'"
  done
  if [ "$status" = "$wanted" ] && [ -z "$missing" ]; then
    echo "ok      $what: $(cat "$said")"
  else
    echo "FAILED  $what: status $status, not $wanted; without$missing: $(cat "$said")"
    failures=$((failures + 1))
  fi
}

# expect OUTPUT ERRORS STATUS WORDS... -- ARGUMENT...: the command must exit with STATUS. It prints to the files OUTPUT
# and ERRORS, one of which is `said`, where WORDS must be. Errors have one line.
expect() {
  local output=$1 errors=$2 wanted=$3 status=0 words=()
  shift 3
  while [ "$1" != -- ]; do
    words+=("$1")
    shift
  done
  shift
  "$passthru" "$@" </dev/null >"$output" 2>"$errors" || status=$?
  [ "$errors" != "$said" ] || [ "$(wc -l <"$said")" = 1 ] || status+=" and not one line"
  check "$*" "$status" "$wanted" "${words[@]}"
}
# refused STATUS WORDS... -- ARGUMENT...: the command must exit with STATUS and print one line that contains WORDS.
refused() { expect /dev/null "$said" "$@"; }
# answers STATUS WORDS... -- ARGUMENT...: the command must exit with STATUS and print WORDS on standard output.
answers() { expect "$said" /dev/null "$@"; }

refused 2 "'nosuch' is not a command" "'passthru --help'" -- nosuch
refused 2 "'shw' is not a command" "'passthru msix --help'" -- msix shw
refused 2 "'ilst' is not a command. Did you mean 'list'?" -- ilst
refused 2 "'audit' is not a command. Did you mean 'msix audit'? 'passthru --help'" -- audit
refused 2 "'passthru bind' has no commands. 'passthru bind --help' explains it" -- help bind more
refused 2 "'gen' is not a command. 'passthru --help'" -- gen
refused 2 "'wacth' is not a command. Did you mean 'watch'?" -- msix wacth
refused 2 'name a command: show, watch, audit or trigger.' "'passthru msix --help'" -- msix
refused 2 "'--nosuch' is not an option of 'passthru list'." "'passthru list --help'" -- list --nosuch
refused 2 "'--jsn' is not an option of 'passthru list'. Did you mean '--json'?" -- list --jsn
refused 2 "'--sokcet' is not an option of 'passthru bars'. Did you mean '--socket'?" -- bars --sokcet=x
# Words with control characters, also of C1, do not act on the terminal.
refused 2 "'?[31m??' is not a command" -- $'\e[31m\xc2\x9b'
refused 2 "'--?[31m??' is not an option of 'passthru list'" -- list $'--\e[31m\xc2\x9b'
refused 2 "--sort: '?[31m???' is not address" -- list --sort $'\e[31m\xe2\x80\xae'
refused 2 "'more' is not expected here." -- msix show "$absent" more
refused 2 '--json takes no value.' -- list --json=maybe
refused 2 '--kernel needs a value.' -- run --kernel
refused 2 '--memory is given 2 times. Give it once.' -- run --kernel x --memory 1G --memory 2G
refused 2 "'nosuch' is not a command." "'passthru --help'" -- help nosuch
refused 2 "cannot explain 'not ruted': it is not a verdict. Did you mean 'not routed'?" \
  "'passthru explain' lists the verdicts" -- explain not ruted
refused 2 "cannot explain 'cursed': it is not a verdict. 'passthru explain'" -- explain cursed
refused 2 "cannot explain '': it is not a verdict." -- explain ''
refused 2 "'hsow' is not a command. Did you mean 'show'?" "'passthru msix --help'" -- help msix hsow
refused 2 "--sort: 'size' is not address, name, class, driver, group or numa" -- list --sort size
refused 2 'either devices or --all' 'Name devices, or use --all' -- msix audit
refused 2 'either devices or --all' -- msix audit "$absent" --all
refused 2 "--format: 'xml' is not text, json or prometheus" -- msix audit --all --format=xml
refused 2 'DEVICE cannot be used with --watch' -- topology --watch 0000:00:02.0
refused 2 'DEVICE is required' -- trace -o /tmp/x
refused 2 '--output is required' -- trace "$absent"
refused 2 'VECTOR' -- msix trigger "$absent" 2048
refused 2 "--memory-from: 'nonsense' is not anonymous, memfd or hugetlbfs" -- run --kernel x --memory-from nonsense
refused 2 'not a multiple of the huge page size, 1024 MiB' 'Use --memory 2048M' -- \
  run --kernel x --memory 1536M --memory-from hugetlbfs --huge-page-size 1G
refused 2 'no huge pages of 4096 bytes' '--huge-page-size 2M or 1G' -- \
  run --kernel x --memory-from hugetlbfs --huge-page-size 4K
refused 2 '--huge-page-size requires --memory-from hugetlbfs' 'Add --memory-from hugetlbfs' -- run --kernel x --memory-from memfd --huge-page-size 2M
refused 2 "--kvm-fd: '-1' is not a number from 0 to 2147483647" -- run --kernel x --kvm-fd -1
refused 2 '--svg' 'cannot be used with' '--json' -- bars "$absent" --svg x --json
refused 2 '--force requires --svg' -- bars "$absent" --force
refused 2 "--interval: 'soon' is not a number from 0.05 to 3600" -- msix watch "$absent" --interval soon
refused 2 "--interval: '0' is not a number" -- msix watch "$absent" --interval 0
refused 2 "--count: 'many' is not a number from 0 to 4294967295" -- msix watch "$absent" --count many
refused 2 "--seconds: '0' is not a number from 0.05 to 86400" -- trace "$absent" -o /tmp/x --seconds 0
refused 2 "VECTOR: 'x' is not a number from 0 to 2047" -- msix trigger "$absent" x
for command in bind unbind; do
  refused 2 'DEVICE is required' "'passthru $command --help'" -- "$command"
  refused 2 "'nosuch0'" 'like 0000:00:02.0' "'passthru list'" -- "$command" nosuch0
  refused 2 "'ffff:ffff'" 'no device has these vendor and device ids' -- "$command" ffff:ffff
  refused 2 "'/dev/nosuch0'" 'no PCI device has a disk of this name' -- "$command" /dev/nosuch0
  refused 2 "'00:2.0'" 'expected SSSS:BB:DD.F or BB:DD.F' -- "$command" 00:2.0
  refused 3 "$absent" 'no PCI function at this address' "'passthru list'" -- "$command" --dry-run "$absent"
  refused 3 "$absent" 'no PCI function at this address' -- "$command" --group "$absent"
done

# Errors of `run` before it opens KVM or a device.
refused 2 '--kernel is required' "'passthru run --help'" -- run
refused 2 '134217729 bytes of memory are not a whole number of steps' 'multiple of 2 MiB' -- run --kernel /x --memory 134217729
refused 2 '1048576 bytes of memory are out of range' 'from 64 MiB to 4194304 MiB' -- run --kernel /x --memory 1M
refused 2 "--memory: 'lots' is not a size, such as 512M or 2G" -- run --kernel /x --memory lots
for number in 0 255 two 1.5 0x1 +1; do
  refused 2 "--cpus: '$number' is not a number from 1 to 254" -- run --kernel /x --cpus "$number"
done
refused 2 "--memory: '-1G' is not a size" -- run --kernel /x --memory -1G
for number in .5e3 1e3 0x64 1.5; do
  refused 2 "--audit: '$number' is not a number from 1 to 60000, or off" -- run --kernel /x --audit "$number"
done
refused 2 "--audit: '0' is not a number from 1 to 60000, or off" -- run --kernel /x --audit 0
refused 2 "--audit: 'never' is not a number from 1 to 60000, or off" -- run --kernel /x --audit never
refused 2 "find the device 'nosuch0'" -- run --kernel /x --device nosuch0,nomap=1
refused 2 "$absent" 'the device is named twice' 'Name each device once' -- run --kernel /x --device "$absent" --device "$absent"
device_option() {
  local option=$1
  shift
  refused 2 "$absent: cannot read the option '$option'" "$@" -- run --kernel /x --device "$absent,$option"
}
device_option fast 'a device does not have this option' 'The options are nomap=N, msix=auto'
device_option nomap=6 'it does not name a BAR' 'Use 0 to 5'
device_option msix=bar9 'the value is unknown' 'Use auto, inplace, or bar0 to bar5'
device_option rom= 'it does not name a file' 'or use rom=off'
device_option moderate=0 'it is not a valid interrupt rate' 'Use 1 to 1000000'
device_option reset=never 'the value is unknown' 'Use on or off'
device_option vectors=0 'it is not a valid number of vectors' 'Use 1 to 2048'
devices=()
for ((slot = 0; slot < 32; ++slot)); do devices+=(--device "$(printf 'ffff:ff:%02x.0' "$slot")"); done
refused 2 'the devices need 32 slots, and the PCI bus has 31' 'Assign fewer devices' -- run --kernel /x "${devices[@]}"
refused 3 'write /no/such/file' 'No such file' 'Name another file' -- run --kernel /x --summary /no/such/file
echo older >"$directory/older"
ln -s older "$directory/link"
for command in "run --kernel /x --summary" "run --kernel /x --force --summary"; do
  # shellcheck disable=SC2086 # words
  refused 3 "write $directory/link" 'it is a symbolic link' 'Name the file itself' -- $command "$directory/link"
done
refused 3 "write $directory/older" 'File exists' 'replace it with --force' -- run --kernel /x --summary "$directory/older"
refused 3 'read the kernel image /no/such' -- run --kernel /no/such --force --summary "$directory/older"
check 'a run that fails leaves an older file' "$(cat "$directory/older")" older
refused 2 '--force requires --summary' -- run --kernel /x --force
refused 2 '--inspect-group requires --inspect' -- run --kernel /x --inspect-group root
refused 2 "--inspect-group: 'no such' is not a group" -- run --kernel /x --inspect --inspect-group 'no such'
refused 2 "--inspect-group: '?[31m' is not a group" -- run --kernel /x --inspect --inspect-group $'\e[31m'
refused 2 "--socket-user: 'no such' is not a user" -- msix show "$absent" --socket /x --socket-user 'no such'
refused 2 '--socket-user requires --socket' -- msix show "$absent" --socket-user root
refused 3 'read the kernel image /no/such' 'No such file' -- run --kernel /no/such
refused 3 'read the kernel image /: it is a directory. Name a file in it' -- run --kernel /
refused 3 'read the kernel image: its name is empty. Name a file' -- run --kernel ''
truncate -s 3G "$large"
refused 3 "read the kernel image $large" 'it is larger than 2 GiB' -- run --kernel "$large"
refused 3 'read the kernel image /dev/null' 'it is neither a bzImage nor an ELF file' 'Give a bzImage' -- run --kernel /dev/null
refused 3 'read the kernel image /proc/self/exe' 'position-independent' 'CONFIG_PVH=y' -- run --kernel /proc/self/exe

for command in 'msix show' 'msix watch' 'msix audit' 'msix trigger' bars 'trace -o /tmp/x' topology doctor; do
  last=()
  [ "$command" != 'msix trigger' ] || last=(0)
  # shellcheck disable=SC2086 # words
  refused 2 "'nosuch0'" 'like 0000:00:02.0' -- $command nosuch0 "${last[@]}"
done
for command in 'msix show' 'msix audit' 'msix trigger' bars 'trace -o /tmp/x' topology; do
  last=()
  [ "$command" != 'msix trigger' ] || last=(0)
  # shellcheck disable=SC2086
  refused 3 "$absent" 'no PCI function at this address' "'passthru list'" -- $command "$absent" "${last[@]}"
done
refused 3 'no VMM with an inspect socket has it' "'passthru run --inspect'" -- msix watch "$absent" --latency
for command in 'msix show' 'msix watch' 'msix audit' bars; do
  # shellcheck disable=SC2086
  refused 3 'connect to the VMM at /no/such' 'No such file' "'passthru run --inspect'" -- $command "$absent" --socket /no/such
done

# vmm_says ANSWER COMMAND...: runs the command against a fake VMM that has the device `absent`. The VMM sends ANSWER to
# every request except `list`.
vmm_says() {
  local answer=$1 status=0 vmm
  shift
  rm -f "$directory/vmm"
  perl -MIO::Socket::UNIX -e '
    my ($path, $device, $answer) = @ARGV;
    my $socket = IO::Socket::UNIX->new(Local => $path, Listen => 1) or die $!;
    while (my $client = $socket->accept) {
      $client->autoflush(1);
      while (<$client>) { print $client (/"list"/ ? qq({"version":1,"devices":["$device"]}) : $answer), "\n" }
    }' "$directory/vmm" "$absent" "$answer" &
  vmm=$!
  until [ -S "$directory/vmm" ] || ! kill -0 "$vmm"; do sleep 0.05; done
  "$passthru" "$@" --socket "$directory/vmm" >"$said" 2>&1 || status=$?
  kill -TERM "$vmm"
  wait "$vmm" || true # TERM has ended it
  return "$status"
}
# answered STATUS TEXT ANSWER COMMAND...: with that answer, the command must exit with STATUS and print TEXT.
answered() {
  local wanted=$1 text=$2 status=0
  shift 2
  vmm_says "$@" || status=$?
  check "$2 $3, VMM answers $1" "$status" "$wanted" "$text"
}
answered 1 "$absent: vector 0: did not arrive within a second: 'passthru msix show' says more" \
  '{"version":1,"arrived":false,"pending":false}' msix trigger "$absent" 0
answered 1 "$absent: vector 3: pending: the guest has it masked" \
  '{"version":1,"arrived":false,"pending":true}' msix trigger "$absent" 3
answered 3 'its answer is not of this version' '{"version":2,"arrived":true}' msix trigger "$absent" 0
answered 3 'its answer is not of this version' 'nonsense' msix trigger "$absent" 0
answered 3 'no such vector' '{"version":1,"error":"no such vector","errno":22}' msix trigger "$absent" 0
answered 3 'ask the VMM at' '{"version":1,"arrived":"yes","latency_ns":{}}' msix trigger "$absent" 0
answered 3 'its latency is negative' '{"version":1,"arrived":true,"latency_ns":-5}' msix trigger "$absent" 0
answered 3 'ask the VMM' '{"version":1,"devices":{}}' bars "$absent"

# A wrong environment variable is named, and hurts only the command that reads it.
PASSTHRU_BACKEND=foo refused 2 'use the environment variable PASSTHRU_BACKEND' "'foo' is not auto, cdev or group" \
  'Unset it, or use --backend' -- run --kernel /no/such
PASSTHRU_BACKEND=foo refused 3 'read the kernel image /no/such' -- run --kernel /no/such --backend cdev
PASSTHRU_BACKEND='' refused 3 'read the kernel image /no/such' -- run --kernel /no/such
PASSTHRU_BACKEND=foo refused 2 "'nosuch0'" -- msix show nosuch0

answers 0 'Usage: passthru ' 'msix' 'Exit status' -- help
answers 0 'Usage: passthru msix show ' -- help msix show
answers 0 'Usage: passthru msix show ' -- msix show --help
answers 0 VERDICT 'enable bit lost        yes     MSI-X is off in the device' -- explain
answers 0 'cleared (damage): its entry in the device is empty' 'msix audit DEVICE --heal' -- explain cleared
answers 0 '"verdict": "not routed"' '"damaged": true' '"remedy": ' -- explain not-routed --json
answers 0 '"verdict": "ok"' '"verdict": "cleared"' -- explain --json
for word in version -V --version; do answers 0 'passthru 0.' -- "$word"; done
if [ -n "$(ls /sys/bus/pci/devices 2>/dev/null)" ]; then
  answers 0 DEVICE ASSIGNABLE -- list
  answers 0 '"devices"' '"interfaces"' '"disks"' -- list --json --sort name
  answers 1 -- list no-device-has-this-word
  answers 1 '"devices": []' -- list --json --driver no-such-driver
fi
answers 1 "$absent cannot be assigned, because " -- doctor "$absent"
answers 1 '"ready": false' '"conclusion": "' '"commands": ' -- doctor --json "$absent"
status=0
"$passthru" >"$directory/out" 2>"$said" || status=$?
check 'without a word' "$status" 2 'passthru doctor' 'passthru list' "'passthru help'"
[ ! -s "$directory/out" ] || check 'without a word: standard output' 'not empty' 'empty'
[ "$(wc -l <"$said")" -le 6 ] || check 'without a word' 'too long' 'short'

# Output that cannot be written.
status=0
"$passthru" list --json >/dev/full 2>"$said" || status=$?
check 'list, on a full disk' "$status" 3 'write the output' 'No space left'
status=0
"$passthru" generate man >&- 2>"$said" || status=$?
check 'generate, without an output' "$status" 3 'write the output'
status=0
"$passthru" msix show nosuch0 2>/dev/full || status=$?
: >"$said"
check 'an error that cannot be written' "$status" 2
[ "$failures" = 0 ]
