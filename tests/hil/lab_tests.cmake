# SPDX-License-Identifier: MIT
# The lab runs of the test suite: the devices of each machine, its tests, its kernels, and the kernel's interfaces to
# VFIO (backends). Names are lab.KERNEL.BACKEND.NAME. A test that does not depend on the backend runs once for each
# kernel, as lab.KERNEL.NAME. Runs are parallel: each has its own drive and its own directory for results.
set(lab ${PROJECT_SOURCE_DIR}/scripts/lab)
set(hil ${PROJECT_SOURCE_DIR}/tests/hil)
set(hil_tests ${CMAKE_CURRENT_BINARY_DIR}/passthru_hil_tests)
set(unit_tests ${CMAKE_CURRENT_BINARY_DIR}/passthru_unit_tests)

# The backends that scripts/test --all uses on the lab's own kernel.
set(backends_next group cdev)
# The runs on the lab's own kernel. All runs would take half an hour more. This selection covers what the newer kernel
# and the newer backend do differently. -DPASSTHRU_EVERY_RUN=ON registers the others too.
set(runs_next
  next.group.hil next.group.backdoor next.group.shared_pages next.group.moves next.group.stream next.group.resets
  next.cdev.hil next.cdev.backdoor next.cdev.storm next.cdev.shared_pages next.cdev.moves next.cdev.stream
  next.cdev.resets next.cdev.unprivileged next.cdev.c_vmm next.cdev.disks next.cdev.nics next.two_backends
  next.vf_tokens)
# Runs that only PASSTHRU_EVERY_RUN registers. Two guests at the same time, or pages of 1 GiB, are a heavy load for a
# lab machine with one CPU; ten thousand inspections take most of an hour; an installation of Debian takes minutes.
set(runs_left_out stock.virtual_functions stock.memory stock.inspect_cost stock.ten_thousand_looks
  stock.debian12 stock.debian13)
option(PASSTHRU_EVERY_RUN "Register every lab run, also those that the other lists leave out" OFF)
# Runs that `scripts/test` leaves to `scripts/test --all`, so that it ends within ten minutes: repetitions, and devices
# of each kind.
set(runs_of_all
  stock.group.counts stock.group.shared_pages stock.group.unprivileged stock.group.hostile stock.group.moves
  stock.group.stream stock.group.resets stock.group.c_vmm stock.group.disks stock.group.nics
  stock.topology_assigned stock.inspect_foreign stock.vf_tokens stock.machines)
# The combination of kernel and backend that runs the long forms.
set(long_runs stock.group)

# The images of guests: Debian's kernel if the lab runs the stock kernel, the small kernel if it runs the lab's own; and
# the jobs of demo and tests.
set(guest build/lab/guest-test)
set(debian_guest ${guest})
set(small_guest ${guest}/small)
if(PASSTHRU_TEST_ALL)
  set(small --small)
