// SPDX-License-Identifier: MIT
// Owns `passthru msix show`: the device's own MSI-X table, entry by entry.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "irq/msix_snapshot.h"
#include "tools/commands.h"
#include "tools/json.h"
#include "tools/table.h"
#include "vfio/linux_kernel.h"
#include "vfio/pci_names.h"
#include "vfio/sysfs.h"

namespace passthru::tools {
namespace {

constexpr const char* kFooter =
    "Shows what the device itself holds: for each vector the address and data that it writes to "
    "interrupt a\n"
    "CPU, whether it is masked, and whether an interrupt is pending. Neighbours that are alike "
    "share a line.\n"
    "\n"
    "A device that is bound to vfio-pci and free is opened, which resets it: all its entries are "
    "masked then.\n"
    "A device that a driver or a guest uses is looked at in place. Many kernels refuse that; the "
    "kernel's boot\n"
    "option iomem=relaxed allows it. Needs root.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru msix show 0000:01:00.0\n"
    "  sudo passthru msix show 0000:01:00.0 --json | jq '.vectors[] | select(.masked | not)'";

const char* source_name(MsixSnapshot::Source source) {
  return source == MsixSnapshot::Source::Vfio ? "vfio" : "sysfs";
}

Json to_json(const PciFunction& function, const std::string& name, const MsixSnapshot& snapshot) {
  Json vectors = Json::array();
  for (size_t i = 0; i < snapshot.vectors.size(); ++i) {
    const auto& [entry, pending] = snapshot.vectors[i];
    vectors.push_back({{"index", i},
                       {"message", {{"address", entry.message().address}, {"data", entry.data}}},
                       {"masked", entry.masked()},
                       {"pending", pending}});
  }
  Json msix = json_msix_layout(snapshot.layout);
  msix["enabled"] = (snapshot.control & kMsixEnable) != 0;
  msix["function_masked"] = (snapshot.control & kMsixFunctionMask) != 0;
  return {{"device", function.bdf.str()},
          {"name", name},
          {"driver", json_or_null(function.driver)},
          {"source", source_name(snapshot.source)},
          {"msix", msix},
          {"vectors", vectors}};
}

void print_text(const PciFunction& function, const std::string& name,
                const MsixSnapshot& snapshot) {
  const MsixLayout& layout = snapshot.layout;
  fmt::print("{}  {}, driver {}\n", function.bdf.str(), name,
             function.driver.empty() ? "none" : function.driver);
  fmt::print(
      "MSI-X {}{}, {} vectors, table at BAR{}+{:#x}, pending bits at BAR{}+{:#x}, seen through "
      "{}\n\n",
      (snapshot.control & kMsixEnable) != 0 ? "enabled" : "disabled",
      (snapshot.control & kMsixFunctionMask) != 0 ? ", all masked" : "", layout.vectors,
      layout.table_bar, layout.table_offset, layout.pba_bar, layout.pba_offset,
      source_name(snapshot.source));

  Table table({{.heading = "VECTOR", .right = true},
               {.heading = "ADDRESS"},
               {.heading = "DATA"},
               {.heading = "MASKED"},
               {.heading = "PENDING"}});
  const auto& vectors = snapshot.vectors;
  for (size_t first = 0, next = 0; first < vectors.size(); first = next) {
    while (next < vectors.size() && vectors[next] == vectors[first]) ++next;
    const auto& [entry, pending] = vectors[first];
    table.add({next - first == 1 ? std::to_string(first) : fmt::format("{}-{}", first, next - 1),
               fmt::format("{:#018x}", entry.message().address),
               fmt::format("{:#010x}", entry.data), entry.masked() ? "yes" : "no",
               pending ? "yes" : "no"});
  }
  fmt::print("{}", table.str());
}

int show(const std::string& device, bool json) {
  const auto bdf = Bdf::parse(device);
  if (!bdf) return wrong_usage(bdf.error());
  const Sysfs sysfs;
  const auto function = sysfs.function(*bdf);
  if (!function) return refuse(function.error());
  LinuxKernel kernel;
  const auto snapshot = snapshot_msix(kernel, sysfs, *bdf);
  if (!snapshot) return refuse(snapshot.error());
  const std::string name = PciNames().device(function->vendor, function->device);
  if (json) {
    print_json(to_json(*function, name, *snapshot));
  } else {
    print_text(*function, name, *snapshot);
  }
  return kDone;
}

struct ShowOptions {
  std::string device{};
  bool json = false;
};

}  // namespace

CLI::App* add_msix(CLI::App& app, int& status) {
  CLI::App* msix = app.add_subcommand("msix", "Look at a device's MSI-X interrupts");
  msix->require_subcommand(1);
  msix->footer("Example:\n  sudo passthru msix show 0000:01:00.0");
  CLI::App* command = msix->add_subcommand("show", "Show the device's own MSI-X table");
  const auto options = std::make_shared<ShowOptions>();
  command->add_option("DEVICE", options->device, "PCI address, as 'passthru list' shows it")
      ->required();
  command->add_flag("--json", options->json, kJsonHelp);
  command->footer(kFooter);
  command->callback([options, &status] { status = show(options->device, options->json); });
  return msix;
}

}  // namespace passthru::tools
