// SPDX-License-Identifier: MIT
// Tests of the inspect socket: permission to connect, misbehaving clients, and the command's side.
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>

#include "tests/unit/inspect/inspect_server_fixture.h"
#include "tools/vmm_client.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using tools::VmmClient;

class InspectServerTest : public InspectServerFixture {};

TEST_F(InspectServerTest, AClientIsToldWhatTheDeviceSays) {
  start();
  const auto devices = inspect();
  ASSERT_TRUE(devices) << devices.error().message();
  ASSERT_EQ(devices->size(), 1U);
  EXPECT_EQ((*devices)[0].device, hardware->spec().bdf);
  EXPECT_EQ((*devices)[0].vectors[0].verdict, Verdict::Ok);
}

TEST_F(InspectServerTest, OnlyItsOwnUserMayConnect) {
  start();
  struct stat found = {};
  ASSERT_EQ(::stat(path.c_str(), &found), 0);
  EXPECT_TRUE(S_ISSOCK(found.st_mode));
  EXPECT_EQ(found.st_mode & 0777, 0600U);
}

TEST_F(InspectServerTest, TheModeOfTheSocketDoesNotDependOnTheUmask) {
  for (const mode_t umask : {0U, 022U, 0777U}) {
    for (const mode_t mode : {0600U, 0660U}) {
      const mode_t before = ::umask(umask);
      start({.group = ::getegid(), .mode = mode});
      ::umask(before);
      struct stat found = {};
      ASSERT_EQ(::stat(path.c_str(), &found), 0);
      EXPECT_EQ(found.st_mode & 0777, mode) << "umask " << umask;
      EXPECT_EQ(found.st_gid, ::getegid());
      EXPECT_TRUE(inspect()) << "it is served";
      server.reset();
    }
  }
}

TEST_F(InspectServerTest, AGroupThatTheUserMayNotUseLeavesNoSocket) {
  const bool root = ::geteuid() == 0;
  ASSERT_EQ(::seteuid(root ? 65534 : ::geteuid()), 0);  // root may use every group
  fs::path elsewhere = "/tmp/passthru-group-" + std::to_string(::getpid());
  const auto made = InspectServer::start(domain, devices(), elsewhere, {.group = 54321});
  ASSERT_EQ(::seteuid(root ? 0 : ::geteuid()), 0);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, EPERM);
  EXPECT_THAT(made.error().message(), HasSubstr("Name a group that this user is a member of"));
  EXPECT_FALSE(fs::exists(elsewhere));
}

TEST_F(InspectServerTest, AClientThatAsksNothingIsDisconnected) {
  start({.max_silence = std::chrono::milliseconds(100)});
  const Fd silent = connect_raw();
  const Fd half = connect_raw();
  send(half, "{\"request\":");
  EXPECT_EQ(receive_all(silent), "");
  EXPECT_EQ(receive_all(half), "");
}

TEST_F(InspectServerTest, AClientThatHasAskedMayBeSilentForLonger) {
  start({.max_silence = std::chrono::seconds(3)});
  auto client = VmmClient::connect(path);
  ASSERT_TRUE(client);
  ASSERT_TRUE(client->inspect());
  EXPECT_EQ(receive_all(connect_raw()), "") << "a client that came later was disconnected";
  EXPECT_TRUE(client->inspect());
}

TEST_F(InspectServerTest, AnIdleClientMakesRoomUnlessItWatches) {
  start({.min_idle = std::chrono::milliseconds(0)});
  std::vector<VmmClient> clients;
  for (size_t i = 0; i < InspectServer::kMaxClients; ++i) {
    auto client = VmmClient::connect(path);
    ASSERT_TRUE(client);
    nlohmann::json request = {{"request", "list"}};
    if (i == 0) request = {{"request", "watch"}, {"device", "0000:00:02.0"}, {"on", true}};
    ASSERT_TRUE(client->ask(request));
    clients.push_back(std::move(*client));
  }
  EXPECT_TRUE(inspect()) << "a further client";
  EXPECT_TRUE(clients[0].ask({{"request", "list"}})) << "it watches";
  EXPECT_EQ(clients[1].ask({{"request", "list"}}).error().code, EPIPE)
      << "of the others, it was idle for longest";
  EXPECT_TRUE(clients[2].ask({{"request", "list"}}));
}

TEST_F(InspectServerTest, TheSocketGoesWithTheServer) {
  start();
  server.reset();
  EXPECT_FALSE(fs::exists(path));
  EXPECT_EQ(VmmClient::connect(path).error().code, ENOENT);
}

