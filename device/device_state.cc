// SPDX-License-Identifier: MIT
// The bytes of a state: a header, then sections. All numbers are little-endian. Each length is
// compared with the bytes that are left before it is used.
#include "device/device_state.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <utility>

namespace passthru {
namespace {

constexpr std::string_view kStateMagic = "PTHRUDEV";
constexpr uint16_t kStateMajor = 1;
constexpr uint16_t kStateMinor = 0;
constexpr size_t kStateHeader = 16;
constexpr size_t kSectionHeader = 8;
/// A reader skips an unknown section whose tag has this bit.
constexpr uint32_t kOptionalSection = uint32_t{1} << 31;

constexpr uint32_t section_tag(const char (&name)[5]) {
  uint32_t tag = 0;
  for (unsigned at = 0; at < 4; ++at) tag |= static_cast<uint32_t>(name[at]) << (8 * at);
  return tag;
}

constexpr uint32_t kSavedIo = 1U << 0;
constexpr uint32_t kSaved64Bit = 1U << 1;
constexpr uint32_t kSavedPrefetchable = 1U << 2;
constexpr size_t kSavedBar = 12;
constexpr size_t kSavedMsixHeader = 28;
constexpr size_t kSavedVector = 32;
constexpr unsigned kMaxSavedVectors = 2048;

tl::unexpected<Error> bad_state(std::string cause, int code = EINVAL) {
  return fail(code, "load the device's state", std::move(cause));
}

class StateWriter {
 public:
  template <class T>
  void put(T value) {
    for (size_t byte = 0; byte < sizeof value; ++byte) {
      bytes_ += static_cast<char>(static_cast<uint64_t>(value) >> (8 * byte) & 0xff);
    }
  }
  void put_bytes(std::string_view bytes) { bytes_ += bytes; }
  void put_section(uint32_t tag, const StateWriter& section) {
    put(tag);
    put(static_cast<uint32_t>(section.bytes_.size()));
    bytes_ += section.bytes_;
  }
  [[nodiscard]] size_t size() const { return bytes_.size(); }
  [[nodiscard]] std::string take() && { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// The caller checks `size` first. Beyond the end, `take` returns zeros.
class StateReader {
 public:
  explicit StateReader(std::string_view bytes) : left_(bytes) {}
  [[nodiscard]] size_t size() const { return left_.size(); }
  template <class T>
  T take() {
    uint64_t value = 0;
    const std::string_view bytes = take_bytes(sizeof(T));
    for (size_t at = 0; at < bytes.size(); ++at) {
      value |= uint64_t{static_cast<unsigned char>(bytes[at])} << (8 * at);
    }
    return static_cast<T>(value);
  }
  std::string_view take_bytes(size_t count) {
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view left_;
};

StateWriter write_device(const DeviceState& state) {
  StateWriter section;
  section.put(state.shape.vendor);
  section.put(state.shape.device);
  return section;
}

Result<void> read_device(StateReader section, DeviceState& state) {
  if (section.size() != 4) return bad_state("section DEVI has a wrong length");
  state.shape.vendor = section.take<uint16_t>();
  state.shape.device = section.take<uint16_t>();
  return {};
}

StateWriter write_bars(const DeviceState& state) {
  StateWriter section;
  for (const BarInfo& bar : state.shape.bars) {
    section.put(bar.size);
    section.put((bar.io ? kSavedIo : 0) | (bar.is_64bit ? kSaved64Bit : 0) |
                (bar.prefetchable ? kSavedPrefetchable : 0));
  }
  return section;
}

Result<void> read_bars(StateReader section, DeviceState& state) {
  if (section.size() != kBars * kSavedBar) return bad_state("section BARS has a wrong length");
  for (BarInfo& bar : state.shape.bars) {
    bar.size = section.take<uint64_t>();
    const auto flags = section.take<uint32_t>();
    if ((flags & ~(kSavedIo | kSaved64Bit | kSavedPrefetchable)) != 0) {
      return bad_state("section BARS has reserved bits");
    }
    bar.io = (flags & kSavedIo) != 0;
    bar.is_64bit = (flags & kSaved64Bit) != 0;
    bar.prefetchable = (flags & kSavedPrefetchable) != 0;
  }
  return {};
}

StateWriter write_config(const DeviceState& state) {
  StateWriter section;
  for (const uint8_t byte : state.config) section.put(byte);
  return section;
}

Result<void> read_config_bytes(StateReader section, DeviceState& state) {
  if (section.size() != state.config.size()) return bad_state("section CONF has a wrong length");
  for (uint8_t& byte : state.config) byte = section.take<uint8_t>();
  return {};
}

StateWriter write_msix(const DeviceState& state) {
  StateWriter section;
  const MsixLayout& layout = *state.shape.msix;
  section.put(static_cast<uint32_t>(layout.vectors));
  section.put(static_cast<uint32_t>(state.interrupts.msix.allocated));
  section.put(layout.table_offset);
  section.put(layout.pba_offset);
  section.put(static_cast<uint8_t>(layout.table_bar));
  section.put(static_cast<uint8_t>(layout.pba_bar));
  section.put(layout.capability);
  section.put(uint8_t{0});
  for (const SavedVector& vector : state.interrupts.msix.vectors) {
    section.put(vector.entry.address_low);
    section.put(vector.entry.address_high);
    section.put(vector.entry.data);
    section.put(vector.entry.control);
    section.put(vector.in_force.address);
    section.put(vector.in_force.data);
    section.put(static_cast<uint32_t>(vector.pending ? 1 : 0));
  }
  return section;
}

Result<SavedVector> read_vector(StateReader& section) {
  SavedVector vector;
  vector.entry.address_low = section.take<uint32_t>();
  vector.entry.address_high = section.take<uint32_t>();
  vector.entry.data = section.take<uint32_t>();
  vector.entry.control = section.take<uint32_t>();
  vector.in_force.address = section.take<uint64_t>();
  vector.in_force.data = section.take<uint32_t>();
  const auto pending = section.take<uint32_t>();
  if (vector.entry.control > MsixEntry::kMasked || pending > 1) {
    return bad_state("section MSIX has reserved bits");
  }
  vector.pending = pending != 0;
  return vector;
}

Result<void> read_msix(StateReader section, DeviceState& state) {
  if (section.size() < kSavedMsixHeader) return bad_state("section MSIX has a wrong length");
  MsixLayout layout;
  layout.vectors = section.take<uint32_t>();
  if (layout.vectors == 0 || layout.vectors > kMaxSavedVectors) {
    return bad_state(fmt::format("section MSIX has {} vectors", layout.vectors));
  }
  SavedMsix& saved = state.interrupts.msix;
  saved.allocated = section.take<uint32_t>();
  if (saved.allocated > layout.vectors) {
    return bad_state("section MSIX has more vectors allocated than it has");
  }
  layout.table_offset = section.take<uint64_t>();
  layout.pba_offset = section.take<uint64_t>();
  layout.table_bar = section.take<uint8_t>();
  layout.pba_bar = section.take<uint8_t>();
  layout.capability = section.take<uint8_t>();
  if (section.take<uint8_t>() != 0) return bad_state("section MSIX has reserved bits");
  if (section.size() != size_t{layout.vectors} * kSavedVector) {
    return bad_state("section MSIX has a wrong length");
  }
  for (unsigned vector = 0; vector < layout.vectors; ++vector) {
    saved.vectors.push_back(PASSTHRU_TRY(read_vector(section)));
  }
  state.shape.msix = layout;
  return {};
}

StateWriter write_msi_pending(const DeviceState& state) {
  StateWriter section;
  section.put(state.interrupts.msi_pending);
  return section;
}

Result<void> read_msi_pending(StateReader section, DeviceState& state) {
  if (section.size() != 4) return bad_state("section MSIP has a wrong length");
  state.interrupts.msi_pending = section.take<uint32_t>();
  state.shape.msi = true;
  return {};
}

struct SectionKind {
  uint32_t tag;
  const char* name;
  bool required;
  bool (*present)(const DeviceState& state);
  StateWriter (*write)(const DeviceState& state);
  Result<void> (*read)(StateReader section, DeviceState& state);
};

bool always(const DeviceState& /*state*/) {
  return true;
}
bool has_msix(const DeviceState& state) {
  return state.shape.msix.has_value();
}
bool has_msi(const DeviceState& state) {
  return state.shape.msi;
}

constexpr std::array kSections = {
    SectionKind{section_tag("DEVI"), "DEVI", true, always, write_device, read_device},
    SectionKind{section_tag("BARS"), "BARS", true, always, write_bars, read_bars},
    SectionKind{section_tag("CONF"), "CONF", true, always, write_config, read_config_bytes},
    SectionKind{section_tag("MSIX"), "MSIX", false, has_msix, write_msix, read_msix},
    SectionKind{section_tag("MSIP"), "MSIP", false, has_msi, write_msi_pending, read_msi_pending},
};

Result<void> read_header(StateReader& state) {
  const size_t size = state.size();
  if (state.take_bytes(kStateMagic.size()) != kStateMagic) {
    return bad_state("it does not begin as a state of Passthru does");
  }
  const auto major = state.take<uint16_t>();
  const auto minor = state.take<uint16_t>();
  const auto length = state.take<uint32_t>();
  if (size < kStateHeader) return bad_state("its header is cut off");
  if (major != kStateMajor) {
    return bad_state(fmt::format("it has version {}.{}, and this Passthru reads version {}", major,
                                 minor, kStateMajor),
                     ENOTSUP);
  }
  if (length != size) {
    return bad_state(fmt::format("it has {} bytes, and its header says {}", size, length));
  }
  return {};
}

/// `seen`: by index of kSections.
Result<void> read_section(StateReader& left, DeviceState& state,
                          std::array<bool, kSections.size()>& seen) {
  if (left.size() < kSectionHeader) return bad_state("the header of a section is cut off");
  const auto tag = left.take<uint32_t>();
  const auto length = left.take<uint32_t>();
  if (length > left.size()) {
    return bad_state(fmt::format("the section with tag {:#x} is cut off", tag));
  }
  const StateReader section(left.take_bytes(length));
  for (size_t kind = 0; kind < kSections.size(); ++kind) {
    if (kSections[kind].tag != tag) continue;
    if (std::exchange(seen[kind], true)) {
      return bad_state(fmt::format("section {} is there twice", kSections[kind].name));
    }
    return kSections[kind].read(section, state);
  }
  if ((tag & kOptionalSection) != 0) return {};
  return bad_state(
      fmt::format("a newer Passthru wrote it: the section with tag {:#x} is unknown", tag),
      ENOTSUP);
}

}  // namespace

std::string encode(const DeviceState& state) {
  StateWriter sections;
  for (const SectionKind& kind : kSections) {
    if (kind.present(state)) sections.put_section(kind.tag, kind.write(state));
  }
  StateWriter whole;
  whole.put_bytes(kStateMagic);
  whole.put(kStateMajor);
  whole.put(kStateMinor);
  whole.put(static_cast<uint32_t>(kStateHeader + sections.size()));
  whole.put_bytes(std::move(sections).take());
  return std::move(whole).take();
}

Result<DeviceState> decode(std::string_view bytes) {
  StateReader left(bytes);
  PASSTHRU_TRY(read_header(left));
  DeviceState state;
  std::array<bool, kSections.size()> seen{};
  while (left.size() != 0) PASSTHRU_TRY(read_section(left, state, seen));
  for (size_t kind = 0; kind < kSections.size(); ++kind) {
    if (kSections[kind].required && !seen[kind]) {
      return bad_state(fmt::format("section {} is missing", kSections[kind].name));
    }
  }
  return state;
}

Result<void> check_same_shape(const DeviceShape& saved, const DeviceShape& here) {
  if (saved.vendor != here.vendor || saved.device != here.device) {
    return bad_state(
        fmt::format("it is of a device {:04x}:{:04x}, and this device is {:04x}:{:04x}",
                    saved.vendor, saved.device, here.vendor, here.device));
  }
  std::string differs;
  for (unsigned bar = 0; bar < kBars; ++bar) {
    if (saved.bars[bar] == here.bars[bar] || !differs.empty()) continue;
    differs = bar == kRomBar ? "the ROM has another size"
                             : fmt::format("BAR {} has another size or kind", bar);
  }
  if (differs.empty() && saved.msix != here.msix) {
    differs = "the MSI-X table has another size or place";
  }
  if (differs.empty() && saved.msi != here.msi) differs = "only one of the two has MSI";
  if (differs.empty()) return {};
  auto refused = bad_state(std::move(differs));
  refused.value().advice = "Open the device with the options of the process that saved the state";
  return refused;
}

}  // namespace passthru
