// SPDX-License-Identifier: MIT
#include "prepare/in_use.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <sstream>

#include "base/fd.h"
#include "base/printable.h"
#include "base/small_file.h"
#include "prepare/dependents.h"
#include "prepare/mounts.h"
#include "prepare/node_uses.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

struct Block {
  std::string name{};    // "dm-0", "nvme0n1p1"
  std::string volume{};  // its name in the device mapper; empty: not a mapped device
  fs::path path{};

  // Returns its path below /dev: "cciss!c0d0" in sysfs is cciss/c0d0.
  [[nodiscard]] std::string file() const {
    std::string file = name;
    std::replace(file.begin(), file.end(), '!', '/');
    return file;
  }
  [[nodiscard]] std::vector<std::string> nodes() const {
    if (volume.empty()) return {"/dev/" + file()};
    return {"/dev/" + file(), "/dev/mapper/" + volume};
  }
  [[nodiscard]] std::string node() const { return printable(nodes().back()); }
  [[nodiscard]] std::string shown() const {
    return printable(volume.empty() ? name : fmt::format("{} ({})", name, volume));
  }
  [[nodiscard]] std::string taken_apart_by() const {
    if (!volume.empty()) return "dmsetup remove " + printable(volume);
    return name.starts_with("md") ? "mdadm --stop " + node() : "";
  }
};

Block block_at(const std::string& name, const fs::path& path) {
  return {.name = name, .volume = first_line(path / "dm/name"), .path = path};
}

// The mount table names only one disk of a mounted btrfs with several disks.
bool is_of_btrfs(const Sysfs& sysfs, const std::string& name) {
  const fs::path all = sysfs.root() / "fs/btrfs";
  const auto systems = names_in(all).value_or(std::vector<std::string>());
  return std::any_of(systems.begin(), systems.end(), [&](const std::string& system) {
    std::error_code error;
    return fs::is_symlink(all / system / "devices" / name, error);
  });
}

// Returns "259:0". The disk of one path of a drive with several paths has no number.
Result<std::string> number_of(const Block& block) {
  const auto is_number = [](const std::string& text) {
    return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  };
  const fs::path file = block.path / "dev";
  const auto text = read_file(file);
  if (!text && text.error().code == ENOENT) return std::string();
  const std::string number = PASSTHRU_TRY(text).substr(0, text->find('\n'));
  const size_t colon = std::min(number.find(':'), number.size());
  if (is_number(number.substr(0, colon)) && colon != number.size() &&
      is_number(number.substr(colon + 1)))
    return number;
  return fail(EINVAL, "read " + file.string(), "it is not the number of a device");
}

Result<void> add_uses(const Sysfs& sysfs, const Mounts& mounts, const Block& block,
                      std::vector<DeviceUse>& uses) {
  std::vector<std::string> points = mounts.of(PASSTHRU_TRY(number_of(block)), block.nodes());
  const bool is_root = std::find(points.begin(), points.end(), "/") != points.end();
  if (!points.empty()) {
    for (std::string& point : points) point = printable(point);
    uses.push_back({fmt::format("{} is mounted on {}", block.shown(), first_few(points)),
                    is_root ? "" : "umount -A " + block.node()});
  } else if (is_of_btrfs(sysfs, block.name)) {
    uses.push_back({fmt::format("{} is part of a mounted btrfs", block.shown()), ""});
  }
  const auto nodes = block.nodes();
  if (std::any_of(nodes.begin(), nodes.end(),
                  [&](const std::string& node) { return mounts.swaps_to(node); })) {
    uses.push_back({block.shown() + " is swap", "swapoff " + block.node()});
  }
  for (const std::string& holder :
       names_in(block.path / "holders").value_or(std::vector<std::string>())) {
    const Block built = block_at(holder, sysfs.root() / "class/block" / holder);
    uses.push_back(
        {fmt::format("{} is built on {}", built.shown(), block.shown()), built.taken_apart_by()});
  }
  return {};
}

Result<bool> is_up(const fs::path& interface) {
  constexpr unsigned kIffUp = 1;  // linux/if.h
  const fs::path file = interface / "flags";
  const std::string content = PASSTHRU_TRY(read_file(file));
  const std::string text = content.substr(0, content.find('\n'));
  unsigned flags = 0;
  const size_t skip = text.starts_with("0x") ? 2 : 0;
  const auto [stop, error] =
      std::from_chars(text.data() + skip, text.data() + text.size(), flags, 16);
  if (error != std::errc{} || stop != text.data() + text.size())
    return fail(EINVAL, "read " + file.string(), "it is not a hexadecimal number");
  return (flags & kIffUp) != 0;
}

