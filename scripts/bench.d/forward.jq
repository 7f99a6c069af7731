# scripts/bench.d/forward.jq - the tables of docs/performance.md with the results of forward_bench.
# SPDX-License-Identifier: MIT

def digits: if . == null then "-" else . * 100 | round / 100 | tostring | if test("\\.") then . else . + "." end
  | . + "00" | sub("(?<a>\\..{2}).*"; .a) end;
def ns: if . == null then "-" else round | tostring end;
def us: . / 100 | round / 10 | tostring;

def cost($way; $sink; $sources; $burst):
  .costs[] | select(.way == $way and .sink == $sink and .sources == $sources and .burst == $burst);

# Lines "WAY NAME SOURCES NS": the input of plot.awk.
def points: .costs[] | select(.sink == "eventfd" and .burst == .sources) | "\(.way)\t\(.name)\t\(.sources)\t\(.whole_ns)";

def ways: ["bare_write", "epoll_level", "epoll_edge", "ring_coop", "ring_defer", "forwarder", "forwarder_epoll"];

def document: . as $all |
  "| | compared with | target | whole | after the burst | thread's own | |",
  "|---|---|---|---|---|---|---|",
  (.wanted[] | "| \(.what) | \(.beside) | \(if .at_least then "≥" else "≤" end) \(.limit) | \(.found | digits) | \(.after | digits)"
    + " | \(.thread | digits) | \(if .met == null then "-" elif .met then "met" else "not met" end) |"),
  "",
  "CPU time of an event in ns, in bursts of 1 (of 64 sources), 64 and 512:", "",
  "| sink an eventfd | whole | after the burst | thread's own | sink a call: whole |",
  "|---|---|---|---|---|",
  (ways[] as $way | $all | select(any(.costs[]; .way == $way)) | [cost($way; "eventfd"; 64; 1), cost($way; "eventfd"; 64; 64), cost($way; "eventfd"; 512; 512)] as $three
    | [cost($way; "call"; 64; 1), cost($way; "call"; 64; 64), cost($way; "call"; 512; 512)] as $called
    | "| \($three[0].name) | \([$three[].whole_ns | ns] | join(", ")) | \([$three[].after_ns | ns] | join(", "))"
      + " | \([$three[1:][].thread_ns | ns] | join(", ")) | \([$called[].whole_ns | ns] | join(", ")) |"),
  "",
  "| one event in flight, in us | eventfd: p50 | p99 | call: p50 | p99 |",
  "|---|---|---|---|---|",
  (ways[1:][] as $way | $all.round_trips | map(select(.way == $way)) | select(. != [])
    | (map(select(.sink == "eventfd"))[0]) as $fd | (map(select(.sink == "call"))[0]) as $call
    | "| \($fd.name) | \($fd.p50_ns | us) | \($fd.p99_ns | us) | \($call.p50_ns | us) | \($call.p99_ns | us) |"),
  "",
  ("With 64 busy sources, adding a source takes \(.change.add_p50_ns | us) us (p99 \(.change.add_p99_ns | us)), removing it"
   + " \(.change.remove_p50_ns | us) us (p99 \(.change.remove_p99_ns | us))."), "",
  "\(.system), \(.cpus) CPUs, \(.rounds) rounds.";
