#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lists the devices of running VMMs, with a verdict for each vector.

  $ ./inspect_vm.py                         (the VMMs of this user, at their default paths)
  $ ./inspect_vm.py --socket /tmp/vm.sock   (the VMM that serves this path)
  VMM 4711 has 0000:01:00.0, in the guest 0000:00:03.0, MSI-X
    VECTOR  VERDICT          OWNER      DELIVERED  RESTORES
         0  ok               irqfd            812         0
         1  cleared          irqfd             71         3  the device's entry is empty

It asks the inspect sockets of the VMMs (docs/inspect.md), and needs only Python's standard library.
"""

import argparse
import json
import os
import pathlib
import socket
import sys

PATIENCE_S = 10
MAX_ANSWER = 4 << 20


def say(text, file=sys.stdout):
    """Prints a line. A '?' replaces characters that control a terminal: a VMM can answer anything."""
    print("".join(c if c.isprintable() else "?" for c in text), file=file)


def default_sockets():
    """Returns the paths at which VMMs of this user serve by default."""
    if os.geteuid() == 0:
        runtime = "/run"
    else:
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        if not runtime:
            sys.exit("inspect_vm: XDG_RUNTIME_DIR is not set. Name a socket with --socket")
    return sorted(pathlib.Path(runtime, "passthru/vm").glob("*.sock"))


def ask(path, request):
    """Sends a request to the VMM at `path`. Returns its answer.

    Raises OSError or ValueError if the VMM does not answer as docs/inspect.md says.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_S)
        connection.connect(str(path))
        connection.sendall(json.dumps(request).encode() + b"\n")
        with connection.makefile("rb") as lines:
            line = lines.readline(MAX_ANSWER + 1)
    if not line:
        raise ConnectionError("the VMM has closed the connection")
    if len(line) > MAX_ANSWER:
        raise ValueError("the answer is too long")
    answer = json.loads(line)
    if "error" in answer:
        raise OSError(answer["error"])
    return answer


def print_device(pid, device):
    """Prints a device, and its vectors that are in use."""
    say(f"VMM {pid} has {device['device']}, in the guest {device['guest_address']},"
        f" {device['interrupt_mode']}")
    if device["detached"]:
        say(f"  detached: {device['detached']}")
    vectors = [vector for vector in device["vectors"] if vector["verdict"] != "unused"]
    if vectors:
        say("  VECTOR  VERDICT          OWNER      DELIVERED  RESTORES")
    for vector in vectors:
        line = (f"  {vector['index']:6}  {vector['verdict']:15}  {vector['owner']:9}"
                f"  {vector['delivered']:9}  {vector['restores']:8}  {vector['why']}")
        say(line.rstrip())


def main():
    parser = argparse.ArgumentParser(
        prog="inspect_vm", description="Lists the devices of running VMMs and their vectors.")
    parser.add_argument("--socket", metavar="PATH", help="asks only the VMM that serves PATH")
    arguments = parser.parse_args()

    sockets = [arguments.socket] if arguments.socket else default_sockets()
    if not sockets:
        sys.exit("inspect_vm: no VMM serves an inspect socket")
    failed = False
    for path in sockets:
        try:
            answer = ask(path, {"request": "inspect"})
            for device in answer["devices"]:
                print_device(answer["pid"], device)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            say(f"inspect_vm: cannot inspect the VMM at {path}: {error}", file=sys.stderr)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
