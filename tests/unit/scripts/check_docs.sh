#!/usr/bin/env bash
# tests/unit/scripts/check_docs.sh - tests of scripts/check.d/docs.sh: which exit statuses of mandoc are warnings, and
# which are failures. A script stands for mandoc.
# usage: check_docs.sh
# SPDX-License-Identifier: MIT
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

# shellcheck source=tests/unit/tools/equal.sh
source tests/unit/tools/equal.sh
# shellcheck source=scripts/check.d/docs.sh
source scripts/check.d/docs.sh
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
mkdir "$directory"/{man3,bin,empty}
: >"$directory/man3/page.3"

# mandoc_says STATUS TEXT: makes mandoc print TEXT and exit with STATUS.
mandoc_says() {
  printf '#!/bin/sh\ncat <<"TEXT"\n%s\nTEXT\nexit %s\n' "$2" "$1" >"$directory/bin/mandoc"
  chmod +x "$directory/bin/mandoc"
}
# checked WHAT STATUS OUTPUT: the check must return STATUS and print OUTPUT.
checked() {
  local said status=0
  said=$(PATH=$directory/bin:$PATH man_page_warnings "$directory" 2>&1) || status=$?
  equal "$1: status" "$status" "$2"
  equal "$1: output" "$said" "$3"
}

mandoc_says 0 ''
checked 'no warning' 0 ''
for status in 2 3 4; do
  mandoc_says $status 'mandoc: man3/page.3:4:2: a warning'
  checked "warnings, status $status" 0 'mandoc: man3/page.3:4:2: a warning'
done
mandoc_says 2 'mandoc: man3/page.3:1:2: WARNING: .so is fragile, better use ln(1): so man3/other.3'
checked 'a page that names another page' 0 ''
readonly failed='docs: cannot check the manual pages: mandoc'
for status in 1 5 6 139; do
  mandoc_says $status 'mandoc: a failure'
  checked "failure, status $status" 1 "mandoc: a failure
$failed failed with exit status $status"
done

status=0
said=$(PATH=$directory/empty man_page_warnings "$directory" 2>&1) || status=$?
equal 'without mandoc: status' "$status" 1
equal 'without mandoc: output' "$said" "$failed is not installed. Run scripts/setup --for checks"

[ "$failures" = 0 ]
