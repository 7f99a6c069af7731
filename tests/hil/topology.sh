#!/usr/bin/env bash
# tests/hil/topology.sh - checks that `passthru topology` shows the same tree as lspci: as booted, after a switch is
# removed, after it is found again, and after its buses get other numbers. Checks also that it reports wrong numbers,
# and that --watch reports all changes. Runs in the lab, with a switch behind the port at 00:02.0 and bridges to
# conventional PCI behind the port at 00:03.0. usage: topology.sh [as-booted]
# as-booted: only the tree as booted. A kernel with pci=assign-busses renumbers bridges at each rescan, even bridges in
# use, so that no tree is right.
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2317 # called by wait_until and from a trap
set -euo pipefail

# shellcheck source=tests/hil/checks.sh
source "${BASH_SOURCE[0]%/*}/checks.sh"

readonly port=0000:00:02.0 other_port=0000:00:03.0 third_port=0000:00:04.0
readonly results=$LAB_OUT/topology
readonly nobody=65534
# A path that any user can reach, wherever the repository is.
readonly passthru=/tmp/reachable/passthru
mkdir -p "$results" /tmp/reachable
cp build/release/tools/passthru $passthru

sysfs() { echo /sys/bus/pci/devices/"$1"; }
functions() { ls /sys/bus/pci/devices; }

# Print "PARENT CHILD" for each function, with "-" as the parent on a root bus: from the JSON, the text, and lspci.
edges_of_json() { "$@" $passthru topology --json | jq -r '.devices[] | "\(.parent // "-") \(.device)"' | sort; }
edges_of_text() {
  $passthru topology | awk '{ depth = (match($0, /[^ ]/) - 1) / 2; at[depth] = $1
                              print (depth ? at[depth - 1] : "-"), $1 }' | sort
}
edges_of_lspci() {
  lspci -D -n -PP | awk '{ n = split($1, path, "/"); domain = substr(path[1], 1, 5)
                           for (i = 2; i <= n; i++) path[i] = domain path[i]
                           print (n > 1 ? path[n - 1] : "-"), path[n] }' | sort
}

# compare WHAT GOT WANTED: checks that two texts are equal.
compare() {
  if diff <(echo "$2") <(echo "$3") >"$results/diff"; then ok "$1"; else failed "$1" "$results/diff"; fi
}

# the_same WHEN: checks that all views show the tree of lspci, with all functions of sysfs.
the_same() {
  local got wanted
  got=$(edges_of_json)
  wanted=$(edges_of_lspci)
  compare "$1: the tree of lspci" "$got" "$wanted"
  compare "$1: as text" "$(edges_of_text)" "$wanted"
  compare "$1: for a user without root" "$(edges_of_json setpriv --reuid=$nobody --regid=$nobody --clear-groups)" "$wanted"
  compare "$1: all functions of sysfs" "$(cut -d' ' -f2 <<<"$got" | sort)" "$(functions)"
}

# wait_until WHAT COMMAND...: checks that COMMAND succeeds within 20 s.
wait_until() { succeeds_within 20 "$1" "$results/watch.log" "${@:2}"; }

# told WORD FUNCTION...: returns 0 if --watch has printed "WORD FUNCTION" for each function since `remember_told`.
told_before=0
told() {
  local word=$1 function
  shift
  for function in "$@"; do
    tail -n "+$((told_before + 1))" "$results/watch.log" | grep -qx "$word $function" || return 1
  done
}
# shown FUNCTION: returns 0 if --watch has shown the function below another since `remember_told`.
shown() { tail -n "+$((told_before + 1))" "$results/watch.log" | grep -q "^  *$1 "; }
remember_told() { told_before=$(wc -l <"$results/watch.log"); }

behind() { edges_of_lspci | awk -v from="$1" '
  { parent[$2] = $1 }
  END { for (each in parent) for (at = parent[each]; at != "" && at != "-"; at = parent[at]) if (at == from) print each }' |
  sort; }

