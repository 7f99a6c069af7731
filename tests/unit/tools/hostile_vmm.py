#!/usr/bin/env python3
# tests/unit/tools/hostile_vmm.py - a VMM that answers in wrong ways: it serves a socket for each way.
# usage: hostile_vmm.py DIRECTORY DEVICE
# Serves DIRECTORY/WAY.sock for each way until it is killed. Prints the names of the ways, first those that end at once,
# then an empty line and those that keep a client waiting.
# SPDX-License-Identifier: MIT
import itertools
import json
import os
import socket
import sys
import threading
import time

directory, device = sys.argv[1:]

CONTROLS = "".join(map(chr, [*range(1, 32), *range(0x7F, 0xA0), 0x61C, *range(0x200B, 0x2010), *range(0x2028, 0x202F),
                             *range(0x2060, 0x2070), 0xFEFF]))


def answer(**members):
    return {"version": 1, **members}


def about(**members):
    """Returns an answer to "inspect" with these members of the device."""
    return answer(pid=1, devices=[{"device": device, "name": "a drive", **members}])


def vectors(count, **members):
    return [{"index": index, "verdict": "cleared", "damaged": True, **members} for index in range(count)]


def entry(vector=0, **members):
    return {"time_ns": 1, "device": device, "vector": vector, "latency_ns": 1, **members}


def mark(**members):
    return {"time_ns": 1, "device": device, "kind": "reset", "index": 0, "value": 0, **members}


def trace(interrupts=(), marks=(), **members):
    return answer(**{"interrupts": list(interrupts), "marks": list(marks), "next": 1, "lost": 0, "marks_next": 1,
                     "marks_lost": 0, **members})


def large_device():
    message = {"address": 2**64 - 1, "data": 2**32 - 1}
    stats = dict.fromkeys(["delivered", "held", "sink_full", "sink_failed", "spurious", "rearmed"], 10**9)
    stats["latency_log2_ns"] = [10**9] * 32
    spans = [{"offset": index << 12, "size": 4096, "kind": "mapped"} for index in range(500)]
    return about(
        vectors=vectors(2048, why="w" * 200, owner="forwarder", delivered=2**63, guest_message=message, forwarded=stats,
                        last_sound={**message, "control": 0}, in_device={**message, "control": 1}),
        bars=[{"index": index, "size": 500 << 12, "spans": spans} for index in range(7)])


# Right answers, for the requests that a way does not concern.
RIGHT = {
    "list": answer(pid=1, devices=[device]),
    "inspect": about(vectors=vectors(2)),
    "watch": answer(vectors=[0]),
    "trace": trace([entry()]),
    "heal": answer(restored=1),
    "trigger": answer(arrived=True, latency_ns=1000),
}


def line(value):
    return [(value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()) + b"\n"]


def slowly(first, rest, pause):
    yield first
    for part in itertools.cycle([rest]):
        time.sleep(pause)
        yield part


