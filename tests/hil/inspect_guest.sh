#!/usr/bin/env bash
# tests/hil/inspect_guest.sh - runs each subcommand that inspects a device: on a device with a host driver, on a bound
# idle device, and on the device of a guest that reads its drive. Leaves an SVG and a trace in $LAB_OUT/inspect_guest.
# Runs in the lab with an NVMe drive at 00:02.0 and a NIC at 00:03.0. usage: inspect_guest.sh [GUEST-IMAGES]
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2317 # dollars in quotes are jq's; with_console is called by boot
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly guest=${1:-build/lab/guest-test} nvme=0000:00:02.0 nic=0000:00:03.0
readonly passthru=build/release/tools/passthru results=$LAB_OUT/inspect_guest
readonly log=$results/guest.log moves=20 resets=2

[ -e "$guest/initrd" ] || {
  echo "inspect_guest.sh: cannot open $guest/initrd: no such file. Run scripts/guest-image --jobs tests/hil/jobs $guest" \
    >&2
  exit 2
}
rm -rf "$results"
mkdir -p "$results"

# see NAME STATUS COMMAND...: runs COMMAND, keeps its output in NAME, and prints the start of it.
see() {
  local name=$1 wanted=$2 got=0
  shift 2
  printf '\n$ passthru %s\n' "$*"
  "$passthru" "$@" >"$results/$name" 2>&1 || got=$?
  head -n 30 "$results/$name"
  equal "$name: exit status" "$got" "$wanted"
}
# has NAME WORDS: checks that a line of the output NAME matches WORDS.
has() {
  if grep -qE "$2" "$results/$1"; then ok "$1: '$2'"; else failed "$1: '$2'" "$results/$1"; fi
}
of() { jq -r "$2" "$results/$1"; }
# members NAME PATH WANTED: checks the members of the object at PATH, or of each object of a list, in alphabetical
# order.
members() {
  equal "$1: members of $2" "$(jq -rs "[.[] | $2 | keys | join(\" \")] | unique | join(\" | \")" "$results/$1")" "$3"
}
# documents NAME COUNT: checks the number of documents, one on each line.
documents() { equal "$1: documents, one on each line" "$(wc -l <"$results/$1") $(jq -s length "$results/$1")" "$2 $2"; }

# ---- with a host driver --------------------------------------------------------------------------------------------

see list 0 list
see topology 0 topology
see host 0 msix show "$nvme"
has host '^ +0 +ok '
see host.json 0 msix show "$nvme" --json
equal 'host: every vector that the driver has requested is ok' \
  "$(of host.json '[.vectors[] | select(.host != null) | .verdict] | unique | join(" ")')" ok
see audit.host 0 msix audit "$nvme"
see dry-run 0 bind --dry-run "$nvme" "$nic"
interface=$(ls "/sys/bus/pci/devices/$nic/net")
see dry-run.interface 0 bind --dry-run "$interface"
equal 'dry-run: the address of an interface' "$(sed -n 1p "$results/dry-run.interface")" "# $interface is $nic"
has dry-run.interface "^echo $nic > /sys/bus/pci/drivers/vfio-pci/bind\$"
equal 'dry-run: it changed nothing' "$(basename "$(readlink "/sys/bus/pci/devices/$nvme/driver")")" nvme

# ---- bound and idle ------------------------------------------------------------------------------------------------

see bind 0 bind "$nvme" "$nic"
see doctor 0 doctor "$nvme"
see idle 0 msix show "$nvme"
has idle 'unused'
see idle.trigger 0 msix trigger "$nvme" 3
has idle.trigger 'arrived at its eventfd'
see plan 0 bars "$nvme"

# ---- in a guest ------------------------------------------------------------------------------------------------------

# The input of the guest's console.
readonly fifo=/tmp/inspect_guest.console # not in $LAB_OUT: the share does not support pipes
mkfifo "$fifo"
exec 5<>"$fifo"
with_console() { exec "$@" <"$fifo"; }

# Watches from the start of the VMM on. `boot` may start several VMMs, so this repeats until the file "enough" exists.
watch_early() {
  until "$passthru" msix watch "$nvme" --interval 0.5 --json --latency >"$results/watch.early.json" 2>"$results/watch.early.err" ||
    [ -e "$results/enough" ]; do
    sleep 1
  done
}
watch_early &
early=$!
# Without the VMM's own audit: damage stays until a command restores it.
boot "$log" "$results/vmm.log" with_console "$passthru" run --inspect --audit off \
  --kernel "$guest/vmlinux" --initrd "$guest/initrd" \
  --append "$guest_append passthru.job=be-seen be-seen.moves=$moves be-seen.resets=$resets" \
  --cpus 2 --memory 128M --summary "$results/summary.json" --force --device "$nvme" --device "$nic"
wait_until_says reading
sleep 2
touch "$results/enough"
pkill -TERM -f 'msix watch' || true # between two attempts, no watch runs
wait "$early"
see show 0 msix show "$nvme"
see show.json 0 msix show "$nvme" --json
see explained 0 msix show "$nvme" --explain
see explained.json 0 msix show "$nvme" --explain --json
see watch 0 msix watch "$nvme" --interval 0.5 --count 3
see watch.latency 0 msix watch "$nvme" --interval 0.5 --count 2 --latency
see watch.json 0 msix watch "$nvme" --interval 0.5 --count 3 --json
see watch.latency.json 0 msix watch "$nvme" --interval 0.5 --count 2 --json --latency
got=0
"$passthru" msix watch "$nvme" --interval 0.2 --json >/dev/full 2>"$results/full.err" || got=$?
equal 'watch: exit status on a full disk' "$got" 3 "$results/full.err"
see trace 0 trace "$nvme" -o "$results/trace.json" --seconds 2
see trigger 0 msix trigger "$nvme" 1
see bars 0 bars "$nvme"
see bars.json 0 bars "$nvme" --json
see svg 0 bars "$nvme" --svg "$results/bars.svg"
see svg.again 3 bars "$nvme" --svg "$results/bars.svg"
see svg.force 0 bars "$nvme" --svg "$results/bars.svg" --force
build/release/tests/passthru_damage "$nvme" 1 1
see damaged 1 msix audit "$nvme" "$nic" --format=prometheus
see restored 0 msix audit "$nvme" --heal
see audit.all 0 msix audit --all
equal 'audit.all: the host has no interrupt of the NIC' "$(grep -c "vfio-.*($nic)" /proc/interrupts || [ $? -eq 1 ])" 0
perl -MIO::Socket::UNIX -e 'my $socket = IO::Socket::UNIX->new(Local => shift, Listen => 1) or die $!; sleep' \
  /run/passthru/vm/silent.sock &
silent=$!
until [ -S /run/passthru/vm/silent.sock ] || ! kill -0 "$silent"; do sleep 0.1; done
see silent 3 msix audit --all
# Fill the socket's queue, so that a further client cannot even connect.
perl -MIO::Socket::UNIX -e 'my @waiting; $SIG{ALRM} = sub { kill STOP => $$ }; alarm 1;
  push @waiting, IO::Socket::UNIX->new(Peer => $ARGV[0]) while 1' /run/passthru/vm/silent.sock &
waiting=$!
until grep -q stopped "/proc/$waiting/status" || ! kill -0 "$waiting"; do sleep 0.1; done
see silent.full 3 msix audit --all
kill -TERM "$silent" "$waiting"
kill -CONT "$waiting"
rm /run/passthru/vm/silent.sock
see topology.guest 0 topology "$nvme"
see busy 3 unbind "$nvme"

# ---- a trace of the guest's actions ----------------------------------------------------------------------------------

see before.json 0 msix show "$nvme" --json
"$passthru" trace "$nvme" -o "$results/marks.json" --json >"$results/marks.summary.json" 2>"$results/marks.err" &
tracer=$!
# The file has another name until it is whole.
until find "$results" -name '.marks.json.*' -size +0 | grep -q . || ! kill -0 "$tracer"; do sleep 0.1; done
sleep 1
build/release/tests/passthru_damage "$nvme" 1 1
see restored.traced 0 msix audit "$nvme" --heal
echo >&5
wait_until_says marked
sleep 1
kill -TERM "$tracer"
got=0
wait "$tracer" || got=$?
equal 'marks: exit status' "$got" 0 "$results/marks.err"
echo >&5

# ---- after the guest's end -------------------------------------------------------------------------------------------

wait_for_guest
equal 'the guest ended by itself' "$status" 0 "$log"
equal "the guest's log has no timeout" "$(said complaint)" ''
equal 'its socket is gone' "$(ls /run/passthru/vm)" ''

# ---- checks of the outputs: now, because a process beside a guest takes CPU time from it -----------------------------

equal 'watch.early: it began before the first interrupt' \
  "$(jq -s '.[0].vectors | map(.count) | add // 0' "$results/watch.early.json")" 0 "$results/watch.early.json"
equal 'watch.early: it times vectors that came into use later' \
  "$(jq -s '[.[-1].vectors[] | select(.rate > 0)] | length > 0 and all(.p99_ns > 0 and .owner == "forwarder")' \
    "$results/watch.early.json")" true "$results/watch.early.json"
has show 'by the VMM with pid'
has show ' ok .* irqfd '
has explained "^ok: "
has explained "'sudo passthru msix trigger $nvme VECTOR'"
equal 'explained: each verdict that occurs, once' "$(of explained.json '[.explanations[].verdict] | sort | join(", ")')" \
  "$(of explained.json '[.vectors[].verdict] | unique | join(", ")')"
equal 'show: explanations only on request' "$(of show.json 'has("explanations")')" false
equal 'show: no vector is damaged' "$(of show.json '[.vectors[] | select(.damaged)] | length')" 0
has watch 'vector [0-9]+ rate [1-9]'
has watch.latency 'via forwarder p50_ns [0-9]+ p99_ns [0-9]+'
documents watch.json 3
members watch.json . 'device seconds time_ns vectors version'
members watch.json '.vectors[]' 'changed count index owner p50_ns p99_ns rate verdict'
equal 'watch.json: interrupts arrived, and were not timed' "$(jq -rs 'map(.vectors | map(.rate) | add > 0) + map(
  .vectors | all(.p50_ns == null)) | unique | join(" ")' "$results/watch.json")" true
