#!/usr/bin/env bash
# tests/hil/inspect_guest.sh - each subcommand that looks at a device, once, while a guest reads the drive and nobody but these
# looks: on a device of a host driver, on one that is bound and idle, and on the guest's. SVG and trace are left in
# $LAB_OUT/inspect_guest. Runs in the lab with an NVMe drive at 00:02.0 and a NIC at 00:03.0. usage: inspect_guest.sh [GUEST-IMAGES]
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2317 # dollars in quotes are jq's; with_console is called by boot
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly guest=${1:-build/lab/guest-test} nvme=0000:00:02.0 nic=0000:00:03.0
readonly passthru=build/release/tools/passthru results=$LAB_OUT/inspect_guest
readonly log=$results/guest.log moves=20 resets=2

[ -e "$guest/initrd" ] || {
  echo "inspect_guest.sh: $guest/initrd: no such image; scripts/guest-image --jobs tests/hil/jobs $guest makes it" >&2
  exit 2
}
rm -rf "$results"
mkdir -p "$results"

# see NAME STATUS COMMAND...: its output is kept in NAME, and shown.
see() {
  local name=$1 wanted=$2 got=0
  shift 2
  printf '\n$ passthru %s\n' "$*"
  "$passthru" "$@" >"$results/$name" 2>&1 || got=$?
  head -n 30 "$results/$name"
  equal "$name: exit status" "$got" "$wanted"
}
# has NAME WORDS: on some line of what was seen.
has() {
  if grep -qE "$2" "$results/$1"; then ok "$1: '$2'"; else failed "$1: '$2'" "$results/$1"; fi
}
of() { jq -r "$2" "$results/$1"; }
# members NAME PATH WANTED: of the object there, in alphabetical order, or of each of a list's.
members() {
  equal "$1: members of $2" "$(jq -rs "[.[] | $2 | keys | join(\" \")] | unique | join(\" | \")" "$results/$1")" "$3"
}
# documents NAME COUNT: a line each.
documents() { equal "$1: documents, one a line" "$(wc -l <"$results/$1") $(jq -s length "$results/$1")" "$2 $2"; }

# ---- a driver of the host has it ---------------------------------------------------------------------------------

see list 0 list
see topology 0 topology
see host 0 msix show "$nvme"
has host '^ +0 +ok '
see host.json 0 msix show "$nvme" --json
equal 'host: every vector that the driver has requested is ok' \
  "$(of host.json '[.vectors[] | select(.host != null) | .verdict] | unique | join(" ")')" ok
see audit.host 0 msix audit "$nvme"
see dry-run 0 bind --dry-run "$nvme" "$nic"
equal 'dry-run: it changed nothing' "$(basename "$(readlink "/sys/bus/pci/devices/$nvme/driver")")" nvme

# ---- bound, and idle -----------------------------------------------------------------------------------------------

see bind 0 bind "$nvme" "$nic"
see doctor 0 doctor "$nvme"
see idle 0 msix show "$nvme"
has idle 'unused'
see idle.trigger 0 msix trigger "$nvme" 3
has idle.trigger 'arrived at its eventfd'
see plan 0 bars "$nvme"

# ---- a guest has it --------------------------------------------------------------------------------------------------

# What is written there is a line on the guest's console.
readonly fifo=/tmp/inspect_guest.console # not in $LAB_OUT: a share has no pipes
mkfifo "$fifo"
exec 5<>"$fifo"
with_console() { exec "$@" <"$fifo"; }

# From the VMM's start on, of which there may be several, until it is enough.
watch_early() {
  until "$passthru" msix watch "$nvme" --interval 0.5 --json --latency >"$results/watch.early.json" 2>"$results/watch.early.err" ||
    [ -e "$results/enough" ]; do
    sleep 1
  done
}
watch_early &
early=$!
# Without an audit of its own: what is wrong stays wrong until somebody looks.
boot "$log" "$results/vmm.log" with_console "$passthru" run --inspect --audit off \
  --kernel "$guest/vmlinux" --initrd "$guest/initrd" \
  --append "$guest_append passthru.job=be-seen be-seen.moves=$moves be-seen.resets=$resets" \
  --cpus 2 --memory 128M --summary "$results/summary.json" --device "$nvme" --device "$nic"
wait_until_says reading
sleep 2
touch "$results/enough"
pkill -TERM -f 'msix watch' || true # it may be between two, where the guest has ended
wait "$early"
see show 0 msix show "$nvme"
see show.json 0 msix show "$nvme" --json
see watch 0 msix watch "$nvme" --interval 0.5 --count 3
see watch.latency 0 msix watch "$nvme" --interval 0.5 --count 2 --latency
see watch.json 0 msix watch "$nvme" --interval 0.5 --count 3 --json
see watch.latency.json 0 msix watch "$nvme" --interval 0.5 --count 2 --json --latency
got=0
"$passthru" msix watch "$nvme" --interval 0.2 --json >/dev/full 2>"$results/full.err" || got=$?
equal 'watch: a full disk ends it' "$got" 3 "$results/full.err"
see trace 0 trace "$nvme" -o "$results/trace.json" --seconds 2
see trigger 0 msix trigger "$nvme" 1
see bars 0 bars "$nvme"
see bars.json 0 bars "$nvme" --json
see svg 0 bars "$nvme" --svg "$results/bars.svg"
see svg.again 3 bars "$nvme" --svg "$results/bars.svg"
see svg.force 0 bars "$nvme" --svg "$results/bars.svg" --force
build/release/tests/passthru_damage "$nvme" 1 1
see damaged 1 msix audit "$nvme" "$nic" --format=prometheus
see healed 0 msix audit "$nvme" --heal
see audit.all 0 msix audit --all
equal 'audit.all: the host has no interrupt of the NIC' "$(grep -c "vfio-.*($nic)" /proc/interrupts || [ $? -eq 1 ])" 0
perl -MIO::Socket::UNIX -e 'my $socket = IO::Socket::UNIX->new(Local => shift, Listen => 1) or die $!; sleep' \
  /run/passthru/vm/silent.sock &
silent=$!
until [ -S /run/passthru/vm/silent.sock ] || ! kill -0 "$silent"; do sleep 0.1; done
see silent 3 msix audit --all
# As many wait as it has room for: one more is not even connected.
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

# ---- what the guest does, in a trace ---------------------------------------------------------------------------------

see before.json 0 msix show "$nvme" --json
"$passthru" trace "$nvme" -o "$results/marks.json" --json >"$results/marks.summary.json" 2>"$results/marks.err" &
tracer=$!
until [ -s "$results/marks.json" ] || ! kill -0 "$tracer"; do sleep 0.1; done
sleep 1
build/release/tests/passthru_damage "$nvme" 1 1
see healed.traced 0 msix audit "$nvme" --heal
echo >&5
wait_until_says marked
sleep 1
kill -TERM "$tracer"
got=0
wait "$tracer" || got=$?
equal 'marks: exit status' "$got" 0 "$results/marks.err"
echo >&5

# ---- afterwards ------------------------------------------------------------------------------------------------------

wait_for_guest
equal 'the guest ended by itself' "$status" 0 "$log"
equal "the guest's log has no timeout" "$(said complaint)" ''
equal 'its socket is gone' "$(ls /run/passthru/vm)" ''

# ---- what was seen while it ran: a process that is started beside a guest takes its time from it ---------------------

equal 'watch.early: it began before any vector came' \
  "$(jq -s '.[0].vectors | map(.count) | add // 0' "$results/watch.early.json")" 0 "$results/watch.early.json"
equal 'watch.early: vectors that came into use under it are timed' \
  "$(jq -s '[.[-1].vectors[] | select(.rate > 0)] | length > 0 and all(.p99_ns > 0 and .owner == "forwarder")' \
    "$results/watch.early.json")" true "$results/watch.early.json"
has show 'by the VMM with pid'
has show ' ok .* irqfd '
equal 'show: nothing is damaged' "$(of show.json '[.vectors[] | select(.damaged)] | length')" 0
has watch 'vector [0-9]+ rate [1-9]'
has watch.latency 'via forwarder p50_ns [0-9]+ p99_ns [0-9]+'
documents watch.json 3
members watch.json . 'device seconds time_ns vectors'
members watch.json '.vectors[]' 'changed count index owner p50_ns p99_ns rate verdict'
equal 'watch.json: interrupts came, and nobody timed them' "$(jq -rs 'map(.vectors | map(.rate) | add > 0) + map(
  .vectors | all(.p50_ns == null)) | unique | join(" ")' "$results/watch.json")" true
