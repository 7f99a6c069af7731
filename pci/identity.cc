// SPDX-License-Identifier: MIT
// All facts come from memory of the kernel. The device is not accessed, because it may be in a
// reset.
#include "pci/identity.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace passthru {
namespace {

/// Returns the first line of an attribute below a directory; empty if it cannot be read.
std::string attribute(int directory, const char* name) {
  const Fd file(::openat(directory, name, O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text{};
  const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : 0;
  const std::string all(text.data(), size > 0 ? static_cast<size_t>(size) : 0);
  return all.substr(0, all.find('\n'));
}

/// Returns the last part of the target of a link.
std::string link_name_at(int directory, const char* name) {
  std::array<char, 256> text{};
  const ssize_t size = ::readlinkat(directory, name, text.data(), text.size());
  const std::string all(text.data(), size > 0 ? static_cast<size_t>(size) : 0);
  return all.substr(all.rfind('/') + 1);
}

}  // namespace

DeviceIdentity::DeviceIdentity(Bdf bdf, Fd devices, Seen opened)
    : bdf_(bdf), devices_(std::move(devices)), opened_(std::move(opened)) {}

// Ids that could not be read are not compared.
bool DeviceIdentity::Seen::is(const Seen& other) const {
  return file_system == other.file_system && object == other.object &&
         (words == other.words || !readable || !other.readable);
}

Result<DeviceIdentity::Seen> DeviceIdentity::look(int devices, const std::string& bdf) {
  struct stat status = {};
  if (::fstatat(devices, bdf.c_str(), &status, 0) != 0)
    return fail(errno, "find the device in sysfs");
  const Fd directory(::openat(devices, bdf.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const int at = directory.get();
  return Seen{
      .file_system = status.st_dev,
      .object = status.st_ino,
      .readable = !attribute(at, "vendor").empty() && !attribute(at, "revision").empty(),
      .words = fmt::format("{}:{}, subsystem {}:{}, revision {}, IOMMU group {}",
                           attribute(at, "vendor"), attribute(at, "device"),
                           attribute(at, "subsystem_vendor"), attribute(at, "subsystem_device"),
                           attribute(at, "revision"), link_name_at(at, "iommu_group"))};
}

Result<DeviceIdentity> DeviceIdentity::remember(const Sysfs& sysfs, Bdf bdf) {
  const std::string directory = (sysfs.bus_path() / "devices").string();
  Fd devices(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!devices) return fail(errno, "open " + directory);
  Seen opened = PASSTHRU_TRY(look(devices.get(), bdf.str()).on(bdf.str()));
  return DeviceIdentity(bdf, std::move(devices), std::move(opened));
}

Result<void> DeviceIdentity::check() const {
  const auto now = look(devices_.get(), bdf_.str());
  if (now && now->is(opened_)) return {};
  // The process has no permission or no descriptor left: that does not mean another device.
  if (!now && now.error().code != ENOENT) return {};
  std::string found = now ? now->words : "no device";
  if (now && now->words == opened_.words) found = "another device with the same ids";
  return tl::unexpected(
      Error{.code = ENODEV, .operation = "enable interrupts", .device = bdf_.str()}
          .because(fmt::format("the device opened at this address was {}; the address now has {}",
                               opened_.words, found))
          .advise("Detach it, then assign the device that you want to use"));
}

}  // namespace passthru
