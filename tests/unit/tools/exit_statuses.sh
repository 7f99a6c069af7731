#!/usr/bin/env bash
# tests/unit/tools/exit_statuses.sh - tests that each command ends with the exit status that its help documents: 0 done,
# 1 the answer is no, 2 wrong usage, 3 the system refused. A row of the output is a command and its status. Not here,
# because they need VFIO or a guest: status 0 of `doctor`, and 0 and 1 of `run` (tests/hil).
# usage: exit_statuses.sh PASSTHRU
# SPDX-License-Identifier: MIT
set -euo pipefail

here=$(dirname "${BASH_SOURCE[0]}")
readonly here
# shellcheck source=tests/unit/tools/made_up_machine.sh
source "$here/made_up_machine.sh"

readonly nic=0000:01:00.0 drive=0000:02:00.0 free=0000:03:00.0 hidden=0000:04:00.0 absent=0000:ff:1f.7
readonly work=$machine/work
mkdir -m 0777 "$work"
failures=0
declare -A seen # "msix audit 1": a row has shown this

# gives STATUS COMMAND WHAT -- ARGUMENT...: `passthru COMMAND ARGUMENT...` must end with STATUS within 10 s. WHAT names
# the case. The function in `by` runs the command, and standard output goes to `out`. A command that fails must say
# why on standard error.
by='' out=$work/out
gives() {
  local wanted=$1 command=$2 what=$3 status=0 words=()
  shift 4
  read -r -a words <<<"$command"
  words=(timeout 10 "$passthru" "${words[@]}" "$@")
  [ -z "$by" ] || words=("$by" "${words[@]}")
  if [ "$out" = closed ]; then
    "${words[@]}" </dev/null >&- 2>"$work/err" || status=$?
  else
    "${words[@]}" </dev/null >"$out" 2>"$work/err" || status=$?
  fi
  seen["$command $status"]=yes
  if [ "$status" != "$wanted" ]; then
    echo "FAILED  $command: $what: status $status, not $wanted: passthru $command $*"
    tail -n 3 "$work/err" | sed 's/^/        /'
    failures=$((failures + 1))
  elif [ "$status" -ge 2 ] && ! grep -q '^passthru: ' "$work/err"; then
    echo "FAILED  $command: $what: status $status without an error text"
    failures=$((failures + 1))
  else
    echo "ok      $status  $command: $what"
  fi
}

# printed PATTERN: the output of the last row must have PATTERN.
printed() {
  grep -q -- "$1" "$out" || {
    echo "FAILED  '$1' is not in the output: $(tail -n 3 "$out")"
    failures=$((failures + 1))
  }
}

# VMMs that have the drive, each with a way to answer (hostile_vmm.py).
server=''
trap '[ -z "$server" ] || kill "$server"; umount --lazy "$machine"; rmdir "$machine"' EXIT
python3 "$here/hostile_vmm.py" "$work" $drive >"$work/ways" &
server=$!
until [ -S "$work/never-accepts.sock" ]; do
  kill -0 "$server"
  sleep 0.05
done
readonly vmm=(--socket "$work/right.sock") sound=(--socket "$work/7000-spans.sock")
readonly denying=(--socket "$work/no-devices.sock") broken=(--socket "$work/closes.sock")

gives 0 list 'a device is listed' --
gives 0 list 'a device is listed' -- --json
gives 1 list 'no device matches' -- no-device-has-this-word
gives 1 list 'no device matches' -- --json --driver none
by=without_devices gives 1 list 'the machine has no device' --
by=without_devices gives 1 list 'the machine has no device' -- --json
gives 2 list 'an option that does not exist' -- --jsn
by=without_pci gives 3 list 'no PCI bus' --

gives 2 doctor 'a device that no name fits' -- eth9
gives 1 doctor 'this machine lacks something' --
gives 1 doctor 'the device does not exist' -- $absent --json
printed '"ready": false'
by=without_pci gives 1 doctor 'no PCI bus' --

gives 0 topology 'a tree' --
gives 0 topology 'a device' -- $nic
gives 2 topology 'a device that no name fits' -- eth9
gives 3 topology 'the device does not exist' -- $absent
by=without_pci gives 3 topology 'no PCI bus' --
by=without_pci gives 3 topology 'no PCI bus' -- --watch

gives 0 bind 'a dry run' -- --dry-run $drive
gives 0 bind 'bound already' -- $free
gives 2 bind 'no device' --
gives 2 bind 'a device that no name fits' -- eth9
gives 3 bind 'the device does not exist' -- $absent
gives 3 bind 'the host uses the device' -- $nic
by=as_user gives 3 bind 'without root' -- $drive
gives 3 bind 'one of two devices does not exist' -- $free $absent

gives 0 unbind 'a dry run' -- --dry-run $free
gives 0 unbind 'not bound' -- $nic
gives 2 unbind 'no device' --
gives 2 unbind 'a device that no name fits' -- eth9
gives 3 unbind 'the device does not exist' -- $absent
by=as_user gives 3 unbind 'without root' -- $free

