# shellcheck shell=bash
# scripts/lab.d/next_kernel.sh - owns the lab's own kernel: Debian's linux-source-6.12, built once with next.config and
# kept in the cache that images.sh names. Sourced by scripts/lab after images.sh; it only defines functions, and prints
# nothing on stdout but results. Sources and objects are gone when it ends.
# SPDX-License-Identifier: MIT
: "${repo:=}" "${cache:=}"

readonly NEXT_SOURCE=linux-source-6.12 NEXT_FRAGMENT=$repo/scripts/lab.d/next.config
# Part of the cached kernel's name: raise it when what is below makes something else of the same source and fragment.
readonly NEXT_RECIPE=1

# What need not be unpacked: nothing here builds it. Kconfig files and Makefiles must stay, and a driver's headers where
# others include them.
readonly NEXT_UNWANTED=(
  'Documentation/*.[a-z]*' 'tools/testing/*' 'tools/perf/*' 'samples/*.c' 'LICENSES/*' 'rust/*.rs' 'sound/*.[ch]'
  'drivers/gpu/drm/*.[ch]' 'drivers/media/*.[ch]' 'drivers/staging/*.[ch]' 'drivers/infiniband/*.[ch]'
  'drivers/net/wireless/*.[ch]' 'drivers/net/ethernet/[j-z]*.[ch]' 'drivers/iio/*.[ch]' 'drivers/scsi/*.c'
  'arch/[a-tv-w]*.[a-zS]*' 'fs/xfs/*.[ch]' 'fs/btrfs/*.[ch]'
)

# next_key WORD...: a short name for these words and the fragment, whose comments do not count.
next_key() {
  {
    printf '%s\n' "recipe $NEXT_RECIPE" "$@"
    grep '^CONFIG_' "$NEXT_FRAGMENT"
  } | sha256sum | cut -c1-16
}

# Where the kernel of today's fragment and recipe is found, whatever version of the source it was made of.
next_link() { printf '%s/next-%s\n' "$cache" "$(next_key)"; }

# Whether line $2 of the fragment holds in configuration $1.
line_holds() {
  case $2 in
    *=n) ! grep -q "^${2%n}" "$1" ;;
    *) grep -qxF -- "$2" "$1" ;;
  esac
}

# Makes .config in the current directory, which is the source's, and fails for each line that did not hold.
configure_next_kernel() {
  local line lost=0
  if ! { make tinyconfig && cat "$NEXT_FRAGMENT" >>.config && make olddefconfig; } >>"$1" 2>&1; then
    tail -n 10 "$1" >&2
    images_fail "the source's own 'make tinyconfig' and 'make olddefconfig' failed"
    return
  fi
  while IFS= read -r line; do
    line_holds .config "$line" || {
      images_say "next.config: $line did not hold: it depends on another, another selects it, or it does not exist"
      lost=$((lost + 1))
    }
  done < <(grep '^CONFIG_' "$NEXT_FRAGMENT")
  [ "$lost" = 0 ]
}

# Says once a minute how far the build with log $1 is; ends with the log. Whoever reads our output must not wait for
# the last sleep.
tell_progress() {
  local minutes=0
  while sleep 60 >/dev/null 2>&1 && [ -e "$1" ]; do
    minutes=$((minutes + 1))
    images_say "  $minutes min: $(grep -c '^  [A-Z]' "$1") files made"
  done
}

# Builds in the current directory, which is the source's.
compile_next_kernel() {
  local status=0 teller
  # Nothing in it depends on who built it, and when.
  export KBUILD_BUILD_USER=lab KBUILD_BUILD_HOST=passthru KBUILD_BUILD_TIMESTAMP=1970-01-01 KBUILD_BUILD_VERSION=1
  tell_progress "$1" &
  teller=$!
  make -j"$(nproc)" bzImage >>"$1" 2>&1 || status=$?
  # It may have ended by itself, and its status says nothing of the build.
  kill "$teller" 2>/dev/null || true
  wait "$teller" 2>/dev/null || true
  [ "$status" = 0 ] || {
    grep -E -m 10 'error:|Error [0-9]|\*\*\*|not found' "$1" >&2 || tail -n 20 "$1" >&2
    images_fail "the kernel's build failed"
  }
}

# The emulator boots vmlinux through its PVH entry, as it does Debian's; symbols would only cost time.
keep_next_kernel() {
  mkdir "$2" &&
    objcopy -S -R .comment vmlinux "$2/vmlinux" &&
    cp arch/x86/boot/bzImage "$2/bzImage" &&
    cp .config "$2/config" &&
    dpkg-deb -f "$1" Version >"$2/version" &&
    make -s kernelrelease >"$2/release"
}

# Fetches, unpacks, configures and builds in the current directory; leaves the kernel in ./kernel.
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
  images_say "building: some six minutes on two cores that have nothing else to do"
  compile_next_kernel "$top/build.log" && keep_next_kernel "$package" "$top/kernel"
}

# Has a lock of its own, because it takes minutes: others go on with Debian's kernel meanwhile.
build_next_kernel() {
  local work=$cache/next.build link content status=0 start=$SECONDS tool
  link=$(next_link)
  [ ! -e "$link/release" ] || return 0
  for tool in make gcc flex bison bc objcopy xz; do
    command -v "$tool" >/dev/null || images_fail "$tool is missing: run scripts/setup" || return 1
  done
  images_say "making the lab's own kernel, once for what scripts/lab.d/next.config says; it is kept in $cache"
  rm -rf "$work" # of one who was killed
  mkdir "$work"
  (
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP
    cd "$work" && make_next_kernel || exit 1
    # The directory's name is what it was made of, so that a half-written or outdated one is never taken for it.
    content=kernel-next-$(next_key "$(<"$work/kernel/version")")
    rm -rf "${cache:?}/$content"
    mv "$work/kernel" "$cache/$content" && ln -sfn "$content" "$link"
  ) || status=$?
  [ "$status" != 0 ] || images_say "built Linux $(<"$link/release") in $((SECONDS - start)) s"
  return "$status"
}

# Prints the directory of the lab's own kernel: vmlinux, bzImage, config, release, version. Makes it if it is not there.
next_kernel() {
  with_lock next.lock build_next_kernel || return 1
  realpath "$(next_link)"
}
