// SPDX-License-Identifier: MIT
// The machine as ACPI describes it to the guest: the PCI host bridge with its windows and interrupt
// wiring, the serial port, and power-off. Addresses are those of memory_map.h.
DefinitionBlock ("", "DSDT", 2, "PASSTH", "PASSTHRU", 1)
{
    // The SLP_TYPa for which power.cc powers off.
    Name (\_S5, Package () { 5, 0, 0, 0 })

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A08"))
            Name (_CID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_SEG, 0)
            Name (_BBN, 0)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    0, 0, 0, 0, 1)
                IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0x1000, 0xFFFF, 0, 0xF000)
                // acpi.cc sets the range of both memory windows.
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0xC0000000, 0xFEAFFFFF, 0, 0x3EB00000)
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0x4000000000, 0x7FFFFFFFFF, 0, 0x4000000000)
            })

            // INTx pin p of slot s is wired to IOAPIC input 16 + (s + p) % 8: intx_gsi().
            // Made once, because Linux asks whenever a driver enables or disables a device.
            Name (WIRE, 0)
            Method (_PRT, 0, Serialized)
            {
                If (ObjectType (WIRE) == 4) // a package
                {
                    Return (WIRE)
                }
                Local0 = Package (128) {}
                Local1 = 0
                While (Local1 < 128)
                {
                    Local2 = Package (4) {}
                    Local2[0] = ((Local1 >> 2) << 16) | 0xFFFF
                    Local2[1] = Local1 & 3
                    Local2[2] = 0
                    Local2[3] = 16 + (((Local1 >> 2) + (Local1 & 3)) & 7)
                    Local0[Local1] = Local2
                    Local1++
                }
                CopyObject (Local0, WIRE)
                Return (WIRE)
            }

            // No firmware uses a PCIe feature: grant every request.
            Method (_OSC, 4, NotSerialized)
            {
                CreateDWordField (Arg3, 0, CDW1)
                If (Arg0 != ToUUID ("33DB4D5B-1FF7-401C-9657-7441C03DD766"))
                {
                    CDW1 |= 4 // unrecognised UUID
                }
                Return (Arg3)
            }
        }

        // The addresses in use outside of the windows, so that the guest puts no BAR there.
        Device (MBRD)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xFEB00000, 0x00100000) // ECAM
                IO (Decode16, 0x0600, 0x0600, 1, 16) // PM1 event and control, PM timer
            })
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x03F8, 0x03F8, 1, 8)
                IRQNoFlags () { 4 }
            })
        }
    }
}
