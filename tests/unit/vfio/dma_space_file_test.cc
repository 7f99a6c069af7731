// SPDX-License-Identifier: MIT
// Guest memory that is a file: an iommufd maps the file if its kernel can, a container the memory.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <utility>

#include "tests/unit/vfio/dma_space_fixture.h"

namespace passthru {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kIova = 0x100000;
constexpr const char* kMapFile = "IOMMU_IOAS_MAP_FILE";
constexpr const char* kMap = "IOMMU_IOAS_MAP";

class DmaSpaceFile : public DmaSpaceTest {
 protected:
  DmaSpaceFile() { EXPECT_EQ(::ftruncate(memfd_.get(), 16 * kPage), 0); }
  Result<Fd> attach() {
    Fd node = PASSTHRU_TRY(kernel_.open_cdev(FakeSpec::nvme().cdev()));
    return dma_.attach_cdev(std::move(node));
  }
  Result<void> add() { return dma_.add_file(kIova, memfd_.get(), kPage, pages(2), true); }

  const Fd memfd_{::memfd_create("ram", MFD_CLOEXEC)};
};

TEST_F(DmaSpaceFile, AnIommufdMapsTheFile) {
  kernel_.set_maps_files(true);
  auto drive = attach();
  ASSERT_TRUE(drive) << drive.error().message();
  ASSERT_TRUE(add());
  const auto calls = kernel_.calls(kMapFile);
  ASSERT_THAT(calls, SizeIs(1));
  EXPECT_EQ(calls[0].offset, kIova);
  EXPECT_EQ(calls[0].size, 2 * kPage);
  EXPECT_THAT(kernel_.calls(kMap), IsEmpty());
  EXPECT_EQ(dma_.maps()[0].bytes, 2 * kPage);
  ASSERT_TRUE(dma_.remove(kIova));
  EXPECT_EQ(kernel_.dma_mappings(), 0U);
  dma_.detach_cdev(std::move(*drive));
}

TEST_F(DmaSpaceFile, AKernelWithoutItMapsTheMemory) {
  auto drive = attach();
  ASSERT_TRUE(drive);
  ASSERT_TRUE(add());
  EXPECT_THAT(kernel_.calls(kMap), SizeIs(1));
  EXPECT_EQ(kernel_.dma_mappings(), 1U);
  dma_.detach_cdev(std::move(*drive));
}

TEST_F(DmaSpaceFile, AFileThatTheKernelCannotMapIsMappedAsMemory) {
  kernel_.set_maps_files(true);
  auto drive = attach();
  ASSERT_TRUE(drive);
  const Fd program(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(dma_.add_file(kIova, program.get(), 0, pages(1), false));
  EXPECT_THAT(kernel_.calls(kMapFile), SizeIs(1));
  EXPECT_THAT(kernel_.calls(kMap), SizeIs(1));
  dma_.detach_cdev(std::move(*drive));
}

TEST_F(DmaSpaceFile, AnyOtherErrorIsReported) {
  kernel_.set_maps_files(true);
  auto drive = attach();
  ASSERT_TRUE(drive);
  kernel_.fail(kMapFile, ENOMEM);
  EXPECT_EQ(add().error().code, ENOMEM);
  EXPECT_THAT(kernel_.calls(kMap), IsEmpty());
  EXPECT_EQ(kernel_.dma_mappings(), 0U);
  EXPECT_TRUE(add()) << "an error changes nothing";
  dma_.detach_cdev(std::move(*drive));
}

TEST_F(DmaSpaceFile, AContainerMapsTheMemory) {
  kernel_.set_maps_files(true);
  ASSERT_TRUE(dma_.attach_group(3));
  ASSERT_TRUE(add());
  EXPECT_THAT(kernel_.calls(kMapFile), IsEmpty());
  EXPECT_THAT(kernel_.calls("VFIO_IOMMU_MAP_DMA"), SizeIs(1));
  dma_.detach_group(3);
}

TEST_F(DmaSpaceFile, TheFileIsMappedForADeviceThatComesLaterEvenIfTheCallerHasClosedIt) {
  kernel_.set_maps_files(true);
  Fd file(::fcntl(memfd_.get(), F_DUPFD_CLOEXEC, 0));
  ASSERT_TRUE(dma_.add_file(kIova, file.get(), 0, pages(2), true));
  file.reset();
  for (size_t attached = 1; attached <= 2; ++attached) {
    auto drive = attach();
    ASSERT_TRUE(drive) << drive.error().message();
    EXPECT_THAT(kernel_.calls(kMapFile), SizeIs(attached));
    EXPECT_EQ(kernel_.dma_mappings(), 1U);
    dma_.detach_cdev(std::move(*drive));
  }
  EXPECT_THAT(kernel_.calls(kMap), IsEmpty());
}

/// Returns whether the lowest free descriptor is again `lowest`: nothing was left open.
bool nothing_open_above(int lowest) {
  const Fd probe(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  return probe.get() == lowest;
}

TEST_F(DmaSpaceFile, TheCopyOfTheDescriptorEndsWithTheMemory) {
  const int lowest = Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)).get();
  ASSERT_TRUE(add());
  EXPECT_FALSE(nothing_open_above(lowest));
  ASSERT_TRUE(dma_.remove(kIova));
  EXPECT_TRUE(nothing_open_above(lowest));
  EXPECT_EQ(dma_.add_file(kIova + 1, memfd_.get(), 0, pages(2), true).error().code, EINVAL);
  EXPECT_TRUE(nothing_open_above(lowest)) << "after an error";
}

TEST_F(DmaSpaceFile, WrongArgumentsAreRefused) {
  EXPECT_EQ(dma_.add_file(kIova, -1, 0, pages(2), true).error().code, EBADF);
  EXPECT_EQ(dma_.add_file(kIova, 1000000, 0, pages(2), true).error().code, EBADF);
  EXPECT_EQ(dma_.add_file(kIova, memfd_.get(), 1, pages(2), true).error().code, EINVAL);
  EXPECT_EQ(dma_.add_file(kIova, memfd_.get(), ~uint64_t{0xfff}, pages(2), true).error().code,
            EINVAL);
  EXPECT_TRUE(add()) << "nothing was added";
}

}  // namespace
}  // namespace passthru
