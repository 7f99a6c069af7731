// SPDX-License-Identifier: MIT
// Tests of the VMM's errors for invalid options; they need no KVM.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <string>

#include "vmm/device_argument.h"
#include "vmm/kvm_machine.h"
#include "vmm/vm.h"
#include "vmm/vm_options.h"

namespace passthru {
namespace {

constexpr uint64_t kMega = uint64_t{1} << 20;

std::string message_of(const Result<void>& result) {
  return result ? "accepted" : result.error().message();
}

TEST(VmOptions, NumbersOutOfRangeAreRefusedWithTheRange) {
  struct Case {
    uint64_t memory;
    unsigned cpus;
    const char* says;  // null: accepted
  };
  const Case cases[] = {
      {512 * kMega, 2, nullptr},
      {VmOptions::kMinMemory, 1, nullptr},
      {VmOptions::kMaxMemory, 254, nullptr},
      {VmOptions::kMinMemory - 1, 1, "64 MiB"},
      {0, 1, "64 MiB"},
      {VmOptions::kMaxMemory + 1, 1, "4194304 MiB"},
      {~uint64_t{0}, 1, "4194304 MiB"},
      {512 * kMega + 4096, 1, "multiple of 2 MiB"},
      {512 * kMega, 0, "1 to 254"},
      {512 * kMega, 255, "1 to 254"},
  };
  for (const Case& c : cases) {
    VmOptions options;
    options.memory = c.memory;
    options.cpus = c.cpus;
    const std::string message = message_of(options.check());
    EXPECT_NE(message.find(c.says ? c.says : "accepted"), std::string::npos)
        << c.memory << ' ' << c.cpus << ": " << message;
  }
}

TEST(VmOptions, MemoryOfHugePagesIsAWholeNumberOfThem) {
  using Kind = MemoryBacking::Kind;
  struct Case {
    MemoryBacking from;
    uint64_t memory;
    const char* says;
  };
  const Case cases[] = {
      {{}, 512 * kMega, "accepted"},
      {{.kind = Kind::Memfd}, 512 * kMega, "accepted"},
      {{.kind = Kind::Hugetlbfs}, 514 * kMega, "accepted"},
      {{Kind::Hugetlbfs, 2 * kMega}, 514 * kMega, "accepted"},
      {{Kind::Hugetlbfs, 1024 * kMega}, 3072 * kMega, "accepted"},
      {{Kind::Hugetlbfs, 1024 * kMega}, 1536 * kMega, "1536 MiB are not a multiple"},
      {{Kind::Hugetlbfs, 1024 * kMega}, 1536 * kMega, "Use --memory 2048M"},
      {{Kind::Hugetlbfs, 1024 * kMega}, 512 * kMega, "Use --memory 1024M"},
      {{Kind::Hugetlbfs, 4096}, 512 * kMega, "2M or 1G"},
      {{Kind::Hugetlbfs, 3 * kMega}, 513 * kMega, "multiple of 2 MiB"},
      {{Kind::Hugetlbfs, 3 * kMega}, 516 * kMega, "2M or 1G"},
      {{Kind::Anonymous, 2 * kMega}, 512 * kMega, "--memory-from hugetlbfs"},
      {{Kind::Memfd, 1024 * kMega}, 1024 * kMega, "--memory-from hugetlbfs"},
  };
  for (const Case& c : cases) {
    VmOptions options;
    options.memory = c.memory;
    options.memory_from = c.from;
    const std::string message = message_of(options.check());
    EXPECT_NE(message.find(c.says), std::string::npos)
        << c.memory << ' ' << c.from.huge_page_size << ": " << message;
  }
}

TEST(VmOptions, ADeviceNamedTwiceIsRefusedByName) {
  VmOptions options;
  for (const char* bdf : {"0000:00:02.0", "0000:00:03.0", "00:02.0"}) {
    options.devices.push_back({.options = {.device = Bdf::parse(bdf).value()}});
  }
  const std::string message = message_of(options.check());
  EXPECT_NE(message.find("0000:00:02.0"), std::string::npos) << message;
  EXPECT_NE(message.find("named twice"), std::string::npos) << message;
}

TEST(VmOptions, ADescriptorGivenTwiceIsRefusedByNumber) {
  for (const auto member : {&SourceArgument::cdev_fd, &SourceArgument::group_fd}) {
    VmOptions options;
    for (const uint8_t device : {uint8_t{2}, uint8_t{3}}) {
      DeviceArgument each{.options = {.device = {.device = device}}};
      each.source.*member = 7;
      options.devices.push_back(each);
    }
    const std::string message = message_of(options.check());
    EXPECT_NE(message.find("descriptor 7: the descriptor is given twice. Give it once"),
              std::string::npos)
        << message;
  }
}

TEST(VmOptions, ADescriptorInTwoRolesIsRefusedWithBoth) {
  const struct {
    SourceArgument first;
    SourceArgument second;
    int kvm;
    const char* says;
  } cases[] = {
      {{.cdev_fd = 3, .iommufd = 3}, {}, -1, "3: it is given as a device and as the iommufd"},
      {{.group_fd = 3, .container_fd = 3}, {}, -1, "as a group and as the container"},
      {{.cdev_fd = 3, .iommufd = 4}, {.cdev_fd = 4}, -1, "as the iommufd and as a device"},
      {{.iommufd = 4}, {.container_fd = 4}, -1, "as the iommufd and as the container"},
      {{.cdev_fd = 3}, {.group_fd = 3}, -1, "the descriptor is given twice"},
      {{.cdev_fd = 3}, {}, 3, "as /dev/kvm and as a device"},
      {{.cdev_fd = 3, .iommufd = 4}, {.cdev_fd = 5, .iommufd = 4}, 6, "accepted"},
      {{.group_fd = 3, .container_fd = 4}, {.group_fd = 5, .container_fd = 4}, 6, "accepted"},
  };
  for (const auto& each : cases) {
    VmOptions options;
    options.devices.push_back({.options = {.device = {.device = 2}}, .source = each.first});
    options.devices.push_back({.options = {.device = {.device = 3}}, .source = each.second});
    options.kvm_fd = each.kvm;
    const std::string message = message_of(options.check());
    EXPECT_NE(message.find(each.says), std::string::npos) << message;
  }
}

TEST(VmOptions, TheBusHasThirtyOneSlotsForDevices) {
  VmOptions options;
  for (uint8_t bus = 0; bus < 31; ++bus)
    options.devices.push_back({.options = {.device = {.bus = bus}}});
  EXPECT_TRUE(options.check());
  options.devices.push_back({.options = {.device = {.bus = 31}}});
  const auto refused = options.check();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOSPC);
  EXPECT_NE(refused.error().message().find("31 slots"), std::string::npos);
}

TEST(DeviceArgument, IsABdfAndAnOptionThatDoesNotExistIsNamed) {
  EXPECT_EQ(parse_device_argument("0000:00:02.0")->options.device, (Bdf{.device = 2}));
  EXPECT_FALSE(parse_device_argument("nonsense"));
  for (const char* text : {"0000:00:02.0,fast", "0000:00:02.0,fast,slow"}) {
    const auto parsed = parse_device_argument(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().message().find("'fast'"), std::string::npos)
        << parsed.error().message();
  }
  EXPECT_FALSE(parse_device_argument("0000:00:02.0,"));
}

TEST(DeviceArgument, OptionsMayComeInAnyOrder) {
  const auto plain = parse_device_argument("0000:00:02.0");
  EXPECT_EQ(plain->options.unmapped_bars, 0U);
  EXPECT_EQ(plain->options.msix, MsixChoice{});
  EXPECT_EQ(plain->options.rom, RomChoice{});
  const auto all =
      parse_device_argument("0000:00:02.0,nomap=2,rom=some/file.rom,nomap=5,msix=bar3");
  ASSERT_TRUE(all) << all.error().message();
  EXPECT_EQ(all->options.unmapped_bars, 0b100100U);
  EXPECT_EQ(all->options.rom, (RomChoice{RomChoice::Kind::File, "some/file.rom"}));
  EXPECT_EQ(all->options.msix, (MsixChoice{MsixChoice::Kind::Bar, 3}));
  EXPECT_EQ(parse_device_argument("0000:00:02.0,rom=off")->options.rom.kind, RomChoice::Kind::Off);
  constexpr const char* kToken = "bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3";
  EXPECT_EQ(parse_device_argument(std::string("0000:00:02.0,vf-token=") + kToken)
                ->options.vf_token->str(),
            kToken);
  EXPECT_EQ(parse_device_argument("0000:00:02.0,vf-token=").error().code, EINVAL);
  EXPECT_EQ(parse_device_argument("0000:00:02.0,moderate=5000")->options.max_interrupts_per_second,
            5000U);
  EXPECT_EQ(parse_device_argument("0000:00:02.0,msix=auto")->options.msix.kind,
            MsixChoice::Kind::Auto);
  EXPECT_EQ(parse_device_argument("0000:00:02.0,msix=bar1,msix=inplace")->options.msix.kind,
            MsixChoice::Kind::InPlace)
      << "the last one counts";
}

TEST(DeviceArgument, Case10APlaceOnTheGuestsBusIsHexadecimalAsInAnAddress) {
  const struct {
    const char* text;
    std::optional<Bdf> address;
  } cases[] = {
      {"0000:00:02.0", std::nullopt},
      {"0000:00:02.0,addr=7", Bdf{.device = 7}},
      {"0000:00:02.0,addr=7.1", Bdf{.device = 7, .function = 1}},
      {"0000:00:02.0,addr=1f.7", Bdf{.device = 31, .function = 7}},
      {"0000:00:02.0,addr=07.0", Bdf{.device = 7}},
  };
  for (const auto& each : cases) {
    const auto parsed = parse_device_argument(each.text);
    ASSERT_TRUE(parsed) << each.text << ": " << parsed.error().message();
    EXPECT_EQ(parsed->address, each.address) << each.text;
  }
  for (const char* address : {"", "20", "7.8", "7.", ".1", "-1", "7.1.1", "0x7", "g"}) {
    const auto parsed = parse_device_argument(std::string("0000:00:02.0,addr=") + address);
    ASSERT_FALSE(parsed) << address;
    EXPECT_NE(parsed.error().message().find("like 3.1"), std::string::npos);
  }
}

TEST(VmOptions, Case10APlaceThatCannotBeIsWrongUsage) {
  VmOptions options;
  options.devices.push_back({.options = {.device = {.device = 2}}, .address = Bdf{.device = 7}});
  options.devices.push_back({.options = {.device = {.device = 3}}, .address = Bdf{.device = 7}});
  EXPECT_NE(message_of(options.check()).find("0000:00:02.0 has this address too"),
            std::string::npos)
      << message_of(options.check());
  options.devices.back().address->function = 1;
  EXPECT_TRUE(options.check());
}

TEST(DeviceArgument, Case20ALimitOfVectorsIsBetween1And2048) {
  EXPECT_EQ(parse_device_argument("0000:00:02.0")->options.max_vectors, 0U) << "no limit";
  EXPECT_EQ(parse_device_argument("0000:00:02.0,vectors=64")->options.max_vectors, 64U);
  EXPECT_EQ(parse_device_argument("0000:00:02.0,vectors=2048")->options.max_vectors, 2048U);
  for (const char* text : {"vectors", "vectors=", "vectors=0", "vectors=2049", "vectors=-1",
                           "vectors=64x", "vectors=99999999999"}) {
    const auto refused = parse_device_argument(std::string("0000:00:02.0,") + text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code, EINVAL) << text;
    EXPECT_NE(refused.error().message().find("Use 1 to 2048"), std::string::npos) << text;
  }
}

TEST(DeviceArgument, ADeviceIsResetUnlessItsOptionSaysOff) {
  EXPECT_TRUE(parse_device_argument("0000:00:02.0")->options.reset);
  EXPECT_TRUE(parse_device_argument("0000:00:02.0,reset=on")->options.reset);
  EXPECT_FALSE(parse_device_argument("0000:00:02.0,reset=off")->options.reset);
  for (const char* text : {"reset", "reset=", "reset=0", "reset=OFF", "reset=flr"}) {
    const auto refused = parse_device_argument(std::string("0000:00:02.0,") + text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code, EINVAL) << text;
    EXPECT_NE(refused.error().message().find("Use on or off"), std::string::npos) << text;
  }
}

TEST(DeviceArgument, Case15TheSilenceOfADeviceHasALimitInSeconds) {
  using std::chrono::seconds;
  EXPECT_EQ(parse_device_argument("0000:00:02.0")->options.max_silence, seconds(60));
  EXPECT_EQ(parse_device_argument("0000:00:02.0,silence=0")->options.max_silence, seconds(0));
  EXPECT_EQ(parse_device_argument("0000:00:02.0,silence=86400")->options.max_silence,
            seconds(86400));
  for (const char* text : {"silence", "silence=", "silence=86401", "silence=-1", "silence=1s"}) {
    const auto refused = parse_device_argument(std::string("0000:00:02.0,") + text);
    ASSERT_FALSE(refused) << text;
    EXPECT_NE(refused.error().message().find("Use 0 to 86400"), std::string::npos) << text;
  }
}

TEST(DeviceArgument, DescriptorsMayNameTheDevice) {
  const auto node = parse_device_argument("fd=4,iommufd=5,msix=auto");
  ASSERT_TRUE(node) << node.error().message();
  EXPECT_EQ(node->source.cdev_fd, 4);
  EXPECT_EQ(node->source.iommufd, 5);
  EXPECT_EQ(node->options.msix.kind, MsixChoice::Kind::Auto);
  const auto group = parse_device_argument("group-fd=4,container-fd=6,bdf=0000:00:02.0");
  ASSERT_TRUE(group) << group.error().message();
  EXPECT_EQ(group->source.group_fd, 4);
  EXPECT_EQ(group->source.container_fd, 6);
  EXPECT_EQ(group->options.device, (Bdf{.device = 2}));
  EXPECT_EQ(parse_device_argument("0000:00:02.0,group-fd=4")->source.group_fd, 4);

  for (const char* text : {"group-fd=4", "iommufd=5", "msix=auto", "fd=", "fd=-1", "fd=x",
                           "fd=99999999999", "bdf=nonsense"}) {
    const auto refused = parse_device_argument(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code, EINVAL) << text;
  }
  EXPECT_NE(parse_device_argument("group-fd=4").error().message().find("bdf=BDF"),
            std::string::npos);
}

TEST(DeviceArgument, AValueThatAnOptionDoesNotTakeIsRefusedWithThoseThatItTakes) {
  const struct {
    const char* option;
    const char* advice;
  } cases[] = {{"nomap", "0 to 5"},
               {"nomap=", "0 to 5"},
               {"nomap=6", "0 to 5"},
               {"nomap=1,2", "nomap=N"},
               {"nomap=-1", "0 to 5"},
               {"msix", "auto, inplace"},
               {"msix=bar", "bar5"},
               {"msix=bar6", "bar5"},
               {"msix=bar11", "bar5"},
               {"msix=AUTO", "inplace"},
               {"rom", "rom=off"},
               {"rom=", "rom=off"},
               {"moderate=0", "1 to 1000000"},
               {"moderate=1000001", "1 to 1000000"},
               {"moderate=9x", "1 to 1000000"},
               {"moderate=", "1 to 1000000"},
               {"fast=1", "msix=auto"},
               {"nomap=1,,rom=off", "rom=FILE"}};
  for (const auto& [option, advice] : cases) {
    const auto parsed = parse_device_argument(std::string("0000:00:02.0,") + option);
    ASSERT_FALSE(parsed) << option;
    EXPECT_EQ(parsed.error().code, EINVAL) << option;
    EXPECT_NE(parsed.error().message().find(advice), std::string::npos) << parsed.error().message();
  }
}

class VmCreate : public testing::Test {
 protected:
  static std::string refused(const VmOptions& options) {
    const auto vm = Vm::create(options, nullptr);
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

TEST(KvmMachine, SaysWhatToDoWhereThereIsNoKvm) {
  const auto machine = KvmMachine::create("/nowhere/kvm");
  ASSERT_FALSE(machine);
  EXPECT_EQ(machine.error().code, ENOENT);
  const std::string message = machine.error().message();
  EXPECT_NE(message.find("/nowhere/kvm"), std::string::npos) << message;
  EXPECT_NE(message.find("kvm-intel or kvm-amd"), std::string::npos) << message;
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