rescan() { echo 1 >/sys/bus/pci/rescan; }
remove() { echo 1 >"$(sysfs "$1")/remove"; }

# Print "FUNCTION capability WORD..." and "FUNCTION enabled WORD..." for each function with ACS. acs_of_lspci translates
# lspci's words for the set bits; acs_of_json prints ours.
acs_of_lspci() {
  # lspci reports on stderr that the list of modules is missing.
  lspci -D -vv 2>"$results/lspci.log" | awk '
    /^[0-9a-f]/ { here = $1 }
    $1 == "ACSCap:" || $1 == "ACSCtl:" {
      printf "%s %s", here, $1 == "ACSCap:" ? "capability" : "enabled"
      for (i = 2; i <= NF; i++) if ($i ~ /\+$/) printf " %s", substr($i, 1, length($i) - 1)
      print ""
    }' |
    sed -e 's/SrcValid/source validation/; s/TransBlk/translation blocking/; s/ReqRedir/request redirect/' \
      -e 's/CmpltRedir/completion redirect/; s/UpstreamFwd/upstream forwarding/; s/EgressCtrl/egress control/' \
      -e 's/DirectTrans/direct translated/' | sort
}
acs_of_json() {
  jq -r '.devices[] | select(.acs) | .device as $device | .acs | "\($device) capability\(.capability | map(" " + .) | add // "")",
    "\($device) enabled\(.enabled | map(" " + .) | add // "")"' "$results/boot.json" | sort
}
acs() {
  local got with
  got=$(acs_of_json)
  with=$(grep -c ' capability ' <<<"$got")
  compare "the ACS of $with functions is the same as in lspci" "$got" "$(acs_of_lspci)"
  [ "$with" -ge 3 ] || failed 'the ports have ACS'
}

hot_reset() { $passthru topology --json | jq -r --arg device "$1" '.devices[] | select(.device == $device) | .hot_reset[]'; }
secondary() { setpci -s "$1" SECONDARY_BUS; }

$passthru topology --watch > >(cat >"$results/watch.log") &
watch=$!
$passthru topology --watch --json > >(cat >"$results/watch.json") &
watch_json=$!
tear_down() { kill "$watch" "$watch_json" 2>/dev/null || true; } # they may have ended already
wait_until 'the watch has begun' grep -q "^$port " "$results/watch.log"
wait_until 'the watch in JSON has begun' test -s "$results/watch.json"

$passthru topology >"$results/boot.txt"
$passthru topology --json >"$results/boot.json"
booted=$(functions)
switch=$(behind $port | head -n 1)
readonly booted switch
equal 'functions, at least' "$(($(wc -w <<<"$booted") >= 25))" 1
the_same 'as booted'
acs

# One of the two functions of a device behind a port of the switch.
one=$(behind "$switch" | grep '\.1$')
compare 'a hot reset includes the other function' "$(hot_reset "$one")" "$(printf '%s\n' "${one%.1}.0" "$one")"
compare 'a hot reset of a switch includes all functions behind the port' "$(hot_reset "$switch")" "$(behind $port)"
compare 'a hot reset of conventional PCI includes all functions behind its bridge' \
  "$(hot_reset "$(behind $other_port | sed -n 2p)")" "$(behind "$(behind $other_port | head -n 1)")"
equal "one device: the text lists its hot reset" "$($passthru topology "$one" | tail -n 1)" \
  "a hot reset of $one also resets: ${one%.1}.0"
compare 'one device: the text shows only its path' "$($passthru topology "$one" | sed '$d' | awk '{ print $1 }')" \
  "$(lspci -D -n -PP | awk -v one="$one" '{ n = split($1, path, "/"); if (substr(path[1], 1, 5) path[n] == one) {
     print path[1]; for (i = 2; i <= n; i++) print substr(path[1], 1, 5) path[i] } }')"

