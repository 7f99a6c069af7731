#!/usr/bin/env bash
# tests/unit/examples/unprivileged.sh - attacks by the process that examples/unprivileged starts: on the terminal, on
# other guests and on root's secrets. Also tests what ends that process. Needs root, but no KVM and no devices:
# /dev/null replaces them.
# usage: unprivileged.sh EXAMPLE PASSTHRU ATTACKS
# SPDX-License-Identifier: MIT
set -euo pipefail

if [ "$(id -u)" != 0 ]; then
  echo "skipped: cannot run examples/unprivileged: that needs root. Run: sudo ctest -R unit.unprivileged" >&2
  exit 77
fi
if [ "${1-}" != --apart ]; then exec unshare --mount -- "$0" --apart "$@"; fi
shift

# shellcheck source=tests/unit/tools/equal.sh
source "${BASH_SOURCE[0]%/*}/../tools/equal.sh"
directory=$(mktemp -d)
trap 'end_guests; rm -rf "$directory"' EXIT
chmod 755 "$directory"

# Any user can run these copies, even if the build directory is private.
install -m 755 "$1" "$directory/example"
install -m 755 "$2" "$directory/passthru"
install -m 755 "$3" "$directory/attacks"
readonly example=("$directory/example" --memlock 1) attacks=$directory/attacks

# A private /dev.
mkdir "$directory/dev"
mount -t tmpfs none "$directory/dev"
mkdir "$directory/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 none "$directory/dev/pts"
ln -s pts/ptmx "$directory/dev/ptmx"
for node in null zero random urandom tty; do
  touch "$directory/dev/$node"
  mount --bind "/dev/$node" "$directory/dev/$node"
done
touch "$directory/dev/kvm"
mount --bind /dev/null "$directory/dev/kvm"
mount --move "$directory/dev" /dev

# A pipe that stays empty.
mkfifo "$directory/silence"
exec {silence}<>"$directory/silence"

# refused WHAT WORDS COMMAND...: the attack must fail with WORDS in its output.
refused() {
  local status=0 said
  said=$(timeout 60 "${@:3}" 2>&1 </dev/null) || status=$?
  if [ "$status" = 1 ] && grep -qF -- "$2" <<<"$said"; then
    echo "ok      $1: $said"
  else
    echo "FAILED  $1: status $status: $said"
    failures=$((failures + 1))
  fi
}

# start_guest SCRIPT: starts SCRIPT as a guest's command and reads its first line into `line`. Sets `parent` and `guest`
# to the processes, and `output` to a descriptor that can be read until the guest has ended.
parent='' guest='' line='' output='' parents=()
start_guest() {
  local pipe=$directory/pipe
  rm -f "$pipe"
  mkfifo "$pipe"
  "${example[@]}" -- sh -c "$1" sh <&"$silence" >"$pipe" &
  parent=$!
  parents+=("$parent")
  exec {output}<"$pipe"
  read -r -t 60 -u "$output" line || line='the guest wrote no line'
  guest=$parent
  # Follows the children to the last process. It is the command, because it has written a line.
  while pgrep -P "$guest" >/dev/null; do guest=$(pgrep -n -P "$guest"); done
}

# Kills the guests that still run. If the example is broken, processes remain that have this directory in their command
# line.
end_guests() {
  local parent
  for parent in "${parents[@]}"; do
    if kill -0 "$parent"; then kill -KILL "$parent" || continue; fi # it has just ended
  done
  # Exit status 1 of pkill: no process matched.
  pkill -KILL -f "^$directory/" || [ $? = 1 ]
  wait
} 2>/dev/null # hides the shell's reports of killed processes

# status_of PARENT: waits for its end and sets `status`. Kills it after a minute.
status_of() {
  timeout 60 tail -f -s 0.1 --pid="$1" /dev/null || kill -KILL "$1"
  status=0
  wait "$1" || status=$?
}

# A shell built-in, so that a guest's command is one process.
readonly wait_for_ever='read -r never'

echo '# the filter of system calls'
"$attacks" calls || failures=$((failures + 1))

echo "# root's terminal"
said=$("$attacks" terminal sh -c "${example[*]} -- $attacks inject; echo 'type end'; read -r line; echo \"read: \$line\"")
equal "a guest cannot type into root's shell" "$(sed -n 's/^read: //p' <<<"$said")" end
equal 'TIOCSTI is refused, whatever its upper half' "$(grep -c '^TIOCSTI: Operation not permitted' <<<"$said")" 2
# shellcheck disable=SC2016 # the inner shell expands it
own_terminal='set -- $(cat /proc/self/stat); echo "controlling terminal: $7"'
said=$("$attacks" terminal "${example[@]}" -- sh -c "$own_terminal" sh)
equal 'a guest has no controlling terminal' "$said" 'controlling terminal: 0'

