#!/usr/bin/env bash
# tests/unit/scripts/images.sh - tests of scripts/lab.d/images.sh: a step that fails leaves no incomplete image or
# kernel behind, as when the disk is full. Scripts stand for the tools that fail.
# usage: images.sh
# SPDX-License-Identifier: MIT
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

# shellcheck source=tests/unit/tools/equal.sh
source tests/unit/tools/equal.sh
# shellcheck source=scripts/lab.d/images.sh
source scripts/lab.d/images.sh
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
mkdir -p "$directory"/{bin,tree} "$directory/kernel/lib/modules/6.1"
PATH=$directory/bin:$PATH

# tool NAME COMMAND: makes a tool that runs COMMAND.
tool() {
  printf '#!/bin/sh\n%s\n' "$2" >"$directory/bin/$1"
  chmod +x "$directory/bin/$1"
}
# outcome COMMAND...: prints whether COMMAND succeeds, which is tested as the callers do.
outcome() {
  if "$@" >/dev/null 2>&1; then echo succeeded; else echo failed; fi
}

tool depmod true

tool cpio 'echo the first part; exit 1'
equal 'an image that cannot be packed' "$(outcome pack_image "$directory/tree" "$directory/image")" failed
equal 'its file' "$(ls "$directory/image" 2>/dev/null)" ''
tool cpio 'cat >/dev/null; echo an image'
equal 'an image that can be packed' "$(outcome pack_image "$directory/tree" "$directory/image")" succeeded
equal 'its content' "$(cat "$directory/image")" 'an image'

echo 6.1 >"$directory/kernel/release"
touch "$directory/kernel/lib/modules/6.1"/{modules.builtin,modules.order,a.ko}
tool modprobe 'echo insmod /x/lib/modules/6.1/a.ko; echo insmod /x/lib/modules/6.1/missing.ko'
equal 'a module that cannot be copied' "$(outcome stage_modules "$directory/kernel" "$directory/tree" a)" failed
tool modprobe 'echo insmod /x/lib/modules/6.1/a.ko'
equal 'modules that can be copied' "$(outcome stage_modules "$directory/kernel" "$directory/tree" a)" succeeded
equal 'the copied module' "$(ls "$directory/tree/lib/modules/6.1/a.ko")" "$directory/tree/lib/modules/6.1/a.ko"

tool dpkg-deb 'exit 2'
equal 'a package that cannot be unpacked' "$(outcome unpack_stock_kernel a.deb "$directory/unpacked")" failed
equal 'the mark of a complete kernel' "$(ls "$directory/unpacked/release" 2>/dev/null)" ''

mkdir -p "$directory"/package/{boot,lib/modules/6.1}
echo kernel >"$directory/package/boot/vmlinuz-6.1"
tar --create --file="$directory/package.tar" --directory="$directory/package" ./boot ./lib
tool dpkg-deb "cat '$directory/package.tar'"
equal 'a package that can be unpacked' "$(outcome unpack_stock_kernel a.deb "$directory/unpacked")" succeeded
equal 'the kernel and its release' "$(cat "$directory/unpacked"/{vmlinuz,release})" $'kernel\n6.1'

[ "$failures" = 0 ]
