// SPDX-License-Identifier: MIT
// Owns the names of an Inspection's members in JSON.
#include "inspect/inspection_json.h"

#include <optional>
#include <string>

/// null for what is not there.
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

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(MsiMessage, address, data)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(SourceStats, delivered, held, sink_full,
                                                sink_failed, spurious, rearmed, latency_log2_ns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(SpanInspection, offset, size, mapped, why,
                                                trapped_reads, trapped_writes)
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