gives 0 bars 'a plan' -- $drive
gives 0 bars 'a guest has the device' -- $drive "${vmm[@]}"
gives 0 bars 'a picture in a file' -- $drive --svg "$work/bars.svg"
gives 2 bars 'no device' --
gives 2 bars '--json with --svg' -- $drive --svg x --json
gives 3 bars 'the device does not exist' -- $absent
gives 3 bars 'the file exists' -- $drive --svg "$work/bars.svg"
gives 3 bars 'the file is on a full disk' -- $drive --svg /dev/full
gives 3 bars 'the VMM does not answer' -- $drive "${broken[@]}"

gives 0 'msix show' 'a host driver has the device' -- $drive
gives 0 'msix show' 'a guest has the device' -- $drive "${vmm[@]}"
gives 0 'msix show' 'the table cannot be found, and it says so' -- $hidden
printed 'Not seen: '
gives 2 'msix show' 'no device' --
gives 3 'msix show' 'the device does not exist' -- $absent
gives 3 'msix show' 'no interrupts' -- $nic
gives 3 'msix show' 'the VMM has another device' -- $nic "${vmm[@]}"
gives 3 'msix show' 'the VMM does not answer' -- $drive "${broken[@]}"

gives 0 'msix watch' 'a sample' -- $drive --count 1 --interval 0.05
gives 0 'msix watch' 'a sample of a guest' -- $drive --count 1 --interval 0.05 "${vmm[@]}"
gives 2 'msix watch' 'no device' --
gives 2 'msix watch' 'a wrong number' -- $drive --count -1
gives 3 'msix watch' 'the device does not exist' -- $absent
gives 3 'msix watch' 'latency without a VMM' -- $drive --latency
gives 3 'msix watch' 'the VMM does not answer' -- $drive "${broken[@]}"

gives 0 'msix audit' 'no damage' -- $drive
printed "^$drive: ok, 2 vectors in use$"
gives 0 'msix audit' 'no damage in a guest' -- $drive "${sound[@]}"
by=without_devices gives 0 'msix audit' 'no device has interrupts in use' -- --all
clear_vector "$table" 1
gives 1 'msix audit' 'a damaged vector' -- $drive
gives 1 'msix audit' 'a damaged vector' -- $drive --json
gives 1 'msix audit' 'a damaged vector that no VMM restores' -- $drive --heal
gives 3 'msix audit' 'a damaged vector, and a device that could not be checked' -- $drive $hidden
out=/dev/full gives 3 'msix audit' 'a damaged vector, and the metrics are not whole' -- $drive --format=prometheus
restore_vector "$table" 1
gives 1 'msix audit' 'a damaged vector in a guest' -- $drive "${vmm[@]}"
gives 1 'msix audit' 'a vector that is still damaged' -- $drive --heal "${vmm[@]}"
gives 2 'msix audit' 'neither devices nor --all' --
gives 2 'msix audit' 'devices and --all' -- $drive --all
gives 3 'msix audit' 'the device does not exist' -- $absent
gives 3 'msix audit' 'where the table is could not be read' -- $hidden
gives 3 'msix audit' 'where a table is could not be read' -- --all
gives 3 'msix audit' 'the VMM does not answer' -- $drive "${broken[@]}"
gives 3 'msix audit' 'the VMM has another device' -- $nic "${vmm[@]}"
by=without_pci gives 3 'msix audit' 'no PCI bus' -- --all
mkdir -p /run/passthru/vm
ln -s "$work/list-closes.sock" /run/passthru/vm/1.sock
gives 3 'msix audit' 'a VMM does not say which devices it has' -- $free
rm -r /run/passthru
# The kernel keeps the table to itself, which is not a failure, but not "ok" either.
rm "$table"
gives 0 'msix audit' 'no damage seen' -- $drive
printed "^$drive: no damage seen"
gives 0 'msix audit' 'no damage seen' -- $drive --format=prometheus
printed "^passthru_device_seen{device=\"$drive\"} 0$"
gives 0 'msix show' 'the table cannot be read' -- $drive
printed '^ *1  not seen  '
printed '^Not seen: '
gives 0 'msix show' 'the table cannot be read' -- $drive --json
printed '"verdict": "not seen"'
printed '"why": "the device.s own table: '
gives 0 'msix watch' 'the table cannot be read' -- $drive --count 1 --interval 0.05
printed '^vector 0 .* verdict not seen$'
mount --bind /dev/null /proc/interrupts
gives 0 'msix audit' 'no damage seen, and no interrupts either' -- $drive
printed "^$drive: no damage seen"
umount /proc/interrupts

