// SPDX-License-Identifier: MIT
#include "inspect/inspection_json.h"

#include <array>
#include <optional>
#include <string>

#include "vfio/device_source.h"

/// An empty optional is null.
template <class T>
struct nlohmann::adl_serializer<std::optional<T>> {
  static void to_json(json& json, const std::optional<T>& value) {
    if (value) {
      json = *value;
    } else {
      json = nullptr;
    }
  }
  static void from_json(const json& json, std::optional<T>& value) {
    if (json.is_null()) {
      value.reset();
    } else {
      value = json.get<T>();
    }
  }
};

namespace passthru {

inline void to_json(nlohmann::json& json, const Bdf& bdf) {
  json = bdf.str();
}

inline void from_json(const nlohmann::json& json, Bdf& bdf) {
  const auto parsed = Bdf::parse(json.get<std::string>());
  if (!parsed) throw nlohmann::json::type_error::create(302, parsed.error().message(), &json);
  bdf = *parsed;
}

inline void to_json(nlohmann::json& json, const MsixEntry& entry) {
  json = {{"address", entry.message().address}, {"data", entry.data}, {"control", entry.control}};
}

inline void from_json(const nlohmann::json& json, MsixEntry& entry) {
  const uint64_t address = json.at("address");
  entry.address_low = static_cast<uint32_t>(address);
  entry.address_high = static_cast<uint32_t>(address >> 32);
  json.at("data").get_to(entry.data);
  json.at("control").get_to(entry.control);
}

/// Enums are words in JSON. A word that none of `values` has becomes `unknown`.
template <class Enum, size_t N>
Enum from_word(const nlohmann::json& json, const std::array<Enum, N>& values, Enum unknown) {
  const auto& word = json.get_ref<const std::string&>();
  for (const Enum value : values) {
    if (word == to_string(value)) return value;
  }
  return unknown;
}

inline void to_json(nlohmann::json& json, EventfdOwner owner) {
  json = to_string(owner);
}

inline void from_json(const nlohmann::json& json, EventfdOwner& owner) {
  using enum EventfdOwner;
  owner = from_word(json, std::array{None, Latch, Irqfd, Forwarder}, None);
}

inline void to_json(nlohmann::json& json, InterruptMode mode) {
  json = to_string(mode);
}

inline void from_json(const nlohmann::json& json, InterruptMode& mode) {
  using enum InterruptMode;
  mode = from_word(json, std::array{None, Intx, Msi, Msix}, None);
}

inline void to_json(nlohmann::json& json, Backend backend) {
  json = to_string(backend);
}

inline void from_json(const nlohmann::json& json, Backend& backend) {
  backend = from_word(json, std::array{Backend::Group, Backend::Cdev}, Backend::Group);
}

inline void to_json(nlohmann::json& json, Verdict verdict) {
  json = to_string(verdict);
}

inline void from_json(const nlohmann::json& json, Verdict& verdict) {
  verdict = from_word(json, kVerdicts, Verdict::Unknown);
}

inline void to_json(nlohmann::json& json, const SpanInspection& span) {
  json = {{"offset", span.offset},
          {"size", span.size},
          {"mapped", span.mapped()},
          {"kind", to_string(span.kind)},
          {"why", trap_reason(span.kind, span.error)},
          {"error", span.error},
          {"trapped_reads", span.trapped_reads},
          {"trapped_writes", span.trapped_writes}};
}

inline void from_json(const nlohmann::json& json, SpanInspection& span) {
  using enum SpanKind;
  span.offset = json.value("offset", uint64_t{0});
  span.size = json.value("size", uint64_t{0});
  span.kind = Unknown;
  if (json.contains("kind")) {
    span.kind = from_word(json.at("kind"),
                          std::array{Mapped, MsixTable, MsixPba, Excluded, IoPorts, Rom, NotOffered,
                                     OutsideArea, PartialPage, BeyondEnd, Refused},
                          Unknown);
  } else if (json.value("mapped", false)) {
    span.kind = Mapped;
  }
  span.trapped_reads = json.value("trapped_reads", uint64_t{0});
  span.trapped_writes = json.value("trapped_writes", uint64_t{0});
  span.error = json.value("error", 0);
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(MsiMessage, address, data)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(SourceStats, delivered, held, sink_full,
                                                sink_failed, spurious, rearmed, latency_log2_ns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(BarInspection, index, size, io, is_64bit,
                                                prefetchable, decoded, guest_address, spans)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(MsixControlInspection, enabled, function_masked,
                                                enabled_in_device, function_masked_in_device)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(VectorInspection, index, verdict, why, damaged,
                                                masked, pending, bound, owner, guest_message,
                                                last_sound, in_device, device_pending, unroutable,
                                                delivered, restores, rearms, rebinds, latched,
                                                forwarded, masked_ns, last_error)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(DeliveredCounts, intx, msi, msix)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(DmaInspection, backend, maps, bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ResetCounts, function_level, advanced_features,
                                                left_d3hot, vm)

#define PASSTHRU_MEMBERS(each)                                                                 \
  NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(                                                    \
      each, device, guest_address, name, vendor, device_id, interrupt_mode, msix_control, dma, \
      bars, vectors, set_irqs_calls, delivered, restores, rearms, damages, refused_messages,   \
      resets, audits, device_errors, detached, failed_accesses))

// The parameters are called as the library's macros have them.
void to_json(nlohmann::json& nlohmann_json_j, const Inspection& nlohmann_json_t) {
  PASSTHRU_MEMBERS(NLOHMANN_JSON_TO)
}

void from_json(const nlohmann::json& nlohmann_json_j, Inspection& nlohmann_json_t) {
  const Inspection nlohmann_json_default_obj{};
  PASSTHRU_MEMBERS(NLOHMANN_JSON_FROM_WITH_DEFAULT)
}

}  // namespace passthru
