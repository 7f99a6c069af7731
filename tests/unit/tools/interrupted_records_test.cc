// SPDX-License-Identifier: MIT
// Tests of `bind --persist` and `unbind` if any system call on their own files fails or is the last
// before the process is killed: the record, the rule of udev, and their directories.
// interrupted_rebind_test.cc has the writes to sysfs.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/small_file.h"
#include "tests/fakes/interrupted_calls.h"
#include "tests/fakes/sysfs_tree.h"
#include "tools/bind/rebind.h"
#include "tools/commands.h"

namespace passthru::tools {
namespace {

namespace fs = std::filesystem;
using testing::IsSupersetOf;
using testing::MatchesRegex;

constexpr const char* kName = "0000:00:02.0";
constexpr const char* kRules = "run/etc/udev/rules.d";

// A device and the files of its binding.
class RecordedDevice {
 public:
  RecordedDevice() {
    tree_.add_driver("vfio-pci").add_vfio_driver("nvme_vfio_pci").add({.driver = "nvme"});
    tree_.put("run/proc/version", "Linux\n").put("run/usr/lib/udev/rules.d/80-drivers.rules", "");
    tree_.put("modules/modules.alias",
              "alias vfio_pci:v*d*sv*sd*bc*sc*i* nvme_vfio_pci\n"
              "alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\n");
  }
  /// Runs a command and returns its exit status.
  int bind(const std::string& driver) {
    BindOptions options;
    options.devices = {kName};
    options.driver = driver;
    options.persist = true;
    return bind_devices(host(), options);
  }
  int unbind() {
    RebindOptions options;
    options.devices = {kName};
    return unbind_devices(host(), options);
  }
  bool is_own_file(const fs::path& file) const {
    const std::string path = file.string();
    return path.starts_with(tree_.records().string()) ||
           path.starts_with((tree_.root() / "run/etc").string());
  }
  /// Returns the driver, its override, and the content of each file.
  std::map<std::string, std::string> state() const {
    std::map<std::string, std::string> state = {
        {"driver", tree_.driver_of(kName)},
        {"override", tree_.sysfs().function(kDevice)->driver_override}};
    for (const fs::path& directory : {tree_.records(), tree_.root() / kRules}) {
      for (const std::string& name : names_in(directory).value_or(std::vector<std::string>()))
        state[name] = read_file(directory / name).value_or(std::string("unreadable"));
    }
    return state;
  }

 private:
  RebindHost host() {
    return {.sysfs = tree_.sysfs(),
            .root = tree_.root() / "run",
            .records = tree_.records(),
            .modules = KernelModules(tree_.root() / "modules"),
            // The tree's own calls must not fail.
            .apply =
                [this](const FileChange& change) {
                  const bool in_sysfs = change.kind == FileChange::Kind::Write;
                  return in_sysfs ? tree_.apply(change) : apply_to_files(change);
                },
            .try_group = [](uint32_t) { return Result<void>(); }};
  }

  SysfsTree tree_;
};

struct RecordedCommand {
  const char* name;
  void (*start)(RecordedDevice&);
  int (*run)(RecordedDevice&);
};

class InterruptedRecords : public testing::TestWithParam<RecordedCommand> {
 protected:
  std::vector<FileCall> run_uncaptured(RecordedDevice& device, const Interruption& interruption) {
    return run_interrupted([&] { status = GetParam().run(device); },
                           [&](const fs::path& file) { return device.is_own_file(file); },
                           interruption);
  }
  // Runs the command. Its messages are in `said`.
  std::vector<FileCall> run(RecordedDevice& device, const Interruption& interruption = {}) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    auto calls = run_uncaptured(device, interruption);
    testing::internal::GetCapturedStdout();
    said = testing::internal::GetCapturedStderr();
    return calls;
  }
  static std::map<std::string, std::string> started(RecordedDevice& device) {
    testing::internal::CaptureStdout();
    GetParam().start(device);
    testing::internal::GetCapturedStdout();
    return device.state();
  }
  // Returns the state after the command.
  std::map<std::string, std::string> completed() {
    RecordedDevice device;
    started(device);
    run(device);
    EXPECT_EQ(status, kDone) << said;
    return device.state();
  }
  // Runs the command in a process that exits before call number `at`. Returns false if there are
  // fewer calls.
  bool killed(RecordedDevice& device, size_t at) {
    const pid_t child = ::fork();
    if (child == 0) {
      const Fd nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
      ::dup2(nowhere.get(), STDOUT_FILENO);
      ::dup2(nowhere.get(), STDERR_FILENO);
      run_uncaptured(device, {.at = at});
      ::_exit(0);
    }
    int exit_status = 0;
    EXPECT_EQ(::waitpid(child, &exit_status, 0), child);
    return WIFEXITED(exit_status) && WEXITSTATUS(exit_status) == kKilled;
  }

  int status = -1;
  std::string said;
};

// The command can do without some calls, such as looking for a directory of udev.
TEST_P(InterruptedRecords, AFailureOfAnyCallIsNamedAndChangesNothing) {
  const auto done = completed();
  size_t at = 0;
  size_t refused = 0;
  for (;; ++at) {
    RecordedDevice device;
    const auto before = started(device);
    const std::vector<FileCall> calls = run(device, {.at = at, .code = EIO});
    if (calls.size() <= at) break;
    ASSERT_LT(at, 200U);
    SCOPED_TRACE(calls[at].name + " " + calls[at].file.string() + "\n" + said);
    if (status != kDone) {
      ++refused;
      EXPECT_EQ(device.state(), before);
      EXPECT_THAT(said, MatchesRegex("passthru: 0000:00:02.0: cannot (read|write|create|remove) "
                                     "/[^ ]+: Input/output error\n"));
      run(device);
    }
    ASSERT_EQ(status, kDone);
    EXPECT_EQ(device.state(), done);
  }
  EXPECT_GE(refused, 3U);
}

TEST_P(InterruptedRecords, ACommandKilledAtAnyCallIsCompletedByTheNext) {
  const auto done = completed();
  for (size_t at = 0;; ++at) {
    RecordedDevice device;
    started(device);
    if (!killed(device, at)) break;
    ASSERT_LT(at, 200U);
    SCOPED_TRACE(at);
    run(device);
    ASSERT_EQ(status, kDone) << said;
    EXPECT_EQ(device.state(), done);
  }
}

constexpr RecordedCommand kCommands[] = {
    {"Bind", [](RecordedDevice&) {}, [](RecordedDevice& device) { return device.bind(""); }},
    {"BindToAnotherDriver", [](RecordedDevice& device) { device.bind(""); },
     [](RecordedDevice& device) { return device.bind("nvme_vfio_pci"); }},
    {"Unbind", [](RecordedDevice& device) { device.bind(""); },
     [](RecordedDevice& device) { return device.unbind(); }},
};

INSTANTIATE_TEST_SUITE_P(Commands, InterruptedRecords, testing::ValuesIn(kCommands),
                         [](const auto& command) { return std::string(command.param.name); });

TEST(InterruptedCalls, EachKindOfCallOfABindIsMet) {
  RecordedDevice device;
  std::set<std::string> names;
  testing::internal::CaptureStdout();
  for (const FileCall& call :
       run_interrupted([&] { device.bind(""); },
                       [&](const fs::path& file) { return device.is_own_file(file); }, {})) {
    names.insert(call.name);
  }
  testing::internal::GetCapturedStdout();
  EXPECT_THAT(names, IsSupersetOf({"open", "write", "fchmod", "fsync", "rename", "unlink", "mkdir",
                                   "chmod"}));
}

}  // namespace
}  // namespace passthru::tools
