# shellcheck shell=bash
# scripts/check.d/tidy.sh - the check `tidy`: runs clang-tidy over the product, and skips files that passed before. The
# cache holds the hashes of the preprocessed files that passed, for all clones. scripts/check sources it.
# SPDX-License-Identifier: MIT
: "${repo:=}" "${cache:=}"

# tidy_file TOOL BUILD SEEN COMMON "SOURCE<tab>COMPILE-COMMAND": checks one file unless it passed before. Prints the
# findings of clang-tidy.
tidy_file() {
  local key said source=${5%%$'\t'*} command=${5#*$'\t'}
  # The hash covers comments, because of NOLINT. It leaves out line marks, which contain the clone's path.
  key=$(cd "$2" && { printf '%s %s\n' "$4" "$source" && sh -c "${command%% -o *} -E -P -C ${command##* -c }"; } |
    sha256sum) || return
  key=$3/${key%% *}
  if [ -e "$key" ]; then
    touch "$key"
    return
  fi
  echo "tidy: $source"
  # With a precompiled header, clang's own __clang_analyzer__ is not visible.
  said=$("$1" --quiet -p "$2" --extra-arg=-DPASSTHRU_ANALYZED "$source" 2>/dev/null) && [ -z "$said" ] || {
    printf '%s\n' "$said"
    return 1
  }
  : >"$key"
}
export -f tidy_file

# check_tidy_of TOOL BUILD SOURCE...: checks the sources. BUILD must contain the generated files that they include.
check_tidy_of() {
  local tool=$1 build=$2 seen common
  shift 2
  seen=$(cache_dir)/tidy
  mkdir -p "$seen"
  find "$seen" -type f -mtime +30 -delete
  # The preprocessed text lacks the headers of packages, because they are precompiled. The list of packages covers them.
  common=$({ "$tool" --version && cat .clang-tidy && dpkg-query -W; } | sha256sum)
  # shellcheck disable=SC2016 # jq's own variables
  jq -r --arg repo "$repo/" '.[] | select(.file | startswith($repo)) | "\(.file[($repo | length):])\t\(.command)"' \
    "$build/compile_commands.json" | grep -F -f <(printf '%s\t\n' "$@") |
    xargs -d '\n' -P "$(nproc)" -n 1 bash -euo pipefail -c 'tidy_file "$@"' bash "$tool" "$build" "$seen" "$common"
}
