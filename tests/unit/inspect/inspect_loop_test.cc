// SPDX-License-Identifier: MIT
// Tests of an inspect socket that a loop of the VMM drives, without a thread of the library.
#include <gmock/gmock.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/fakes/few_descriptors.h"
#include "tests/unit/inspect/inspect_server_fixture.h"

namespace passthru {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using ::testing::HasSubstr;

constexpr int kLong = 60'000;
constexpr const char* kList = "{\"request\":\"list\"}\n";

class InspectLoop : public InspectServerFixture {
 protected:
  void SetUp() override {
    InspectServerFixture::SetUp();
    serve_in_a_loop();
  }
  static bool is_ready(int fd, short events, int milliseconds) {
    pollfd polled{.fd = fd, .events = events, .revents = 0};
    return ::poll(&polled, 1, milliseconds) == 1;
  }
  [[nodiscard]] bool has_work(int milliseconds = 0) const {
    return is_ready(server->poll_fd(), POLLIN, milliseconds);
  }
  /// Runs rounds of the loop while there is work at once.
  void run_until_quiet() {
    while (has_work()) server->run_once();
  }
  /// Receives the bytes that have arrived.
  static std::string received(const Fd& fd) {
    std::string text;
    std::array<char, 4096> bytes{};
    for (;;) {
      const ssize_t got = ::recv(fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (got <= 0) return text;
      text.append(bytes.data(), static_cast<size_t>(got));
    }
  }
};

TEST_F(InspectLoop, ANewClientAndARequestAreWorkAndThenTheAnswerArrives) {
  EXPECT_FALSE(has_work()) << "no client yet";
  const Fd client = connect_raw();
  EXPECT_TRUE(has_work(kLong)) << "a new client";
  server->run_once();
  EXPECT_FALSE(has_work()) << "the client is silent";

  send(client, kList);
  EXPECT_TRUE(has_work(kLong)) << "a request";
  EXPECT_EQ(received(client), "") << "the library has no thread that answers";
  server->run_once();
  const std::string answer = received(client);
  EXPECT_THAT(answer, HasSubstr(device->bdf().str()));
  EXPECT_TRUE(answer.ends_with('\n'));
  EXPECT_FALSE(has_work()) << "no busy loop";
}

TEST_F(InspectLoop, ARoundWithoutWorkReturnsAtOnce) {
  server->run_once();
  const Fd client = connect_raw();
  run_until_quiet();
  server->run_once();  // must return; otherwise the test hangs
  EXPECT_FALSE(has_work());
}

TEST_F(InspectLoop, ARequestInPiecesIsAnsweredAfterItsLastPiece) {
  const Fd client = connect_raw();
  run_until_quiet();
  const std::string request = kList;
  send(client, request.substr(0, 5));
  run_until_quiet();
  EXPECT_EQ(received(client), "");
  send(client, request.substr(5));
  run_until_quiet();
  EXPECT_THAT(received(client), HasSubstr("devices"));
}

// A request that is too long has its newline in the same part as the first byte beyond the limit.
TEST_F(InspectLoop, ARequestMayHave4096BytesWithoutItsNewline) {
  const std::string list = kList;
  const std::string longest =
      std::string(InspectService::kMaxRequest + 1 - list.size(), ' ') + list;
  const Fd client = connect_raw();
  run_until_quiet();
  send(client, longest);
  run_until_quiet();
  EXPECT_THAT(received(client), HasSubstr("devices"));
  const Fd other = connect_raw();
  run_until_quiet();
  send(other, " " + longest);
  run_until_quiet();
  EXPECT_EQ(receive_all(other), "") << "it is disconnected without an answer";
}

TEST_F(InspectLoop, AClientThatEndsIsWorkAndItsWatchesEnd) {
  Fd client = connect_raw();
  run_until_quiet();
  send(client, "{\"request\":\"watch\",\"device\":\"" + device->bdf().str() + "\",\"on\":true}\n");
  run_until_quiet();
  EXPECT_EQ(device->inspect().vectors[0].owner, EventfdOwner::Forwarder);
  client.reset();
  EXPECT_TRUE(has_work(kLong));
  run_until_quiet();
  EXPECT_EQ(device->inspect().vectors[0].owner, EventfdOwner::Irqfd);
  EXPECT_FALSE(has_work());
}

TEST_F(InspectLoop, ItsEndDisconnectsClientsAndEndsTheirWatches) {
  const Fd client = connect_raw();
  run_until_quiet();
  send(client, "{\"request\":\"watch\",\"device\":\"" + device->bdf().str() + "\",\"on\":true}\n");
  run_until_quiet();
  server.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_THAT(receive_all(client), HasSubstr("vectors"));
  EXPECT_EQ(device->inspect().vectors[0].owner, EventfdOwner::Irqfd);
}

TEST_F(InspectLoop, MoreClientsThanThereIsRoomForAreRefused) {
  std::vector<Fd> clients;
  for (size_t i = 0; i < InspectServer::kMaxClients; ++i) {
    clients.push_back(connect_raw());
    run_until_quiet();
  }
  const Fd refused = connect_raw();
  run_until_quiet();
  EXPECT_THAT(receive_all(refused), HasSubstr("16 clients are connected already"));
  clients.pop_back();
  const Fd next = connect_raw();
  send(next, kList);
  run_until_quiet();
  EXPECT_THAT(received(next), HasSubstr("devices")) << "a client that has ended makes room";
}

// A failed accept leaves the socket readable.
TEST_F(InspectLoop, WithoutADescriptorAClientWaitsAndTheLoopDoesNotSpin) {
  Fd client = connect_raw();
  send(client, kList);
  unsigned rounds = 0;
  // UBSan needs descriptors to check the type of this object, and checks it once.
  static_cast<void>(has_work());
  {
    const FewDescriptors none_left(next_descriptor());
    const auto end = Clock::now() + 200ms;
    while (Clock::now() < end) {
      if (!has_work(5)) continue;
      server->run_once();
      ++rounds;
    }
  }
  EXPECT_GT(rounds, 0U);
  EXPECT_LT(rounds, 100U) << "the loop would take a whole CPU";
  std::string answer;
  EXPECT_TRUE(eventually([&] {
    run_until_quiet();
    answer += received(client);
    return !answer.empty();
  }));
  EXPECT_THAT(answer, HasSubstr("devices"));
}

TEST_F(InspectLoop, AThreadCanTakeOver) {
  ASSERT_TRUE(server->start_thread());
  const auto again = server->start_thread();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, EBUSY);
  const auto devices = inspect();
  ASSERT_TRUE(devices) << devices.error().message();
  EXPECT_EQ(devices->size(), 1U);
}

class InspectLoopWithLargeAnswers : public InspectLoop {
 protected:
  [[nodiscard]] FakeSpec spec() const override { return spec_with_large_answers(); }
};

TEST_F(InspectLoopWithLargeAnswers, AnAnswerIsSentAsFastAsItIsRead) {
  const Fd client = connect_raw();
  send(client, "{\"request\":\"inspect\"}\n");
  std::string answer;
  EXPECT_TRUE(eventually([&] {
    run_until_quiet();
    answer += received(client);
    return answer.ends_with('\n');
  }));
  EXPECT_TRUE(nlohmann::json::accept(answer));
}

TEST_F(InspectLoopWithLargeAnswers, AClientThatReadsNothingIsDisconnectedInTime) {
  const auto begin = Clock::now();
  const Fd slow = connect_raw();
  const Fd idle = connect_raw();
  send(slow, "{\"request\":\"inspect\"}\n");
  run_until_quiet();
  EXPECT_FALSE(is_ready(slow.get(), POLLRDHUP, 0)) << "it still has time";
  EXPECT_TRUE(has_work(kLong)) << "the time of the slow client is over";
  EXPECT_GE(Clock::now() - begin, InspectServer::kMaxPatience);
  server->run_once();
  EXPECT_TRUE(is_ready(slow.get(), POLLRDHUP, kLong));
  EXPECT_FALSE(is_ready(idle.get(), POLLRDHUP, 0)) << "an idle client is not disconnected";
  EXPECT_FALSE(has_work()) << "no busy loop";
}

}  // namespace
}  // namespace passthru
