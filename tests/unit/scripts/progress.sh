#!/usr/bin/env bash
# tests/unit/scripts/progress.sh - tests of scripts/demo.d/progress.sh: each line of a build is shown while the build
# runs, and a build without lines is, too.
# usage: progress.sh
# SPDX-License-Identifier: MIT
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

# shellcheck source=tests/unit/tools/equal.sh
source tests/unit/tools/equal.sh
# shellcheck source=scripts/demo.d/progress.sh
source scripts/demo.d/progress.sh

steps() { for step in 1 2 3 4 5 6 7 8; do printf '[%s/8] Building\n' "$step"; done; }
equal 'a line for each ten per cent' "$(steps | show_progress 1000 | tr -s ' ' | xargs)" \
  '10 % 20 % 30 % 50 % 60 % 70 % 80 % 100 %'
equal 'other lines' "$(printf 'ninja: no work to do.\n[x/2] y\n\n' | show_progress 1000)" ''

# The build waits for the line that shows its first step: without it, the test would end at the limit.
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
mkfifo "$directory/lines"
show_progress 1000 <"$directory/lines" >"$directory/shown" &
exec 3>"$directory/lines"
echo '[1/2] Building' >&3
for ((i = 0; i < 600; ++i)); do
  [ ! -s "$directory/shown" ] || break
  sleep 0.1
done
equal 'shown while the build runs' "$(xargs <"$directory/shown")" '50 %'
exec 3>&-
wait

show_progress 1 < <(echo '[1/40] Building' && sleep 3) >"$directory/shown"
equal 'shown without new lines' "$(head -n 1 "$directory/shown" | xargs)" '0 %, 1 of 40 steps'

[ "$failures" = 0 ]
