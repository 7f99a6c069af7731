# SPDX-License-Identifier: MIT
# The lab machines in which one guest has many devices at the same time and uses each with its Linux driver.
# docs/devices.md lists what they verify. lab_tests.cmake includes this file and runs `disks` and `nics`.
set(images build/lab/devices)

macro(begin_devices)
  set(slot 1)
  set(machine "")
  set(assigned "")
  set(image_names "")
endmacro()

# Takes the next slot of the lab machine, and sets `number` for devices and their names.
macro(take_slot)
  math(EXPR slot "${slot} + 1")
  math(EXPR number "${slot}" OUTPUT_FORMAT HEXADECIMAL)
  string(REGEX REPLACE "^0x(.)$" "0x0\\1" number ${number})
  string(SUBSTRING ${number} 2 2 number)
endmacro()

# assign(MODEL [PROPERTIES [OPTION]]): adds a device of the emulator for the guest, with an OPTION of `passthru run`.
macro(assign model)
  take_slot()
  assign_here(${model} "${ARGV1}" "${ARGV2}")
endmacro()

macro(assign_here model properties option)
  list(APPEND machine --device ${model}${properties},id=c${number},addr=0x${number} --bind 0000:00:${number}.0)
  list(APPEND assigned ${model}@0000:00:${number}.0${option})
endmacro()

# disk(MODEL PROPERTIES [DRIVE [OPTION]]): the same with a disk. The disk is a DRIVE on the controller's bus, or part of
# the device if DRIVE is empty.
macro(disk model properties)
  take_slot()
  list(APPEND image_names ${number})
  list(APPEND machine --qemu -drive --qemu file=${images}/${number}.img,id=d${number},if=none,format=raw)
  if("${ARGV2}" STREQUAL "")
    assign_here(${model} "${properties},drive=d${number}" "${ARGV3}")
  else()
    assign_here(${model} "${properties}" "${ARGV3}")
    string(REPLACE "@" "c${number}.0" drive_spec "${ARGV2}")
    list(APPEND machine --qemu -device --qemu ${drive_spec},drive=d${number})
  endif()
endmacro()

# Properties of virtio devices: behind the emulated IOMMU, and without legacy ports.
set(modern ",disable-legacy=on,iommu_platform=on")

begin_devices()
disk(ich9-ahci "" ide-hd,bus=@)
disk(virtio-blk-pci ${modern})
disk(virtio-scsi-pci ${modern} scsi-hd,bus=@)
disk(lsi53c895a "" scsi-hd,bus=@)
disk(megasas "" scsi-hd,bus=@)
disk(megasas-gen2 "" scsi-hd,bus=@)
disk(am53c974 "" scsi-hd,bus=@)
disk(qemu-xhci "" usb-storage,bus=@ ,msix=inplace)
disk(qemu-xhci "" usb-storage,bus=@ ,msix=auto)
disk(nec-usb-xhci "" usb-storage,bus=@ ,msix=bar4)
disk(usb-ehci "" usb-storage,bus=@)
disk(pci-ohci "" usb-storage,bus=@)
disk(piix3-usb-uhci "" usb-storage,bus=@)
disk(sdhci-pci "" sd-card)
disk(nvme ,serial=lab)
add_test(NAME lab.device_images COMMAND ${hil}/make_images ${images} ${image_names}
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
set_tests_properties(lab.device_images PROPERTIES LABELS lab FIXTURES_SETUP device_images)
set(disks ${machine} -- ${hil}/disks.sh ${images} ${guest} ${assigned})

# The first NIC stays with the lab machine.
set(rom ${images}/expansion.rom)
macro(nic model)
  math(EXPR next "${slot} + 1")
  list(APPEND machine --qemu -netdev --qemu hubport,hubid=3,id=n${next})
  assign(${model} ,netdev=n${next}${ARGV1})
endmacro()

begin_devices()
list(APPEND machine --qemu -netdev --qemu hubport,hubid=3,id=own --device e1000e,netdev=own,addr=0x02)
take_slot()
nic(e1000)
nic(e1000e ,romfile=${rom})
nic(rtl8139)
nic(virtio-net-pci ${modern})
nic(vmxnet3)
nic(tulip)
nic(pcnet)
nic(i82559er)
nic(i82801)
nic(ne2k_pci)
# Not the boot display: for that, the kernel shows the copy that the firmware left in memory instead of the ROM.
assign(secondary-vga ,romfile=${rom})
set(nics ${machine} -- ${hil}/nics.sh 0000:00:02.0 ${rom} ${guest} ${assigned})
