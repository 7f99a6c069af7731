# shellcheck shell=bash
# scripts/lab.d/own_nic.sh - owns the lab machine's end of a guest's cable: a NIC that stays with the machine's own
# driver, and what is served there. Sourced by the demo and the lab tests.
# SPDX-License-Identifier: MIT

readonly served=/tmp/served # a file there is http://ADDRESS/FILE

# serve_on_own_nic BDF ADDRESS SIZE: SIZE random bytes as `data`, with `head`'s suffixes.
serve_on_own_nic() {
  local interface
  interface=$(basename "/sys/bus/pci/devices/$1/net/"*)
  mkdir -p "$served"
  head -c "$3" /dev/urandom >"$served/data"
  busybox ip addr add "$2/24" dev "$interface"
  busybox ip link set "$interface" up
  busybox httpd -p "$2:80" -h "$served"
}
