// SPDX-License-Identifier: MIT
// A VMM at a socket with one device of ten vectors, for tests of the command. Each sort order puts
// a different one of the first three vectors on top.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "inspect/inspect_service.h"
#include "inspect/inspection_json.h"
#include "tests/unit/inspect/reported_vector.h"
#include "tests/unit/tools/recv_limit.h"

namespace passthru {

class ScriptedVmm {
 public:
  /// Accepts connections from now on, but answers nothing and starts no thread.
  ScriptedVmm(const std::filesystem::path& socket, Bdf device) : device_(device) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket.string().copy(address.sun_path, sizeof(address.sun_path) - 1);
    const auto* name = reinterpret_cast<const sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_.get(), name, sizeof(address)), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
  }
  /// Call it when the client has disconnected.
  ~ScriptedVmm() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
  }
  ScriptedVmm(const ScriptedVmm&) = delete;
  ScriptedVmm& operator=(const ScriptedVmm&) = delete;

  /// Answers one client. Disconnects it on inspection request number `max_looks` + 1.
  void serve(unsigned max_looks) {
    thread_ = std::thread([this, max_looks] {
      const Fd client(::accept(listener_.get(), nullptr, nullptr));
      if (!client) return;
      limit_recv(client);
      std::array<char, 4096> bytes{};
      ssize_t got = 0;
      while ((got = ::recv(client.get(), bytes.data(), bytes.size(), 0)) > 0) {
        const std::string_view request(bytes.data(), static_cast<size_t>(got));
        const bool looks = request.find("\"list\"") == request.npos;
        if (looks && looks_ == max_looks) return;
        const std::string line = (looks ? look() : list()).dump() + '\n';
        static_cast<void>(::send(client.get(), line.data(), line.size(), MSG_NOSIGNAL));
      }
      EXPECT_FALSE(got < 0 && errno == EAGAIN) << "the client does not disconnect";
    });
  }
  [[nodiscard]] unsigned looks() const { return looks_; }
  /// Makes vector 0 damaged in all looks, for this cause. Call it before `serve`.
  void damage(const std::string& why) { damage_ = why; }

 private:
  using Json = nlohmann::json;
  static Json answer(Json devices) {
    return {{"version", InspectService::kVersion}, {"devices", std::move(devices)}};
  }
  [[nodiscard]] Json list() const { return answer(std::vector<std::string>{device_.str()}); }
  // Between two answers, vector 1 has the highest rate, and vector 2 has a timed interrupt.
  Json look() {
    const unsigned look = ++looks_;
    Inspection inspection;
    inspection.device = device_;
    for (unsigned vector = 0; vector < 10; ++vector) {
      const uint64_t each_time = vector == 1 ? 100 : 10 - vector;
      inspection.vectors.push_back(reported_vector(vector));
      inspection.vectors.back().delivered = look * each_time;
    }
    if (!damage_.empty()) {
      inspection.vectors[0] = reported_vector(0, Verdict::Cleared);
      inspection.vectors[0].why = damage_;
    }
    SourceStats timed;
    timed.latency_log2_ns[10] = look;
    inspection.vectors[2].forwarded = timed;
    return answer(std::vector<Inspection>{inspection});
  }

  const Bdf device_;
  std::string damage_{};
  const Fd listener_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::atomic<unsigned> looks_ = 0;
  std::thread thread_;
};

}  // namespace passthru
