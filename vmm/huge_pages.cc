// SPDX-License-Identifier: MIT
// The files of sysfs for huge pages (Documentation/admin-guide/mm/hugetlbpage.rst), and the text of
// the error.
#include "vmm/huge_pages.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>

#include "base/small_file.h"
#include "vmm/memory_map.h"

namespace passthru {
namespace {

std::string name_of(uint64_t page_size) {
  if (page_size % kGiB == 0) return fmt::format("{} GiB", page_size / kGiB);
  return fmt::format("{} MiB", page_size / kMiB);
}

std::filesystem::path pool(const std::filesystem::path& directory, uint64_t page_size) {
  return directory / fmt::format("hugepages-{}kB", page_size / 1024);
}

std::optional<uint64_t> number_in(const std::filesystem::path& file) {
  const std::string text = first_line(file);
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

std::optional<HugePages> huge_pages_of_host(uint64_t page_size,
                                            const std::filesystem::path& directory) {
  const auto files = pool(directory, page_size);
  const auto total = number_in(files / "nr_hugepages");
  const auto free = number_in(files / "free_hugepages");
  const auto reserved = number_in(files / "resv_hugepages");
  if (!total || !free || !reserved) return std::nullopt;
  return HugePages{.total = *total, .free = *free, .reserved = *reserved};
}

Error explain_huge_pages(int code, uint64_t bytes, uint64_t page_size,
                         const std::filesystem::path& directory) {
  const std::string name = name_of(page_size);
  Error error{.code = code, .operation = "allocate the guest's memory in huge pages"};
  if (code == ENOSYS) {
    return std::move(error)
        .because("this kernel has no huge pages (CONFIG_HUGETLBFS)")
        .advise("Use --memory-from memfd or anonymous");
  }
  if (code == ENODEV || code == EINVAL) {
    return std::move(error)
        .because(fmt::format("this host has no huge pages of {}", name))
        .advise(fmt::format("'ls {}' lists the sizes; choose a size with --huge-page-size",
                            directory.string()));
  }
  if (code != ENOMEM && code != ENOSPC) return error;

  error.code = ENOMEM;  // a file that cannot grow says ENOSPC
  const uint64_t needed = bytes / page_size;
  const std::string wanted = fmt::format("{} pages of {} are needed", needed, name);
  const auto pages = huge_pages_of_host(page_size, directory);
  if (!pages) {
    return std::move(error)
        .because(wanted + ", but the host has fewer")
        .advise("Ask the host's administrator to reserve them (vm.nr_hugepages)");
  }
  if (pages->available() >= needed) {
    return std::move(error)
        .because(fmt::format("{}; {} are free, but this process may not use as many", wanted,
                             pages->available()))
        .advise("Raise the hugetlb limit of its control group, or change its NUMA policy");
  }
  return std::move(error)
      .because(fmt::format("{}, {} are free", wanted, pages->available()))
      .advise(fmt::format("Reserve them as root: 'echo {} > {}'",
                          pages->total + needed - pages->available(),
                          (pool(directory, page_size) / "nr_hugepages").string()));
}

}  // namespace passthru
