#!/usr/bin/env bash
# tests/unit/tools/random_arguments.sh - runs the command with random words on a made-up machine: its own words, names
# of devices, wrong values, and nonsense. No signal may end it, and its exit status must be 0 to 3.
# usage: [PASSTHRU_RUNS=N] [PASSTHRU_SEED=N|any] random_arguments.sh PASSTHRU
# SPDX-License-Identifier: MIT
set -euo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
readonly here
# shellcheck source=tests/unit/tools/made_up_machine.sh
source "$here/made_up_machine.sh"

mkdir "$machine/work"
cd "$machine/work"
"$passthru" generate man >../manual
python3 "$here/random_arguments.py" "$passthru" ../manual
