# shellcheck shell=bash
# scripts/check.d/tidy.sh - the check `tidy`: clang-tidy over the product, except files that it has seen as they are. What
# was seen is remembered in the cache, for all clones, by the preprocessed text. Sourced by scripts/check.
# SPDX-License-Identifier: MIT
: "${repo:=}" "${cache:=}"

# tidy_file TOOL BUILD SEEN COMMON "SOURCE<tab>COMPILE-COMMAND": silent, or with what clang-tidy says.
tidy_file() {
  local key said source=${5%%$'\t'*} command=${5#*$'\t'}
  # Comments count: NOLINT is one. Line marks do not: they have the clone's path.
  key=$(cd "$2" && { printf '%s %s\n' "$4" "$source" && sh -c "${command%% -o *} -E -P -C ${command##* -c }"; } |
    sha256sum) || return
  key=$3/${key%% *}
  if [ -e "$key" ]; then
    touch "$key"
    return
  fi
  echo "tidy: $source"
  # clang's own __clang_analyzer__ is not seen beside a precompiled header.
  said=$("$1" --quiet -p "$2" --extra-arg=-DPASSTHRU_ANALYZED "$source" 2>/dev/null) && [ -z "$said" ] || {
    printf '%s\n' "$said"
    return 1
  }
  : >"$key"
}
export -f tidy_file

# check_tidy_of TOOL BUILD SOURCE...: BUILD has what they include.
check_tidy_of() {
  local tool=$1 build=$2 seen common
  shift 2
  seen=$(cache_dir)/tidy
  mkdir -p "$seen"
  find "$seen" -type f -mtime +30 -delete
  # Headers of packages are not in the text: they are precompiled.
  common=$({ "$tool" --version && cat .clang-tidy && dpkg-query -W; } | sha256sum)
  # shellcheck disable=SC2016 # jq's own variables
  jq -r --arg repo "$repo/" '.[] | select(.file | startswith($repo)) | "\(.file[($repo | length):])\t\(.command)"' \
    "$build/compile_commands.json" | grep -F -f <(printf '%s\t\n' "$@") |
    xargs -d '\n' -P "$(nproc)" -n 1 bash -euo pipefail -c 'tidy_file "$@"' bash "$tool" "$build" "$seen" "$common"
}
