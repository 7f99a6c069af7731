// SPDX-License-Identifier: MIT
#include "tools/vmm_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cerrno>
#include <string>

#include "inspect/inspect_service.h"
#include "inspect/inspection_json.h"
#include "tools/printable.h"

namespace passthru::tools {
namespace {

tl::unexpected<Error> wrong_answer(std::string cause) {
  return fail(EPROTO, "read the VMM's answer", std::move(cause));
}

// The memory that nlohmann::json takes for values, with what malloc adds.
constexpr size_t kOfObject = 64;
constexpr size_t kOfArray = 32;
constexpr size_t kOfElement = 48;  // of an array, while it grows
constexpr size_t kOfText = 48;     // without its bytes
constexpr size_t kOfMember = 48;   // of an object, without its name, which counts as a text

/// Checks the limits in one pass over the bytes, without memory of its own. The parser checks the
/// grammar afterwards, so this ignores it.
class LimitCheck {
 public:
  /// Returns the limit that `line` exceeds, or null.
  const char* exceeded(std::string_view line) {
    if (line.size() > AnswerLimits::kBytes) return "its answer is too long";
    for (size_t at = 0; at < line.size(); ++at) {
      const char c = line[at];
      if (c == '"') {
        word_ = 0;
        const size_t length = text_length(line.substr(at + 1));
        if (length > AnswerLimits::kText) return "its answer has a text that is too long";
        memory_ += kOfText + length;
        at += length + 1;
      } else if (const char* const limit = count(c)) {
        return limit;
      }
      if (memory_ > AnswerLimits::kMemory) return "its answer has too many values";
    }
    return nullptr;
  }

 private:
  /// Returns the number of bytes before the quote that ends a text, or of all bytes without one.
  static size_t text_length(std::string_view text) {
    size_t at = 0;
    while (at < text.size() && text[at] != '"') at += text[at] == '\\' ? 2 : 1;
    return std::min(at, text.size());
  }

  /// Counts a byte outside of texts.
  const char* count(char c) {
    word_ = std::string_view("{}[]:, \t\r\n").find(c) == std::string_view::npos ? word_ + 1 : 0;
    if (word_ > AnswerLimits::kNumber) return "its answer has a number that is too long";
    switch (c) {
      case '{':
      case '[':
        if (depth_ == AnswerLimits::kDepth) return "its answer is nested too deeply";
        elements_[depth_++] = 1;
        memory_ += kOfElement + (c == '{' ? kOfObject : kOfArray);
        break;
      case '}':
      case ']':
        depth_ -= depth_ == 0 ? 0 : 1;
        break;
      case ':':
        memory_ += kOfMember;
        break;
      case ',':
        memory_ += kOfElement;
        if (depth_ != 0 && ++elements_[depth_ - 1] > AnswerLimits::kElements) {
          return "its answer has a list that is too long";
        }
        break;
      default:
        break;
    }
    return nullptr;
  }

  std::array<size_t, AnswerLimits::kDepth> elements_{};  ///< of the open arrays and objects
  size_t depth_ = 0;
  size_t memory_ = 0;
  size_t word_ = 0;  ///< bytes of the number or word so far
};

// The recursion is bounded by AnswerLimits::kDepth.
void make_safe(nlohmann::json& json) {
  if (json.is_string()) json = printable(json.get_ref<const std::string&>());
  if (json.is_number_float()) json = nullptr;
  if (!json.is_structured()) return;
  for (nlohmann::json& each : json) make_safe(each);
}

template <size_t kMax, class T>
bool has_valid_indices(const std::vector<T>& all) {
  std::bitset<kMax> seen;
  return std::all_of(all.begin(), all.end(), [&](const T& each) {
    if (each.index >= kMax || seen[each.index]) return false;
    seen.set(each.index);
    return true;
  });
}

}  // namespace

Result<nlohmann::json> parse_answer(std::string_view line) {
  if (const char* const limit = LimitCheck().exceeded(line)) return wrong_answer(limit);
  nlohmann::json answer = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() ||
      answer.value("version", nlohmann::json()) != InspectService::kVersion) {
    return wrong_answer("its answer is not of this version");
  }
  make_safe(answer);
  return answer;
}

Result<std::vector<Inspection>> inspections_in(const nlohmann::json& answer) {
  std::vector<Inspection> inspections;
  try {
    answer.at("devices").get_to(inspections);
  } catch (const nlohmann::json::exception& error) {
    return wrong_answer(error.what());
  }
  for (const Inspection& each : inspections) {
    if (!has_valid_indices<AnswerLimits::kVectors>(each.vectors)) {
      return wrong_answer("its answer has a vector twice, or a number that no vector has");
    }
    if (!has_valid_indices<AnswerLimits::kBars>(each.bars)) {
      return wrong_answer("its answer has a BAR twice, or a number that no BAR has");
    }
    if (std::any_of(each.bars.begin(), each.bars.end(), [](const BarInspection& bar) {
          return bar.spans.size() > AnswerLimits::kSpans;
        })) {
      return wrong_answer("its answer has a BAR with too many spans");
    }
  }
  return inspections;
}

}  // namespace passthru::tools