def for_ever(first, rest):
    return itertools.chain([first], itertools.repeat(rest * (65536 // len(rest))))


def late(pause):
    def answer_late(kind):
        time.sleep(pause)
        return line(RIGHT[kind])
    return answer_late


OPEN = b'{"version":1,"devices":'
CLOSE = "close"  # instead of a part: closes the connection
# Each way takes the kind of the request and returns the parts to send.
QUICK = {
    "right": lambda kind: line(RIGHT[kind]),
    "closes": lambda kind: [CLOSE],
    "half-then-closes": lambda kind: [b'{"version":1,', CLOSE],
    "half": lambda kind: line(b'{"version":1,"devices":[{"device":'),
    "empty": lambda kind: line(b""),
    "nonsense": lambda kind: line(b"nonsense"),
    "text": lambda kind: line("text"),
    "null": lambda kind: line(None),
    "list": lambda kind: line([RIGHT[kind]]),
    "no-version": lambda kind: line({"devices": []}),
    "next-version": lambda kind: line({**RIGHT[kind], "version": 2}),
    "version-as-text": lambda kind: line({**RIGHT[kind], "version": "1"}),
    "endless-spaces": lambda kind: for_ever(b"", b" "),
    "endless-text": lambda kind: for_ever(OPEN + b'"', b"x"),
    "endless-key": lambda kind: for_ever(OPEN + b'{"', b"x"),
    "endless-number": lambda kind: for_ever(OPEN, b"1"),
    "endless-list": lambda kind: for_ever(OPEN + b"[0", b",0"),
    "endless-objects": lambda kind: for_ever(OPEN + b"[{}", b",{}"),
    "deep-lists": lambda kind: line(OPEN + b"[" * 2_000_000),
    "deep-objects": lambda kind: line(OPEN + b'{"a":' * 500_000),
    "4-million-brackets": lambda kind: line(OPEN + b"[" + b"[]," * 1_300_000 + b"[]]}"),
    "lists-of-lists": lambda kind: line(OPEN + b"[" + (b"[" + b"[]," * 4000 + b"0],") * 300 + b"0]}"),
    "long-text": lambda kind: line(about(name="x" * 1_000_000)),
    "long-number": lambda kind: line(OPEN + b"1" * 1_000_000 + b"}"),
    "large-number": lambda kind: line(b'{"version":1,"devices":[{"device":"%s","vendor":1e999}]}' % device.encode()),
    "numbers-with-fractions": lambda kind: line(about(vendor=1e300, vectors=[{"index": 1e300}])),
    "index-2-to-64": lambda kind: line(about(vectors=[{"index": 2**64 - 1}], bars=[{"index": 2**64 - 1}])),
    "negative-index": lambda kind: line(about(vectors=[{"index": -1}])),
    "vector-twice": lambda kind: line(about(vectors=vectors(1) * 2)),
    "bar-twice": lambda kind: line(about(bars=[{"index": 0}] * 2)),
    "2049-vectors": lambda kind: line(about(vectors=vectors(2049))),
    "million-vectors": lambda kind: line(
        b'{"version":1,"devices":[{"vectors":[' + b",".join(b'{"index":%d}' % i for i in range(1_000_000)) + b"]}]}"),
    "devices-as-object": lambda kind: line(answer(devices={})),
    "devices-as-text": lambda kind: line(answer(devices=device)),
    "devices-of-numbers": lambda kind: line(answer(devices=[1])),
    "no-devices": lambda kind: line(answer()),
    "other-device": lambda kind: line(answer(devices=[{"device": "ffff:ff:1f.7"}])),
    "device-twice": lambda kind: line(answer(devices=about()["devices"] * 2)),
    "many-devices": lambda kind: line(answer(devices=[{"device": device, "vectors": [{}] * 4000}] * 39)),
    "wrong-types": lambda kind: line(about(name=1, vectors={}, bars="")),
    "control-characters": lambda kind: line(
        {**about(name=CONTROLS, detached=CONTROLS, vectors=vectors(1, why=CONTROLS, verdict=CONTROLS, owner=CONTROLS)),
         CONTROLS: CONTROLS}),
    "raw-control-characters": lambda kind: line(b'{"version":1,"error":"\x1b[2J\x07\r\x00"}'),
    "no-utf-8": lambda kind: line(b'{"version":1,"error":"\xff\xfe\xc2"}'),
    "zero-bytes": lambda kind: line(b"\0" * 100_000),
    "error-as-object": lambda kind: line(answer(error={CONTROLS: 1})),
    "error-with-controls": lambda kind: line(answer(error=CONTROLS, errno=2**63)),
    "errno-as-text": lambda kind: line(answer(error="no", errno="5")),
    "errno-0": lambda kind: line(answer(error="no", errno=0)),
    "two-answers": lambda kind: line(RIGHT[kind]) * 2,
    "two-in-a-line": lambda kind: line(json.dumps(RIGHT[kind]).encode() * 2),
    "long-whys": lambda kind: line(about(vectors=vectors(2048, why="w" * 4000))),
    "many-long-whys": lambda kind: line(about(vectors=vectors(2048, why="w" * 1500))),
    "28000-spans": lambda kind: line(about(bars=[{"index": index, "spans": [{}] * 4000} for index in range(7)])),
    "7000-spans": lambda kind: line(about(bars=[{"index": index, "spans": [{}] * 1000} for index in range(7)])),
    "spans-without-end": lambda kind: line(
        about(bars=[{"index": 0, "size": 2**64 - 1, "spans": [{"offset": 2**64 - 1, "size": 2**64 - 1}] * 2}])),
    "large-device": lambda kind: line(large_device()),
}
# Ways that concern one request only.
OF_ONE = {
    "long-list": ("list", lambda kind: line(answer(devices=[device] * 100_000))),
    "list-closes": ("list", lambda kind: [CLOSE]),
    "list-nonsense": ("list", lambda kind: line(b"\x1b]0;title\x07")),
    "restored-as-text": ("heal", lambda kind: line(answer(restored="all"))),
    "arrived-as-text": ("trigger", lambda kind: line(answer(arrived="yes", latency_ns={}))),
    "vectors-as-text": ("watch", lambda kind: line(answer(vectors="all"))),
    "100000-interrupts": ("trace", lambda kind: line(trace([entry()] * 100_000))),
    "4097-interrupts": ("trace", lambda kind: line(trace([entry()] * 4097))),
    "4096-interrupts": ("trace", lambda kind: line(trace([entry()] * 4096, [mark()] * 4096))),
    "trace-without-next": ("trace", lambda kind: line(answer(interrupts=[], marks=[]))),
    "trace-of-vector-2-to-64": ("trace", lambda kind: line(trace([entry(2**64 - 1)]))),
    "trace-at-the-ends-of-time": ("trace", lambda kind: line(trace([entry(time_ns=-2**63, latency_ns=2**63 - 1)]))),
    "new-kinds-of-marks": ("trace", lambda kind: line(trace(marks=[mark(kind=f"{i}") for i in range(4096)]))),
    "next-2-to-64": ("trace", lambda kind: line(trace(next=2**64 - 1, marks_next=2**64 - 1))),
}
SLOW = {
    "silent": lambda kind: slowly(b"", b"", 60),
    "half-then-silent": lambda kind: slowly(b'{"version":1,', b"", 60),
    "slow-spaces": lambda kind: slowly(b" ", b" ", 0.2),
    "slow-text": lambda kind: slowly(OPEN + b'"', b"x", 0.2),
    "late": late(4),
}


def serve_client(client, concerned, way):
    with client, client.makefile("rb") as requests:
        for request in requests:
            kind = json.loads(request)["request"]
            parts = way(kind) if kind in concerned else line(RIGHT[kind])
            for part in parts:
                if part == CLOSE:
                    return
                client.sendall(part)


def serve_client_until_it_ends(*arguments):
    try:
        serve_client(*arguments)
    except OSError:  # the client has had enough
        pass


def serve(listener, concerned, way):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve_client_until_it_ends, args=(client, concerned, way), daemon=True).start()


def listen(name, backlog=64):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.join(directory, name + ".sock"))
    listener.listen(backlog)
    return listener


def begin(name, concerned, way):
    threading.Thread(target=serve, args=(listen(name), concerned, way), daemon=True).start()


LOOKS = set(RIGHT) - {"list"}
for name, way in QUICK.items():
    begin(name, LOOKS, way)
for name, (kind, way) in OF_ONE.items():
    begin(name, {kind}, way)
for name, way in SLOW.items():
    begin(name, set(RIGHT) if name == "late" else LOOKS, way)
never_accepts = listen("never-accepts", 1)
print(*QUICK, *OF_ONE, sep="\n")
print()
print(*SLOW, "never-accepts", sep="\n", flush=True)
sys.stdout.close()
time.sleep(600)
