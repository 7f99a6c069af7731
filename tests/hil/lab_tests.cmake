# SPDX-License-Identifier: MIT
# The lab runs of the test suite: which devices each machine has, and what must pass in it.
# Each has a drive of its own: they run side by side.
set(drive ${PROJECT_SOURCE_DIR}/build/lab/test)
set(hil_tests ${CMAKE_CURRENT_BINARY_DIR}/passthru_hil_tests)

# From the rtl8139 on they are bound by the tests themselves; three are in one page, two behind a bridge.
passthru_lab_test(stock.hil --nvme ${drive}-hil.img --nic-pair --bind 0000:00:02.0 --bind 0000:00:03.0
  --device rtl8139 --device pci-ohci --device sdhci-pci --pack 0000:00:05.0,0000:00:06.0,0000:00:07.0
  --device edu --device pcie-root-port,id=rp --device pcie-pci-bridge,id=br,bus=rp
  --device usb-ehci,bus=br,addr=1 --device usb-ehci,bus=br,addr=2 -- ${hil}/all_must_run ${hil_tests})

# The forwarder on the lab's kernel: what a ring does is the kernel's.
passthru_lab_test(stock.forwarder -- env PASSTHRU_SIGNALS=200000 ${hil}/all_must_run ${CMAKE_CURRENT_BINARY_DIR}/passthru_unit_tests --gtest_filter=*Forward*)

