// SPDX-License-Identifier: MIT
// Tests of writing to an output that is read, not read, and read again.
#include "vmm/output_writer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/fd.h"
#include "tests/fakes/eventually.h"
#include "tests/unit/tools/live_output.h"
#include "vmm/console.h"

namespace passthru {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

constexpr size_t kBuffer = 64 << 10;
constexpr std::chrono::milliseconds kShort{50};

// Returns text without newlines in which neighbouring bytes differ.
std::string text_of(size_t size) {
  std::string text;
  while (text.size() < size) text += std::to_string(text.size()) + ' ';
  text.resize(size);
  return text;
}

class OutputWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    output_ = Fd(ends[1]);
    reader_ = std::make_unique<LiveOutput>(Fd(ends[0]));
  }

  // Uses a terminal instead of a pipe.
  void use_terminal() {
    int ours = -1, theirs = -1;
    termios raw{};
    ::cfmakeraw(&raw);
    ASSERT_EQ(::openpty(&ours, &theirs, nullptr, &raw, nullptr), 0);
    output_ = Fd(theirs);
    reader_ = std::make_unique<LiveOutput>(Fd(ours));
  }

  std::unique_ptr<OutputWriter> start(
      std::chrono::milliseconds patience = std::chrono::minutes(5)) {
    auto writer = OutputWriter::start(
        output_.get(), {.what = "console output", .capacity = kBuffer, .patience = patience});
    EXPECT_TRUE(writer) << writer.error().message();
    return std::move(*writer);
  }

  // Fills the pipe. Returns how many bytes it holds.
  size_t fill() {
    const std::string page(4096, ' ');
    size_t size = 0;
    ::fcntl(output_.get(), F_SETFL, O_NONBLOCK);
    while (::write(output_.get(), page.data(), page.size()) > 0) size += page.size();
    ::fcntl(output_.get(), F_SETFL, 0);
    return size;
  }

  // Returns whether `work` returns while nothing is read. If it does not, closes the reader.
  bool returns(const std::function<void()>& work) {
    std::atomic<bool> returned{false};
    std::thread thread([&] {
      work();
      returned = true;
    });
    const bool so = eventually([&] { return returned.load(); });
    if (!so) reader_.reset();
    thread.join();
    return so;
  }

  void write_bytewise(OutputWriter& writer, const std::string& text) {
    for (const char& byte : text) writer.write(std::string_view(&byte, 1));
  }

  // Reads while `writer` finishes.
  void finish_read(OutputWriter& writer) {
    std::atomic<bool> finished{false};
    std::thread thread([&] {
      writer.finish();
      finished = true;
    });
    EXPECT_TRUE(eventually([&] {
      reader_->take();
      return finished.load();
    }));
    thread.join();
    reader_->take();
  }

  Fd output_;
  std::unique_ptr<LiveOutput> reader_;
};

// The number in the line about dropped bytes, and the text before and after that line.
struct Told {
  std::string before, after;
  uint64_t dropped = 0;
};

Told told(const std::string& text) {
  const std::string end = " bytes of console output were dropped]\n";
  const size_t line = text.find("\n[");
  const size_t rest = text.find(end);
  if (line == text.npos || rest == text.npos) return {.before = text, .after = {}};
  Told told{.before = text.substr(0, line), .after = text.substr(rest + end.size())};
  std::from_chars(text.data() + line + 2, text.data() + rest, told.dropped);
  return told;
}

TEST_F(OutputWriterTest, WritesAllInOrderWhenItFinishes) {
  const auto writer = start();
  const std::string text = text_of(kBuffer);
  write_bytewise(*writer, text);
  finish_read(*writer);
  EXPECT_EQ(reader_->text(), text);
  EXPECT_EQ(writer->dropped(), 0u);
}

TEST_F(OutputWriterTest, WritesAtOnceWithoutBeingAskedTo) {
  const auto writer = start();
  writer->write("first");
  EXPECT_TRUE(reader_->shows("first"));
  writer->write("second");
  EXPECT_TRUE(reader_->shows("second"));
}

TEST_F(OutputWriterTest, GoesRoundItsBufferManyTimes) {
  const auto writer = start();
  const std::string text = text_of(kBuffer / 3);
  for (int i = 0; i < 20; ++i) {
    writer->write(text);
    EXPECT_TRUE(reader_->shows(text)) << i;
  }
  EXPECT_EQ(writer->dropped(), 0u);
}

TEST_F(OutputWriterTest, NobodyWaitsForAnOutputThatIsNotRead) {
  fill();
  const auto writer = start(kShort);
  EXPECT_TRUE(returns([&] { write_bytewise(*writer, text_of(1 << 20)); }));
  EXPECT_EQ(writer->dropped(), (1u << 20) - kBuffer);
}

TEST_F(OutputWriterTest, TellsHowMuchItDroppedWhereOutputGoesOn) {
  const size_t filled = fill();
  const auto writer = start();
  const std::string text = text_of(1 << 20);
  write_bytewise(*writer, text);
  ASSERT_TRUE(reader_->shows("were dropped]\n"));
  writer->write("and on");
  ASSERT_TRUE(reader_->shows("and on"));
  finish_read(*writer);
  const Told seen = told(reader_->text());
  EXPECT_EQ(seen.before.substr(filled), text.substr(0, kBuffer));
  EXPECT_EQ(seen.dropped, text.size() - kBuffer);
  EXPECT_EQ(seen.dropped, writer->dropped());
  EXPECT_EQ(seen.after, "and on");
}

