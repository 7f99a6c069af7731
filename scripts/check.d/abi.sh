# shellcheck shell=bash
# scripts/check.d/abi.sh - the check `abi`: the lists of exported functions agree. scripts/check sources it.
# SPDX-License-Identifier: MIT

# Prints the functions that the public headers declare as PASSTHRU_API.
functions_of_headers() {
  cat include/passthru/*.h | tr '\n' ' ' | grep -oE 'PASSTHRU_API [^(;]*\(' | grep -oE 'passthru_[a-z0-9_]+' | sort
}

# Prints "FUNCTION@NODE" for each function of the version script.
symbols_of_map() {
  awk '/^[A-Z0-9_.]+ \{/ { node = $1 }
       $1 == "local:" { global = 0 }
       $1 == "global:" { global = 1; next }
       global { sub(";", ""); print $1 "@" node }' capi/libpassthru.map | sort
}

# symbols_of_library FILE: prints "SYMBOL@NODE" for each symbol that it exports.
symbols_of_library() { nm --dynamic --defined-only "$1" | awk '$2 != "A" { sub("@@", "@", $3); print $3 }' | sort; }

# used FUNCTIONS WHERE FILE...: reports the functions that the files never name.
used() {
  local function missing=''
  for function in $1; do
    grep -qw -- "$function" "${@:3}" || missing+=" $function"
  done
  [ -z "$missing" ] || echo "abi: $2 lacks:$missing"
}

symbols_of_package() { awk '/^ passthru_/ { print $1 }' debian/libpassthru0.symbols | sort; }

# Prints the version in include/passthru/version.h.
version_of_header() { grep -oE 'VERSION_(MAJOR|MINOR|PATCH) [0-9]+' include/passthru/version.h | cut -d' ' -f2 | paste -sd.; }

# agree FILE LIST FILE LIST: reports each line that only one of two sorted lists has.
agree() {
  local only
  only=$(comm -23 <(echo "$2") <(echo "$4") | xargs)
  [ -z "$only" ] || echo "abi: $1 has, and $3 lacks: $only"
  only=$(comm -13 <(echo "$2") <(echo "$4") | xargs)
  [ -z "$only" ] || echo "abi: $3 has, and $1 lacks: $only"
}

check_abi() {
  local library=build/release/libpassthru.so.0 map=capi/libpassthru.map symbols functions wrong
  if [ ! -e $library ]; then
    echo "abi: $library does not exist. Run: cmake --preset release && cmake --build --preset release" >&2
    return 1
  fi
  symbols=$(symbols_of_map)
  functions=$(sed 's/@.*//' <<<"$symbols")
  wrong=$(
    agree $map "$functions" include/passthru/ "$(functions_of_headers)"
    used "$functions" 'the C++ interface' include/passthru/*.hpp
    used "$functions" tests/fuzz/abi_fuzz.cc tests/fuzz/abi_fuzz.cc
    agree $map "$symbols" $library "$(symbols_of_library $library)"
    agree $map "$symbols" debian/libpassthru0.symbols "$(symbols_of_package)"
    agree include/passthru/version.h "$(version_of_header)" debian/changelog "$(changelog_version)"
  )
  [ -z "$wrong" ] || {
    echo "$wrong" >&2
    return 1
  }
}
