# shellcheck shell=bash
# scripts/check.d/tidy.sh - the check `tidy`: runs clang-tidy over the product, several sources of a target as one file,
# because each run reads the headers of all libraries. Skips what passed before: the cache holds the hashes of the
# preprocessed files that passed, for all clones. scripts/check sources it.
# SPDX-License-Identifier: MIT
: "${repo:=}" "${cache:=}"

readonly TIDY_SOURCES_AT_A_TIME=8

# join_sources SOURCE...: prints the sources as one file, which names the source of each line.
join_sources() {
  local source
  for source in "$@"; do
    printf '#line 1 "%s"\n' "$source"
    cat "$source"
  done
}

# name_sources FILE: in the findings of clang-tidy on standard input, replaces the lines of a joined file by those of its
# sources.
name_sources() {
  awk -v joined="$1" '
    BEGIN {
      while ((getline line < joined) > 0) {
        number++
        if (split(line, word, "\"") > 1 && line ~ /^#line 1 /) { source = word[2]; first = number }
        source_of[number] = source
        line_of[number] = number - first
      }
    }
    index($0, joined ":") == 1 {
      rest = substr($0, length(joined) + 2)
      number = rest + 0
      sub(/^[0-9]+/, "", rest)
      $0 = source_of[number] ":" line_of[number] rest
    }
    { print }'
}

# tidy_file TOOL SEEN COMMON "JOINED<tab>FLAGS": checks a joined file unless it passed before. Prints the findings.
tidy_file() {
  local key said joined=${4%%$'\t'*} flags=${4#*$'\t'}
  # The hash covers comments, because of NOLINT.
  key=$({ printf '%s\n' "$3" && sh -c "$flags -E -P -C '$joined'"; } | sha256sum) || return
  key=$2/${key%% *}
  if [ -e "$key" ]; then
    touch "$key"
    return
  fi
  sed -n 's/^#line 1 "\(.*\)"$/tidy: \1/p' "$joined"
  # With a precompiled header, clang's own __clang_analyzer__ is not visible.
  if ! said=$(sh -c "'$1' --quiet '$joined' -- ${flags#* } -DPASSTHRU_ANALYZED" 2>/dev/null) || [ -n "$said" ]; then
    name_sources "$joined" <<<"$said"
    return 1
  fi
  : >"$key"
}
export -f tidy_file name_sources

# tidy_flags BUILD: prints "SOURCE<tab>COMPILER FLAGS" for each source of the product that BUILD compiles.
tidy_flags() {
  jq -r --arg repo "$repo/" '.[] | select(.file | startswith($repo))
    | "\(.file[($repo | length):])\t\(.command | sub(" -o .*"; ""))"' "$1/compile_commands.json"
}

# join_all BUILD SOURCE...: writes the joined files, each of sources with the same flags, and prints
# "JOINED<tab>COMPILER FLAGS" for each. The examples stay alone: each has its own main, and headers beside it.
join_all() {
  local build=$1 dir=$repo/$1/tidy same number=0 sources count
  shift
  rm -rf "$dir"
  mkdir -p "$dir"
  tidy_flags "$build" | grep -F -f <(printf '%s\t\n' "$@") | sort -t $'\t' -k 2 -s >"$dir/flags"
  while IFS= read -r same; do
    mapfile -t sources < <(awk -F '\t' -v same="$same" '$2 == same { print $1 }' "$dir/flags")
    while [ ${#sources[@]} -gt 0 ]; do
      number=$((number + 1)) count=$TIDY_SOURCES_AT_A_TIME
      [[ ${sources[0]} != examples/* ]] || count=1
      join_sources "${sources[@]:0:count}" >"$dir/$number.cc"
      printf '%s\t%s -iquote %s\n' "$dir/$number.cc" "$same" "${sources[0]%/*}"
      sources=("${sources[@]:count}")
    done
  done < <(cut -f 2- "$dir/flags" | uniq)
}

# check_tidy_of TOOL BUILD SOURCE...: checks the sources. BUILD must contain the generated files that they include.
check_tidy_of() {
  local tool=$1 build=$2 seen common
  shift 2
  seen=$(cache_dir)/tidy
  mkdir -p "$seen"
  find "$seen" -type f -mtime +30 -delete
  # The preprocessed text lacks the headers of packages, because they are precompiled. The list of packages covers them.
  common=$({ "$tool" --version && cat .clang-tidy && dpkg-query -W; } | sha256sum)
  # shellcheck disable=SC2016 # the inner shell's own arguments
  join_all "$build" "$@" |
    xargs -d '\n' -P "$(nproc)" -n 1 bash -euo pipefail -c 'tidy_file "$@"' bash "$tool" "$seen" "$common"
}
