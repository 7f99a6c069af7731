// SPDX-License-Identifier: MIT
// Tests of the trace file for Perfetto, made from a VMM's answers.
#include "tools/trace/trace_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace passthru::tools {
namespace {

using Answer = nlohmann::json;  // of a VMM, or from the written file

class TraceFileTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path); }
  Answer written() {
    std::ifstream in(path);
    return Answer::parse(in);
  }
  static Answer events(const Answer& trace, const char* phase) {
    Answer found = Answer::array();
    for (const Answer& each : trace["traceEvents"]) {
      if (each["ph"] == phase) found.push_back(each);
    }
    return found;
  }

  // Tests run in parallel, each in its own process.
  const std::string path = (std::filesystem::temp_directory_path() /
                            ("passthru-trace-" + std::to_string(::getpid()) + ".json"))
                               .string();
  const std::string device = "0000:00:02.0";
  const Answer one_interrupt = {
      {"interrupts",
       {{{"time_ns", 5000}, {"device", device}, {"vector", 3}, {"latency_ns", 2000}}}},
      {"marks", Answer::array()},
      {"lost", 0},
      {"marks_lost", 0}};
};

void expect_full(const Result<void>& done) {
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ENOSPC);
  EXPECT_EQ(done.error().message(),
            "cannot write /dev/full: No space left on device. Name another file");
}

TEST_F(TraceFileTest, AnInterruptIsASliceOnTheTrackOfItsVector) {
  auto file = TraceFile::create(path);
  ASSERT_TRUE(file) << file.error().message();
  ASSERT_TRUE(file->add(
      {{"interrupts",
        {{{"time_ns", 5000}, {"device", device}, {"vector", 3}, {"latency_ns", 2000}},
         {{"time_ns", 6000}, {"device", "0000:00:03.0"}, {"vector", 0}, {"latency_ns", 1}},
         {{"time_ns", 9000}, {"device", device}, {"vector", 3}, {"latency_ns", 500}}}},
       {"marks", Answer::array()},
       {"lost", 2},
       {"marks_lost", 1}},
      device, "a drive"));
  EXPECT_EQ(file->counts().all_slices(), 2U);
  EXPECT_EQ(file->counts().lost, 3U);
  ASSERT_TRUE(file->finish({{"device", device}}));

  const Answer trace = written();
  const Answer slices = events(trace, "X");
  ASSERT_EQ(slices.size(), 2U) << "another device's interrupts are left out";
  EXPECT_EQ(slices[0]["ts"], 3.0) << "microseconds, from when the signal was seen";
  EXPECT_EQ(slices[0]["dur"], 2.0);
  EXPECT_EQ(slices[0]["tid"], slices[1]["tid"]);
  const Answer names = events(trace, "M");
  ASSERT_EQ(names.size(), 2U) << "each name appears once";
  EXPECT_EQ(names[0]["args"]["name"], device + " a drive");
  EXPECT_EQ(names[1]["args"]["name"], "vector 3");
  EXPECT_EQ(names[1]["tid"], slices[0]["tid"]);
  EXPECT_EQ(trace["otherData"]["device"], device);
}

TEST_F(TraceFileTest, MarksAreOnTheTracksOfTheirVectorsAndOfTheDevice) {
  auto file = TraceFile::create(path);
  ASSERT_TRUE(file);
  const auto mark = [&](const char* kind, unsigned index, uint64_t value) {
    return Answer{
        {"time_ns", 1000}, {"kind", kind}, {"device", device}, {"index", index}, {"value", value}};
  };
  ASSERT_TRUE(file->add(
      {{"interrupts", Answer::array()},
       {"marks", {mark("masked", 4, 0), mark("reset", 0, 0), mark("bar_moved", 2, 0xc000)}},
       {"lost", 0},
       {"marks_lost", 0}},
      device, "\xff<name>"));
  EXPECT_EQ(file->counts().all_marks(), 3U);
  ASSERT_TRUE(file->finish({}));
  const Answer marks = events(written(), "i");
  ASSERT_EQ(marks.size(), 3U);
  EXPECT_EQ(marks[0]["tid"], 5);
  EXPECT_EQ(marks[1]["tid"], 0);
  EXPECT_EQ(marks[2]["args"]["address"], "0xc000");
}