TEST_F(InspectServerTest, WhatAnotherHasPutInItsPlaceStays) {
  start();
  const fs::path other = directory / "other";
  std::ofstream(other) << "another's";
  fs::rename(other, path);
  server.reset();
  EXPECT_TRUE(fs::exists(path));
}

TEST_F(InspectServerTest, ASocketThatAKilledProcessLeftIsReplaced) {
  start();
  const fs::path kept = directory / "kept";
  fs::create_hard_link(path, kept);
  server.reset();
  fs::rename(kept, path);
  EXPECT_EQ(VmmClient::connect(path).error().code, ECONNREFUSED);
  start();
  EXPECT_TRUE(inspect());
}

TEST_F(InspectServerTest, ASocketInUseAFileAndALongPathAreRefusedAndStay) {
  start();
  const auto second = InspectServer::start(domain, devices(), path);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EADDRINUSE);
  EXPECT_THAT(second.error().message(), HasSubstr("another process serves this socket"));
  EXPECT_TRUE(inspect()) << "the first goes on";

  const fs::path file = directory / "file";
  std::ofstream(file) << "mine";
  EXPECT_EQ(InspectServer::start(domain, devices(), file).error().code, EEXIST);
  EXPECT_EQ(fs::file_size(file), 4U);
  EXPECT_EQ(InspectServer::start(domain, devices(), directory / std::string(200, 'a')).error().code,
            ENAMETOOLONG);
  EXPECT_EQ(InspectServer::start(domain, devices(), directory / "no/such").error().code, ENOENT);
}

TEST_F(InspectServerTest, WhatAClientWatchesEndsWithItsConnection) {
  start();
  {
    auto client = VmmClient::connect(path);
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->ask({{"request", "watch"}, {"device", "0000:00:02.0"}, {"on", true}}));
    EXPECT_EQ(device->inspect().vectors[0].owner, EventfdOwner::Forwarder);
  }
  EXPECT_TRUE(
      eventually([this] { return device->inspect().vectors[0].owner == EventfdOwner::Irqfd; }));
}

TEST_F(InspectServerTest, DevicesComeAndGoWhileItServes) {
  start();
  auto client = VmmClient::connect(path);
  ASSERT_TRUE(client);
  ASSERT_EQ(client->inspect()->size(), 1U);
  server->remove(*device);
  const auto without = client->inspect();
  ASSERT_TRUE(without) << "the connection still works";
  EXPECT_TRUE(without->empty());
  ASSERT_TRUE(server->add(*device));
  EXPECT_EQ(client->inspect()->size(), 1U);
}

TEST_F(InspectServerTest, ARequestMayComeInPieces) {
  start();
  const Fd client = connect_raw();
  for (const char c : std::string("{\"request\":\"inspect\"}\n")) send(client, {&c, 1});
  std::array<char, 8> start_of_answer{};
  ASSERT_EQ(::recv(client.get(), start_of_answer.data(), start_of_answer.size(), MSG_WAITALL), 8);
  EXPECT_EQ(std::string_view(start_of_answer.data(), 2), "{\"");
}

TEST_F(InspectServerTest, ARequestWithoutEndIsHungUpOn) {
  start();
  const Fd client = connect_raw();
  send(client, std::string(InspectService::kMaxRequest + 1, 'x'));
  EXPECT_EQ(receive_all(client), "");
}

class LargeAnswers : public InspectServerTest {
 protected:
  [[nodiscard]] FakeSpec spec() const override { return spec_with_large_answers(); }
};

TEST_F(LargeAnswers, ArriveWhole) {
  start();
  const auto devices = inspect();
  ASSERT_TRUE(devices) << devices.error().message();
  EXPECT_EQ((*devices)[0].vectors.size(), 1024U);
}

