# shellcheck shell=bash
# scripts/check.d/prose.sh - the checks `prose` and `names`. scripts/check sources it.
#
# check.d/banned_phrases.txt: one extended regular expression on each line, compared without case. CONTRIBUTING.md says
# what to write instead.
# check.d/allowed_phrases.txt: one fixed string on each line. A line of the tree that contains it may have a banned
# phrase (an option, a JSON member, code, a name of the field).
# check.d/spelling.txt: words that codespell must accept.
# SPDX-License-Identifier: MIT

# Prints the files to check: all text except the licence, pictures, a kernel configuration and the lists themselves.
prose_files() {
  git ls-files -- ':!LICENSE' ':!*.svg' ':!*.png' ':!scripts/lab.d/next.config' ':!scripts/check.d/*.txt'
}

# lines_with GREP-OPTION...: prints the lines of the standard input that grep selects. No line is not an error.
lines_with() { grep "$@" || [ $? -eq 1 ]; }

check_prose() {
  local failed=0 lists=scripts/check.d found
  local -a files
  mapfile -t files < <(prose_files)
  [ "${#files[@]}" -gt 0 ] || {
    echo 'prose: git lists no files' >&2
    return 1
  }
  found=$(lines_with -nIiE -f "$lists/banned_phrases.txt" -- "${files[@]}" /dev/null |
    lines_with -vF -f "$lists/allowed_phrases.txt") || {
    echo "prose: cannot search with the lists in $lists" >&2
    return 1
  }
  if [ -n "$found" ]; then
    printf '%s\n' "$found"
    echo "prose: these lines contain phrases of $lists/banned_phrases.txt. Rewrite them as CONTRIBUTING.md says" >&2
    failed=1
  fi
  if ! prose_files | xargs -d '\n' codespell --ignore-words="$lists/spelling.txt"; then
    echo "prose: correct the spelling, or add the word to $lists/spelling.txt" >&2
    failed=1
  fi
  return $failed
}

# Checks that the documents for maintainers and the README name only files that exist.
check_names() {
  local failed=0 document name
  for document in README.md CONTRIBUTING.md SECURITY.md CHANGELOG.md docs/architecture.md docs/*.md; do
    if [ ! -s "$document" ]; then
      echo "names: $document does not exist" >&2
      failed=1
      continue
    fi
    while read -r name; do
      [ ! -e "$(dirname "$document")/$name" ] || continue
      if [ -z "$(git ls-files -- "$name" "*/$name" "$name.cc" "${name%/}/*" "*/${name%/}/*" | head -n 1)" ]; then
        echo "names: $document names $name, which does not exist" >&2
        failed=1
      fi
    done < <(grep -oE '(`|\]\()[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]*)+[`)]|`[A-Za-z0-9_-]+\.(md|h|cc|sh|cmake|txt)`|\]\([A-Za-z0-9_.-]+\.(md|svg)\)' "$document" |
      sed -E 's/^(`|\]\()//; s/[`)]$//' | grep -vE '^(/|build/|linux/|drivers/|Documentation/|arch/|kernel/|lib/)' | sort -u)
  done
  return $failed
}