equal 'watch.latency.json: those that came are timed' \
  "$(jq -s '[.[].vectors[] | select(.rate > 0)] | length > 0 and all(.p99_ns > 0 and .owner == "forwarder")' \
    "$results/watch.latency.json")" true
has full.err 'write the output: No space left'
equal 'trace: one slice for each interrupt that the VMM has counted, by vector' \
  "$(of trace.json '[.traceEvents[] | select(.ph == "X") | .tid - 1] | group_by(.) | map("\(.[0]):\(length)") | join(" ")')" \
  "$(of trace.json '[.otherData.vectors[] | "\(.vector):\(.delivered)"] | join(" ")')"
equal 'trace: there were some, and none is missing' \
  "$(of trace.json '"\([.traceEvents[] | select(.ph == "X")] | length > 10) \(.otherData.lost)"')" 'true 0'
has trigger 'arrived in the guest'
members bars.json . 'bars device guest msix name notes plan'
# From what `msix show` says of the table: its pages and the pending bits' are trapped, and nothing else of that BAR.
of show.json '.msix | [.table.bar, .table.offset, 16 * .vectors], [.pba.bar, .pba.offset, ((.vectors + 63) / 64 | floor) * 8]
  | [.[0], (.[1] / 4096 | floor) * 4096, ((.[1] + .[2]) / 4096 | ceil) * 4096] | @tsv' >"$results/holes"