echo '# another guest'
start_guest "echo \$(id -u); $wait_for_ever"
readonly victim=$guest victims_parent=$parent victims_user=$line
equal "a guest has its own user" "$victims_user" $((0x70000000 + victims_parent))
for kind in ipc mnt net pid; do
  equal "namespaces $kind of root and guest" "$(readlink "/proc/self/ns/$kind" "/proc/$victim/ns/$kind" | uniq | wc -l)" 2
done
refused 'taking its descriptors' 'No such process' "${example[@]}" -- "$attacks" take "$victim"
refused 'killing it' 'No such process' "${example[@]}" -- sh -c "kill -KILL $victim" sh
refused 'signalling any other process' 'No such process' "${example[@]}" -- sh -c 'kill -0 -1' sh
equal 'it still runs' "$(ps -o uid= -p "$victim" | xargs)" "$victims_user"
# shellcheck disable=SC2016
equal 'a guest sees its own processes only' "$("${example[@]}" -- sh -c 'cd /proc && echo [0-9]*' sh)" '1 2'
said=$("${example[@]}" -- sh -c 'cut -s -d: -f1 /proc/net/dev' sh | xargs)
equal 'a guest has no network' "$said" lo
refused 'making a user namespace with all capabilities' 'not permitted' "${example[@]}" -- unshare --user true
start_guest "echo \$(id -u); $wait_for_ever"
equal 'two guests have two users' "$([ "$line" = "$victims_user" ] && echo one || echo two)" two
status=0
said=$("${example[@]}" --user "$line" -- true 2>&1) || status=$?
equal "a user in use is refused" "$status ${said%% has it.*}" "3 unprivileged: cannot use user $line: process $(
  pgrep -P "$parent")"
# Two processes of one user, if the command is started without the example.
mkfifo -m 666 "$directory/summary"
setpriv --reuid="$victims_user" --regid="$victims_user" --clear-groups \
  "$directory/passthru" run --kernel /nope --kvm-fd 3 --summary "$directory/summary" 3<>/dev/null &
parents+=("$!")
# Waits until it blocks in the open of the summary.
until grep -qs '^257 ' "/proc/$!/syscall" && grep -qs '^State:.S' "/proc/$!/status"; do
  kill -0 "$!" # the test fails here if it has ended
  sleep 0.1
done
refused 'taking descriptors of passthru run as its own user' 'not permitted' \
  setpriv --reuid="$victims_user" --regid="$victims_user" --clear-groups "$attacks" take "$!"

echo "# root's secrets"
said=$(env -i PATH="$PATH" AWS_SECRET=s SSH_AUTH_SOCK=/a HOME=/root TERM=t LANG=C LC_ALL=C LANGUAGE=x PASSTHRU_NO_URING=1 \
  "${example[@]}" -- "$attacks" environment | sort | xargs)
equal 'the environment' "$said" 'LANG=C LC_ALL=C PASSTHRU_NO_URING=1 TERM=t'
refused 'reading the environment of its parent' 'Permission denied' "${example[@]}" -- sh -c 'cat /proc/1/environ' sh
refused 'reading the memory of its parent' 'Permission denied' "${example[@]}" -- sh -c 'cat /proc/1/mem' sh
# shellcheck disable=SC2016
said=$("${example[@]}" -- sh -c 'ls /proc/$$/fd' sh 7<"$0" | xargs)
equal 'the descriptors' "$said" '0 1 2 3'

echo '# what ends a guest'
for signal in HUP INT QUIT TERM; do
  # A shell makes background processes ignore INT and QUIT, so the terminal sends these.
  case $signal in
    INT) key='^C' ;;
    QUIT) key=^\\ ;;
    *) key='' ;;
  esac
  script="trap 'echo got $signal; exit 7' $signal; echo 'type $key'; $wait_for_ever"
  if [ -n "$key" ]; then
    status=0
    said=$(timeout 60 "$attacks" terminal "${example[@]}" -- sh -c "$script" sh) || status=$?
    said=${said##*$'\n'} said=${said#"$key"}
  else
    start_guest "$script"
    kill "-$signal" "$parent"
    read -r -t 60 -u "$output" said || said=nothing
    status_of "$parent"
  fi
  equal "$signal" "$status $said" "7 got $signal"
done
start_guest "echo ready; $wait_for_ever"
kill -TERM "$parent"
status_of "$parent"
equal 'TERM of a command that does not handle it' "$status" 143
start_guest "exec $attacks outlive"
kill -KILL "$parent"
# The guest is the last process with the pipe open, so its end is the end of the file.
status=0
read -r -t 60 -u "$output" said || status=$?
equal 'the end of the parent ends all guest processes' "$status" 1
equal 'the exit status' "$("${example[@]}" -- sh -c 'exit 9' sh || echo $?)" 9

[ "$failures" = 0 ]
