// SPDX-License-Identifier: MIT
// Fuzzes the answers of a VMM, as the command reads them. An answer that is accepted has no text
// with a control character, and its devices have valid indices and can be drawn.
#include <algorithm>
#include <string>
#include <string_view>

#include "inspect/inspection_json.h"
#include "tools/bars/bars_output.h"
#include "tools/printable.h"
#include "tools/vmm_answer.h"

namespace passthru::tools {
namespace {

void expect(bool condition) {
  if (!condition) __builtin_trap();
}

void expect_printable(const nlohmann::json& json) {
  if (json.is_string()) {
    const auto& text = json.get_ref<const std::string&>();
    expect(printable(text) == text);
  }
  expect(!json.is_number_float());
  if (!json.is_structured()) return;
  for (const nlohmann::json& each : json) expect_printable(each);
}

void draw(const Inspection& inspection) {
  const DeviceBars bars{
      .device = inspection.device, .name = inspection.name, .bars = inspection.bars};
  const std::string text = bars_text(bars, {});
  expect(printable_lines(text) == text);
  expect(!bars_svg(bars).empty());
}

void run(std::string_view line) {
  const auto answer = parse_answer(line);
  if (!answer) {
    expect(answer.error().code == EPROTO && !answer.error().cause.empty());
    return;
  }
  expect_printable(*answer);
  const auto inspections = inspections_in(*answer);
  if (!inspections) return;
  for (const Inspection& each : *inspections) {
    expect(each.vectors.size() <= AnswerLimits::kVectors);
    expect(std::all_of(
        each.vectors.begin(), each.vectors.end(),
        [](const VectorInspection& vector) { return vector.index < AnswerLimits::kVectors; }));
    expect(each.bars.size() <= AnswerLimits::kBars);
    draw(each);
  }
}

}  // namespace
}  // namespace passthru::tools

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  passthru::tools::run(bytes);
  // Most inputs have no header: put the begin of a device before them, and its end behind them.
  std::string whole = R"({"version":1,"devices":[{"device":"0000:00:02.0",)";
  whole += bytes;
  passthru::tools::run(whole);
  passthru::tools::run(whole + "}]}");
  return 0;
}
