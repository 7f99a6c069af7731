// SPDX-License-Identifier: MIT
#include "mmap/rom_image.h"

#include <algorithm>
#include <cstring>

#include "base/small_file.h"

namespace passthru {

Result<std::shared_ptr<RomImage>> RomImage::load(const std::string& file) {
  // One byte beyond the limit shows that the file is too large.
  std::string content = PASSTHRU_TRY(read_file(file, kMaxSize + 1));
  const auto refuse = [&](int code, const char* cause) {
    return tl::unexpected(Error{.code = code, .operation = "read " + file}.because(cause).advise(
        "Name a file with the content of an expansion ROM, or use rom=off"));
  };
  content.shrink_to_fit();
  if (content.empty()) return refuse(EINVAL, "the file is empty");
  if (content.size() > kMaxSize) return refuse(EFBIG, "an expansion ROM has at most 16 MiB");
  return std::shared_ptr<RomImage>(new RomImage(std::move(content)));
}

void RomImage::read(uint64_t offset, std::span<std::byte> data) {
  const uint64_t begin = std::min<uint64_t>(offset, content_.size());
  const size_t there = std::min<uint64_t>(data.size(), content_.size() - begin);
  std::memcpy(data.data(), content_.data() + begin, there);
  std::fill(data.begin() + static_cast<ptrdiff_t>(there), data.end(), std::byte{0xff});
}

}  // namespace passthru
