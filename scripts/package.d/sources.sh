# shellcheck shell=bash
# scripts/package.d/sources.sh - the sources of the packages. scripts/package and scripts/check source it.
# SPDX-License-Identifier: MIT

# Prints the version of the packages.
changelog_version() { sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog; }

# copy_tracked_files DIRECTORY: copies the tracked files of the current clone, with changes that are not committed.
copy_tracked_files() {
  mkdir -p "$1"
  git ls-files -z | while IFS= read -r -d '' file; do
    [ ! -e "$file" ] || printf '%s\0' "$file"
  done | tar --create --null --files-from=- | tar --extract --directory="$1"
}
