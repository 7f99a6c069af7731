// SPDX-License-Identifier: MIT
// `passthru bars`: the source of the picture, a running guest or sysfs, and its destination.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "base/small_file.h"
#include "inspect/msix_snapshot.h"
#include "pci/pci_names.h"
#include "pci/sysfs.h"
#include "tools/bars/bars_output.h"
#include "tools/bars/bars_plan.h"
#include "tools/commands.h"
#include "tools/devices/device_words.h"
#include "tools/output_file.h"
#include "tools/terminal.h"
#include "tools/user_names.h"
#include "tools/vmm_client.h"

namespace passthru::tools {
namespace {

constexpr const char* kBarsFooter =
    "Draws each BAR of a device, and its expansion ROM, to scale. '=' is mapped:\n"
    "the guest reaches it without an exit. '#' is trapped: each access costs an\n"
    "exit. 'T' is the MSI-X table, 'P' its pending bits. Very narrow pieces are\n"
    "drawn wider. The list below shows for each span why it is trapped and, for\n"
    "a running guest, how often the guest used it.\n"
    "\n"
    "For the device of a running guest, asks the VMM, which needs\n"
    "'passthru run --inspect'. Otherwise draws a plan: the BARs that a guest\n"
    "would get. Does not open the device for that, because that would reset it.\n"
    "Only root sees where the MSI-X table is. Uses colours on a terminal, unless\n"
    "NO_COLOR is set.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru bars 0000:01:00.0\n"
    "  sudo passthru bars 0000:01:00.0 --svg bars.svg    the same as an SVG\n"
    "  sudo passthru bars 0000:01:00.0 --json |\n"
    "    jq '.bars[].spans[] | select(.mapped | not)'";

uint64_t page_size() {
  return static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

struct Options {
  std::string device{};
  VmmChoice vmm{};
  std::string svg{};
  bool force = false;
  bool json = false;
};

HostBars host_bars(const Sysfs& sysfs, Bdf bdf) {
  return parse_resources(read_file(sysfs.function_path(bdf) / "resource").value_or(""));
}

Result<DeviceBars> of_guest(const Sysfs& sysfs, Bdf bdf, VmmClient& vmm) {
  std::vector<Inspection> inspections = PASSTHRU_TRY(vmm.inspect(bdf));
  Inspection& inspection = inspections.front();
  DeviceBars device{.device = bdf,
                    .name = std::move(inspection.name),
                    .guest_address = inspection.guest_address,
                    .bars = std::move(inspection.bars)};
  device.notes.push_back(fmt::format("{} in the guest of process {} of user {}, asked at {}",
                                     inspection.guest_address.str(), vmm.pid(),
                                     user_text(vmm.user()), vmm.socket()));
  if (!inspection.detached.empty()) {
    device.notes.push_back("The guest no longer has this device: " + inspection.detached +
                           ". This is its last state");
  }
  // The host knows the rest, unless the device has left the host.
  const HostBars bars = host_bars(sysfs, bdf);
  for (unsigned i = 0; i < kBars; ++i) device.host_addresses[i] = bars[i].address;
  if (const auto function = sysfs.function(bdf)) {
    const auto msix = msix_layout_of(*function);
    if (msix) device.msix = guests_msix(bars, *msix, page_size());
  }
  return device;
}

std::string holder(const PciFunction& function) {
  if (function.driver.empty()) return "It has no driver now";
  if (!function.on_vfio) return fmt::format("The host's driver {} has it now", function.driver);
  return fmt::format("{} has it, but no VMM with an inspect socket", function.driver);
}

// Explains why the plan has only the outline of the memory BARs.
std::string without_msix(const PciFunction& function, Error error) {
  if (error.code == EACCES && !function.config_error) {
    return "Only root sees where the MSI-X table is, and so which parts of the memory BARs are "
           "mapped. Run the command with sudo";
  }
  error.device.clear();
  return "It is not known which parts of the memory BARs are mapped: " + error.message();
}

Result<DeviceBars> planned(const Sysfs& sysfs, Bdf bdf) {
  const PciFunction function = PASSTHRU_TRY(sysfs.function(bdf));
  const std::string resources =
      PASSTHRU_TRY(read_file(sysfs.function_path(bdf) / "resource").on(bdf.str()));
  const HostBars bars = parse_resources(resources);
  DeviceBars device{
      .device = bdf, .name = PciNames().device(function.vendor, function.device), .plan = true};
  for (unsigned i = 0; i < kBars; ++i) device.host_addresses[i] = bars[i].address;
  device.notes.push_back(
      "A plan, not a running guest: the BARs that a guest would get if VFIO maps all that it "
      "may. " +
      holder(function));
  if (function.bridge) device.notes.emplace_back("It is a bridge, which cannot be assigned");

  const auto msix = msix_layout_of(function);
  if (!msix && msix.error().code != ENODEV) {
    device.notes.push_back(without_msix(function, msix.error()));
    device.bars = outline_bars(bars, page_size());
    return device;
  }
  if (msix) device.msix = guests_msix(bars, *msix, page_size());
  if (msix && !device.msix) {
    device.notes.emplace_back(
        "Its MSI-X capability is hidden from guests: the table is not within a memory BAR or "
        "overlaps the pending bits, or these have no room");
  } else if (device.msix && !device.msix->has_pba) {
    device.notes.emplace_back(
        "It announces its MSI-X pending bits outside of its memory BARs. A guest finds them in "
        "another place");
  }
  device.bars = plan_bars(bars, device.msix, page_size());
  return device;
}

Result<DeviceBars> look(const Options& options, Bdf bdf) {
  const Sysfs sysfs;
  auto vmm = PASSTHRU_TRY(find_vmm(bdf, options.vmm));
  return vmm ? of_guest(sysfs, bdf, *vmm) : planned(sysfs, bdf);
}

TextStyle style_of_stdout() {
  TextStyle style;
  style.columns = static_cast<unsigned>(terminal_columns().value_or(style.columns));
  // https://no-color.org: set, and not empty.
  const char* const no_colour = std::getenv("NO_COLOR");
  style.colour = takes_escapes() && (no_colour == nullptr || *no_colour == '\0');
  return style;
}

Result<void> write_svg(const Options& options, const std::string& svg) {
  using Existing = OutputFile::Existing;
  auto file = PASSTHRU_TRY(
      OutputFile::create(options.svg, options.force ? Existing::Replace : Existing::Keep));
  PASSTHRU_TRY(file.write(svg));
  return file.commit();
}

int show(const Options& options) {
  const auto bdf = device_of(Sysfs(), options.device);
  if (!bdf) return wrong_usage(bdf.error());
  const auto device = look(options, *bdf);
  if (!device) return report_error(device.error());
  if (!options.svg.empty()) {
    const auto written = write_svg(options, bars_svg(*device));
    return written ? kDone : report_error(written.error());
  }
  if (options.json) {
    print_json(bars_json(*device));
  } else {
    fmt::print("{}", bars_text(*device, style_of_stdout()));
  }
  return kDone;
}

}  // namespace

CLI::App* add_bars(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("bars", "Draw a device's BARs with their mapped and trapped spans");
  const auto options = std::make_shared<Options>();
  command->add_option("DEVICE", options->device, kDeviceHelp)->type_name("")->required();
  add_socket_options(*command, options->vmm);
  CLI::Option* svg =
      command
          ->add_option("--svg", options->svg, "Write the picture as SVG to FILE, and print nothing")
          ->type_name("FILE");
  command->add_flag("--force", options->force, "Replace FILE if it exists")->needs(svg);
  command->add_flag("--json", options->json, kJsonHelp)->excludes(svg);
  command->footer(kBarsFooter);
  command->callback([options, &status] { status = show(*options); });
  return command;
}

}  // namespace passthru::tools
