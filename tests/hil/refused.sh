# tests/hil/refused.sh - functions that check refusals: the exit status that scripts rely on, a message that says what
# to do, and no change. Lab tests source it after checks.sh.
# SPDX-License-Identifier: MIT
# shellcheck shell=bash
readonly refusal=/tmp/said
before=''

# Prints all state of the devices that a command might change. It uses few processes: each takes a tenth of a second
# here.
state() {
  (
    shopt -s nullglob
    cd /sys/bus/pci/devices || exit
    find -- */driver -maxdepth 0 -printf '%p -> %l\n'
    grep -H '' -- */driver_override
    places=(/run/passthr[u] /dev/vfi[o]) # globs, so that only existing paths stay
    [ "${#places[@]}" = 0 ] || find "${places[@]}"
  )
}

# remember_state: saves the state that `refused` and `as_before` compare with.
remember_state() { before=$(state); }

# as_before WHAT: checks that the state has not changed.
as_before() {
  local now
  now=$(state)
  if [ "$now" = "$before" ]; then
    ok "$1"
  else
    diff <(echo "$before") <(echo "$now") >$refusal || [ $? -eq 1 ]
    failed "$1: the state differs" $refusal
  fi
}

# refused WHAT STATUS WORDS... -- COMMAND...: checks that COMMAND ends with STATUS, changes nothing, and prints one line
# on stderr that contains each of WORDS. A line about a limit of a device that was opened before does not count.
refused() {
  local what=$1 wanted=$2 status=0 words=() word missing='' now
  shift 2
  while [ "$1" != -- ]; do
    words+=("$1")
    shift
  done
  shift
  timeout --kill-after=5 "$(patience 12)" "$@" </dev/null >/dev/null 2>$refusal || status=$?
  for word in "${words[@]}"; do
    grep -qF -- "$word" $refusal || missing+=" '$word'"
  done
  now=$(state)
  if [ "$status" != "$wanted" ]; then
    failed "$what: status $status, expected $wanted" $refusal
  elif [ -n "$missing" ]; then
    failed "$what: the message lacks$missing" $refusal
  elif [ "$(grep -cv ': the device works with a limit: ' $refusal)" != 1 ]; then
    failed "$what: the message is not one line" $refusal
  elif [ "$now" != "$before" ]; then
    diff <(echo "$before") <(echo "$now") >$refusal || [ $? -eq 1 ]
    failed "$what: the command changed the state" $refusal
  else
    ok "$what: $(cat $refusal)"
  fi
}
