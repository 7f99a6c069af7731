// SPDX-License-Identifier: MIT
// Tests of the exact errors if /proc's tables of mounts and swaps cannot be read completely.
#include "prepare/mounts.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

constexpr const char* kMount = "30 1 254:0 / /srv rw - ext4 /dev/vda rw\n";
constexpr const char* kHeadings = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

class MountTables : public testing::Test {
 protected:
  MountTables() { tree.put("proc/self/mountinfo", kMount).put("proc/swaps", kHeadings); }
  [[nodiscard]] std::filesystem::path proc() const { return tree.root() / "proc"; }
  [[nodiscard]] Error refusal() const {
    const auto mounts = Mounts::read(proc());
    return mounts ? Error{.operation = "cannot read the tables unexpectedly"} : mounts.error();
  }
  void expect_refused(int code, const std::string& words) const {
    const Error refused = refusal();
    EXPECT_EQ(refused.code, code);
    EXPECT_EQ(refused.message(), words);
  }

  SysfsTree tree;
};

TEST_F(MountTables, OneOfEightMebibytesIsNotLookedAt) {
  const std::string endless((size_t{8} << 20) + 1, '\n');
  tree.put("proc/swaps", endless);
  expect_refused(E2BIG,
                 "cannot read " + (proc() / "swaps").string() + ": the table is larger than 8 MiB");
  tree.put("proc/self/mountinfo", endless);
  expect_refused(E2BIG, "cannot read " + (proc() / "self/mountinfo").string() +
                            ": the table is larger than 8 MiB");
}

TEST_F(MountTables, OneThatStopsWithinALineIsNotWhole) {
  const std::string mounts = kMount;
  const std::string file = (proc() / "self/mountinfo").string();
  for (const std::string& cut : {mounts.substr(0, mounts.size() - 1), mounts + "3"}) {
    tree.put("proc/self/mountinfo", cut);
    expect_refused(EINVAL, "cannot read " + file + ": its last line is incomplete");
  }
  tree.put("proc/self/mountinfo", mounts).put("proc/swaps", std::string(kHeadings) + "/dev/vda");
  expect_refused(EINVAL,
                 "cannot read " + (proc() / "swaps").string() + ": its last line is incomplete");
}

TEST_F(MountTables, ALineThatIsNotUnderstoodIsToldAsFarAsItIsOfUse) {
  const std::string fields = "30 1 254:0 / /" + std::string(100, 's');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"30 1 254:0", "30 1 254:0"},
      {"", ""},
      {"30 1 254:0 / /srv rw -", "30 1 254:0 / /srv rw -"},
      {"30 1 254:0 / /srv rw shared:1 ext4 /dev/vda rw",
       "30 1 254:0 / /srv rw shared:1 ext4 /dev/vda rw"},
      {fields, fields.substr(0, 80)},
  };
  for (const auto& [line, told] : cases) {
    tree.put("proc/self/mountinfo", kMount + line + "\n");
    expect_refused(EINVAL, "cannot read mountinfo: a line has an unknown form: '" + told + "'");
  }
  tree.put("proc/self/mountinfo", kMount).put("proc/swaps", std::string(kHeadings) + "/dev/vda\n");
  expect_refused(EINVAL, "cannot read swaps: a line has an unknown form: '/dev/vda'");
}

TEST_F(MountTables, OfAKernelThatDoesNotSwapThereIsOne) {
  std::filesystem::remove(proc() / "swaps");
  EXPECT_TRUE(Mounts::read(proc()));
  std::filesystem::remove(proc() / "self/mountinfo");
  expect_refused(ENOENT, "cannot read " + (proc() / "self/mountinfo").string() +
                             ": No such file or directory");
}

}  // namespace
}  // namespace passthru