equal 'watch.latency.json: the interrupts were timed' \
  "$(jq -s '[.[].vectors[] | select(.rate > 0)] | length > 0 and all(.p99_ns > 0 and .owner == "forwarder")' \
    "$results/watch.latency.json")" true
has full.err 'write the output: No space left'
equal 'trace: for each vector, as many slices as the VMM has counted interrupts' \
  "$(of trace.json '[.traceEvents[] | select(.ph == "X") | .tid - 1] | group_by(.) | map("\(.[0]):\(length)") | join(" ")')" \
  "$(of trace.json '[.otherData.vectors[] | "\(.vector):\(.delivered)"] | join(" ")')"
equal 'trace: it has slices, and lost no event' \
  "$(of trace.json '"\([.traceEvents[] | select(.ph == "X")] | length > 10) \(.otherData.lost)"')" 'true 0'
has trigger 'arrived in the guest'
members bars.json . 'bars device guest msix name notes plan version'
# By the output of `msix show`: the pages of the table and of the pending bits are trapped, and nothing else in that
# BAR.
of show.json '.msix | [.table.bar, .table.offset, 16 * .vectors], [.pba.bar, .pba.offset, ((.vectors + 63) / 64 | floor) * 8]
  | [.[0], (.[1] / 4096 | floor) * 4096, ((.[1] + .[2]) / 4096 | ceil) * 4096] | @tsv' >"$results/holes"