TEST_F(OutputWriterTest, DropsUntilHalfOfItsBufferIsFree) {
  const size_t filled = fill();
  const auto writer = start();
  write_bytewise(*writer, text_of(2 * kBuffer));
  std::array<char, kBuffer / 4> some{};
  ASSERT_EQ(::read(reader_->fd(), some.data(), some.size()), static_cast<ssize_t>(some.size()));
  // The writer has moved at least this much, so its buffer has room. It moves at most a quarter.
  constexpr size_t kMoved = 1024;
  EXPECT_TRUE(eventually([&] {
    int size = 0;
    return ::ioctl(reader_->fd(), FIONREAD, &size) == 0 &&
           static_cast<size_t>(size) >= filled - some.size() + kMoved;
  }));
  writer->write("a quarter is free");
  EXPECT_EQ(writer->dropped(), kBuffer + 17);
  finish_read(*writer);
  EXPECT_EQ(told(reader_->text()).dropped, kBuffer + 17);
}

TEST_F(OutputWriterTest, TellsWhatItDroppedAlsoWhereNothingFollows) {
  fill();
  const auto writer = start();
  write_bytewise(*writer, text_of(1 << 20));
  finish_read(*writer);
  EXPECT_EQ(told(reader_->text()).dropped, writer->dropped());
  EXPECT_THAT(reader_->text(), EndsWith("were dropped]\n"));
}

TEST_F(OutputWriterTest, EndsWhileNobodyReads) {
  fill();
  const auto writer = start(kShort);
  write_bytewise(*writer, text_of(1 << 20));
  ASSERT_TRUE(returns([&] { writer->finish(); }));
  EXPECT_EQ(writer->dropped(), 1u << 20);
  writer->write("too late");
  EXPECT_EQ(writer->dropped(), (1u << 20) + 8);
}

TEST_F(OutputWriterTest, EndsWhileNobodyReadsATerminal) {
  use_terminal();
  const auto writer = start(kShort);
  const std::string text = text_of(1 << 20);
  EXPECT_TRUE(returns([&] {
    write_bytewise(*writer, text);
    writer->finish();
  }));
  EXPECT_THAT(writer->dropped(), testing::Gt(0u));
}

TEST_F(OutputWriterTest, ANonblockingOutputLosesNothing) {
  ::fcntl(output_.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(output_.get(), F_SETPIPE_SZ, 4096);  // fills up repeatedly
  const auto writer = start();
  const std::string text = text_of(kBuffer / 2);
  writer->write(text);
  EXPECT_TRUE(reader_->shows(text));
  writer->write(text);
  finish_read(*writer);
  EXPECT_EQ(reader_->text(), text + text);
}

TEST_F(OutputWriterTest, EndsWhileNobodyReadsANonblockingOutput) {
  ::fcntl(output_.get(), F_SETFL, O_NONBLOCK);
  const auto writer = start(kShort);
  write_bytewise(*writer, text_of(1 << 20));
  EXPECT_TRUE(returns([&] { writer->finish(); }));
}

TEST_F(OutputWriterTest, CountsWhatAnOutputWithoutReaderRefuses) {
  reader_.reset();
  const auto writer = start();
  writer->write("to nobody");
  EXPECT_TRUE(eventually([&] { return writer->dropped() == 9; }));
  writer->write("again");
  writer->finish();
  EXPECT_EQ(writer->dropped(), 14u);
}

TEST_F(OutputWriterTest, DropsWhatIsLongerThanItsBufferAndGoesOn) {
  const auto writer = start();
  writer->write(std::string(kBuffer + 1, 'x'));
  writer->write("short");
  finish_read(*writer);
  EXPECT_EQ(reader_->text(), "[65537 bytes of console output were dropped]\nshort");
}

TEST_F(OutputWriterTest, DropsAMessageWholeOrNotAtAll) {
  const auto writer = start();
  const std::string message = text_of(99) + '\n';
  for (int i = 0; i < 10'000; ++i) writer->write(message);
  finish_read(*writer);
  EXPECT_EQ(writer->dropped() % message.size(), 0u);
  EXPECT_THAT(reader_->text(), Not(HasSubstr("\n\n[")));
}

TEST_F(OutputWriterTest, AConsoleThatNobodyReadsHoldsUpNoVcpu) {
  auto console = Console::open(-1, output_.get());
  ASSERT_TRUE(console) << console.error().message();
  EXPECT_TRUE(returns([&] {
    for (int i = 0; i < 1 << 20; ++i) (*console)->write(std::byte{'x'});
  }));
  reader_.reset();
  EXPECT_GE((*console)->finish(), (1u << 20) - 65536) << "all bytes except those in the pipe";
}

TEST_F(OutputWriterTest, AConsoleWritesItsLastLineBeforeItEnds) {
  {
    auto console = Console::open(-1, output_.get());
    ASSERT_TRUE(console) << console.error().message();
    for (const char byte : std::string("Kernel panic\r\n")) {
      (*console)->write(static_cast<std::byte>(byte));
    }
  }
  reader_->take();
  EXPECT_EQ(reader_->text(), "Kernel panic\n");
}

}  // namespace
}  // namespace passthru
