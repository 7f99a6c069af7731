# tests/hil/refused.sh - owns how a lab test sees that a command was refused: with the exit status that scripts rely on,
# a message that says what to do, and nothing changed. Sourced by them, after checks.sh.
# SPDX-License-Identifier: MIT
# shellcheck shell=bash
readonly refusal=/tmp/said
before=''

# Everything of the devices that a command might have changed. In few processes: each costs a tenth of a second here.
state() {
  (
    shopt -s nullglob
    cd /sys/bus/pci/devices || exit
    find -- */driver -maxdepth 0 -printf '%p -> %l\n'
    grep -H '' -- */driver_override
    places=(/run/passthr[u] /dev/vfi[o]) # those that are there
    [ "${#places[@]}" = 0 ] || find "${places[@]}"
  )
}

# remember_state: what `refused` and `as_before` compare with from now on.
remember_state() { before=$(state); }

# as_before WHAT
as_before() {
  local now
  now=$(state)
  if [ "$now" = "$before" ]; then
    ok "$1"
  else
    diff <(echo "$before") <(echo "$now") >$refusal || [ $? -eq 1 ]
    failed "$1: something is not as it was" $refusal
  fi
}

# refused WHAT STATUS WORDS... -- COMMAND...: each of WORDS is in the message, which is one line of standard error.
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
    failed "$what: status $status, not $wanted" $refusal
  elif [ -n "$missing" ]; then
    failed "$what: the message is without$missing" $refusal
  elif [ "$(wc -l <$refusal)" != 1 ]; then
    failed "$what: the message is not one line" $refusal
  elif [ "$now" != "$before" ]; then
    diff <(echo "$before") <(echo "$now") >$refusal || [ $? -eq 1 ]
    failed "$what: it changed something" $refusal
  else
    ok "$what: $(cat $refusal)"
  fi
}
