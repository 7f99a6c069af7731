// SPDX-License-Identifier: MIT
// Tests of the errors without a KVM that this process can use.
#include "vmm/kvm_machine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/fd.h"

namespace passthru {
namespace {

TEST(KvmMachine, SaysWhatToDoWhereThereIsNoKvm) {
  const auto machine = KvmMachine::create("/nowhere/kvm");
  ASSERT_FALSE(machine);
  EXPECT_EQ(machine.error().code, ENOENT);
  const std::string message = machine.error().message();
  EXPECT_NE(message.find("/nowhere/kvm"), std::string::npos) << message;
  EXPECT_NE(message.find("modprobe kvm-intel"), std::string::npos) << message;
}

TEST(KvmMachine, SaysWhatToDoWhereKvmIsNotOurs) {
  const std::string path = testing::TempDir() + "passthru-kvm" + std::to_string(::getpid());
  const int created = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0);
  ASSERT_GE(created, 0);
  ::close(created);
  const uid_t user = ::geteuid();
  constexpr uid_t kNobody = 65534;  // root can open any file
  const bool root = user == 0;
  ASSERT_EQ(root ? ::seteuid(kNobody) : 0, 0);
  const auto machine = KvmMachine::create(path);
  ASSERT_EQ(root ? ::seteuid(user) : 0, 0);
  ::unlink(path.c_str());
  ASSERT_FALSE(machine);
  EXPECT_EQ(machine.error().code, EACCES);
  EXPECT_NE(machine.error().message().find("kvm"), std::string::npos);
  EXPECT_NE(machine.error().message().find("Run as root"), std::string::npos)
      << machine.error().message();
}

TEST(KvmMachine, IsNotMadeOfSomethingElse) {
  const auto machine = KvmMachine::create("/dev/null");
  ASSERT_FALSE(machine);
  EXPECT_EQ(machine.error().operation, "KVM_GET_API_VERSION");
}

TEST(KvmMachine, OnADescriptorThatIsNotOpenSaysWhoOpensIt) {
  constexpr int kClosed = 1000;
  const auto machine = KvmMachine::create_on(kClosed);
  ASSERT_FALSE(machine);
  EXPECT_EQ(machine.error().code, EBADF);
  const std::string message = machine.error().message();
  EXPECT_NE(message.find("descriptor 1000"), std::string::npos) << message;
  EXPECT_NE(message.find("3<>/dev/kvm"), std::string::npos) << message;
}

TEST(KvmMachine, OnADescriptorOfSomethingElseSaysSoAndLeavesItOpen) {
  const Fd other(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const auto machine = KvmMachine::create_on(other.get());
  ASSERT_FALSE(machine);
  EXPECT_EQ(machine.error().cause, "the descriptor is of another file");
  EXPECT_GE(::fcntl(other.get(), F_GETFD), 0);
}

}  // namespace
}  // namespace passthru