TEST_F(TraceFileTest, WhatIsNoTraceIsRefused) {
  auto file = TraceFile::create(path);
  ASSERT_TRUE(file);
  const Answer incomplete = {{"interrupts", {{{"device", device}}}}};
  for (const Answer& answer : {Answer::object(), incomplete}) {
    EXPECT_THROW(static_cast<void>(file->add(answer, device, "")), Answer::exception) << answer;
  }
}

TEST_F(TraceFileTest, AFileThatCannotBeWrittenIsSaidAtOnce) {
  const auto file = TraceFile::create("/no/such/directory/trace.json");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ENOENT);
  EXPECT_EQ(file.error().message(),
            "cannot write /no/such/directory/trace.json: No such file or directory. Name another "
            "file");
}

TEST_F(TraceFileTest, AFileAppearsWhenItIsWhole) {
  auto file = TraceFile::create(path);
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->add(one_interrupt, device, ""));
  EXPECT_FALSE(std::filesystem::exists(path)) << "the end of the file is missing";
  EXPECT_FALSE(file->is_whole());
  ASSERT_TRUE(file->finish({}));
  EXPECT_TRUE(file->is_whole());
  EXPECT_EQ(events(written(), "X").size(), 1U);
}

TEST_F(TraceFileTest, AnUnfinishedTraceLeavesAnOlderFileAsItIs) {
  std::ofstream(path) << "older";
  {
    auto file = TraceFile::create(path, OutputFile::Existing::Replace);
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->add(one_interrupt, device, ""));
  }
  std::ifstream in(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "older");
}

// Each vector and each kind takes memory of the command for the whole trace.
TEST_F(TraceFileTest, VectorsAndMarksThatDoNotExistAreNotCounted) {
  auto file = TraceFile::create(path);
  ASSERT_TRUE(file);
  Answer answer = one_interrupt;
  answer["marks"] = {{{"time_ns", 1}, {"kind", "new"}, {"device", device}, {"index", 0}}};
  ASSERT_TRUE(file->add(answer, device, ""));
  EXPECT_FALSE(file->counts().marks.contains("new"));
  for (const uint64_t vector : {uint64_t{2048}, uint64_t{1} << 32, UINT64_MAX}) {
    answer["interrupts"][0]["vector"] = vector;
    EXPECT_THROW(static_cast<void>(file->add(answer, device, "")), Answer::exception) << vector;
  }
}

TEST_F(TraceFileTest, TimesAtTheEndsOfTheirTypeAreWritten) {
  auto file = TraceFile::create(path);
  ASSERT_TRUE(file);
  Answer answer = one_interrupt;
  answer["interrupts"][0]["time_ns"] = INT64_MIN;
  answer["interrupts"][0]["latency_ns"] = INT64_MAX;
  ASSERT_TRUE(file->add(answer, device, ""));
  ASSERT_TRUE(file->finish({}));
  EXPECT_LT(events(written(), "X")[0]["ts"], -9e15);
}

TEST_F(TraceFileTest, AFullDiskIsSaidWithTheFirstAnswer) {
  auto file = TraceFile::create("/dev/full");
  ASSERT_TRUE(file);
  expect_full(file->add(one_interrupt, device, ""));
}

TEST_F(TraceFileTest, AFullDiskIsSaidAtTheEndWhereNothingCame) {
  auto file = TraceFile::create("/dev/full");
  ASSERT_TRUE(file);
  expect_full(file->finish({}));
  EXPECT_FALSE(file->is_whole());
}

TEST_F(TraceFileTest, WhatFailedFirstIsSaidToTheEnd) {
  auto file = TraceFile::create("/dev/full");
  ASSERT_TRUE(file);
  expect_full(file->add(one_interrupt, device, ""));
  expect_full(file->finish({}));
  expect_full(file->finish({}));  // the file is closed; another write would be EBADF
  EXPECT_FALSE(file->is_whole());
}

}  // namespace
}  // namespace passthru::tools
