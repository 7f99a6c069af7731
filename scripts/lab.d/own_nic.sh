# shellcheck shell=bash
# scripts/lab.d/own_nic.sh - serves files on the lab machine's end of a guest's cable: a NIC with the machine's own
# driver. The demo and the lab tests source this file.
# SPDX-License-Identifier: MIT

readonly served=/tmp/served # a FILE in it is http://ADDRESS/FILE

# serve_on_own_nic BDF ADDRESS SIZE: serves SIZE random bytes as `data`. SIZE has the suffixes of `head`.
serve_on_own_nic() {
  local interface
  interface=$(basename "/sys/bus/pci/devices/$1/net/"*)
  mkdir -p "$served"
  head -c "$3" /dev/urandom >"$served/data"
  busybox ip addr add "$2/24" dev "$interface"
  busybox ip link set "$interface" up
  busybox httpd -p "$2:80" -h "$served"
}
