// SPDX-License-Identifier: MIT
// The report of a slow wait. For each thread it shows the state, where it sleeps (wchan), its
// system call, and its running and waiting times in ns (proc(5)).
#include "tests/fakes/eventually.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace passthru {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

std::string first_line(const fs::path& file) {
  std::string line;
  std::getline(std::ifstream(file), line);
  return line;
}

void tell_threads() {
  std::error_code ended;
  for (const auto& thread : fs::directory_iterator("/proc/self/task", ended)) {
    const fs::path& of = thread.path();
    fmt::print(stderr, "thread {}: {}, in {}, system call {}, ran and waited {}\n",
               of.filename().string(), first_line(of / "stat"), first_line(of / "wchan"),
               first_line(of / "syscall"), first_line(of / "schedstat"));
  }
}

}  // namespace

bool eventually(const std::function<bool()>& is_so) {
  const auto begin = std::chrono::steady_clock::now();
  bool told = false;
  for (;;) {
    if (is_so()) return true;
    const auto waited = std::chrono::steady_clock::now() - begin;
    if (waited > 1min) return false;
    if (waited > 5s && !std::exchange(told, true)) {
      fmt::print(stderr, "waiting for 5 seconds\n");
      tell_threads();
    }
    std::this_thread::sleep_for(1ms);
  }
}

}  // namespace passthru