endif()
add_test(NAME lab.guest_image
  COMMAND ${PROJECT_SOURCE_DIR}/scripts/guest-image ${small} --jobs ${hil}/jobs --jobs ${guest_programs} ${guest}
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
set_tests_properties(lab.guest_image PROPERTIES LABELS lab FIXTURES_SETUP guest_image TIMEOUT 600)
if(PASSTHRU_TEST_ALL)
  set_tests_properties(lab.guest_image PROPERTIES FIXTURES_REQUIRED next_kernel)
endif()

# The lab's own kernel. The first build takes minutes and all cores, so no guest runs beside it.
if(PASSTHRU_TEST_ALL)
  add_test(NAME lab.next_kernel COMMAND ${lab} build-kernel next WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(lab.next_kernel PROPERTIES LABELS lab FIXTURES_SETUP next_kernel RUN_SERIAL ON TIMEOUT 2400)
endif()

# The device runs need many drivers, so their guests always have Debian's kernel.
include(${CMAKE_CURRENT_LIST_DIR}/device_runs.cmake)

macro(choose_guest)
  if(kernel STREQUAL "next")
    set(guest ${small_guest})
  endif()
endmacro()

# passthru_lab_test(NAME LAB-OPTION... -- COMMAND...): adds a test that boots the lab once on `kernel`. If `backend` is
# set, the command and the tests read it from the environment.
function(passthru_lab_test name)
  set(test lab.${where}.${name})
  if(NOT PASSTHRU_EVERY_RUN AND (${where}.${name} IN_LIST runs_left_out OR
      (kernel STREQUAL "next" AND NOT ${where}.${name} IN_LIST runs_next)))
    return()
  endif()
  if(NOT PASSTHRU_EVERY_RUN AND NOT PASSTHRU_TEST_ALL AND ${where}.${name} IN_LIST runs_of_all)
    return()
  endif()
  # Drives have 16 MiB: guests read all of it, some of them repeatedly.
  set(environment LAB_TIMES=yes LAB_DRIVE_MIB=16 LAB_NAME=${test} LAB_OUT=${PROJECT_SOURCE_DIR}/build/lab/out/${where})
  if(backend)
    list(APPEND environment PASSTHRU_BACKEND=${backend})
  endif()
  set(fixtures guest_image)
  if(kernel STREQUAL "next")
    list(APPEND fixtures next_kernel)
  endif()
  add_test(NAME ${test} COMMAND ${hil}/retry_lab_failure ${lab} run --kernel ${kernel} ${ARGN}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${test} PROPERTIES LABELS lab TIMEOUT 2400 ENVIRONMENT "${environment}"
    FIXTURES_REQUIRED "${fixtures}")
endfunction()

# ---- tests that depend on the backend ----------------------------------------------------------------------------

function(lab_runs kernel backend)
  choose_guest()
  set(where ${kernel}.${backend})
  set(drive ${PROJECT_SOURCE_DIR}/build/lab/test-${where})
  # Repetitions. damages: of the state of a drive or NIC under its guest. moves: of a NIC's interrupts between CPUs
  # under a TCP stream. bar_moves: of BARs; c_vmm_moves: of BARs in each of two guests. resets: of a drive by its guest.
  # attacks: the arguments of hostile.sh.
  if(kernel STREQUAL "stock")
    set(damages 20)
    set(moves 500)
    set(bar_moves 200)
    set(c_vmm_moves 1000)
    set(resets 40)
    set(attacks 1000 300 1000 1900)
    if(where STREQUAL long_runs AND "moves" IN_LIST PASSTHRU_LONG)
      set(attacks 10000 10000 10000 80000)
      set(damages 50)
      set(moves 10000)
      set(bar_moves 1000)
    endif()
    if(where STREQUAL long_runs AND "resets" IN_LIST PASSTHRU_LONG)
      set(resets 1000)
    endif()
  else()
    set(damages 8)
    set(moves 100)
    set(bar_moves 60)
    set(c_vmm_moves 60)
    set(resets 12)
  endif()

  # The tests themselves bind the rtl8139 and the following devices. Three share a page, two are behind a bridge, one is
  # behind its own port.
  passthru_lab_test(hil --nvme ${drive}-hil.img --nic-pair --bind 0000:00:02.0 --bind 0000:00:03.0
    --device rtl8139 --device pci-ohci --device sdhci-pci --pack 0000:00:05.0,0000:00:06.0,0000:00:07.0
    --device edu,dma_mask=0x7fffffffff --device pcie-root-port,id=rp --device pcie-pci-bridge,id=br,bus=rp
    --device usb-ehci,bus=br,addr=1 --device usb-ehci,bus=br,addr=2
    --device pcie-root-port,id=rp2,chassis=2 --device virtio-rng-pci,bus=rp2,disable-legacy=on,iommu_platform=on
    -- ${hil}/all_must_run ${hil_tests})
  passthru_lab_test(backdoor --nvme ${drive}-backdoor.img --bind 0000:00:02.0 --
    ${hil}/backdoor.sh --guest ${guest} --rounds ${damages})
  passthru_lab_test(storm --nvme ${drive}-storm.img --bind 0000:00:02.0 -- ${hil}/storm.sh 10)
  # Disks on MSI-X, on MSI and on INTx. Debian's kernel has drivers for them.
  set(nothing driver=null-co,read-zeroes=on,size=16777216,if=none)
  passthru_lab_test(counts --nvme ${drive}-counts.img --device ich9-ahci,id=ahci --device am53c974,id=scsi
    --qemu -drive --qemu id=d1,${nothing} --qemu -device --qemu ide-hd,bus=ahci.0,drive=d1
    --qemu -drive --qemu id=d2,${nothing} --qemu -device --qemu scsi-hd,bus=scsi.0,drive=d2
    --bind 0000:00:02.0 --bind 0000:00:03.0 --bind 0000:00:04.0 --
    ${hil}/counts.sh ${debian_guest} 0000:00:02.0 0000:00:03.0 0000:00:04.0)
  # A NIC of the lab machine and an rtl8139 on one cable. The rtl8139 shares a page with two other devices. Debian's
  # kernel has a driver for it.
  passthru_lab_test(shared_pages
    --qemu -netdev --qemu hubport,hubid=2,id=own --device e1000e,netdev=own
    --qemu -netdev --qemu hubport,hubid=2,id=theirs --device rtl8139,netdev=theirs
    --device pci-ohci --device sdhci-pci --pack 0000:00:03.0,0000:00:04.0,0000:00:05.0
    --bind 0000:00:03.0 --bind 0000:00:04.0 --bind 0000:00:05.0 --
    ${hil}/shared_pages.sh ${debian_guest} 0000:00:02.0 0000:00:03.0 0000:00:04.0 0000:00:05.0)
  # A parent with all rights opens the devices through the backend; its child has no rights. The test without devices
  # runs once.
  set(ways ${backend}s)
  if(where STREQUAL "stock.group")
    list(PREPEND ways alone)
  endif()
  passthru_lab_test(unprivileged --nvme ${drive}-unprivileged.img --nic-pair
    --bind 0000:00:02.0 --bind 0000:00:03.0 --
    ${hil}/unprivileged.sh ${drive}-unprivileged.img ${guest} ${ways})
  passthru_lab_test(guest_life --nvme ${drive}-guest_life.img --nic-pair
    --bind 0000:00:02.0 --bind 0000:00:03.0 -- ${hil}/guest_life.sh ${drive}-guest_life.img ${guest})
  passthru_lab_test(moves --nvme ${drive}-moves.img --nic-pair --bind 0000:00:02.0 --bind 0000:00:03.0 --
    ${hil}/moves.sh ${drive}-moves.img ${debian_guest} ${bar_moves})
  passthru_lab_test(stream --nic-pair --bind 0000:00:02.0 -- ${hil}/stream.sh ${guest} ${moves} ${damages})
  passthru_lab_test(resets --nvme ${drive}-resets.img --bind 0000:00:02.0 -- ${hil}/resets.sh ${guest} ${resets})
  # A drive that stays, two drives behind ports that the test removes, and a device that reports errors.
  passthru_lab_test(unplug --nvme ${drive}-unplug.img
    --device pcie-root-port,id=rp1,chassis=1 --device pcie-root-port,id=rp2,chassis=2 --device pcie-root-port,id=rp3,chassis=3
    --qemu -drive --qemu id=d1,${nothing} --device nvme,id=nvme1,serial=lab1,drive=d1,bus=rp1
    --qemu -drive --qemu id=d2,${nothing} --device nvme,id=nvme2,serial=lab2,drive=d2,bus=rp2
    --device virtio-rng-pci,id=rng0,bus=rp3,aer=on,disable-legacy=on,iommu_platform=on
    --bind 0000:00:02.0 --bind 0000:01:00.0 --bind 0000:02:00.0 --bind 0000:03:00.0 --
    ${hil}/unplug.sh ${drive}-unplug.img ${guest} 0000:00:02.0 0000:01:00.0 0000:02:00.0 0000:03:00.0)
  # A drive, and a drive behind a port, which the host takes back. Debian's kernel lets programs of the guest move BARs.
  passthru_lab_test(c_vmm --nvme ${drive}-c_vmm.img --device pcie-root-port,id=rp1,chassis=1
    --qemu -drive --qemu id=d1,${nothing} --device nvme,id=nvme1,serial=lab1,drive=d1,bus=rp1
    --bind 0000:00:02.0 --bind 0000:01:00.0 --
    ${hil}/c_vmm.sh ${drive}-c_vmm.img ${debian_guest} ${c_vmm_moves} 0000:01:00.0)
  # The e1000e is the device that the host takes back while the guest attacks the drive.
  if(kernel STREQUAL "stock")
    passthru_lab_test(hostile --nvme ${drive}-hostile.img --device e1000e --bind 0000:00:02.0 --bind 0000:00:03.0 --
      ${hil}/hostile.sh ${debian_guest} 0000:00:03.0 ${attacks})
  endif()
  passthru_lab_test(inspect_guest --nvme ${drive}-inspect_guest.img --nic-pair -- ${hil}/inspect_guest.sh ${guest})
  # The refusals name groups: their nodes, their owners, their members.
  if(backend STREQUAL "group")
    # All devices behind a bridge to conventional PCI are one IOMMU group: their requests carry the bridge's address.
    passthru_lab_test(refusals --nvme ${drive}-refusals.img --nic-pair
      --device pcie-root-port,id=rp --device pcie-pci-bridge,id=br,bus=rp
      --device virtio-rng-pci,bus=br,addr=1 --device virtio-rng-pci,bus=br,addr=2
      --bind 0000:00:02.0 --bind 0000:02:01.0 -- ${hil}/refusals.sh ${guest})
  endif()
  # The lsi53c895a fetches its program from its own BAR by DMA, but iommufd maps no device memory (Linux 6.12).
  set(those ${disks})
  if(backend STREQUAL "cdev")
    list(FILTER those EXCLUDE REGEX "^lsi53c895a@")
  endif()
  passthru_lab_test(disks ${those})
  passthru_lab_test(nics ${nics})
  # Both tests write to the same disks.
  foreach(test lab.${where}.disks lab.${where}.nics)
    if(TEST ${test})
      set_property(TEST ${test} PROPERTY RESOURCE_LOCK device_images)
      set_property(TEST ${test} APPEND PROPERTY FIXTURES_REQUIRED device_images)
    endif()
  endforeach()
endfunction()

# ---- tests that do not depend on the backend -------------------------------------------------------------------------

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

function(lab_runs_once kernel)
  choose_guest()
  set(where ${kernel})
  set(backend "")
  set(drive ${PROJECT_SOURCE_DIR}/build/lab/test-${where})
  # The unit tests of the forwarder on the lab's kernel: io_uring's behaviour depends on the kernel.
  passthru_lab_test(forwarder -- env PASSTHRU_SIGNALS=200000 ${hil}/all_must_run
    ${unit_tests} --gtest_filter=*Forward*)
  # A drive on vfio-pci, a drive and two NICs with host drivers, and two devices in one group.
  set(modules "")
  if(kernel STREQUAL "next")
    set(modules built-in)
  endif()
  passthru_lab_test(doctor --nvme ${drive}-doctor.img --nvme ${drive}-doctor-own.img --nic-pair
    --device pcie-root-port,id=rp --device pcie-pci-bridge,id=br,bus=rp
    --device virtio-rng-pci,bus=br,addr=1 --device virtio-rng-pci,bus=br,addr=2
    --bind 0000:00:02.0 -- ${hil}/doctor.sh ${modules})
  passthru_lab_test(topology ${switch_and_bridges} -- ${hil}/topology.sh)
  # The same with bus numbers that the kernel assigns. The emulator uses only the last -append, so this is the whole
  # command line.
  passthru_lab_test(topology_assigned ${switch_and_bridges}
    --qemu -append --qemu "console=ttyS0 intel_iommu=on quiet panic=-1 oops=panic mitigations=off nohz=off pci=assign-busses" --
    ${hil}/topology.sh as-booted)
  # Without iomem=relaxed, as most kernels boot: nobody can map a BAR that is in use.
  passthru_lab_test(inspect_host_driver --nvme ${drive}-inspect_host_driver.img
    --qemu -append --qemu "console=ttyS0 intel_iommu=on quiet panic=-1 oops=panic mitigations=off nohz=off" --
    ${hil}/inspect_host_driver.sh)
  passthru_lab_test(inspect_foreign --nvme ${drive}-inspect_foreign.img --
    ${hil}/inspect_foreign.sh ${drive}-inspect_foreign.img ${guest})
endfunction()

# Devices of the cases in docs/cases.md. The script loads drivers as modules, which only Debian's kernel has. The two
# functions of the drive behind the port have 2,048 vectors and one vector.
set(case_images ${PROJECT_SOURCE_DIR}/build/lab/machines)
add_test(NAME lab.machines_images COMMAND ${hil}/make_images ${case_images} many single
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
set_tests_properties(lab.machines_images PROPERTIES LABELS lab FIXTURES_SETUP machines_images)
function(lab_machines kernel)
  set(where ${kernel})
  set(backend "")
  set(drive ${PROJECT_SOURCE_DIR}/build/lab/test-${where})
  passthru_lab_test(machines --nvme ${drive}-machines.img --nic-pair
    --device secondary-vga,vgamem_mb=512,romfile=${case_images}/expansion.rom
    --device pci-testdev,membar=128G --device pci-testdev,membar=128G
    --device qemu-xhci,id=usb --qemu -device --qemu usb-kbd,bus=usb.0
    --device pci-serial,chardev=line --qemu -chardev --qemu null,id=line
    --device pcie-root-port,id=rp,disable-acs=on
    --qemu -drive --qemu id=many,file=${case_images}/many.img,if=none,format=raw
    --qemu -drive --qemu id=single,file=${case_images}/single.img,if=none,format=raw
    --device nvme,id=nvme1,serial=many,drive=many,bus=rp,addr=0.0,multifunction=on,msix_qsize=2048
    --device nvme,id=nvme2,serial=single,drive=single,bus=rp,addr=0.1,msix_qsize=1
    --bind 0000:00:03.0 --bind 0000:00:05.0 --bind 0000:00:06.0 --bind 0000:00:07.0 --
    ${hil}/machines.sh ${case_images} ${guest})
  if(TEST lab.${where}.machines)
    set_property(TEST lab.${where}.machines APPEND PROPERTY FIXTURES_REQUIRED machines_images)
  endif()
endfunction()

# A drive behind a port, with two virtual functions. Each can have four queues and five interrupts.
set(sriov ${PROJECT_SOURCE_DIR}/build/lab/sriov)
add_test(NAME lab.sriov_image COMMAND ${hil}/make_images ${sriov} drive WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
set_tests_properties(lab.sriov_image PROPERTIES LABELS lab FIXTURES_SETUP sriov_image)
function(lab_virtual_functions kernel)
  choose_guest()
  set(where ${kernel})
  set(backend "")
  set(sriov_drive --device pcie-root-port,id=rp
    --qemu -drive --qemu id=sriov,file=${sriov}/drive.img,if=none,format=raw --qemu -device --qemu nvme-subsys,id=subsystem
    --qemu -device
    --qemu nvme,id=pf,serial=lab,bus=rp,subsys=subsystem,max_ioqpairs=10,msix_qsize=11,sriov_max_vfs=2,sriov_vq_flexible=8,sriov_vi_flexible=10
    --qemu -device --qemu nvme-ns,drive=sriov,bus=pf,nsid=1)
  passthru_lab_test(virtual_functions ${sriov_drive} -- ${hil}/virtual_functions.sh ${sriov}/drive.img ${guest})
  passthru_lab_test(vf_tokens ${sriov_drive} --device rtl8139 --bind 0000:00:03.0
    -- ${hil}/vf_tokens.sh ${sriov}/drive.img ${guest})
  # Both tests write to the same drive.
  foreach(test lab.${where}.virtual_functions lab.${where}.vf_tokens)
    if(TEST ${test})
      set_property(TEST ${test} PROPERTY RESOURCE_LOCK sriov_image)
      set_property(TEST ${test} APPEND PROPERTY FIXTURES_REQUIRED sriov_image)
    endif()
  endforeach()
endfunction()

# The kernel can set aside a page of 1 GiB only during the boot, and only if enough contiguous memory is free. -append
# has the whole command line again. The backing of a guest's memory does not depend on the lab's kernel.
function(lab_memory kernel)
  set(where ${kernel})
  set(backend "")
  set(drive ${PROJECT_SOURCE_DIR}/build/lab/test-${where})
  passthru_lab_test(memory --nvme ${drive}-memory.img --bind 0000:00:02.0 --qemu -m --qemu 5G
    --qemu -append --qemu "console=ttyS0 intel_iommu=on quiet panic=-1 oops=panic mitigations=off no_timer_check tsc=reliable nohz=off highres=off hugepagesz=1G hugepages=1" --
    ${hil}/memory.sh ${drive}-memory.img ${guest})
endfunction()

# The cost of inspections for the inspected guest: a short run, and ten thousand inspections, which take most of an
# hour.
function(lab_inspect_cost kernel)
  set(where ${kernel})
  set(backend "")
  set(drive ${PROJECT_SOURCE_DIR}/build/lab/test-${where})
  foreach(test inspect_cost:1000 ten_thousand_looks:10000)
    string(REPLACE ":" ";" test ${test})
    list(GET test 0 name)
    list(GET test 1 shows)
    passthru_lab_test(${name} --nvme ${drive}-${name}.img --nvme ${drive}-${name}-idle.img --
      ${hil}/inspect_cost.sh ${guest} ${shows})
    if(TEST lab.${where}.${name})
      set_tests_properties(lab.${where}.${name} PROPERTIES TIMEOUT 7300)
    endif()
  endforeach()
endfunction()

# Guests with an installation of Debian 12 and of Debian 13, with their kernels and initrds. The drive's controller is
# the same for each backend and each kernel of the lab.
function(lab_distributions kernel)
  set(where ${kernel})
  set(backend "")
  foreach(distribution debian12:bookworm debian13:trixie)
    string(REPLACE ":" ";" distribution ${distribution})
    list(GET distribution 0 name)
    list(GET distribution 1 suite)
    set(directory ${PROJECT_SOURCE_DIR}/build/lab/${name})
    passthru_lab_test(${name} --nvme ${directory}/drive.img --bind 0000:00:02.0 -- ${hil}/distribution.sh ${directory})
    if(TEST lab.${where}.${name})
      add_test(NAME lab.${name}_drive COMMAND ${hil}/make_distribution ${suite} ${directory}
        WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
      set_tests_properties(lab.${name}_drive PROPERTIES LABELS lab FIXTURES_SETUP ${name}_drive TIMEOUT 2400)
      set_tests_properties(lab.${where}.${name} PROPERTIES FIXTURES_REQUIRED ${name}_drive)
    endif()
  endforeach()
endfunction()

# A test for kernels with both backends.
function(lab_two_backends kernel)
  choose_guest()
  set(where ${kernel})
  set(backend "")
  set(drive ${PROJECT_SOURCE_DIR}/build/lab/test-${where}-two_backends)
  passthru_lab_test(two_backends --nvme ${drive}-1.img --nvme ${drive}-2.img
    --bind 0000:00:02.0 --bind 0000:00:03.0 -- ${hil}/two_backends.sh ${drive}-1.img ${drive}-2.img ${guest})
endfunction()

lab_runs(stock group)
lab_runs_once(stock)
lab_machines(stock)
lab_virtual_functions(stock)
lab_memory(stock)
lab_inspect_cost(stock)
lab_distributions(stock)
if(PASSTHRU_TEST_ALL)
  foreach(backend ${backends_next})
    lab_runs(next ${backend})
  endforeach()
  lab_runs_once(next)
  lab_virtual_functions(next)
  lab_two_backends(next)
endif()

# Checks docs/devices.md against the results of the device runs.
if(TEST lab.stock.group.disks)
  add_test(NAME lab.devices_table COMMAND ${PROJECT_SOURCE_DIR}/scripts/devices-table --check
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(lab.stock.group.disks lab.stock.group.nics PROPERTIES FIXTURES_SETUP device_facts)
  set_tests_properties(lab.devices_table PROPERTIES LABELS lab FIXTURES_REQUIRED device_facts)
endif()
