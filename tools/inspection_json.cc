// SPDX-License-Identifier: MIT
// Owns the names of an Inspection's fields in JSON.
#include "tools/inspection_json.h"

namespace passthru {

void to_json(nlohmann::json& json, const SpanInspection& span) {
  json = {{"offset", span.offset},
          {"size", span.size},
          {"mapped", span.mapped},
          {"why", span.why},
          {"trapped_reads", span.trapped_reads},
          {"trapped_writes", span.trapped_writes}};
}

void to_json(nlohmann::json& json, const BarInspection& bar) {
  json = {{"index", bar.index},
          {"size", bar.size},
          {"io", bar.io},
          {"is_64bit", bar.is_64bit},
          {"prefetchable", bar.prefetchable},
          {"decoded", bar.decoded},
          {"guest_address", bar.guest_address},
          {"spans", bar.spans}};
}

void to_json(nlohmann::json& json, const SourceStats& stats) {
  json = {{"delivered", stats.delivered},    {"held", stats.held},
          {"sink_full", stats.sink_full},    {"sink_failed", stats.sink_failed},
          {"spurious", stats.spurious},      {"rearmed", stats.rearmed},
          {"latency_log2_ns", stats.latency}};
}

void to_json(nlohmann::json& json, const VectorInspection& vector) {
  json = {{"index", vector.index},
          {"masked", vector.masked},
          {"pending", vector.pending},
          {"bound", vector.bound},
          {"owner", vector.owner},
          {"guest_message",
           {{"address", vector.guest_message.address}, {"data", vector.guest_message.data}}},
          {"unroutable",
           vector.unroutable.empty() ? nlohmann::json() : nlohmann::json(vector.unroutable)},
          {"delivered", vector.delivered},
          {"restores", vector.restores},
          {"rebinds", vector.rebinds},
          {"latched", vector.latched},
          {"forwarded", vector.forwarded ? nlohmann::json(*vector.forwarded) : nlohmann::json()},
          {"masked_ns", vector.masked_ns},
          {"last_error", vector.last_error}};
}

void to_json(nlohmann::json& json, const Inspection& inspection) {
  json = {{"device", inspection.device.str()},
          {"guest_address", inspection.guest_address.str()},
          {"name", inspection.name},
          {"vendor", inspection.vendor},
          {"device_id", inspection.device_id},
          {"interrupt_mode", inspection.interrupt_mode},
          {"bars", inspection.bars},
          {"vectors", inspection.vectors},
          {"set_irqs_calls", inspection.set_irqs_calls},
          {"restores", inspection.restores},
          {"damages", inspection.damages},
          {"refused_messages", inspection.refused_messages},
          {"resets",
           {{"function_level", inspection.resets.function_level},
            {"advanced_features", inspection.resets.advanced_features},
            {"left_d3hot", inspection.resets.left_d3hot},
            {"vm", inspection.resets.vm}}},
          {"audits", inspection.audits},
          {"device_errors", inspection.device_errors},
          {"detached", inspection.detached},
          {"failed_accesses", inspection.failed_accesses}};
}

}  // namespace passthru