gives 0 'msix trigger' 'the interrupt arrived' -- $drive 0 "${vmm[@]}"
gives 1 'msix trigger' 'the interrupt did not arrive' -- $drive 0 "${denying[@]}"
gives 1 'msix trigger' 'the interrupt did not arrive' -- $drive 0 "${denying[@]}" --json
gives 2 'msix trigger' 'no vector' -- $drive
gives 2 'msix trigger' 'no number of a vector' -- $drive 2048
gives 3 'msix trigger' 'a host driver has the device' -- $drive 0
gives 3 'msix trigger' 'the device does not exist' -- $absent 0
gives 3 'msix trigger' 'the VMM does not answer' -- $drive 0 "${broken[@]}"

readonly short=(--seconds 0.05)
gives 0 trace 'a trace' -- $drive "${short[@]}" -o "$work/trace.json" "${vmm[@]}"
gives 2 trace 'no file' -- $drive
gives 2 trace 'no time' -- $drive --seconds 0 -o "$work/other.json"
gives 3 trace 'the file exists' -- $drive "${short[@]}" -o "$work/trace.json" "${vmm[@]}"
gives 3 trace 'the file is on a full disk' -- $drive "${short[@]}" -o /dev/full "${vmm[@]}"
gives 3 trace 'no VMM has the device' -- $drive "${short[@]}" -o "$work/other.json"
gives 3 trace 'the VMM does not answer' -- $drive "${short[@]}" -o "$work/other.json" --json "${broken[@]}"

gives 2 run 'no kernel' --
gives 2 run 'too little memory' -- --kernel /x --memory 1M
gives 2 run 'a device that no name fits' -- --kernel /x --device eth9
gives 3 run 'the kernel does not exist' -- --kernel /no/such
gives 3 run 'the kernel is a directory' -- --kernel /
gives 3 run 'the kernel is another file' -- --kernel /dev/null
gives 3 run 'the summary is on a full disk, and the kernel does not exist' -- --kernel /no/such --summary /dev/full

gives 0 help 'all commands' --
gives 0 explain 'all verdicts' --
gives 0 explain 'a verdict' -- not routed
gives 2 explain 'a word that is no verdict' -- nosuch
gives 0 help 'a command' -- msix show
gives 2 help 'a command that does not exist' -- nosuch
gives 0 version 'the version' --
gives 2 version 'a word more' -- more

# A bridge that forwards nothing.
chmod u+w "$machine/sys/devices" "$pci/devices"
add_function 0000:00:01.0 1b36 000c 060400 pcieport 0
bytes "$pci/devices/0000:00:01.0/config" 0x0e 01
bytes "$pci/devices/0000:00:01.0/config" 0x18 00 05 04
gives 1 topology 'faulty bus numbers' --
gives 1 topology 'faulty bus numbers' -- --json

# Output that cannot be written: to a full disk, and to a stream that the parent has closed. There, a file or a socket
# that the command opens must not take the output.
for out in /dev/full closed; do
  what="standard output is $out"
  gives 3 list "$what" --
  gives 3 list "$what" -- --json
  gives 3 doctor "$what" --
  gives 3 topology "$what" --
  gives 3 topology "$what" -- --watch
  gives 3 bind "$what" -- --dry-run $drive
  gives 3 bind "$what" -- $free
  gives 3 unbind "$what" -- $nic
  gives 3 bars "$what" -- $drive "${vmm[@]}"
  gives 3 'msix show' "$what" -- $drive "${vmm[@]}"
  gives 3 'msix show' "$what, and the output is long" -- $drive --json --socket "$work/large-device.sock"
  gives 3 'msix watch' "$what" -- $drive --count 1 --interval 0.05 "${vmm[@]}"
  gives 3 'msix watch' "$what" -- $drive --count 1 --interval 0.05 "${vmm[@]}" --json
  gives 3 'msix audit' "$what" -- $drive "${vmm[@]}"
  gives 3 'msix trigger' "$what" -- $drive 0 "${vmm[@]}"
  gives 3 trace "$what" -- $drive "${short[@]}" -o "$work/trace.json" --force "${vmm[@]}" --json
  gives 3 explain "$what" --
  gives 3 help "$what" --
  gives 3 version "$what" --
  gives 3 generate "$what" -- man
  for option in --help --version -V; do gives 3 "$option" "$what" --; done
  for command in list doctor topology bind unbind bars 'msix show' 'msix watch' 'msix audit' 'msix trigger' trace run \
    explain help version; do
    gives 3 "$command" "$what" -- --help
  done
done
out=$work/out

# Each command of the manual has rows with each of its statuses.
while read -r command; do
  statuses=(0 2 3)
  case $command in
    list | topology | 'msix audit' | 'msix trigger') statuses+=(1) ;;
    doctor) statuses=(1 2 3) ;;
    run) statuses=(2 3) ;;
  esac
  for status in "${statuses[@]}"; do
    [ -n "${seen["$command $status"]-}" ] || {
      echo "FAILED  $command: no row with status $status"
      failures=$((failures + 1))
    }
  done
done < <("$passthru" generate man | sed -n 's/^\.SS passthru //p')
echo "${#seen[@]} statuses of commands; $failures failures"
[ "$failures" = 0 ]