// Only a remark in the message: a use is an interface that is up.
bool has_default_route(const fs::path& proc, const std::string& interface) {
  constexpr size_t kMaxText = size_t{1} << 20;
  const auto any_line = [&](const char* table, const auto& matches) {
    std::istringstream lines(read_file(proc / "net" / table, kMaxText).value_or(std::string()));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::vector<std::string> fields;
      for (std::string word; words >> word;) fields.push_back(std::move(word));
      if (matches(fields)) return true;
    }
    return false;
  };
  const auto ipv4 = [&](const std::vector<std::string>& f) {  // Iface Destination .. Mask(7)
    return f.size() > 7 && f[0] == interface && f[1] == "00000000" && f[7] == "00000000";
  };
  const auto ipv6 = [&](const std::vector<std::string>& f) {  // destination, its length, .. device
    return f.size() == 10 && f[9] == interface && f[1] == "00" && f[0] == std::string(32, '0');
  };
  return any_line("route", ipv4) || any_line("ipv6_route", ipv6);
}

// Neither the mount table nor sysfs names every claim on a disk. While a disk is claimed, the
// kernel refuses O_EXCL for its block device (open(2)).
bool is_claimed(const fs::path& node) {
  const Fd fd(::open(node.c_str(), O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC));
  return !fd && errno == EBUSY;
}

DeviceUse use_of_interface(const fs::path& proc, const std::string& name, const fs::path& path) {
  const std::string master = link_name(path / "master");  // a bridge, a bond
  const std::string carrier = master.empty() ? name : master;
  return {printable(fmt::format("network interface {} is up{}{}", name,
                                master.empty() ? "" : " as part of " + master,
                                has_default_route(proc, carrier) ? ", with a default route" : "")),
          "ip link set dev " + printable(name) + " down"};
}

// Returns the claims that `device_uses` cannot see.
Result<std::vector<DeviceUse>> claims(const Sysfs& sysfs, const fs::path& dev, Bdf bdf) {
  std::vector<DeviceUse> uses;
  for (const auto& [name, path] : PASSTHRU_TRY(find_dependents(sysfs, bdf).on(bdf.str())).blocks) {
    const Block block = block_at(name, path);
    if (!is_claimed(dev / block.file())) continue;
    uses.push_back({block.shown() + " is claimed, by ZFS or in another mount namespace", ""});
  }
  return uses;
}

}  // namespace

std::string first_few(const std::vector<std::string>& texts, const char* separator) {
  constexpr size_t kFew = 4;
  std::string line;
  for (size_t i = 0; i < std::min(kFew, texts.size()); ++i) {
    line += (i == 0 ? "" : separator) + texts[i];
  }
  return texts.size() > kFew ? fmt::format("{} and {} more", line, texts.size() - kFew) : line;
}

Result<std::vector<DeviceUse>> device_uses(const Sysfs& sysfs, const fs::path& proc, Bdf bdf) {
  const Dependent carried = PASSTHRU_TRY(find_dependents(sysfs, bdf).on(bdf.str()));
  std::vector<DeviceUse> uses;
  if (!carried.blocks.empty()) {
    const Mounts mounts = PASSTHRU_TRY(Mounts::read(proc).on(bdf.str()));
    for (const auto& [name, path] : carried.blocks)
      PASSTHRU_TRY(add_uses(sysfs, mounts, block_at(name, path), uses).on(bdf.str()));
  }
  for (const auto& [name, path] : carried.interfaces) {
    if (PASSTHRU_TRY(is_up(path).on(bdf.str()))) uses.push_back(use_of_interface(proc, name, path));
  }
  for (DeviceUse& use : PASSTHRU_TRY(node_uses(sysfs, proc, bdf, carried).on(bdf.str())))
    uses.push_back(std::move(use));
  return uses;
}

Result<void> require_unused(const Sysfs& sysfs, const fs::path& proc, const fs::path& dev,
                            Bdf bdf) {
  auto uses = device_uses(sysfs, proc, bdf);
  if (uses && uses->empty()) uses = claims(sysfs, dev, bdf);
  if (!uses) {
    Error error = uses.error();
    return tl::unexpected(std::move(error).advise(
        "Passthru cannot tell whether the host uses it. --force binds it anyway"));
  }
  if (uses->empty()) return {};
  std::vector<std::string> what;
  std::vector<std::string> ways;
  for (const DeviceUse& use : *uses) {
    what.push_back(use.what);
    if (!use.remedy.empty()) ways.push_back("'" + use.remedy + "'");
  }
  return tl::unexpected(Error{
      .code = EBUSY,
      .operation = "bind the device",
      .device = bdf.str(),
      .cause = "the host uses it: " + first_few(what, "; "),
      .advice = ways.empty() ? "--force binds it anyway"
                             : fmt::format("Stop these uses first: {}. --force binds it anyway",
                                           first_few(ways))});
}

}  // namespace passthru
