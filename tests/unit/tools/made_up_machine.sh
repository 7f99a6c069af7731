# tests/unit/tools/made_up_machine.sh - a machine that the test makes, for shell tests of the command. They source this
# file first. It runs the test again in namespaces of its own, where /sys, /run, /etc, /proc/interrupts and the list of
# device names are made up. So the command shows the same on each machine, and no test reaches a real device.
# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Functions of the machine:
#   0000:01:00.0  NIC eth0, which is up
#   0000:02:00.0  NVMe drive nvme0n1 with two MSI-X vectors in use; its table is in $table
#   0000:03:00.0  NIC on vfio-pci
#   0000:04:00.0  drive with MSI-X vectors in use, of whose config space only 64 bytes can be read, as by a user
if [ "${1-}" != --apart ]; then
  apart=(unshare --mount --net)
  [ "$(id -u)" = 0 ] || apart+=(--map-root-user)
  "${apart[@]}" true || {
    echo "skipped: cannot make a mount namespace: the system allows it to root only. Run: sudo ctest -R unit" >&2
    exit 77
  }
  PASSTHRU_TEST_USER=$(id -u) exec "${apart[@]}" -- "$0" --apart "$@"
fi
shift

# as_user COMMAND...: runs the command as a user that is not root.
as_user() {
  if [ "$PASSTHRU_TEST_USER" = 0 ]; then
    setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
  else
    unshare --user --map-user=65534 --map-group=65534 "$@"
  fi
}
# without_pci COMMAND...: runs the command on a machine without a PCI bus.
without_pci() {
  # shellcheck disable=SC2016 # the inner shell expands it
  unshare --mount sh -c 'mount -t tmpfs none /sys && exec "$@"' sh "$@"
}
# without_devices COMMAND...: runs the command on a machine with a PCI bus and no device.
without_devices() {
  # shellcheck disable=SC2016
  unshare --mount sh -c 'mount -t tmpfs none /sys/bus/pci/devices && exec "$@"' sh "$@"
}

machine=$(mktemp -d)
trap 'umount --lazy "$machine"; rmdir "$machine"' EXIT
mount -t tmpfs -o mode=0755 none "$machine"
readonly machine pci=$machine/sys/bus/pci
mkdir -p "$pci"/drivers/{pcieport,e1000e,nvme,vfio-pci} "$machine"/sys/class/{net,nvme,block} "$machine/sys/devices" \
  "$machine/misc"

# bytes FILE OFFSET HEX...: writes bytes into the file.
bytes() {
  local file=$1 offset=$2
  shift 2
  # shellcheck disable=SC2059 # the bytes are the format
  printf "$(printf '\\x%s' "$@")" | dd of="$file" bs=1 seek=$((offset)) conv=notrunc status=none
}
# add_function BDF VENDOR DEVICE CLASS DRIVER GROUP: the function has 256 bytes of config space, and no capability.
add_function() {
  local function=$machine/sys/devices/pci${1%:*:*}:${1:5:2}/$1 group=$machine/sys/kernel/iommu_groups/$6
  mkdir -p "$function" "$group/devices" "$pci/devices"
  echo "0x$2" >"$function/vendor"
  echo "0x$3" >"$function/device"
  echo "0x$4" >"$function/class"
  echo 0x00 >"$function/revision"
  echo -1 >"$function/numa_node"
  echo '(null)' >"$function/driver_override"
  echo flr >"$function/reset_method"
  truncate -s 256 "$function/config"
  bytes "$function/config" 0 "${2:2}" "${2:0:2}" "${3:2}" "${3:0:2}" 06
  ln -s "../../../bus/pci/drivers/$5" "$function/driver"
  ln -s "../../../kernel/iommu_groups/$6" "$function/iommu_group"
  ln -s "../../../../devices/pci${1%:*:*}:${1:5:2}/$1" "$group/devices/$1"
  ln -s "../../../devices/pci${1%:*:*}:${1:5:2}/$1" "$pci/devices/$1"
}
# add_name BDF CLASS NAME PATH: the device has an interface or a disk of this name.
add_name() {
  local directory
  directory=$(realpath "$pci/devices/$1")/$4
  mkdir -p "$directory"
  ln -s "../../../../class/$2" "$directory/subsystem"
  ln -s "../..${directory#"$machine/sys"}" "$machine/sys/class/$2/$3"
}
# add_msix BDF IRQ: two MSI-X vectors in use, with the table at the start of BAR 0.
add_msix() {
  bytes "$pci/devices/$1/config" 0x06 10
  bytes "$pci/devices/$1/config" 0x34 40
  bytes "$pci/devices/$1/config" 0x40 11 00 01 80 00 00 00 00 00 08 00 00
  echo '0x0000000080000000 0x0000000080000fff 0x0000000000040200' >"$pci/devices/$1/resource"
  truncate -s 4096 "$pci/devices/$1/resource0"
  mkdir "$pci/devices/$1/msi_irqs"
  local vector
  for vector in 0 1; do
    echo msix >"$pci/devices/$1/msi_irqs/$(($2 + vector))"
    echo "$(($2 + vector)):  7  0  PCI-MSIX-$1  $vector-edge  driver-q$vector" >>"$machine/interrupts"
    restore_vector "$pci/devices/$1/resource0" "$vector"
  done
}
# restore_vector TABLE VECTOR and clear_vector TABLE VECTOR: an entry with a message, and what a reset leaves of it.
restore_vector() { bytes "$1" "$2 * 16" 00 00 e0 fe 00 00 00 00 22 40 00 00 00 00 00 00; }
clear_vector() { bytes "$1" "$2 * 16" 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00; }

add_function 0000:01:00.0 8086 10d3 020000 e1000e 1
add_name 0000:01:00.0 net eth0 net/eth0
echo 0x1003 >"$machine/sys/class/net/eth0/flags"
add_function 0000:02:00.0 144d a808 010802 nvme 2
add_name 0000:02:00.0 nvme nvme0 nvme/nvme0
add_name 0000:02:00.0 block nvme0n1 nvme/nvme0/nvme0n1
add_msix 0000:02:00.0 901
add_function 0000:03:00.0 8086 10d3 020000 vfio-pci 3
add_function 0000:04:00.0 144d a808 010802 nvme 4
add_msix 0000:04:00.0 911
truncate -s 64 "$pci/devices/0000:04:00.0/config"
table=$pci/devices/0000:02:00.0/resource0
# shellcheck disable=SC2034 # for the tests
readonly table
cat >"$machine/misc/pci.ids" <<'IDS'
144d  Made-up Drives
	a808  Fast Drive
1b36  Made-up Bridges
	000c  Root Port
8086  Made-up Networks
	10d3  Gigabit Card
C 01  Mass storage controller
	08  Non-Volatile memory controller
C 02  Network controller
	00  Ethernet controller
C 06  Bridge
	04  PCI bridge
IDS
chmod -R a-w "$machine/sys"
mount --bind "$machine/sys" /sys
mount --bind "$machine/interrupts" /proc/interrupts
for list in /usr/share/misc /usr/share/hwdata; do
  [ ! -d $list ] || mount --bind "$machine/misc" $list
done
mount -t tmpfs -o mode=0555 none /run
# `bind --persist` writes below /etc.
mkdir "$machine/etc"
for file in passwd group nsswitch.conf ld.so.cache; do
  [ ! -e /etc/$file ] || cp /etc/$file "$machine/etc"
done
mount --bind "$machine/etc" /etc
# Any user can run a copy, even if the build directory is private.
install -m 755 "$1" "$machine/passthru"
# shellcheck disable=SC2034
readonly passthru=$machine/passthru
