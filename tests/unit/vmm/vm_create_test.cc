// SPDX-License-Identifier: MIT
// Tests of the errors of a VM whose images or options are wrong; they need no KVM.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>

#include "tests/fakes/fake_kernel.h"
#include "vmm/vm.h"

namespace passthru {
namespace {

class VmCreate : public testing::Test {
 protected:
  static std::string refused(const VmOptions& options) {
    const auto vm = Vm::create(options, std::make_shared<FakeKernel>());
    return vm ? "accepted" : vm.error().message();
  }
  static std::string file(const std::string& name, const std::string& content) {
    std::string path = testing::TempDir() + "passthru-" + name + std::to_string(::getpid());
    std::ofstream(path) << content;
    return path;
  }
};

TEST_F(VmCreate, AKernelThatIsNotThereIsNamed) {
  const std::string message = refused({.kernel = "/nowhere/bzImage"});
  EXPECT_NE(message.find("/nowhere/bzImage"), std::string::npos) << message;
  EXPECT_NE(message.find("No such file"), std::string::npos) << message;
}

TEST_F(VmCreate, AKernelThatIsADirectoryIsRefused) {
  const std::string message = refused({.kernel = "/"});
  EXPECT_NE(message.find("directory"), std::string::npos) << message;
}

TEST_F(VmCreate, AKernelImageThatIsNotOneSaysWhatToGive) {
  const std::string path = file("text", "just some text\n");
  const std::string message = refused({.kernel = path});
  ::unlink(path.c_str());
  EXPECT_NE(message.find(path), std::string::npos) << message;
  EXPECT_NE(message.find("Give a bzImage"), std::string::npos) << message;
}

TEST_F(VmCreate, AnInitrdThatIsNotThereIsNamed) {
  // The bzImage fields that are read before the initrd is opened.
  std::string image(4096, '\0');
  const auto put = [&](size_t offset, const std::string& bytes) {
    image.replace(offset, bytes.size(), bytes);
  };
  put(0x1F1, "\x01");
  put(0x1FE, "\x55\xAA");
  put(0x201, "\x6A");
  put(0x202, "HdrS\x0F\x02");
  put(0x211, "\x01");
  put(0x236, "\x01");
  const std::string path = file("image", image);
  const std::string message = refused({.kernel = path, .initrd = "/nowhere/initrd"});
  ::unlink(path.c_str());
  EXPECT_NE(message.find("the initrd /nowhere/initrd"), std::string::npos) << message;
}

TEST_F(VmCreate, OptionsAreJudgedBeforeAnyFileIsRead) {
  const std::string message = refused({.kernel = "/nowhere", .cpus = 0});
  EXPECT_NE(message.find("CPUs"), std::string::npos) << message;
}

}  // namespace
}  // namespace passthru
