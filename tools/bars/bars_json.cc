// SPDX-License-Identifier: MIT
// The members of `passthru bars --json`, which docs/json.md describes.
#include <optional>
#include <string>

#include "tools/bars/bars_output.h"

namespace passthru::tools {
namespace {

Json json_span(const SpanRow& row, bool counted) {
  const SpanInspection& span = row.span;
  return {{"offset", span.offset},
          {"size", span.size},
          {"mapped", span.mapped()},
          {"why", json_or_null(trap_reason(span.kind, span.error))},
          {"trapped_reads", counted ? Json(span.trapped_reads) : Json()},
          {"trapped_writes", counted ? Json(span.trapped_writes) : Json()},
          {"heat", counted ? Json(row.heat) : Json()}};
}

Json json_bar(const DeviceBars& device, const BarInspection& bar, const BarRow& row) {
  Json spans = Json::array();
  for (const SpanRow& span : row.spans) spans.push_back(json_span(span, !device.plan));
  Json host;  // not json_or_null: GCC 12 warns that an absent value is uninitialised
  if (bar.index < kBars && device.host_addresses[bar.index]) {
    host = *device.host_addresses[bar.index];
  }
  return {{"index", bar.index},
          {"rom", bar.index == kRomBar},
          {"size", bar.size},
          {"io", bar.io},
          {"is_64bit", bar.is_64bit},
          {"prefetchable", bar.prefetchable},
          {"host_address", host},
          {"guest_address", bar.decoded ? Json(bar.guest_address) : Json()},
          {"spans", spans}};
}

}  // namespace

Json bars_json(const DeviceBars& device) {
  const BarsPicture picture = draw_bars(device, {});
  Json bars = Json::array();
  for (size_t i = 0; i < picture.bars.size(); ++i) {
    bars.push_back(json_bar(device, device.bars[i], picture.bars[i]));
  }
  return {{"device", device.device.str()},
          {"name", device.name},
          {"plan", device.plan},
          {"guest", device.guest_address ? Json(device.guest_address->str()) : Json()},
          {"notes", device.notes},
          {"msix", device.msix ? json_msix_layout(*device.msix) : Json()},
          {"bars", bars}};
}

}  // namespace passthru::tools