equal 'bars: exactly the pages of the table and of the pending bits are trapped' \
  "$(jq -rn --slurpfile bars "$results/bars.json" --rawfile holes "$results/holes" '
    ($holes | split("\n") | map(select(. != "") | split("\t") | map(tonumber))) as $holes
    | [$bars[0].bars[] | select(.rom or .io | not) | .index as $bar | .spans[] | . as $span
       | range(.offset; .offset + .size; 4096) as $page
       | any($holes[]; .[0] == $bar and .[1] <= $page and $page < .[2]) != $span.mapped] | "\(all) \(length > 1)"')" 'true true'
equal 'bars: the spans cover each BAR without a gap' "$(of bars.json '[.bars[] | select(.spans | length > 0)
  | .size == ([.spans[].size] | add) and ([.spans[].offset] == [foreach .spans[].size as $size (0; . + $size; . - $size)])] | all')" true
equal 'bars: the text lists the same spans' \
  "$(grep -cE '^  [=#TP]  0x[0-9a-f]+ .* (mapped|trapped)( |$)' "$results/bars")" "$(of bars.json '[.bars[].spans[]] | length')" "$results/bars"
equal "bars: the guest's writes to its table are counted" \
  "$(of bars.json '[.bars[].spans[] | select(.mapped | not) | .trapped_writes] | add > 0')" true
