// SPDX-License-Identifier: MIT
// A device whose driver core is a directory tree, with the calls of `bind` and `unbind`.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "prepare/binding.h"
#include "tests/fakes/sysfs_tree.h"

namespace passthru {

class BindingTest : public testing::Test {
 protected:
  static constexpr const char* kName = "0000:00:02.0";

  Binding binding() const {
    return Binding(tree.sysfs(), tree.records(), KernelModules(tree.root() / "modules"));
  }
  Result<void> carry_out(const ChangePlan& plan) {
    return passthru::carry_out(plan,
                               [this](const FileChange& change) { return tree.apply(change); });
  }
  /// Makes the first `count` changes of a plan, as a process that is killed then.
  void carry_out_first(ChangePlan plan, size_t count) {
    plan.resize(count);
    const auto done = carry_out(plan);
    ASSERT_TRUE(done) << done.error().message();
  }
  Result<void> bind(const std::string& driver = {}) {
    return carry_out(PASSTHRU_TRY(binding().bind(kDevice, driver)));
  }
  Result<void> unbind() { return carry_out(PASSTHRU_TRY(binding().unbind(kDevice))); }
  std::string driver() const { return tree.driver_of(kName); }
  std::string driver_override() const { return tree.sysfs().function(kDevice)->driver_override; }
  bool has_record() const { return std::filesystem::exists(tree.records() / kName); }
  std::vector<std::string> commands(const Result<ChangePlan>& plan) const {
    std::vector<std::string> lines;
    for (const PlannedChange& planned : plan.value_or(ChangePlan()))
      lines.push_back(planned.change.str());
    return lines;
  }

  SysfsTree tree;
};

}  // namespace passthru
