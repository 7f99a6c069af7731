// SPDX-License-Identifier: MIT
// Owns how the command writes values that JSON has no type for, the same in every listing.
// Documented in docs/json.md; scripts rely on it.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "pci/msix_layout.h"
#include "pci/sysfs.h"

namespace passthru::tools {

/// Members stay in the order in which they are written.
using Json = nlohmann::ordered_json;

/// null for what is not there.
inline Json json_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}
template <class T>
Json json_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

inline Json json_msix_layout(const MsixLayout& layout) {
  return {{"vectors", layout.vectors},
          {"table", {{"bar", layout.table_bar}, {"offset", layout.table_offset}}},
          {"pba", {{"bar", layout.pba_bar}, {"offset", layout.pba_offset}}}};
}

/// SR-IOV, by the same names in each listing of functions: whose it is, and how many it has.
inline Json json_physical_function(const PciFunction& function) {
  return function.physical_function ? Json(function.physical_function->str()) : Json();
}
inline Json json_virtual_functions(const PciFunction& function) {
  const auto& virtual_functions = function.virtual_functions;
  if (!virtual_functions) return {};
  return {{"enabled", virtual_functions->enabled}, {"possible", virtual_functions->possible}};
}

/// Text that the device or a file gave us may not be UTF-8; it is replaced, not thrown at.
inline void print_json(const Json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

/// One document of many: what goes on prints each on a line of its own.
inline std::string json_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace passthru::tools
