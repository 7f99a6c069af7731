// SPDX-License-Identifier: MIT
// An inspect socket of a guest's drive and its clients, for tests of the server.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "inspect/inspect_server.h"
#include "tests/unit/inspect/inspect_fixture.h"
#include "tests/unit/tools/recv_limit.h"
#include "tools/vmm_client.h"

namespace passthru {

class InspectServerFixture : public InspectFixture {
 protected:
  void SetUp() override {
    InspectFixture::SetUp();
    std::array<char, 32> name{"/tmp/passthru-XXXXXX"};
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory = name.data();
    path = directory / "vm.sock";
  }
  void TearDown() override {
    server.reset();
    std::filesystem::remove_all(directory);
  }
  /// Serves without a thread.
  void serve_in_a_loop() {
    auto opened = InspectServer::open(domain, devices(), path);
    ASSERT_TRUE(opened) << opened.error().message();
    server = std::move(*opened);
  }
  void start(InspectAccess access = {}) {
    auto started = InspectServer::start(domain, devices(), path, access);
    ASSERT_TRUE(started) << started.error().message();
    server = std::move(*started);
  }
  Fd connect_raw() {
    Fd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    limit_recv(fd);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.string().copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
  static void send(const Fd& fd, std::string_view text) {
    EXPECT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  /// Receives until the other side disconnects.
  static std::string receive_all(const Fd& fd) {
    std::string text;
    std::array<char, 4096> bytes{};
    for (;;) {
      const ssize_t got = ::recv(fd.get(), bytes.data(), bytes.size(), 0);
      EXPECT_FALSE(got < 0 && errno == EAGAIN) << "the other side does not disconnect";
      if (got <= 0) return text;
      text.append(bytes.data(), static_cast<size_t>(got));
    }
  }
  Result<std::vector<Inspection>> inspect() {
    auto client = PASSTHRU_TRY(tools::VmmClient::connect(path));
    return client.inspect();
  }

  std::filesystem::path directory;
  std::filesystem::path path;
  std::unique_ptr<InspectServer> server;
};

/// Returns a device with so many vectors that an answer does not fit into a socket's buffer.
inline FakeSpec spec_with_large_answers() {
  FakeSpec large = FakeSpec::nvme();
  large.bars[0].size = 0x10000;
  large.msix.vectors = 1024;
  large.msix.pba_offset = 0xc000;
  return large;
}

}  // namespace passthru
