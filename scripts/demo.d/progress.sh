# scripts/demo.d/progress.sh - how far a build is. scripts/demo includes it.
# shellcheck shell=bash
# SPDX-License-Identifier: MIT

# show_progress SECONDS: reads ninja's lines "[n/m] ...". Prints a line for each ten per cent, and a line after each
# SECONDS without one. Not awk: mawk, Debian's awk, reads 4 KiB of a pipe before it handles the first line.
show_progress() {
  local seconds=$1 line status tenth shown=0 steps='no step yet' next
  next=$((SECONDS + seconds))
  while :; do
    status=0
    IFS= read -r -t 1 line || status=$?
    if [ "$status" = 0 ] && [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
      steps="${BASH_REMATCH[1]} of ${BASH_REMATCH[2]} steps"
      tenth=$((10 * BASH_REMATCH[1] / BASH_REMATCH[2]))
      if [ "$tenth" -gt "$shown" ]; then
        shown=$tenth next=$((SECONDS + seconds))
        printf '           %3d %%\n' $((10 * tenth))
      fi
    elif [ "$status" -gt 0 ] && [ "$status" -le 128 ]; then
      return 0 # the end; a timeout has a status above 128
    fi
    if [ "$SECONDS" -ge "$next" ]; then
      next=$((SECONDS + seconds))
      printf '           %3d %%, %s\n' $((10 * shown)) "$steps"
    fi
  done
}
