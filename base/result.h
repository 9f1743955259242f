// Result<T> and Status: how start-up code, files, configuration and network services report errors.
// A message names the file, line or key and says what mends it. Bytes from the wire never use these:
// they get a status enum and a named counter.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/check.h"

namespace stillwatch {

struct Error {
  std::string message;
};

// Nothing on success, a message otherwise.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}  // NOLINT: implicit by design

  bool ok() const { return !error_.has_value(); }
  const std::string& message() const {
    CHECK(!ok());
    return error_->message;
  }

 private:
  std::optional<Error> error_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT: implicit by design
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit by design

  bool ok() const { return value_.has_value(); }
  T& value() & {
    CHECK(ok());
    return *value_;
  }
  const T& value() const& {
    CHECK(ok());
    return *value_;
  }
  T&& value() && {
    CHECK(ok());
    return *std::move(value_);
  }
  const std::string& message() const {
    CHECK(!ok());
    return error_.message;
  }
  Error error() const { return Error{message()}; }

 private:
  std::optional<T> value_;
  Error error_;
};

}  // namespace stillwatch