# What guests run: Debian's kernel, and the jobs of demo and tests.
set(guest build/lab/guest-test)
add_test(NAME lab.guest_image COMMAND ${PROJECT_SOURCE_DIR}/scripts/guest-image --jobs ${hil}/jobs --jobs ${guest_programs} ${guest}
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
set_tests_properties(lab.guest_image PROPERTIES LABELS lab FIXTURES_SETUP guest_image TIMEOUT 600)

passthru_lab_test(stock.guest_life --timeout 500 --nvme ${drive}-guest_life.img --nic-pair
  --bind 0000:00:02.0 --bind 0000:00:03.0 -- ${hil}/guest_life.sh ${drive}-guest_life.img ${guest})
# What is behind a bridge to conventional PCI is one IOMMU group: its requests carry the bridge's address.
passthru_lab_test(stock.refusals --timeout 500 --nvme ${drive}-refusals.img --nic-pair
  --device pcie-root-port,id=rp --device pcie-pci-bridge,id=br,bus=rp
  --device virtio-rng-pci,bus=br,addr=1 --device virtio-rng-pci,bus=br,addr=2
  --bind 0000:00:02.0 --bind 0000:02:01.0 -- ${hil}/refusals.sh ${guest})
# A drive on vfio-pci, one of the host's, two NICs of the host's, and two devices of one group.
passthru_lab_test(stock.doctor --timeout 500 --nvme ${drive}-doctor.img --nvme ${drive}-doctor-own.img --nic-pair
  --device pcie-root-port,id=rp --device pcie-pci-bridge,id=br,bus=rp
  --device virtio-rng-pci,bus=br,addr=1 --device virtio-rng-pci,bus=br,addr=2
  --bind 0000:00:02.0 -- ${hil}/doctor.sh)
# How often the state of a drive is damaged under its guest.
set(damages 20)
if(PASSTHRU_TEST_ALL)
  set(damages 50)
endif()
passthru_lab_test(stock.backdoor --timeout 500 --nvme ${drive}-backdoor.img --bind 0000:00:02.0 --
  ${hil}/backdoor.sh --guest ${guest} --rounds ${damages})
# A NIC of the lab machine and an rtl8139 on one cable, the rtl8139 in one page with two others.
passthru_lab_test(stock.packed --timeout 400
  --qemu -netdev --qemu hubport,hubid=2,id=own --device e1000e,netdev=own
  --qemu -netdev --qemu hubport,hubid=2,id=theirs --device rtl8139,netdev=theirs
  --device pci-ohci --device sdhci-pci --pack 0000:00:03.0,0000:00:04.0,0000:00:05.0
  --bind 0000:00:03.0 --bind 0000:00:04.0 --bind 0000:00:05.0 --
  ${hil}/packed.sh ${guest} 0000:00:02.0 0000:00:03.0 0000:00:04.0 0000:00:05.0)
passthru_lab_test(stock.moves --timeout 600 --nvme ${drive}-moves.img --nic-pair --bind 0000:00:02.0 --bind 0000:00:03.0 --
  ${hil}/moves.sh ${drive}-moves.img ${guest})
# How often the interrupts of a NIC are moved between CPUs, and its state damaged, under a TCP stream.
set(moves 500)
if(PASSTHRU_TEST_ALL)
  set(moves 10000)
endif()
passthru_lab_test(stock.stream --timeout 600 --nic-pair --bind 0000:00:02.0 -- ${hil}/stream.sh ${guest} ${moves} ${damages})
# How often a guest resets its drive.
set(resets 40)
if(PASSTHRU_TEST_ALL)
  set(resets 1000)
endif()
passthru_lab_test(stock.resets --timeout 1200 --nvme ${drive}-resets.img --bind 0000:00:02.0 -- ${hil}/resets.sh ${guest} ${resets})
# A drive that stays, two behind ports that go, and a device that reports errors.
set(nothing driver=null-co,read-zeroes=on,size=16777216,if=none)
passthru_lab_test(stock.unplug --timeout 300 --nvme ${drive}-unplug.img
  --device pcie-root-port,id=rp1,chassis=1 --device pcie-root-port,id=rp2,chassis=2 --device pcie-root-port,id=rp3,chassis=3
  --qemu -drive --qemu id=d1,${nothing} --device nvme,id=nvme1,serial=lab1,drive=d1,bus=rp1
  --qemu -drive --qemu id=d2,${nothing} --device nvme,id=nvme2,serial=lab2,drive=d2,bus=rp2
  --device virtio-rng-pci,id=rng0,bus=rp3,aer=on,disable-legacy=on,iommu_platform=on
  --bind 0000:00:02.0 --bind 0000:01:00.0 --bind 0000:02:00.0 --bind 0000:03:00.0 --
  ${hil}/unplug.sh ${drive}-unplug.img ${guest} 0000:00:02.0 0000:01:00.0 0000:02:00.0 0000:03:00.0)
# A drive behind a port, with two virtual functions for which there are four queues and five interrupts each.
set(sriov ${drive}-sriov)
set(sriov_drive --device pcie-root-port,id=rp
  --qemu -drive --qemu id=sriov,file=${sriov}/drive.img,if=none,format=raw --qemu -device --qemu nvme-subsys,id=subsystem
  --qemu -device
  --qemu nvme,id=pf,serial=lab,bus=rp,subsys=subsystem,max_ioqpairs=10,msix_qsize=11,sriov_max_vfs=2,sriov_vq_flexible=8,sriov_vi_flexible=10
  --qemu -device --qemu nvme-ns,drive=sriov,bus=pf,nsid=1)
add_test(NAME lab.sriov_image COMMAND ${hil}/make_images ${sriov} drive WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
set_tests_properties(lab.sriov_image PROPERTIES LABELS lab FIXTURES_SETUP sriov_image)
passthru_lab_test(stock.virtual_functions --timeout 500 ${sriov_drive} -- ${hil}/virtual_functions.sh ${sriov}/drive.img ${guest})
passthru_lab_test(stock.vf_tokens --timeout 500 ${sriov_drive} --device rtl8139 --bind 0000:00:03.0
  -- ${hil}/vf_tokens.sh ${sriov}/drive.img ${guest})
set_tests_properties(lab.stock.vf_tokens PROPERTIES RESOURCE_LOCK sriov_image FIXTURES_REQUIRED "guest_image;sriov_image")
set_tests_properties(lab.stock.virtual_functions PROPERTIES RESOURCE_LOCK sriov_image FIXTURES_REQUIRED "guest_image;sriov_image")
# A switch with three ports behind the first root port, two bridges to conventional PCI behind the second.
set(switch_and_bridges
  --device pcie-root-port,id=port1,chassis=1 --device pcie-root-port,id=port2,chassis=2 --device pcie-root-port,id=port3,chassis=3
  --device x3130-upstream,id=switch,bus=port1
  --device xio3130-downstream,id=down1,bus=switch,addr=0,chassis=11 --device xio3130-downstream,id=down2,bus=switch,addr=1,chassis=12
  --device xio3130-downstream,id=down3,bus=switch,addr=2,chassis=13
  --device e1000e,bus=down1 --device qemu-xhci,bus=down3
  --device virtio-rng-pci,bus=down2,addr=0.0,multifunction=on --device virtio-rng-pci,bus=down2,addr=0.1
  --device pcie-pci-bridge,id=conventional,bus=port2
  --device usb-ehci,bus=conventional,addr=1 --device usb-ehci,bus=conventional,addr=2 --device rtl8139,bus=conventional,addr=3
  --device pci-bridge,id=nested,bus=conventional,addr=4,chassis_nr=21
  --device pci-ohci,bus=nested,addr=1 --device sdhci-pci,bus=nested,addr=2
  --device virtio-rng-pci,bus=port3
  --device edu --device rtl8139 --device sdhci-pci --device ich9-ahci --device pci-ohci)
passthru_lab_test(stock.topology --timeout 400 ${switch_and_bridges} -- ${hil}/topology.sh)
# The same with bus numbers of the kernel's own. The emulator takes the last -append: it is all that the kernel is told.
passthru_lab_test(stock.topology_assigned --timeout 300 ${switch_and_bridges}
  --qemu -append --qemu "console=ttyS0 intel_iommu=on quiet panic=-1 oops=panic mitigations=off nohz=off pci=assign-busses" --
  ${hil}/topology.sh as-booted)
passthru_lab_test(stock.see_it --timeout 300 --nvme ${drive}-see_it.img --nic-pair -- ${hil}/see_it.sh ${guest})
passthru_lab_test(stock.see_others --timeout 300 --nvme ${drive}-see_others.img -- ${hil}/see_others.sh ${drive}-see_others.img ${guest})
set_tests_properties(lab.stock.see_it lab.stock.see_others lab.stock.resets lab.stock.stream lab.stock.unplug lab.stock.moves lab.stock.packed lab.stock.backdoor lab.stock.guest_life lab.stock.refusals PROPERTIES FIXTURES_REQUIRED guest_image)
include(${CMAKE_CURRENT_LIST_DIR}/device_runs.cmake)