TEST_F(LargeAnswers, OfClientsThatTakeNothingHoldUpNobodyAndAreHungUpOn) {
  start();
  std::vector<Fd> clients;
  for (size_t i = 0; i + 1 < InspectServer::kMaxClients; ++i) {
    clients.push_back(connect_raw());
    if (i % 2 == 0) send(clients.back(), "{\"request\":\"inspect\"}\n");
  }
  // The server sends the other clients' answers first; on a slow machine that exceeds this client's
  // timeout.
  EXPECT_TRUE(eventually([this] { return static_cast<bool>(inspect()); }));
  device->config_write(kCommand, 2, 0);
  EXPECT_EQ(device->inspect().vectors[0].verdict, Verdict::Ok);

  pollfd hung_up{.fd = clients[0].get(), .events = POLLRDHUP, .revents = 0};
  EXPECT_EQ(::poll(&hung_up, 1, 60'000), 1);
  pollfd silent{.fd = clients[1].get(), .events = POLLRDHUP, .revents = 0};
  EXPECT_EQ(::poll(&silent, 1, 0), 0) << "an idle client is not disconnected";
}

TEST_F(LargeAnswers, DoNotHoldUpTheEnd) {
  start();
  const Fd client = connect_raw();
  send(client, "{\"request\":\"inspect\"}\n");
  const auto begun = std::chrono::steady_clock::now();
  server.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, InspectServer::kMaxPatience);
}

TEST_F(InspectServerTest, MoreClientsThanThereIsRoomForAreHungUpOn) {
  start();
  std::vector<Fd> clients;
  for (size_t i = 0; i < InspectServer::kMaxClients; ++i) clients.push_back(connect_raw());
  const Fd last = connect_raw();
  EXPECT_THAT(
      receive_all(last),
      HasSubstr("accept another client: 16 clients are connected already. End one of them"));
  const auto refused = inspect();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EAGAIN);
  EXPECT_THAT(refused.error().message(), HasSubstr("16 clients are connected already"));
  clients.clear();
  EXPECT_TRUE(eventually([this] { return static_cast<bool>(inspect()); }));
}

/// A test whose clients also connect as a user that is neither root nor the server's.
class InspectServerOfAGroup : public InspectServerTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to connect as another user for a moment";
    InspectServerTest::SetUp();
    fs::permissions(directory, fs::perms(0755));
  }
  Fd connect_as_other() {
    EXPECT_EQ(::seteuid(65534), 0);
    Fd client = connect_raw();
    EXPECT_EQ(::seteuid(0), 0);
    return client;
  }
  static constexpr mode_t kForOthers = 0666;
};

TEST_F(InspectServerOfAGroup, ItsMembersLeavePlacesForTheOwner) {
  start({.mode = kForOthers});
  std::vector<Fd> members;
  for (size_t i = 0; i < InspectServer::kMaxGroupClients; ++i)
    members.push_back(connect_as_other());
  EXPECT_THAT(receive_all(connect_as_other()),
              HasSubstr("12 clients of other users are connected already. End one of them"));
  std::vector<VmmClient> owners;
  for (size_t i = members.size(); i < InspectServer::kMaxClients; ++i) {
    auto client = VmmClient::connect(path);
    ASSERT_TRUE(client);
    EXPECT_TRUE(client->inspect());
    owners.push_back(std::move(*client));
  }
  EXPECT_THAT(receive_all(connect_raw()), HasSubstr("16 clients are connected already"));
}

TEST_F(InspectServerOfAGroup, AMemberTooManyTakesOnlyThePlaceOfAMember) {
  start({.mode = kForOthers, .min_idle = std::chrono::milliseconds(0)});
  auto owner = VmmClient::connect(path);
  ASSERT_TRUE(owner);
  ASSERT_TRUE(owner->inspect()) << "it has been idle for longest";
  std::vector<Fd> members;
  std::array<char, 1> byte{};
  for (size_t i = 0; i <= InspectServer::kMaxGroupClients; ++i) {
    members.push_back(connect_as_other());
    send(members.back(), "{\"request\":\"list\"}\n");
    ASSERT_EQ(::recv(members.back().get(), byte.data(), 1, 0), 1) << i;
  }
  EXPECT_THAT(receive_all(members[0]), EndsWith("\n")) << "it was disconnected";
  EXPECT_TRUE(owner->inspect());
}

TEST_F(InspectServerTest, AnErrorOfTheVmmReachesTheCommand) {
  start();
  auto client = VmmClient::connect(path);
  ASSERT_TRUE(client);
  const auto answer = client->ask({{"request", "heal"}, {"device", "0000:00:1f.7"}});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ENODEV);
  EXPECT_THAT(answer.error().message(), HasSubstr("0000:00:1f.7"));
  EXPECT_TRUE(client->inspect()) << "the connection still works";
}

TEST_F(InspectServerTest, ADeviceIsLookedForAtTheSocketThatIsNamed) {
  start();
  const auto found = tools::find_vmm(hardware->spec().bdf, {.socket = path});
  ASSERT_TRUE(found);
  ASSERT_TRUE(*found);
  EXPECT_EQ((*found)->pid(), ::getpid());
  const auto none = tools::need_vmm(Bdf{.device = 30}, {.socket = path});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ENODEV);
  EXPECT_THAT(none.error().message(), HasSubstr("this VM does not have the device"));
  EXPECT_FALSE(tools::find_vmm(Bdf{.device = 30}, {.socket = path}))
      << "with a socket path, no other VMM is asked";
}

}  // namespace
}  // namespace passthru
