// SPDX-License-Identifier: MIT
// Tests that no output of the command has a character that controls a terminal: every such
// character in a name, through each output.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "device/hypervisor.h"
#include "tools/bars/bars_output.h"
#include "tools/commands.h"
#include "tools/json.h"
#include "tools/list/listed_devices.h"
#include "tools/printable.h"
#include "tools/run/run_messages.h"
#include "tools/trace/trace_file.h"
#include "tools/trace/trace_summary.h"
#include "tools/vmm_answer.h"

namespace passthru::tools {
namespace {

std::string utf8(uint32_t code) {
  const auto byte = [](uint32_t value) { return static_cast<char>(value); };
  if (code < 0x80) return {byte(code)};
  if (code < 0x800) return {byte(0xc0 | code >> 6), byte(0x80 | (code & 0x3f))};
  return {byte(0xe0 | code >> 12), byte(0x80 | (code >> 6 & 0x3f)), byte(0x80 | (code & 0x3f))};
}

// C0 without the newline, DEL and C1; then the characters that turn or hide text.
std::vector<std::string> controls() {
  std::vector<std::string> all;
  for (uint32_t code = 0; code < 0xa0; ++code) {
    if ((code < 0x20 && code != '\n') || code >= 0x7f) all.push_back(utf8(code));
  }
  for (const auto& [first, last] : std::vector<std::pair<uint32_t, uint32_t>>{{0x61c, 0x61c},
                                                                              {0x200b, 0x200f},
                                                                              {0x2028, 0x202e},
                                                                              {0x2060, 0x206f},
                                                                              {0xfeff, 0xfeff}}) {
    for (uint32_t code = first; code <= last; ++code) all.push_back(utf8(code));
  }
  return all;
}

std::string printed(const std::function<void()>& print) {
  std::fflush(stdout);
  testing::internal::CaptureStdout();
  print();
  std::fflush(stdout);
  return testing::internal::GetCapturedStdout();
}

std::string said(const std::string& text) {
  testing::internal::CaptureStderr();
  say(text);
  return testing::internal::GetCapturedStderr();
}

std::string traced(const std::string& name) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("passthru-printable-" + std::to_string(::getpid()));
  const nlohmann::json answer = {
      {"interrupts",
       {{{"time_ns", 1}, {"device", "0000:00:02.0"}, {"vector", 0}, {"latency_ns", 1}}}},
      {"marks", nlohmann::json::array()},
      {"lost", 0},
      {"marks_lost", 0}};
  auto file = TraceFile::create(path.string(), OutputFile::Existing::Replace);
  EXPECT_TRUE(file && file->add(answer, "0000:00:02.0", name) && file->finish({{"ended", name}}));
  std::ifstream in(path);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  std::filesystem::remove(path);
  return text;
}

DeviceBars bars(const std::string& name) {
  return {.name = name, .notes = {name}};
}

std::string listed(const std::string& name) {
  const ListedDevice device{.function = {.driver = name},
                            .name = name,
                            .class_name = name,
                            .obstacle = Error{.code = EIO, .cause = name},
                            .interfaces = {name}};
  return list_text({device}, {});
}

// What the command prints of a VMM's device name, before any other protection.
std::string answered(const std::string& name) {
  const auto text = nlohmann::json{{"version", 1}, {"name", name}}.dump();
  const auto answer = parse_answer(text);
  return answer ? answer->value("name", std::string()) : answer.error().cause;
}

const std::vector<std::pair<const char*, std::function<std::string(const std::string&)>>> kWaysOut =
    {
        {"a text",
         [](const std::string& name) { return printed([&] { print_text(name + "\n"); }); }},
        {"JSON",
         [](const std::string& name) { return printed([&] {
                                         print_json({{"name", name}});
                                       }); }},
        {"the name of a JSON member",
         [](const std::string& name) { return printed([&] {
                                         print_json({{name, 1}});
                                       }); }},
        {"a line of JSON",
         [](const std::string& name) {
           return json_line({{name, name}});
         }},
        {"a message", said},
        {"an error",
         [](const std::string& name) {
           return error_line(
               {.code = EIO, .operation = name, .device = name, .cause = name, .advice = name});
         }},
        {"an event",
         [](const std::string& name) {
           std::string line =
               event_line({.kind = Event::Kind::DeviceError, .device = {}, .detail = name});
           line.resize(line.size() - 2);  // the return and newline of a raw terminal
           return line;
         }},
        {"a picture", [](const std::string& name) { return bars_text(bars(name), {}); }},
        {"an SVG", [](const std::string& name) { return bars_svg(bars(name)); }},
        {"a list", listed},
        {"a trace", traced},
        {"an answer", answered},
};

TEST(PrintableOutputs, NoCharacterThatControlsATerminalGetsOut) {
  for (const auto& [way, output] : kWaysOut) {
    for (const std::string& control : controls()) {
      const std::string text = output("before" + control + "after");
      EXPECT_EQ(text.find(control), std::string::npos)
          << way << ", character " << testing::PrintToString(control);
      EXPECT_NE(text.find("before"), std::string::npos) << way;
    }
  }
}

TEST(PrintableOutputs, OtherCharactersAreKept) {
  for (const auto& [way, output] : kWaysOut) {
    EXPECT_NE(output("Gerät 世界").find("Gerät 世界"), std::string::npos) << way;
  }
}

TEST(PrintableOutputs, AnErrorHasOneLine) {
  EXPECT_EQ(error_line({.code = EIO, .operation = "read a\nb"}),
            "passthru: cannot read a?b: Input/output error\n");
}

}  // namespace
}  // namespace passthru::tools
