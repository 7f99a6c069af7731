// SPDX-License-Identifier: MIT
// JSON values that several listings share. docs/json.md documents them; scripts rely on them.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/printable.h"
#include "pci/msix_layout.h"
#include "pci/sysfs.h"

namespace passthru::tools {

/// Members stay in the order in which they are written.
using Json = nlohmann::ordered_json;

/// Returns null for an empty text or an absent value.
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

/// The SR-IOV members of each listing: a virtual function's physical function, and the numbers of
/// virtual functions of a physical function.
inline Json json_physical_function(const PciFunction& function) {
  return function.physical_function ? Json(function.physical_function->str()) : Json();
}
inline Json json_virtual_functions(const PciFunction& function) {
  const auto& virtual_functions = function.virtual_functions;
  if (!virtual_functions) return {};
  return {{"enabled", virtual_functions->enabled}, {"possible", virtual_functions->possible}};
}

/// Returns `json` as text. A '?' replaces what `printable_lines` replaces, and text that is not
/// UTF-8: names come from devices, files and VMMs. The text remains JSON, because such characters
/// are in strings only. `indent` -1: on one line.
template <class AnyJson>
std::string json_text(const AnyJson& json, int indent) {
  return printable_lines(json.dump(indent, ' ', false, AnyJson::error_handler_t::replace));
}

/// Prints `json`.
inline void print_json(const Json& json) {
  fmt::print("{}\n", json_text(json, 2));
}

/// Returns `json` on a line of its own, for a command that prints many documents.
inline std::string json_line(const Json& json) {
  return json_text(json, -1) + '\n';
}

}  // namespace passthru::tools
