# shellcheck shell=bash
# scripts/lab.d/images.sh - functions for the lab's kernel, its modules, its initramfs images, and their cache.
# scripts/lab and scripts/guest-image source it. It prints only results on stdout. It installs no kernel: it fetches
# packages and unpacks them into the cache. The caller sets `repo` (the clone) and `cache` (from cache_dir).
# SPDX-License-Identifier: MIT
: "${repo:=}" "${cache:=}"

# The part of Debian's module tree that no device of the lab uses: three quarters of the tree.
readonly UNWANTED_MODULES=(
  sound net/wireless net/mac80211 net/bluetooth drivers/gpu drivers/media drivers/staging drivers/infiniband
  drivers/net/wireless drivers/net/ethernet/mellanox drivers/iio drivers/input drivers/hwmon drivers/isdn
  drivers/bluetooth drivers/comedi drivers/mtd drivers/target
)

# Part of the cached kernel's name. Raise it when unpack_stock_kernel changes its result.
readonly KERNEL_LAYOUT=2

images_say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

images_fail() {
  images_say "$@"
  return 1
}

# Prints the cache directory. All clones of a user share it: the kernel is a download of 70 MB, which `git clean -xdf`
# should not repeat. If the home directory is not writable, the cache is in the build tree.
cache_dir() {
  local dir=${PASSTHRU_CACHE:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/passthru}
  if ! mkdir -p "$dir" 2>/dev/null || [ ! -w "$dir" ]; then
    dir=$repo/build/lab-cache
    mkdir -p "$dir"
  fi
  realpath "$dir"
}

# with_lock NAME FUNCTION...: runs FUNCTION under the lock NAME of the cache, so that two runs never make the same
# thing.
with_lock() {
  local lock
  exec {lock}>"$cache/$1"
  flock -w 2 "$lock" || {
    images_say "waiting for another process that holds $cache/$1"
    flock "$lock"
  }
  "${@:2}" {lock}>&-
  local status=$?
  exec {lock}>&-
  return $status
}

with_cache_lock() { with_lock images.lock "$@"; }

# download_package PACKAGE|linux-image-amd64 [SUITE]: downloads into the current directory. For linux-image-amd64, it
# downloads the package that this name depends on. It tries these package lists in turn:
# - the machine's own
# - fresh lists in the cache, which needs no root and does not change the machine
# - the lists of SUITE, from the mirror in the machine's own sources
download_package() {
  local apt=(-qq -o APT::Sandbox::User=root -o Acquire::Retries=3) name
  local private=("${apt[@]}" -o "Dir::State::lists=$cache/apt/lists" -o "Dir::Cache=$cache/apt")
  if fetch_package "$1" "${apt[@]}"; then return; fi
  images_say "refreshing package lists (in the cache)"
  mkdir -p "$cache/apt/lists/partial" "$cache/apt/archives/partial"
  apt-get "${private[@]}" update >>apt.log 2>&1 ||
    images_say "cannot fetch some package lists; continuing with the existing lists"
  if fetch_package "$1" "${private[@]}"; then return; fi
  if [ -n "${2-}" ] && suite_source "$2" >suite.list; then
    images_say "trying the package lists of $2"
    private+=(-o "Dir::Etc::sourcelist=$PWD/suite.list" -o Dir::Etc::sourceparts=-)
    apt-get "${private[@]}" update >>apt.log 2>&1 || true # the next download reports a missing package
    if fetch_package "$1" "${private[@]}"; then return; fi
  fi
  tail -n 5 apt.log >&2
  images_fail "cannot fetch Debian's $1: the machine is offline, or it is not Debian 12 or 13"
}

# fetch_package PACKAGE APT-OPTION...: downloads into the current directory.
fetch_package() {
  local name=$1
  shift
  if [ "$name" = linux-image-amd64 ]; then name=$(stock_kernel_package "$@"); fi
  [ -n "$name" ] && apt-get "$@" download "$name" 2>>apt.log
}

# Prints the package of Debian 12's kernel. Prints nothing if linux-image-amd64 depends on another kernel.
stock_kernel_package() {
  LC_ALL=C apt-cache "$@" depends linux-image-amd64 2>/dev/null |
    awk '$1 == "Depends:" && $2 ~ /^linux-image-6\.1\./ && !name { name = $2 } END { print name }'
}

# Prints the Debian mirror that this machine uses.
debian_mirror() {
  local mirror
  # shellcheck disable=SC2016 # APT's own variable
  mirror=$(apt-get indextargets --format '$(REPO_URI)' \
    'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main')
  [ -n "$mirror" ] || return 1
  printf '%s\n' "${mirror%%$'\n'*}"
}

# Prints suite $1 as a line of an APT source list, on that mirror.
suite_source() {
  local mirror
  mirror=$(debian_mirror) || return
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$1"
}

# Unpacks the kernel in bzImage $1 into file $2. Fails if it is not compressed with xz, as Debian's kernels are.
extract_vmlinux() {
  local offset
  offset=$(LC_ALL=C grep -obaP '\xfd7zXZ\x00' "$1" | LC_ALL=C sed -n '1s/:.*//p' | tr -d '\0') || return 1
  # More data follows the xz stream in a bzImage.
  xz -dc --single-stream < <(tail -c "+$((offset + 1))" "$1") >"$2" || return 1
  [ "$(head -c 4 "$2" | tail -c 3)" = ELF ]
}

