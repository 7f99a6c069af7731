// SPDX-License-Identifier: MIT
// The rules are the kernel's (vfio_pci_validate_vf_token).
#include "vfio/vf_token.h"

#include <fmt/format.h>

#include <charconv>

namespace passthru {
namespace {

constexpr std::string_view kShape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

std::optional<uint8_t> read_byte(std::string_view digits) {
  uint8_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value, 16);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

}  // namespace

Result<VfToken> VfToken::parse(std::string_view text) {
  const auto refused = [text] {
    return tl::unexpected(
        Error{.code = EINVAL, .operation = fmt::format("read the VF token '{}'", text)}
            .because("expected a UUID, like bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3")
            .advise("'uuidgen' creates a UUID"));
  };
  if (text.size() != kShape.size()) return refused();
  VfToken token;
  size_t at = 0;
  for (uint8_t& byte : token.bytes_) {
    if (kShape[at] == '-' && text[at++] != '-') return refused();
    const auto read = read_byte(text.substr(at, 2));
    if (!read) return refused();
    byte = *read;
    at += 2;
  }
  return token;
}

std::string VfToken::str() const {
  std::string text;
  for (const uint8_t byte : bytes_) {
    if (kShape[text.size()] == '-') text += '-';
    text += fmt::format("{:02x}", byte);
  }
  return text;
}

std::string device_name(Bdf bdf, const std::optional<VfToken>& token) {
  return token ? fmt::format("{} vf_token={}", bdf.str(), token->str()) : bdf.str();
}

Result<void> check_vf_token(const PciFunction& function,
                            const std::optional<PciFunction>& physical) {
  if (physical ? physical->on_vfio : function.virtual_functions.has_value()) return {};
  Error error{.code = EINVAL, .operation = "use the VF token", .device = function.bdf.str()};
  if (!physical) {
    return tl::unexpected(
        std::move(error)
            .because("the device neither is a virtual function nor can have virtual functions")
            .advise("Do not give a token"));
  }
  const std::string driver =
      physical->driver.empty() ? "has no driver" : "belongs to " + physical->driver;
  return tl::unexpected(
      std::move(error)
          .because(fmt::format("its physical function {} {}: a token applies only if that function "
                               "is on vfio-pci",
                               physical->bdf.str(), driver))
          .advise("Do not give a token"));
}

Error explain_vf_token(Error error, const PciFunction& function, bool given) {
  if (error.code != EACCES) return error;
  if (!function.physical_function) {
    return std::move(error)
        .because(fmt::format("its virtual functions are in use, and {}",
                             given ? "this is not the token that was set for them"
                                   : "opening the device takes the token that was set for them"))
        .advise(
            "Give the token that the device was opened with before, or stop the processes that use "
            "its virtual functions");
  }
  const std::string physical = function.physical_function->str();
  if (given) {
    return std::move(error)
        .because(
            fmt::format("this is not the token that its physical function {}, on vfio-pci, was "
                        "opened with",
                        physical))
        .advise(fmt::format("Give the token that {} was opened with", physical));
  }
  return std::move(error)
      .because(
          fmt::format("its physical function {} is on vfio-pci, so opening this function takes "
                      "the token of that function",
                      physical))
      .advise(fmt::format("Use --vf-token UUID with the UUID that {} was opened with, or return {} "
                          "to its host driver: 'passthru unbind {}'",
                          physical, physical, physical));
}

}  // namespace passthru