has svg.again 'write .*bars.svg: File exists. Name another file, or replace it with --force'
has bars.svg '^<svg|<svg '
has damaged 'vector="1",verdict="cleared"} 1'
has restored 'restored'
has audit.all "^$nic: ok, 0 vectors in use"
has silent "^$nvme: ok, [1-9]"
for name in silent silent.full; do
  has $name 'ask the VMM at /run/passthru/vm/silent.sock: it does not answer. Check whether the VMM still runs'
done
has busy "has /dev/vfio/"

# ---- checks of the trace ---------------------------------------------------------------------------------------------

cat "$results/marks.summary.json"
members marks.summary.json . 'device ended file interrupts lost marks name seconds vectors version'
members marks.summary.json .marks 'bar_moved masked reset restored unmasked'
members marks.summary.json '.vectors[]' 'delivered slices vector'
equal 'marks: the counts of the summary match the file' \
  "$(of marks.summary.json '.interrupts, .marks.masked, .marks.unmasked, .marks.restored, .marks.reset, .marks.bar_moved')" \
  "$(of marks.json '.traceEvents | ([.[] | select(.ph == "X")] | length), ([.[] | select(.ph == "i").name] as $names
    | ("masked", "unmasked", "restored", "reset", "bar_moved") as $kind | [$names[] | select(. == $kind)] | length)')"
equal 'marks: for each vector, as many slices as counted interrupts, across resets too' \
  "$(of marks.summary.json '[.vectors[] | .slices == .delivered] | "\(all) \(length > 1)"')" 'true true' "$results/marks.summary.json"
equal 'marks: no event is lost' "$(of marks.summary.json .lost)" 0
equal 'marks: each mask has its unmask' "$(of marks.json '[.traceEvents[] | select(.ph == "i" and .tid == 1).name
  | select(. == "masked" or . == "unmasked")] | (map(select(. == "masked")) | length) - (map(select(. == "unmasked")) | length) | fabs <= 1')" true
equal "marks: the moved vector was masked at each move" \
  "$(of marks.json "[.traceEvents[] | select(.ph == \"i\" and .tid == 1 and .name == \"masked\")] | length >= $moves")" true
equal 'marks: as many resets as the VMM counted' \
  "$(of marks.summary.json .marks.reset)" "$(of summary.json '.devices[0].resets.function_level')"
equal 'marks: as many resets as the job makes' "$(of marks.summary.json .marks.reset)" "$resets"
equal 'marks: as many restores as the VMM counted in that time' "$(of marks.summary.json .marks.restored)" \
  "$(($(of summary.json '.devices[0].restores') - $(of before.json '[.vectors[].guest.restores] | add')))"
members summary.json . 'console_dropped devices end version'
see unbind 0 unbind "$nvme" "$nic"
finish