# Callers test the following functions with || or `if`, which switches off `set -e` in them. So each step returns its
# own failure: a full disk must not leave an incomplete image in the cache.

# Unpacks package $1 to $2: vmlinuz, vmlinux and a modules tree that depmod has indexed. The emulator boots vmlinux
# through its PVH entry, which saves 2 s of emulated decompression.
unpack_stock_kernel() {
  local package=$1 into=$2 unwanted module exclude=()
  for module in "${UNWANTED_MODULES[@]}"; do
    exclude+=(--exclude="./lib/modules/*/kernel/$module")
  done
  unwanted=(--exclude='./usr/share' --exclude='./boot/System.map*')
  mkdir -p "$into" &&
    dpkg-deb --fsys-tarfile "$package" |
    tar -x -C "$into" "${exclude[@]}" "${unwanted[@]}" --no-same-owner || return
  local release
  release=$(ls "$into/lib/modules") && mv "$into/boot/vmlinuz-$release" "$into/vmlinuz" || return
  extract_vmlinux "$into/vmlinuz" "$into/vmlinux" || rm -f "$into/vmlinux"
  rm -rf "$into/boot" "$into/usr"
  printf '%s\n' "$release" >"$into/release" && PATH=$PATH:/usr/sbin:/sbin depmod -b "$into" "$release"
}

fetch_stock_kernel() {
  [ ! -e "$cache/stock-$KERNEL_LAYOUT/release" ] || return 0
  local work package
  work=$(mktemp -d "$cache/fetch.XXXXXX")
  images_say "fetching Debian's kernel (70 MB, once; kept in $cache)"
  (
    cd "$work"
    download_package linux-image-amd64 bookworm || exit 1
    package=$(ls ./*.deb)
    # The hash of the package is in the directory's name, so nothing uses an incomplete or outdated directory.
    content=kernel-$KERNEL_LAYOUT-$(sha256sum "$package" | cut -c1-16)
    if [ ! -e "$cache/$content/release" ]; then
      unpack_stock_kernel "$package" unpacked || exit 1
      rm -rf "${cache:?}/$content"
      mv unpacked "$cache/$content" || exit 1
    fi
    ln -sfn "$content" "$cache/stock-$KERNEL_LAYOUT"
  ) || {
    rm -rf "$work"
    return 1
  }
  rm -rf "$work"
}

# Prints the directory of the stock kernel: vmlinuz, vmlinux (if it could be extracted), release, lib/modules/.
stock_kernel() {
  with_cache_lock fetch_stock_kernel || return 1
  realpath "$cache/stock-$KERNEL_LAYOUT"
}

# stage_modules KERNEL TREE MODULE...: copies the modules and their dependencies to the image tree, and indexes them.
stage_modules() {
  local kernel=$1 tree=$2 release
  shift 2
  release=$(<"$kernel/release") || return
  local from=$kernel/lib/modules/$release to=$tree/lib/modules/$release
  mkdir -p "$to" && cp "$from"/modules.builtin* "$from/modules.order" "$to/" || return
  local files
  files=$(PATH=$PATH:/usr/sbin:/sbin modprobe -d "$kernel" -S "$release" -a --show-depends "$@" |
    sed -n "s|^insmod .*/lib/modules/$release/\([^ ]*\).*|\1|p" | sort -u) || return 1
  (cd "$from" && xargs cp --parents -t "$to" <<<"$files") || return
  PATH=$PATH:/usr/sbin:/sbin depmod -b "$tree" "$release"
}

# Makes the skeleton of an image at $1: busybox under each of its names, and $2 as /init.
stage_busybox() {
  local tree=$1 init=$2 busybox name
  busybox=$(command -v busybox) || images_fail "busybox is not installed. Run scripts/setup" || return 1
  mkdir -p "$tree"/{bin,proc,sys,dev,run,tmp,etc} && cp "$busybox" "$tree/bin/busybox" || return
  for name in $("$busybox" --list); do
    [ "$name" = busybox ] || ln -s busybox "$tree/bin/$name" || return
  done
  ln -s bin "$tree/sbin" && install -m 755 "$init" "$tree/init"
}

# Packs image tree $1 into file $2, uncompressed: the kernel would take longer to decompress it. The file gets its name
# only when it is complete.
pack_image() {
  local tree=$1 image=$2
  (cd "$tree" && find . -mindepth 1 -print0 | LC_ALL=C sort -z |
    cpio --null --quiet --create --format=newc --owner=0:0 --reproducible) >"$image.new" || return
  mv "$image.new" "$image"
}

# Prints a short hash of the given words, and of the names and contents of the files listed on stdin.
content_key() {
  local file
  {
    printf '%s\n' "$@"
    while IFS= read -r file; do
      printf '%s\n' "${file##*/}"
      cat -- "$file"
    done
  } | sha256sum | cut -c1-16
}