equal 'bars: what is trapped is the pages of the table and of the pending bits' \
  "$(jq -rn --slurpfile bars "$results/bars.json" --rawfile holes "$results/holes" '
    ($holes | split("\n") | map(select(. != "") | split("\t") | map(tonumber))) as $holes
    | [$bars[0].bars[] | select(.rom or .io | not) | .index as $bar | .spans[] | . as $span
       | range(.offset; .offset + .size; 4096) as $page
       | any($holes[]; .[0] == $bar and .[1] <= $page and $page < .[2]) != $span.mapped] | "\(all) \(length > 1)"')" 'true true'
equal 'bars: each BAR is covered, without a gap' "$(of bars.json '[.bars[] | select(.spans | length > 0)
  | .size == ([.spans[].size] | add) and ([.spans[].offset] == [foreach .spans[].size as $size (0; . + $size; . - $size)])] | all')" true
equal 'bars: the text lists the same spans' \
  "$(grep -cE '^  [=#TP]  0x[0-9a-f]+ .* (mapped|trapped)( |$)' "$results/bars")" "$(of bars.json '[.bars[].spans[]] | length')" "$results/bars"
equal "bars: the guest's own use of its table is counted" \
  "$(of bars.json '[.bars[].spans[] | select(.mapped | not) | .trapped_writes] | add > 0')" true
has svg.again 'write .*bars.svg: File exists. Name another file, or replace it with --force'
has bars.svg '^<svg|<svg '
has damaged 'vector="1",verdict="cleared"} 1'
has healed 'restored'
has audit.all "^$nic: ok, 0 vectors in use"
has silent "^$nvme: ok, [1-9]"
for name in silent silent.full; do
  has $name 'ask the VMM at /run/passthru/vm/silent.sock: it does not answer. Look whether it still runs'
done
has busy "another process uses IOMMU group"

# ---- what its trace says of it ---------------------------------------------------------------------------------------

cat "$results/marks.summary.json"
members marks.summary.json . 'device ended file interrupts lost marks name seconds vectors'
members marks.summary.json .marks 'bar_moved masked reset restored unmasked'
members marks.summary.json '.vectors[]' 'delivered slices vector'
equal 'marks: the summary counts what is in the file' \
  "$(of marks.summary.json '.interrupts, .marks.masked, .marks.unmasked, .marks.restored, .marks.reset, .marks.bar_moved')" \
  "$(of marks.json '.traceEvents | ([.[] | select(.ph == "X")] | length), ([.[] | select(.ph == "i").name] as $names
    | ("masked", "unmasked", "restored", "reset", "bar_moved") as $kind | [$names[] | select(. == $kind)] | length)')"
equal 'marks: slices are as many as the VMM has counted, by vector, through resets too' \
  "$(of marks.summary.json '[.vectors[] | .slices == .delivered] | "\(all) \(length > 1)"')" 'true true' "$results/marks.summary.json"
equal 'marks: nothing is lost' "$(of marks.summary.json .lost)" 0
equal 'marks: each mask has its unmask' "$(of marks.json '[.traceEvents[] | select(.ph == "i" and .tid == 1).name
  | select(. == "masked" or . == "unmasked")] | (map(select(. == "masked")) | length) - (map(select(. == "unmasked")) | length) | fabs <= 1')" true
equal "marks: the vector that was moved was masked at each move" \
  "$(of marks.json "[.traceEvents[] | select(.ph == \"i\" and .tid == 1 and .name == \"masked\")] | length >= $moves")" true
equal 'marks: a reset for each that the guest has made' \
  "$(of marks.summary.json .marks.reset)" "$(of summary.json '.devices[0].resets.function_level')"
equal 'marks: that are those it was asked for' "$(of marks.summary.json .marks.reset)" "$resets"
equal 'marks: a restore for each that the VMM has made in that time' "$(of marks.summary.json .marks.restored)" \
  "$(($(of summary.json '.devices[0].restores') - $(of before.json '[.vectors[].guest.restores] | add')))"
members summary.json . 'console_dropped devices end'
see unbind 0 unbind "$nvme" "$nic"
finish
