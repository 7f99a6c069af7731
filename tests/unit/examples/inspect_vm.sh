#!/usr/bin/env bash
# tests/unit/examples/inspect_vm.sh - tests of the example inspect_vm.py, with a VMM that gives prepared answers.
# usage: inspect_vm.sh INSPECT_VM
# SPDX-License-Identifier: MIT
set -euo pipefail

readonly inspect_vm=$1
# shellcheck source=tests/unit/tools/equal.sh
source "${BASH_SOURCE[0]%/*}/../tools/equal.sh"
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cat >"$directory/vmm" <<'PYTHON'
import contextlib, socket, sys
answer = b" " * (5 << 20) if sys.argv[2] == "too long" else sys.argv[2].encode()
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen()
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as lines:
        with open(sys.argv[1] + ".request", "wb") as request:
            request.write(lines.readline())
        with contextlib.suppress(OSError):  # the example has disconnected
            connection.sendall(answer)
PYTHON

# shown ANSWER: prints what the example prints of a VMM that gives this answer, and its exit status.
shown() {
  local socket=$directory/vm.sock status=0 vmm
  rm -f "$socket"
  python3 "$directory/vmm" "$socket" "$1" &
  vmm=$!
  for _ in {1..100}; do
    [ ! -S "$socket" ] || break
    sleep 0.1
  done
  python3 "$inspect_vm" --socket "$socket" 2>&1 || status=$?
  wait "$vmm"
  echo "status $status"
}

vector() { # INDEX VERDICT DELIVERED WHY
  printf '{"index":%s,"verdict":"%s","owner":"irqfd","delivered":%s,"restores":3,"why":"%s"}' "$@"
}
device='{"device":"0000:01:00.0","guest_address":"0000:00:03.0","interrupt_mode":"MSI-X","detached":""'
device+=",\"vectors\":[$(vector 0 ok 812 ''),$(vector 1 cleared 71 'it is empty'),$(vector 2 unused 0 '')]}"
equal 'a device' "$(shown "{\"version\":1,\"pid\":42,\"devices\":[$device]}"$'\n')" \
  'VMM 42 has 0000:01:00.0, in the guest 0000:00:03.0, MSI-X
  VECTOR  VERDICT          OWNER      DELIVERED  RESTORES
       0  ok               irqfd            812         3
       1  cleared          irqfd             71         3  it is empty
status 0'
equal 'the request' "$(cat "$directory/vm.sock.request")" '{"request": "inspect"}'
error="inspect_vm: cannot inspect the VMM at $directory/vm.sock"
equal 'an error' "$(shown '{"version":1,"error":"no device","errno":19}'$'\n')" "$error: no device"$'\nstatus 1'
equal 'a VMM that ends' "$(shown '')" "$error: the VMM has closed the connection"$'\nstatus 1'
equal 'an answer that is no JSON' "$(shown $'?\n' | tail -n 1)" 'status 1'
equal 'an answer that is too long' "$(shown 'too long')" "$error: the answer is too long"$'\nstatus 1'
for wrong in '[]' 1 '{"pid":1,"devices":[1]}' "$(printf '%50000s' '' | tr ' ' '[')"; do
  equal "the answer ${wrong:0:30}" "$(shown "$wrong"$'\n' | sed '1s/ at .*/ at/')" "${error%% at *} at"$'\nstatus 1'
done

# U+009B begins a control sequence, U+202E turns the text around.
controls='\u001b[31m\u009b\u202e\n\u200bx'
equal 'control characters in an error' "$(shown "{\"error\":\"$controls\"}"$'\n')" "$error: ?[31m????x"$'\nstatus 1'
device='{"device":"0000:01:00.0","guest_address":"0000:00:03.0","interrupt_mode":"MSI-X"'
device+=",\"detached\":\"$controls\",\"vectors\":[$(vector 0 ok 1 "$controls")]}"
equal 'control characters in a device' \
  "$(shown "{\"pid\":42,\"devices\":[$device]}"$'\n' | grep -F -c '?[31m????x')" 2

status=0
python3 "$inspect_vm" --help >"$directory/help" || status=$?
equal '--help' "$status $(head -c 17 "$directory/help")" '0 usage: inspect_vm'
status=0
python3 "$inspect_vm" --unknown 2>"$directory/errors" || status=$?
equal 'wrong usage' "$status $(head -c 17 "$directory/errors")" '2 usage: inspect_vm'
exit "$((failures > 0))"
