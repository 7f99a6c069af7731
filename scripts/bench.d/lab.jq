# scripts/bench.d/lab.jq - the results of the lab's runs: medians, ratios to QEMU, and their table. Its input is the
# output of scripts/bench.d/inside.
# SPDX-License-Identifier: MIT

def median: sort | if length == 0 then null else (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2 end;
def hundredth: . * 100 | round / 100;
def digits: hundredth | tostring | if test("\\.") then . else . + "." end | . + "00" | sub("(?<a>\\..{2}).*"; .a);
def tenth: . * 10 | round / 10;

# The rows of one run. "at_least": more is better. Without "limit" there is no target.
def rows: [
  {what: "start to the guest's first instruction", value: .first_entry_us},
  {what: "start to the guest's first line", limit: 0.7, value: .first_line_us},
  {what: "start to its first read of the drive", limit: 0.7, value: .first_read_us},
  {what: "4 KiB random reads a second, one in flight", limit: 1, at_least: true, value: (.reads_1 / .read_us_1)},
  {what: "4 KiB random reads a second, 32 in flight", limit: 1, at_least: true, value: (.reads_32 / .read_us_32)},
  {what: "resident memory beyond the guest's RAM", limit: 0.33, value: .beyond_ram_kib},
  {what: "VM exits a read, one in flight", limit: 1, value: (.exits_1 / .reads_1)},
  {what: "VM exits a read, 32 in flight", limit: 1, value: (.exits_32 / .reads_32)}
];

def of($vmm): map(select(.vmm == $vmm));
def by_vmm(f): [group_by(.vmm)[] | {key: .[0].vmm, value: f}] | from_entries;

# The input: all runs. Round 0 only fills caches.
def summary($qemu; $kernel):
  map(select(.round > 0 and (.counted | not))) as $runs
  | {qemu: $qemu, kernel: $kernel, rounds: ($runs | map(.round) | max),
     rows: [
       range(0; $runs[0] | rows | length) as $i
       | ($runs | by_vmm(map(rows[$i].value) | median)) as $median
       | ($runs[0] | rows[$i] | {what, limit, at_least: (.at_least // false)})
         + {median: $median, ratio: ($median.passthru / $median.qemu | hundredth),
            best: ($runs | by_vmm(map(rows[$i].value) | if $runs[0] | rows[$i].at_least then max else min end) | .passthru / .qemu),
            each_round: [$runs | group_by(.round)[] | (of("passthru")[0] | rows[$i].value) / (of("qemu")[0] | rows[$i].value)]}
       | .met = (if .limit == null then null elif .at_least then .ratio >= .limit else .ratio <= .limit end)],
     beyond_ram_mib: ($runs | by_vmm(map(.beyond_ram_kib) | median / 1024)),
     exits_a_read: ($runs | by_vmm(map(.exits_1 / .reads_1) | median)),
     exits_to_the_vmm: ($runs | by_vmm(map(.handled_1 + .handled_32) | max)),
     calls_a_second: (map(select(.counted)) | by_vmm(map(([.calls[]] | add) / .read_us_1 * 1e6)[0])),
     calls: (map(select(.counted)) | by_vmm(.[0].calls))};

def table:
  "| `passthru run` to QEMU \(.qemu), \(.rounds) runs each | of medians | of the best | in each round | target for medians | |",
  "|---|---|---|---|---|---|",
  (.rows[] | "| \(.what) | \(.ratio | digits) | \(.best | digits) | \(.each_round | min | digits) to \(.each_round | max | digits)"
    + (if .limit == null then " | | |" else
      " | \(if .at_least then "≥" else "≤" end) \(.limit) | \(if .met then "met" else "not met" end) |" end));

def document:
  table, "",
  ("Beyond its guest's RAM, `passthru run` keeps \(.beyond_ram_mib.passthru | tenth) MiB resident, QEMU \(.beyond_ram_mib.qemu | tenth) MiB."
   + " One read at a time makes \(.exits_a_read.passthru | digits) and \(.exits_a_read.qemu | digits) VM exits;"
   + " the VMM handles no exit for a read: all \(.exits_to_the_vmm.passthru) and \(.exits_to_the_vmm.qemu) exits that it handled"
   + " were bytes that the guest wrote to its console."
   + " Meanwhile the VMM makes \(.calls_a_second.passthru | round) and \(.calls_a_second.qemu | round) system calls a second"
   + " (\([.calls.passthru | to_entries[] | "\(.key | sub("^sys_"; ""))"] | join(", ")) and "
   + "\([.calls.qemu | to_entries[] | "\(.key | sub("^sys_"; ""))"] | join(", ")))."), "",
  "Kernel of host and guest: Linux \(.kernel).";
