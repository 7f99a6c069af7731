#!/usr/bin/env bash
# tests/unit/scripts/man_pages.sh - tests of scripts/man_pages: each function of the C interface has a page, each page
# renders, and a header without the comments that a page needs is refused.
# usage: man_pages.sh
# SPDX-License-Identifier: MIT
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

# shellcheck source=tests/unit/tools/equal.sh
source tests/unit/tools/equal.sh
command -v man >/dev/null || {
  echo 'FAILED  man is not installed. Run scripts/setup --for tests'
  exit 1
}
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
export LC_ALL=C.UTF-8 MANWIDTH=80

# ---- the pages of the library's own headers ------------------------------------------------------------------------

functions() { grep -h -A1 '^PASSTHRU_API' include/passthru/*.h | grep -oE '\bpassthru_[a-z0-9_]+\(' | tr -d '('; }
# render PAGE: prints the page as a reader sees it, and all warnings.
render() { (cd "$directory" && man --warnings -l "man3/$1.3" 2>&1); }
# section PAGE TITLE: prints a section, without blank lines and indentation.
section() { render "$1" | awk -v title="$2" '/^[A-Z]/ { on = $0 == title; next } on && NF { $1 = $1; print }'; }

scripts/man_pages "$directory"
missing='' warned='' wide='' pages=0
for name in $(functions) passthru_callbacks passthru; do
  [ -s "$directory/man3/$name.3" ] || missing+=" $name"
done
for page in "$directory"/man3/*.3; do
  name=$(basename "$page" .3)
  text=$(render "$name")
  pages=$((pages + 1))
  grep -qE '^ *(man|troff|groff|<standard input>).*(warning|error)' <<<"$text" && warned+=" $name"
  grep -qE '^.{81}' <<<"$text" && wide+=" $name"
done
equal 'functions without a page' "$missing" ''
equal 'pages that render with a warning' "$warned" ''
equal 'pages wider than 80 columns' "$wide" ''
equal 'there are pages' "$((pages > 40))" 1
equal 'two functions under one comment: NAME of the second' \
  "$(section passthru_domain_use_container NAME | head -n 1)" \
  'passthru_domain_use_iommufd, passthru_domain_use_container - uses an'
equal 'a page lists the flags of its struct' \
  "$(section passthru_domain_create DESCRIPTION | grep -cxF PASSTHRU_IRQFD_TAKES_AT_ONCE)" 1
equal 'a page without errors of its own has those of every call' \
  "$(section passthru_device_retranslate ERRORS | grep -oE '^E[A-Z]+' | xargs)" 'EINVAL EDEADLK'
equal 'since when' "$(section passthru_version AVAILABILITY)" 'Available since libpassthru 0.2.'

# ---- headers that lack something -----------------------------------------------------------------------------------

cp include/passthru/version.h "$directory"
# refused WHAT MESSAGE: man_pages must refuse the header of the standard input with this message.
refused() {
  local header=$directory/header.h said status=0
  cat >"$header"
  said=$(scripts/man_pages "$directory/refused" "$header" 2>&1) || status=$?
  equal "$1: status" "$((status != 0))" 1
  equal "$1" "${said//$directory\//}" "man_pages: $2"
}
readonly group=$'/* licence\n *\n * header.h - a title.\n */\n/** @defgroup group A group */'
refused 'a function without a comment' 'header.h:6: passthru_f has no comment' <<<"$group
PASSTHRU_API int passthru_f(int a);"
refused 'a function without a version' "header.h:7: the comment of passthru_f has no 'Since: VERSION'" <<<"$group
/** Does something. */
PASSTHRU_API int passthru_f(int a);"
refused 'a member without a comment' "header.h:6: 'uint32_t size' has no comment" <<<"$group
struct passthru_s {
  uint32_t size;
};"
printf '%s\n' '/* licence */' 'PASSTHRU_API int passthru_f(int a);' >"$directory/part.h"
refused 'a function without a comment in an included header' 'part.h:2: passthru_f has no comment' <<<"$group
#include <passthru/part.h>"
refused 'an included header that does not exist' 'cannot read other.h: No such file or directory' <<<"$group
#include <passthru/other.h>"
refused 'a header without functions' 'header.h: no function is declared PASSTHRU_API' <<<"$group"

[ "$failures" = 0 ]
