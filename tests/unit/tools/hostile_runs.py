#!/usr/bin/env python3
# tests/unit/tools/hostile_runs.py - runs the commands that ask a VMM, and checks their costs and outputs.
# usage: hostile_runs.py PASSTHRU DIRECTORY DEVICE
# DIRECTORY has a socket for each way that DIRECTORY/ways names (hostile_vmm.py).
# SPDX-License-Identifier: MIT
import concurrent.futures
import os
import subprocess
import sys
import time

passthru, directory, device = sys.argv[1:]
MAX_MIB = 64
MAX_SECONDS = 12
DONE, NO, REFUSED = 0, 1, 3
COMMANDS = {  # FILE is replaced by a file of this run
    "show": ["msix", "show", device],
    "show-json": ["msix", "show", device, "--json"],
    "audit": ["msix", "audit", device, "--heal"],
    "metrics": ["msix", "audit", device, "--format=prometheus"],
    "watch": ["msix", "watch", device, "--count", "1", "--interval", "0.05", "--latency"],
    "trigger": ["msix", "trigger", device, "0"],
    "trace": ["trace", device, "--seconds", "0.2", "-o", "FILE"],
    "bars": ["bars", device],
    "svg": ["bars", device, "--svg", "FILE"],
}
SLOW_COMMANDS = ["show", "audit", "watch", "trace", "bars"]


def controls_of_terminals(text):
    turns = {0x61C, 0xFEFF, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070)}
    return [hex(ord(c)) for c in text if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 or ord(c) in turns]


def run(way, name):
    """Returns the faults of a run, and its cost in MiB and seconds."""
    work = os.path.join(directory, f"{way}.{name}")
    path = os.path.join(directory, way + ".sock")
    words = [work if word == "FILE" else word for word in COMMANDS[name]]
    with open(work + ".out", "wb") as out, open(work + ".err", "wb") as err:
        begin = time.monotonic()
        process = subprocess.Popen([passthru, *words, "--socket", path], stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
    mib = usage.ru_maxrss / 1024
    faults = []
    # The right answers are a control: the commands do ask this VMM.
    if process.returncode not in ((DONE, NO) if way == "right" else (DONE, NO, REFUSED)):
        faults.append(f"exit status {process.returncode}")
    if mib > MAX_MIB:
        faults.append(f"{mib:.0f} MiB")
    if seconds > MAX_SECONDS:
        faults.append(f"{seconds:.1f} s")
    for ending in ".out", ".err", "":
        if not os.path.exists(work + ending):
            continue
        with open(work + ending, "rb") as file:
            data = file.read()
        os.unlink(work + ending)
        try:
            found = controls_of_terminals(data.decode())
        except UnicodeDecodeError:
            found = ["no UTF-8"]
        if found:
            faults.append(f"control characters in {ending or 'its file'}: {found[:8]}")
        if ending == ".err" and process.returncode == REFUSED and path.encode() not in data:
            faults.append(f"the error does not name the VMM: {data[:200]}")
    return [f"FAILED  {way}, {name}: {fault}" for fault in faults], mib, seconds


def run_all(ways, commands, at_once):
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        pairs = [(way, command) for way in ways for command in commands]
        return list(pool.map(lambda pair: run(*pair), pairs))


with open(os.path.join(directory, "ways"), encoding="utf-8") as file:
    quick, slow = (part.split() for part in file.read().split("\n\n"))
results = run_all(quick, COMMANDS, os.cpu_count() or 1)
results += run_all(slow, SLOW_COMMANDS, len(slow) * len(SLOW_COMMANDS))
faults = [fault for found, _, _ in results for fault in found]
print(*faults, sep="\n" if faults else "")
print(f"{len(results)} runs in {len(quick) + len(slow)} ways: at most {max(mib for _, mib, _ in results):.0f} MiB and "
      f"{max(seconds for _, _, seconds in results):.1f} s")
sys.exit(1 if faults else 0)
