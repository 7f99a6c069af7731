# shellcheck shell=bash
# scripts/check.d/docs.sh - the check `docs`: builds the reference of the C interface, and has mandoc check its manual
# pages. scripts/check sources it.
# SPDX-License-Identifier: MIT

# man_page_warnings DIRECTORY: prints mandoc's warnings about the pages in DIRECTORY/man3. Leaves out the warning about
# each page that only names another page. Fails if mandoc cannot check the pages.
man_page_warnings() {
  local said status=0
  command -v mandoc >/dev/null || {
    echo 'docs: cannot check the manual pages: mandoc is not installed. Run scripts/setup --for checks' >&2
    return 1
  }
  said=$(cd "$1" && mandoc -T lint -W warning man3/*.3 2>&1) || status=$?
  case $status in
    0 | 2 | 3 | 4) sed '/^$/d; /\.so is fragile/d' <<<"$said" ;; # 2 to 4: it has warnings or errors
    *)
      printf '%s\n' "$said" >&2
      echo "docs: cannot check the manual pages: mandoc failed with exit status $status" >&2
      return 1
      ;;
  esac
}

check_docs() {
  local warnings
  scripts/docs
  warnings=$(man_page_warnings build/docs)
  [ -z "$warnings" ] || {
    printf '%s\n' "$warnings"
    echo 'docs: correct scripts/man_pages, or the comments in include/passthru/' >&2
    return 1
  }
}
