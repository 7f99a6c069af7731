// SPDX-License-Identifier: MIT
// The fields are described in Documentation/filesystems/proc.rst, 3.5, and mm/swapfile.c.
#include "prepare/mounts.h"

#include <algorithm>
#include <sstream>

#include "base/small_file.h"

namespace passthru {
namespace {

constexpr size_t kMaxText = size_t{8} << 20;

Result<std::string> read_table(const std::filesystem::path& file) {
  std::string text = PASSTHRU_TRY(read_file(file, kMaxText));
  if (text.size() == kMaxText) {
    return fail(E2BIG, "read " + file.string(), "the table is larger than 8 MiB");
  }
  if (!text.empty() && text.back() != '\n') {
    return fail(EINVAL, "read " + file.string(), "its last line is incomplete");
  }
  return text;
}

// The kernel escapes blanks within a field.
std::vector<std::string> fields_of(const std::string& line) {
  std::istringstream words(line);
  std::vector<std::string> fields;
  for (std::string word; words >> word;) fields.push_back(std::move(word));
  return fields;
}

tl::unexpected<Error> not_understood(const char* table, const std::string& line) {
  constexpr size_t kShown = 80;
  return fail(EINVAL, std::string("read ") + table,
              "a line has an unknown form: '" + line.substr(0, kShown) + "'");
}

std::vector<std::string> found_in(const std::map<std::string, std::vector<std::string>>& map,
                                  const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? std::vector<std::string>() : found->second;
}

}  // namespace

Result<Mounts> Mounts::read(const std::filesystem::path& proc) {
  Mounts mounts;
  const std::string table = PASSTHRU_TRY(read_table(proc / "self/mountinfo"));
  PASSTHRU_TRY(mounts.take_mounts(table));
  auto swaps = read_table(proc / "swaps");
  if (!swaps && swaps.error().code != ENOENT) return tl::unexpected(std::move(swaps).error());
  if (swaps) PASSTHRU_TRY(mounts.take_swaps(*swaps));
  return mounts;
}

// "36 35 98:0 /root /mnt rw,noatime master:1 - ext4 /dev/sda1 rw": "-" ends the optional fields.
Result<void> Mounts::take_mounts(const std::string& text) {
  constexpr size_t kNumber = 2, kMountPoint = 4, kFirstOptional = 6;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> fields = fields_of(line);
    if (fields.size() < kFirstOptional) return not_understood("mountinfo", line);
    const auto dash = std::find(fields.begin() + kFirstOptional, fields.end(), "-");
    // The type and the source follow; the source may be empty.
    if (dash == fields.end() || dash + 1 == fields.end()) return not_understood("mountinfo", line);
    by_number_[fields[kNumber]].push_back(fields[kMountPoint]);
    if (fields[kNumber].starts_with("0:") && dash + 2 != fields.end()) {
      by_node_[*(dash + 2)].push_back(fields[kMountPoint]);
    }
  }
  if (by_number_.empty())
    return fail(EINVAL, "read mountinfo", "it names no mount, as in some chroots");
  return {};
}

// "/dev/dm-1  partition  999420  0  -2", below a header line.
Result<void> Mounts::take_swaps(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line)) return fail(EINVAL, "read swaps", "it has no header line");
  while (std::getline(lines, line)) {
    const std::vector<std::string> fields = fields_of(line);
    if (fields.size() < 2) return not_understood("swaps", line);
    if (fields[1] == "partition") swaps_.insert(fields[0]);  // the disk of a swap file is mounted
  }
  return {};
}

std::vector<std::string> Mounts::of(const std::string& number,
                                    const std::vector<std::string>& nodes) const {
  std::vector<std::string> points = found_in(by_number_, number);
  for (const std::string& node : nodes) {
    for (std::string& point : found_in(by_node_, node)) points.push_back(std::move(point));
  }
  return points;
}

}  // namespace passthru
