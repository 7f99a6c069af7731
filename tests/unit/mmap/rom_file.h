// SPDX-License-Identifier: MIT
// A file with the content of an expansion ROM, which lives as long as its object.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace passthru {

class RomFile {
 public:
  explicit RomFile(const std::string& content) {
    static int count = 0;
    path_ = testing::TempDir() + "passthru-rom-" + std::to_string(::getpid()) + "-" +
            std::to_string(count++);
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~RomFile() { std::filesystem::remove(path_); }
  RomFile(const RomFile&) = delete;
  RomFile& operator=(const RomFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace passthru
