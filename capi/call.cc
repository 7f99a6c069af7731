// SPDX-License-Identifier: MIT
#include "capi/call.h"

#include <string>

namespace passthru {
namespace {

thread_local unsigned callback_depth = 0;  // nested callbacks of this thread
thread_local std::string last_text;

}  // namespace

InCallback::InCallback() {
  ++callback_depth;
}

InCallback::~InCallback() {
  --callback_depth;
}

bool InCallback::now() {
  return callback_depth != 0;
}

int set_last_error(const Error& error) noexcept {
  try {
    last_text = error.message();
  } catch (const std::exception&) {
    last_text.clear();  // memory ran out; the caller has the errno
  }
  return error.code > 0 ? -error.code : -EIO;
}

int set_last_error(int code, const char* operation, const char* cause) noexcept {
  try {
    return set_last_error({.code = code, .operation = operation, .cause = cause});
  } catch (const std::exception&) {
    return set_last_text(code, "");
  }
}

int set_last_text(int code, const char* text) noexcept {
  try {
    last_text = text;
  } catch (const std::exception&) {
    last_text.clear();
  }
  return -code;
}

const char* last_error() noexcept {
  return last_text.c_str();
}

}  // namespace passthru
