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

/// The version of what the commands print as JSON, the member `version` of each document. Increases
/// when a member changes its name or meaning, or is removed.
inline constexpr unsigned kJsonVersion = 1;

/// Returns a copy of a document with its version as its first member.
inline Json with_version(const Json& document) {
  Json versioned = {{"version", kJsonVersion}};
  versioned.update(document);
  return versioned;
}

/// Returns `json` as text. A '?' replaces what `printable_lines` replaces, and text that is not
/// UTF-8: names come from devices, files and VMMs. The text remains JSON, because such characters
/// are in strings only. `indent` -1: on one line.
template <class AnyJson>
std::string json_text(const AnyJson& json, int indent) {
  return printable_lines(json.dump(indent, ' ', false, AnyJson::error_handler_t::replace));
}

/// Prints a document, with its version.
inline void print_json(const Json& document) {
  fmt::print("{}\n", json_text(with_version(document), 2));
}

/// Returns a document, with its version, on a line of its own, for a command that prints many.
inline std::string json_line(const Json& document) {
  return json_text(with_version(document), -1) + '\n';
}

}  // namespace passthru::tools
