// SPDX-License-Identifier: MIT
// The trace that Perfetto opens, made of what a VMM answers.
#include "tools/trace_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace passthru::tools {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class TraceFileTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path); }
  Json written() {
    std::ifstream in(path);
    return Json::parse(in);
  }
  static Json events(const Json& trace, const char* phase) {
    Json found = Json::array();
    for (const Json& each : trace["traceEvents"]) {
      if (each["ph"] == phase) found.push_back(each);
    }
    return found;
  }

  // Tests run side by side, each in a process of its own.
  const std::string path = (std::filesystem::temp_directory_path() /
                            ("passthru-trace-" + std::to_string(::getpid()) + ".json"))
                               .string();
  const std::string device = "0000:00:02.0";
};

TEST_F(TraceFileTest, AnInterruptIsASliceOnTheTrackOfItsVector) {
  auto file = TraceFile::create(path);
  ASSERT_TRUE(file) << file.error().message();
  file->add({{"interrupts",
              {{{"time_ns", 5000}, {"device", device}, {"vector", 3}, {"latency_ns", 2000}},
               {{"time_ns", 6000}, {"device", "0000:00:03.0"}, {"vector", 0}, {"latency_ns", 1}},
               {{"time_ns", 9000}, {"device", device}, {"vector", 3}, {"latency_ns", 500}}}},
             {"marks", Json::array()},
             {"lost", 2},
             {"marks_lost", 1}},
            device, "a drive");
  EXPECT_EQ(file->counts().all_slices(), 2U);
  EXPECT_EQ(file->counts().lost, 3U);
  ASSERT_TRUE(file->finish({{"device", device}}));

  const Json trace = written();
  const Json slices = events(trace, "X");
  ASSERT_EQ(slices.size(), 2U) << "another device's are left out";
  EXPECT_EQ(slices[0]["ts"], 3.0) << "us, from when it was seen";
  EXPECT_EQ(slices[0]["dur"], 2.0);
  EXPECT_EQ(slices[0]["tid"], slices[1]["tid"]);
  const Json names = events(trace, "M");
  ASSERT_EQ(names.size(), 2U) << "each name once";
  EXPECT_EQ(names[0]["args"]["name"], device + " a drive");
  EXPECT_EQ(names[1]["args"]["name"], "vector 3");
  EXPECT_EQ(names[1]["tid"], slices[0]["tid"]);
  EXPECT_EQ(trace["otherData"]["device"], device);
}

TEST_F(TraceFileTest, MarksAreOnTheTracksOfTheirVectorsAndOfTheDevice) {
  auto file = TraceFile::create(path);
  ASSERT_TRUE(file);
  const auto mark = [&](const char* kind, unsigned index, uint64_t value) {
    return Json{
        {"time_ns", 1000}, {"kind", kind}, {"device", device}, {"index", index}, {"value", value}};
  };
  file->add({{"interrupts", Json::array()},
             {"marks", {mark("masked", 4, 0), mark("reset", 0, 0), mark("bar_moved", 2, 0xc000)}},
             {"lost", 0},
             {"marks_lost", 0}},
            device, "\xff<name>");
  EXPECT_EQ(file->counts().all_marks(), 3U);
  ASSERT_TRUE(file->finish({}));
  const Json marks = events(written(), "i");
  ASSERT_EQ(marks.size(), 3U);
  EXPECT_EQ(marks[0]["tid"], 5);
  EXPECT_EQ(marks[1]["tid"], 0);
  EXPECT_EQ(marks[2]["args"]["address"], "0xc000");
}

TEST_F(TraceFileTest, WhatIsNoTraceIsRefused) {
  auto file = TraceFile::create(path);
  ASSERT_TRUE(file);
  EXPECT_THROW(file->add(Json::object(), device, ""), Json::exception);
  EXPECT_THROW(file->add({{"interrupts", {{{"device", device}}}}}, device, ""), Json::exception);
}

TEST_F(TraceFileTest, AFileThatCannotBeWrittenIsSaidAtOnce) {
  const auto file = TraceFile::create("/no/such/directory/trace.json");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ENOENT);
  EXPECT_EQ(
      file.error().message(),
      "write /no/such/directory/trace.json: No such file or directory. Name another file with -o");
}

TEST_F(TraceFileTest, AFullDiskIsSaidAtTheEnd) {
  auto file = TraceFile::create("/dev/full");
  ASSERT_TRUE(file);
  EXPECT_FALSE(file->finish({}));
}

}  // namespace
}  // namespace passthru::tools
