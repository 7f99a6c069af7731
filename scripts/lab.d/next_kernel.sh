# shellcheck shell=bash
# scripts/lab.d/next_kernel.sh - functions that build the lab's own kernel: Debian's linux-source-6.12 with next.config.
# They build it once, keep it in the cache of images.sh, and delete sources and objects. scripts/lab sources this file
# after images.sh. It prints only results on stdout.
# SPDX-License-Identifier: MIT
: "${repo:=}" "${cache:=}"

readonly NEXT_SOURCE=linux-source-6.12 NEXT_FRAGMENT=$repo/scripts/lab.d/next.config
# Part of the cached kernel's name. Raise it when the code below makes another kernel from the same source and fragment.
readonly NEXT_RECIPE=1

# Files of the source that this build does not need, and does not unpack. Kconfig files and Makefiles must stay, and
# headers of drivers that other code includes.
readonly NEXT_UNWANTED=(
  'Documentation/*.[a-z]*' 'tools/testing/*' 'tools/perf/*' 'samples/*.c' 'LICENSES/*' 'rust/*.rs' 'sound/*.[ch]'
  'drivers/gpu/drm/*.[ch]' 'drivers/media/*.[ch]' 'drivers/staging/*.[ch]' 'drivers/infiniband/*.[ch]'
  'drivers/net/wireless/*.[ch]' 'drivers/net/ethernet/[j-z]*.[ch]' 'drivers/iio/*.[ch]' 'drivers/scsi/*.c'
  'arch/[a-tv-w]*.[a-zS]*' 'fs/xfs/*.[ch]' 'fs/btrfs/*.[ch]'
)

# next_key WORD...: prints a short hash of these words and of the fragment without its comments.
next_key() {
  {
    printf '%s\n' "recipe $NEXT_RECIPE" "$@"
    grep '^CONFIG_' "$NEXT_FRAGMENT"
  } | sha256sum | cut -c1-16
}

# Prints the link to the kernel of the current fragment and recipe, whatever the version of its source.
next_link() { printf '%s/next-%s\n' "$cache" "$(next_key)"; }

# Returns 0 if configuration $1 contains line $2 of the fragment.
line_holds() {
  case $2 in
    *=n) ! grep -q "^${2%n}" "$1" ;;
    *) grep -qxF -- "$2" "$1" ;;
  esac
}

# Makes .config in the current directory, the source. Reports each line of the fragment that .config lacks, and fails.
configure_next_kernel() {
  local line lost=0
  if ! { make tinyconfig && cat "$NEXT_FRAGMENT" >>.config && make olddefconfig; } >>"$1" 2>&1; then
    tail -n 10 "$1" >&2
    images_fail "cannot configure the kernel: 'make tinyconfig' or 'make olddefconfig' failed"
    return
  fi
  while IFS= read -r line; do
    line_holds .config "$line" || {
      images_say "next.config: $line has no effect: it depends on another, another selects it, or it does not exist"
      lost=$((lost + 1))
    }
  done < <(grep '^CONFIG_' "$NEXT_FRAGMENT")
  [ "$lost" = 0 ]
}

# Prints the progress of the build with log $1 once a minute, until the log is gone. sleep gets no output pipe, so that
# a reader of our output does not wait for the last sleep.
tell_progress() {
  local minutes=0
  while sleep 60 >/dev/null 2>&1 && [ -e "$1" ]; do
    minutes=$((minutes + 1))
    images_say "  $minutes min: $(grep -c '^  [A-Z]' "$1") files built"
  done
}

# Builds the kernel in the current directory, the source.
compile_next_kernel() {
  local status=0 teller
  # The kernel does not contain the user, host and time of the build.
  export KBUILD_BUILD_USER=lab KBUILD_BUILD_HOST=passthru KBUILD_BUILD_TIMESTAMP=1970-01-01 KBUILD_BUILD_VERSION=1
  tell_progress "$1" &
  teller=$!
  make -j"$(nproc)" bzImage >>"$1" 2>&1 || status=$?
  # It may have ended already, and its status says nothing about the build.
  kill "$teller" 2>/dev/null || true
  wait "$teller" 2>/dev/null || true
  [ "$status" = 0 ] || {
    grep -E -m 10 'error:|Error [0-9]|\*\*\*|not found' "$1" >&2 || tail -n 20 "$1" >&2
    images_fail "cannot build the kernel: make failed"
  }
}

# keep_next_kernel PACKAGE DIR: copies the built kernel to DIR. The emulator boots vmlinux through its PVH entry, as it
# boots Debian's. Symbols are removed, because loading them takes time.
keep_next_kernel() {
  mkdir "$2" &&
    objcopy -S -R .comment vmlinux "$2/vmlinux" &&
    cp arch/x86/boot/bzImage "$2/bzImage" &&
    cp .config "$2/config" &&
    dpkg-deb -f "$1" Version >"$2/version" &&
    make -s kernelrelease >"$2/release"
}

# Fetches, unpacks, configures and builds the kernel in the current directory. The result is in ./kernel.
make_next_kernel() {
  local top=$PWD package exclude=() pattern
  images_say "fetching Debian's $NEXT_SOURCE (150 MB)"
  download_package "$NEXT_SOURCE" bookworm-backports || return 1
  package=$(ls "$top"/*.deb)
  images_say "unpacking version $(dpkg-deb -f "$package" Version)"
  for pattern in "${NEXT_UNWANTED[@]}"; do exclude+=(--exclude="$NEXT_SOURCE/$pattern"); done
  dpkg-deb --fsys-tarfile "$package" | tar -xO "./usr/src/$NEXT_SOURCE.tar.xz" | xz -dc -T0 |
    LC_ALL=C tar -x --no-same-owner "${exclude[@]}" || return 1
  cd "$NEXT_SOURCE" && configure_next_kernel "$top/build.log" || return 1
  images_say "building: about six minutes on two idle cores"
  compile_next_kernel "$top/build.log" && keep_next_kernel "$package" "$top/kernel"
}

# Builds the kernel unless the cache has it. It takes minutes, so it has its own lock: other runs can use Debian's
# kernel.
build_next_kernel() {
  local work=$cache/next.build link content status=0 start=$SECONDS tool
  link=$(next_link)
  [ ! -e "$link/release" ] || return 0
  for tool in make gcc flex bison bc objcopy xz; do
    command -v "$tool" >/dev/null || images_fail "$tool is not installed. Run scripts/setup" || return 1
  done
  images_say "building the lab's own kernel from scripts/lab.d/next.config (once; kept in $cache)"
  rm -rf "$work" # left over from a killed run
  mkdir "$work"
  (
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP
    cd "$work" && make_next_kernel || exit 1
    # The hash of the inputs is in the directory's name, so nothing uses an incomplete or outdated directory.
    content=kernel-next-$(next_key "$(<"$work/kernel/version")")
    rm -rf "${cache:?}/$content"
    mv "$work/kernel" "$cache/$content" && ln -sfn "$content" "$link"
  ) || status=$?
  [ "$status" != 0 ] || images_say "built Linux $(<"$link/release") in $((SECONDS - start)) s"
  return "$status"
}

# Prints the directory of the lab's own kernel: vmlinux, bzImage, config, release, version. Builds it if it is missing.
next_kernel() {
  with_lock next.lock build_next_kernel || return 1
  realpath "$(next_link)"
}