[ "${1:-}" != as-booted ] || finish

gone=$(behind "$switch")
gone+=$'\n'$switch
remember_told
remove "$switch"
the_same 'without the switch'
compare 'all functions behind it are gone' "$(functions)" "$(grep -vxF "$gone" <<<"$booted")"
# shellcheck disable=SC2086 # one word for each function
wait_until '--watch reported each removed function' told removed $gone

remember_told
rescan
the_same 'with the switch again'
compare 'all functions are back' "$(functions)" "$booted"
# shellcheck disable=SC2086
wait_until '--watch reported each added function' told added $gone
wait_until '--watch showed the switch in its place' shown "$switch"

# If the kernel finds a bridge without bus numbers, it assigns new numbers above all numbers in use.
before=$(secondary $port)
remember_told
for function in $(edges_of_lspci | awk -v port=$port '$1 == port { print $2 }'); do remove "$function"; done
setpci -s $port PRIMARY_BUS.L=0
remove $port
rescan
equal 'the buses have other numbers' "$([ "$before" != "$(secondary $port)" ] && echo yes)" yes
the_same 'with other bus numbers'
compare 'no function behind that port has its old number' "$(functions | grep "^0000:$before:")" ''
equal 'the number of functions is the same' "$(functions | wc -w)" "$(wc -w <<<"$booted")"
# shellcheck disable=SC2046
wait_until '--watch reported each function in its new place' told added $(behind $port)

# Make the third port claim the bus of the second.
status=0 status_json=0
right=$(secondary $third_port)
setpci -s $third_port SECONDARY_BUS="$(secondary $other_port)"
$passthru topology >"$results/wrong.txt" || status=$?
$passthru topology --json >"$results/wrong.json" || status_json=$?
setpci -s $third_port SECONDARY_BUS="$right"
equal 'wrong numbers: exit statuses, as text and as JSON' "$status $status_json" '1 1'
equal 'wrong numbers: the fault of the port' "$(grep "^fault: $third_port" "$results/wrong.txt")" \
  "fault: $third_port: its secondary bus $(secondary $other_port) already belongs to $other_port"
equal 'wrong numbers: the fault of the unreachable device' \
  "$(jq -r --arg device "0000:$right:00.0" '.faults[] | select(.device == $device) | .fault' "$results/wrong.json")" \
  "it is on bus $right, which is neither behind a bridge nor a root bus"
the_same 'with the right numbers again'

equal '--watch still runs' "$(kill -0 $watch && echo yes)" yes
kill $watch
# The same events as JSON, one document on each line: events, and the trees that follow them.
told_as_json() {
  jq -rs --arg device "$switch" '[.[] | select(.device == $device and .event != "changed") | .event] | join(" ")' \
    "$results/watch.json"
}
told_all_as_json() { [[ $(told_as_json) == 'removed added'* ]]; }
# Prints where the watch in JSON is, and whether the kernel dropped events for it.
state_of_json_watch() {
  local file
  for file in status wchan stack syscall; do
    printf '%s: ' $file
    head -n 40 "/proc/$watch_json/$file" || true # the process may have ended
  done
  cat /proc/net/netlink
  wc "$results/watch.json"
}
wait_until '--watch --json reported the removed and added switch' told_all_as_json
told_all_as_json || state_of_json_watch
equal '--watch --json: documents and lines' "$(jq -s length "$results/watch.json")" "$(wc -l <"$results/watch.json")"
equal '--watch --json: members of each' "$(jq -rs '[.[] | .event + ": " + (keys | join(" "))] | unique | join("; ")' "$results/watch.json" |
  sed 's/; changed: action device event version//')" \
  'added: action device event version; removed: action device event version; topology: devices event faults version'
compare '--watch --json: all devices at first' "$(jq -rs '.[0].devices[].device' "$results/watch.json")" "$booted"
kill $watch_json
finish
