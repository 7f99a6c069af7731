// SPDX-License-Identifier: MIT
// The texts of events, and of lost console output.
#include "tools/run/run_messages.h"

#include <fmt/format.h>

#include "tools/printable.h"

namespace passthru::tools {

std::string event_line(const Event& event) {
  const char* what = "";
  switch (event.kind) {
    case Event::Kind::VectorFailed:
      what = "an interrupt vector failed";
      break;
    case Event::Kind::BarRefused:
      what = "a BAR could not be placed";
      break;
    case Event::Kind::RestoreFailed:
      what = "damaged interrupts could not be restored";
      break;
    case Event::Kind::UnplugRequest:
      what = "the host asks for the device back";
      break;
    case Event::Kind::DeviceError:
      what = "the device reported an error";
      break;
    case Event::Kind::DeviceGone:
      what = "the device is gone";
      break;
    case Event::Kind::P2pRefused:
      return fmt::format("passthru: devices do not reach each other's BARs by DMA: {}\r\n",
                         printable(event.detail));
    case Event::Kind::DeviceSilent:
      what = "the device does not answer";
      break;
    case Event::Kind::DeviceAnswers:
      what = "the device answers again";
      break;
    case Event::Kind::DeviceLimited:
      what = "the device works with a limit";
      break;
    case Event::Kind::ResetFailed:
      what = "the guest's reset did not reset the device";
      break;
    case Event::Kind::DamageRestored:
    case Event::Kind::DeviceReset:
      return {};
  }
  return fmt::format("passthru: {}: {}: {}\r\n", event.device.str(), what, printable(event.detail));
}

std::string dropped_line(uint64_t console_bytes) {
  if (console_bytes == 0) return {};
  return fmt::format(
      "passthru: {} bytes of console output were dropped, because standard output was not read in "
      "time\n",
      console_bytes);
}

}  // namespace passthru::tools
