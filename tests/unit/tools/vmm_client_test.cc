// SPDX-License-Identifier: MIT
// Tests of the command's errors about a VMM with wrong or missing answers.
#include "tools/vmm_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "inspect/inspection_json.h"
#include "tests/fakes/sysfs_tree.h"
#include "tests/unit/inspect/reported_vector.h"
#include "tests/unit/tools/recv_limit.h"
#include "tools/commands.h"
#include "tools/msix/msix_view.h"
#include "tools/terminal.h"
#include "tools/user_names.h"
#include "tools/vmm_answer.h"

namespace passthru::tools {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr Bdf kDrive{.device = 2};

/// Answers requests with the given lines in order, then disconnects.
class VmmClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::array<char, 32> name{"/tmp/passthru-XXXXXX"};
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory = name.data();
    path = directory / "vm.sock";
  }
  void TearDown() override {
    if (thread.joinable()) thread.join();
    fs::remove_all(directory);
  }
  [[nodiscard]] Fd listen() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.string().copy(address.sun_path, sizeof(address.sun_path) - 1);
    Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(listener.get(), 1), 0);
    return listener;
  }
  void drip(std::chrono::milliseconds pause) {
    thread = std::thread([listener = listen(), pause] {
      const Fd client(::accept(listener.get(), nullptr, nullptr));
      std::chrono::milliseconds left = 1min;
      for (; left > 0ms && ::send(client.get(), " ", 1, MSG_NOSIGNAL) == 1; left -= pause) {
        std::this_thread::sleep_for(pause);
      }
      EXPECT_GT(left, 0ms) << "the client does not disconnect";
    });
  }
  void answer(std::vector<std::string> lines) {
    thread = std::thread([listener = listen(), lines = std::move(lines)] {
      const Fd client(::accept(listener.get(), nullptr, nullptr));
      limit_recv(client);
      std::array<char, 4096> request{};
      for (const std::string& line : lines) {
        if (::recv(client.get(), request.data(), request.size(), 0) <= 0) return;
        static_cast<void>(::send(client.get(), line.data(), line.size(), MSG_NOSIGNAL));
      }
      static_cast<void>(::recv(client.get(), request.data(), request.size(), 0));
    });
  }
  [[nodiscard]] VmmClient connect(std::chrono::milliseconds patience = 2min) const {
    auto client = VmmClient::connect(path, patience);
    EXPECT_TRUE(client) << client.error().message();
    return std::move(*client);
  }
  [[nodiscard]] std::string refusal() const {
    const auto answered = connect().ask({{"request", "list"}});
    return answered ? "answered" : answered.error().message();
  }

  static constexpr const char* kHasIt = "{\"version\":1,\"devices\":[\"0000:00:02.0\"]}\n";
  fs::path directory;
  fs::path path;
  std::thread thread;
};

TEST_F(VmmClientTest, OneThatHangsUpIsNamed) {
  answer({});
  EXPECT_THAT(refusal(), HasSubstr("ask the VMM at " + path.string() +
                                   ": it closed the connection. Check whether the VMM still runs"));
}

TEST_F(VmmClientTest, AFileThatIsNoSocketIsNotCalledADeadVmmsSocket) {
  ASSERT_TRUE(std::ofstream(path));
  const auto refused = VmmClient::connect(path, 50ms);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ECONNREFUSED);
  EXPECT_THAT(refused.error().message(),
              HasSubstr("it is not a socket. Name the inspect socket of a VMM"));
}

