#!/usr/bin/env python3
# tests/unit/tools/random_arguments.py - the runs of random_arguments.sh, which makes the machine for them.
# usage: [PASSTHRU_RUNS=N] [PASSTHRU_SEED=N|any] random_arguments.py PASSTHRU MANUAL
# The command writes files to the current directory only, because only words of FILES have a '/'.
# SPDX-License-Identifier: MIT
import collections
import concurrent.futures
import os
import random
import re
import shlex
import subprocess
import sys

passthru, manual = sys.argv[1:]
RUNS = int(os.environ.get("PASSTHRU_RUNS", "400"))
seed = os.environ.get("PASSTHRU_SEED", "1")
SEED = random.randrange(2**32) if seed == "any" else int(seed)
MAX_SECONDS = 20
# A command that runs until it is stopped is stopped after this time.
WATCH_SECONDS = 0.3
ENDLESS = {"watch", "--watch", "trace"}
STOPPED = "stopped"

with open(manual, encoding="utf-8") as file:
    text = file.read().replace("\\-", "-")
COMMANDS = re.findall(r"^\.SS passthru (.*)$", text, re.MULTILINE)
OPTIONS = {command: re.findall(r"--?[a-z][a-z0-9-]*", " ".join(re.findall(r"^\.B (-.*)$", part, re.MULTILINE)))
           for command, part in zip(COMMANDS, re.split(r"^\.SS .*$", text, flags=re.MULTILINE)[1:])}
DEVICES = ["0000:01:00.0", "02:00.0", "0000:03:00.0", "0000:04:00.0", "eth0", "nvme0", "nvme0n1", "8086:10d3",
           "144d:a808", "Fast Drive", "Gigabit", "ffff:ff:1f.7", "eth9", "0000:01:00", "01:00.8"]
VALUES = ["0", "1", "2", "-1", "2047", "2048", "0.05", "1e3", "0x10", "4294967296", "18446744073709551616", "512M",
          "2G", "100T", "1.5", "nan", "inf", "on", "off", "auto", "cdev", "group", "text", "json", "prometheus",
          "driver", "name", "numa", "vfio-pci", "e1000e", "nvme", "none", "0108", "ethernet", "memfd", "hugetlbfs",
          "root", "nosuch", "0000:03:00.0,nomap=9", "03:00.0,rom=off,msix=bar9", "eth0,addr=31.7", "fd=1,iommufd=2",
          "group-fd=99999999999", "0000:03:00.0,vf-token=x", "man", "bash", "zsh"]
FILES = ["/dev/null", "/dev/full", "/no/such", "/", ".", "picture", "trace"]
NONSENSE = ["", " ", "-", "--", "---", "=", "-=", "--=", "--=x", ",", ":", ".", "*", "%s%n", "{}", "\\", "'", '"', "\n",
            "\x1b[2J", "\u202e", "ä", "🦀", b"\xff\xfe", b"\xc3", "x" * 5000, "-" * 300, "a=b=c"]


def mutated(source, word):
    """Returns the word with a letter dropped, doubled, swapped or in the other case."""
    if isinstance(word, bytes) or len(word) < 2 or "/" in word:
        return word
    at = source.randrange(len(word) - 1)
    head, one, two, tail = word[:at], word[at], word[at + 1], word[at + 2:]
    return head + source.choice([two, one + one + two, two + one, one.swapcase() + two, one]) + tail


def value(source):
    word = source.choice(source.choice([DEVICES, DEVICES, VALUES, VALUES, FILES, NONSENSE]))
    return mutated(source, word) if source.random() < 0.1 else word


def option(source, command):
    of = command if command in OPTIONS and source.random() < 0.9 else source.choice(COMMANDS)
    name = source.choice(OPTIONS[of] + ["--help", "--json", "--version"])
    name = mutated(source, name) if source.random() < 0.1 else name
    given = value(source)
    if source.random() < 0.3 and isinstance(given, str):
        return [f"{name}={given}"]
    return [name, given] if source.random() < 0.6 else [name]


def arguments(source):
    command = source.choice(COMMANDS)
    words = command.split() if source.random() < 0.95 else [value(source)]
    if source.random() < 0.05:
        words = [mutated(source, word) for word in words]
    if source.random() < 0.7:
        words.append(source.choice(DEVICES))
    for _ in range(source.randrange(4)):
        words += option(source, command) if source.random() < 0.5 else [value(source)]
    if source.random() < 0.05:
        source.shuffle(words)
    return words


def run(number):
    """Returns the exit status and the words of a run."""
    words = arguments(random.Random(f"{SEED} {number}"))
    endless = not ENDLESS.isdisjoint(word.partition("=")[0] for word in words if isinstance(word, str))
    with subprocess.Popen([passthru, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        try:
            return process.wait(WATCH_SECONDS if endless else MAX_SECONDS), words
        except subprocess.TimeoutExpired:
            process.kill()
            return STOPPED if endless else f"{MAX_SECONDS} s have passed", words


with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
    results = list(pool.map(run, range(RUNS)))
statuses = collections.Counter(status for status, _ in results)
wrong = [(status, words) for status, words in results if status not in (0, 1, 2, 3, STOPPED)]
for status, words in wrong[:20]:
    print(f"FAILED  {status}: passthru {shlex.join(os.fsdecode(word) for word in words)!r}"[:1000])
print(f"{RUNS} runs of seed {SEED}: {dict(statuses)}")
# Words that reach nothing but the parser's errors test little.
if not all(statuses[status] for status in (0, 1, 2, 3)):
    print("FAILED  a status was never seen")
    sys.exit(1)
sys.exit(1 if wrong else 0)