TEST_F(VmmClientTest, OneThatIsSilentIsNotWaitedForForEver) {
  answer({""});
  const auto refused = connect(50ms).ask({{"request", "list"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ETIMEDOUT);
  EXPECT_THAT(refused.error().message(),
              HasSubstr("ask the VMM at " + path.string() +
                        ": it does not answer. Check whether the VMM still"));
}

TEST_F(VmmClientTest, OneThatTakesNobodyAnyMoreDoesNotAnswerEither) {
  const Fd listener = listen();
  std::vector<VmmClient> waiting;
  for (auto client = VmmClient::connect(path, 50ms); client;
       client = VmmClient::connect(path, 50ms)) {
    waiting.push_back(std::move(*client));
    ASSERT_LT(waiting.size(), 100U);
  }
  const auto refused = VmmClient::connect(path, 50ms);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ETIMEDOUT)
      << "a VMM that does not accept is reported, not skipped like a dead one";
  EXPECT_THAT(refused.error().message(),
              HasSubstr("ask the VMM at " + path.string() +
                        ": it does not answer. Check whether the VMM still"));
}

TEST_F(VmmClientTest, OneThatHangsUpAtOnceMaySayWhy) {
  thread = std::thread([listener = listen()] {
    const Fd client(::accept(listener.get(), nullptr, nullptr));
    const std::string why = "{\"version\":1,\"error\":\"16 are connected\",\"errno\":11}\n";
    static_cast<void>(::send(client.get(), why.data(), why.size(), MSG_NOSIGNAL));
  });
  auto client = connect();
  thread.join();
  const auto refused = client.ask({{"request", "list"}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("16 are connected"));
}

TEST_F(VmmClientTest, AByteNowAndThenIsNoAnswer) {
  drip(5ms);
  const auto refused = connect(100ms).ask({{"request", "list"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ETIMEDOUT);
}

TEST_F(VmmClientTest, NothingThatItSaysReachesATerminalAsAnEscape) {
  answer({"{\"version\":1,\"devices\":[{\"name\":\"a\\u001b[2Jb\"}]}\n"});
  const auto answered = connect().ask({{"request", "inspect"}});
  ASSERT_TRUE(answered) << answered.error().message();
  EXPECT_EQ(answered->at("devices").at(0).at("name"), "a?[2Jb");
}

TEST_F(VmmClientTest, AnAnswerThatIsNestedWithoutEndIsNotFollowed) {
  const size_t levels = 1'000'000;
  answer({"{\"version\":1,\"devices\":" + std::string(levels, '[') + std::string(levels, ']') +
          "}\n"});
  const auto answered = connect().inspect();
  ASSERT_FALSE(answered);
  EXPECT_EQ(answered.error().code, EPROTO);
}

TEST_F(VmmClientTest, TheOneThatIsNamedIsAskedOnceForItsDevices) {
  answer({"{\"version\":1,\"devices\":[\"0000:00:02.0\",7,\"x\"]}\n"});
  auto known = known_vmms({.socket = path.string()});
  ASSERT_TRUE(known) << known.error().message();
  EXPECT_THAT(known->all.at(0).devices, ElementsAre(kDrive));
  EXPECT_EQ(known->of(kDrive), &known->all[0].client);
  EXPECT_EQ(known->of(Bdf{.device = 3}), nullptr);
  EXPECT_FALSE(known->silent);
}

TEST_F(VmmClientTest, AnAuditOfADeviceThatTheNamedOneDoesNotHaveIsRefused) {
  answer({"{\"version\":1,\"devices\":[\"0000:00:03.0\"]}\n"});
  CLI::App app;
  int status = kDone;
  add_msix(app, status);
  ::testing::internal::CaptureStderr();
  app.parse("msix audit 0000:00:02.0 --socket " + path.string());
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("0000:00:02.0: cannot ask the VMM at " + path.string() +
                        ": this VM does not have the device"));
  EXPECT_EQ(status, kRefused);
}

TEST_F(VmmClientTest, OneThatAnswersSomethingElseIsOfAnotherVersion) {
  answer({"{\"version\":2}\n"});
  EXPECT_THAT(refusal(), HasSubstr("its answer is not of this version"));
}

TEST_F(VmmClientTest, AnAnswerWithoutAnEndIsNotReadForEver) {
  answer({std::string(AnswerLimits::kBytes + (size_t{1} << 20), ' ')});
  EXPECT_THAT(refusal(),
              HasSubstr("its answer is too long. Check whether the VMM is of another version"));
}

TEST_F(VmmClientTest, AllItsAnswersTogetherHaveOneLimitOfTime) {
  const std::string line = "{\"version\":1}\n";
  thread = std::thread([listener = listen(), line] {
    const Fd client(::accept(listener.get(), nullptr, nullptr));
    limit_recv(client);
    std::array<char, 4096> request{};
    while (::recv(client.get(), request.data(), request.size(), 0) > 0) {
      std::this_thread::sleep_for(60ms);
      if (::send(client.get(), line.data(), line.size(), MSG_NOSIGNAL) < 0) return;
    }
  });
  auto client = connect(200ms);
  unsigned answers = 0;
  while (client.ask({{"request", "list"}})) ASSERT_LT(++answers, 4U) << "four take 240 ms";
  const auto refused = client.ask({{"request", "list"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ETIMEDOUT);
}

TEST_F(VmmClientTest, PatienceThatIsRenewedIsWholeAgain) {
  answer({"", "{\"version\":1}\n"});  // to the first request nothing
  auto client = connect(1s);
  EXPECT_EQ(client.ask({{"request", "list"}}).error().code, ETIMEDOUT);
  client.renew_patience();
  EXPECT_TRUE(client.ask({{"request", "list"}}));
}

TEST_F(VmmClientTest, ASignalEndsTheWaitForAnAnswer) {
  answer({""});
  auto client = connect(1min);
  const StopFlag stop;
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(::raise(SIGINT), 0);
  EXPECT_EQ(client.ask({{"request", "list"}}).error().code, ETIMEDOUT);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 50s);
}

TEST_F(VmmClientTest, AMemberOfAnotherTypeIsAnErrorThatNamesTheVmm) {
  answer({"{\"version\":1,\"arrived\":\"yes\"}\n"});
  auto client = connect();
  const auto answered = client.ask({{"request", "trigger"}});
  ASSERT_TRUE(answered) << answered.error().message();
  const auto arrived = client.member(*answered, "arrived", false);
  ASSERT_FALSE(arrived);
  EXPECT_EQ(arrived.error().code, EPROTO);
  EXPECT_THAT(arrived.error().message(), HasSubstr("ask the VMM at " + path.string()));
  EXPECT_TRUE(*client.member(*answered, "pending", true)) << "a missing member has its default";
}

TEST_F(VmmClientTest, AnErrorThatIsNoTextIsNotPrinted) {
  answer({"{\"version\":1,\"error\":{\"\xc2\x9b 31m\":1},\"errno\":0}\n"});
  const auto refused = connect().ask({{"request", "list"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EIO) << "0 is not an error";
  EXPECT_THAT(refused.error().message(), HasSubstr("its error is not a text"));
}

TEST_F(VmmClientTest, ASocketOfAnotherUserThanTheNamedUserIsRefused) {
  const Fd listener = listen();
  ASSERT_TRUE(VmmClient::connect(path, 1min, ::geteuid()));
  const auto refused = VmmClient::connect(path, 1min, ::geteuid() + 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EPERM);
  EXPECT_THAT(refused.error().message(),
              HasSubstr("it belongs to user " + user_text(::geteuid()) + ", whose VMM"));
}

// Other users have nothing to lose that the VMM's user does not have.
TEST_F(VmmClientTest, RootAsksAVmmOfAnotherUserOnlyIfTheUserIsNamed) {
  const bool root = ::geteuid() == 0;
  const uid_t owner = root ? 65534 : ::geteuid();
  fs::permissions(directory, fs::perms::all);
  ASSERT_EQ(::seteuid(owner), 0);
  const Fd listener = listen();
  ASSERT_EQ(::seteuid(root ? 0 : owner), 0);
  const auto client = VmmClient::connect(path);
  EXPECT_EQ(client.has_value(), !root);
  if (!client) {
    EXPECT_EQ(client.error().code, EPERM);
  }
  const auto named = VmmClient::connect(path, 1min, owner);
  ASSERT_TRUE(named) << named.error().message();
  EXPECT_EQ(named->user(), owner);
}

TEST_F(VmmClientTest, WhatItRefusesIsToldInItsWords) {
  answer({"{\"version\":1,\"error\":\"the device is asleep\",\"errno\":11}\n"});
  auto client = connect();
  const auto refused = client.ask({{"request", "list"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EAGAIN);
  EXPECT_THAT(refused.error().message(), HasSubstr("the device is asleep"));
}

TEST_F(VmmClientTest, DevicesThatAreNoneAreNotUnderstood) {
  answer({"{\"version\":1,\"devices\":[{\"device\":\"nvme0\"}]}\n"});
  const auto refused = connect().inspect();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EPROTO);
  EXPECT_THAT(refused.error().message(), HasSubstr("Check whether the VMM is of another version"));
}

TEST_F(VmmClientTest, APathThatIsTooLongIsRefused) {
  const auto refused = VmmClient::connect("/tmp/" + std::string(200, 'a'));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("connect to the VMM at /tmp/aaa"));
  EXPECT_EQ(refused.error().code, ENAMETOOLONG);
}

TEST_F(VmmClientTest, OneThatIsNeededAndNowhereSaysHowToHaveOne) {
  const auto refused = need_vmm(Bdf{.segment = 0xffff}, {});
  ASSERT_FALSE(refused);
  EXPECT_THAT(
      refused.error().message(),
      HasSubstr("ffff:00:00.0: cannot find its VMM: no VMM with an inspect socket has it. Start "
                "its guest with 'passthru run --inspect'"));
}

TEST_F(VmmClientTest, BarsOfOneThatAnswersForAnotherDeviceAreNotDrawn) {
  answer({kHasIt, "{\"version\":1,\"devices\":[{\"device\":\"0000:00:03.0\"}]}\n"});
  CLI::App app;
  int status = kDone;
  add_bars(app, status);
  ::testing::internal::CaptureStderr();
  app.parse("bars 0000:00:02.0 --socket " + path.string());
  EXPECT_THAT(
      ::testing::internal::GetCapturedStderr(),
      HasSubstr("it answers for other devices. Check whether the VMM is of another version"));
  EXPECT_EQ(status, kRefused);
}

TEST_F(VmmClientTest, MoreDevicesThanWereAskedForAreNotRead) {
  answer({"{\"version\":1,\"devices\":[{\"device\":\"0000:00:02.0\"},{\"device\":7}]}\n"});
  const auto refused = connect().inspect(kDrive);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EPROTO);
  EXPECT_THAT(refused.error().message(), HasSubstr("it answers for other devices"));
}

TEST_F(VmmClientTest, VectorsOfOneThatNamesNoDeviceAreNotShown) {
  answer({"{\"version\":1,\"devices\":[]}\n"});
  SysfsTree tree;
  tree.add({.bdf = "0000:00:02.0"});
  auto client = connect();
  const auto refused = look_at_msix(tree.sysfs(), kDrive, &client, Idle::Leave);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("it answers for other devices"));
}

struct EntriesOfAVmm {
  const char* name;
  InterruptMode mode;
  bool bound;
  std::optional<MsixEntry> in_device;
  const char* missing;  ///< "": nothing
};

class EntriesThatAVmmReads : public VmmClientTest,
                             public ::testing::WithParamInterface<EntriesOfAVmm> {};

TEST_P(EntriesThatAVmmReads, AreSeenOrMissing) {
  Inspection inspection{};
  inspection.device = kDrive;
  inspection.interrupt_mode = GetParam().mode;
  inspection.vectors.push_back(reported_vector(0, Verdict::MaskedByGuest));
  inspection.vectors[0].bound = GetParam().bound;
  inspection.vectors[0].in_device = GetParam().in_device;
  answer({nlohmann::json{{"version", 1}, {"devices", std::vector{inspection}}}.dump() + '\n'});
  SysfsTree tree;
  tree.add({.bdf = "0000:00:02.0"});
  auto client = connect();
  const auto view = look_at_msix(tree.sysfs(), kDrive, &client, Idle::Leave);
  ASSERT_TRUE(view) << view.error().message();
  const std::string missing = GetParam().missing;
  EXPECT_EQ(view->seen(), missing.empty());
  EXPECT_EQ(view->missing, missing.empty() ? std::vector<std::string>{} : std::vector{missing});
}

INSTANTIATE_TEST_SUITE_P(
    , EntriesThatAVmmReads,
    testing::Values(EntriesOfAVmm{"Read", InterruptMode::Msix, true,
                                  MsixEntry{0xfee0'0000, 0, 0x21, 0}, ""},
                    EntriesOfAVmm{"Unused", InterruptMode::Msix, false, {}, ""},
                    EntriesOfAVmm{"HiddenTable",
                                  InterruptMode::Msix,
                                  true,
                                  {},
                                  "the device's own table: the VMM cannot map it"},
                    EntriesOfAVmm{"Msi",
                                  InterruptMode::Msi,
                                  true,
                                  {},
                                  "the device's own registers: it uses MSI, which has no table"}),
    [](const auto& each) { return std::string(each.param.name); });

TEST_F(VmmClientTest, WhatIsDamagedIsToldAlsoWhereItCannotBeHealed) {
  answer({"{\"version\":1,\"error\":\"the device does not answer\",\"errno\":5}\n"});
  auto client = connect();
  MsixView view{.function = {.bdf = kDrive}};
  view.rows.push_back({.vector = reported_vector(3, Verdict::Cleared)});
  const RestoredView restored = restore_msix(Sysfs(), client, std::move(view));
  ASSERT_TRUE(restored.failure);
  EXPECT_THAT(restored.failure->message(), HasSubstr("the device does not answer"));
  EXPECT_FALSE(restored.restored);
  ASSERT_TRUE(restored.view.damaged());
  EXPECT_EQ(restored.view.rows[0].vector.index, 3U);
}

TEST_F(VmmClientTest, WhatWasHealedIsToldAlsoWhereItCannotBeSeen) {
  answer({"{\"version\":1,\"restored\":2}\n"});
  auto client = connect();
  MsixView view{.function = {.bdf = kDrive}};
  view.rows.push_back({.vector = reported_vector(3, Verdict::Cleared)});
  SysfsTree tree;  // without the device
  const RestoredView restored = restore_msix(tree.sysfs(), client, std::move(view));
  EXPECT_EQ(restored.restored, 2U);
  EXPECT_TRUE(restored.failure);
  EXPECT_TRUE(restored.view.damaged()) << "what was seen last";
}

}  // namespace
}  // namespace passthru::tools
