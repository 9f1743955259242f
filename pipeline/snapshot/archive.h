// State to bytes and back, by one list of members for both directions. `StateWriter`, `StateReader` and `StateLayout` are
// called with values; a class that is state has `template <class S> void VisitState(S& s) { s(first_, second_); }`, a
// plain struct needs nothing (fields.h). StateLayout hashes the types that were visited: bytes are read only by a program
// with the same layout. One thread; the bytes are as large as the state. A reader checks every length against what is left
// and fails rather than reads past the end; that bytes are the ones written is sealed_file.h's business.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "pipeline/snapshot/fields.h"

namespace stillwatch::pipeline {

// Its bytes are its value: no padding, no pointers.
template <typename T>
inline constexpr bool kIsRaw = std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T> &&
                               !std::is_pointer_v<T> && !std::is_same_v<T, std::string_view>;  // a view is a pointer

template <typename T, template <typename...> class Template>
inline constexpr bool kIs = false;
template <typename... Args, template <typename...> class Template>
inline constexpr bool kIs<Template<Args...>, Template> = true;

// Tables that are mostly zeros are written by lines of this size, those of zeros as one bit.
inline constexpr size_t kTableLine = 64;

class StateWriter {
 public:
  explicit StateWriter(std::string* out) : out_(*out) {}

  template <typename... T>
  void operator()(const T&... values) {
    (One(values), ...);
  }
  // A table of fixed size.
  template <typename T>
  void Table(const std::vector<T>& table) {
    static_assert(kIsRaw<T>);
    const auto* bytes = reinterpret_cast<const char*>(table.data());
    const size_t size = table.size() * sizeof(T), lines = (size + kTableLine - 1) / kTableLine;
    One(uint64_t{size});
    const size_t bits_at = out_.size();
    out_.resize(bits_at + (lines + 7) / 8, '\0');
    for (size_t line = 0; line < lines; ++line) {
      const size_t at = line * kTableLine, length = std::min(kTableLine, size - at);
      if (IsZero(bytes + at, length)) continue;
      out_[bits_at + line / 8] = static_cast<char>(out_[bits_at + line / 8] | 1 << line % 8);
      out_.append(bytes + at, length);
    }
  }
  void Raw(const void* bytes, size_t size) { out_.append(static_cast<const char*>(bytes), size); }

 private:
  static bool IsZero(const char* bytes, size_t length) {
    static constexpr char kZeros[kTableLine] = {};
    return std::memcmp(bytes, kZeros, length) == 0;
  }
  template <typename T>
  void One(const T& value) {
    if constexpr (kIsRaw<T> || std::is_same_v<T, bool>) {
      Raw(&value, sizeof value);
    } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
      One(uint64_t{value.size()});
      Raw(value.data(), value.size());
    } else if constexpr (kIs<T, std::unique_ptr>) {
      One(*value);
    } else if constexpr (kIs<T, std::vector> || kIs<T, std::map> || kIs<T, std::set>) {
      One(uint64_t{value.size()});
      for (const auto& item : value) One(item);
    } else if constexpr (kIs<T, std::pair>) {
      One(value.first);
      One(value.second);
    } else if constexpr (requires(T& mutable_value) { mutable_value.VisitState(*this); }) {
      const_cast<T&>(value).VisitState(*this);  // a writer changes nothing
    } else {
      WithFields(value, [&](const auto&... fields) { (One(fields), ...); });
    }
  }

  std::string& out_;
};

class StateReader {
 public:
  // Views of text that are read point into `names`, which outlives what is read.
  StateReader(std::string_view bytes, std::deque<std::string>* names) : left_(bytes), names_(*names) {}

  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && left_.empty(); }
  void Fail(const char* why = "is cut short") {
    if (ok_) why_ = why;
    ok_ = false, left_ = {};
  }
  std::string why() const { return why_; }

  template <typename... T>
  void operator()(T&... values) {
    (One(values), ...);
  }
  // The table keeps its size; bytes of another one fail.
  template <typename T>
  void Table(std::vector<T>& table) {
    auto* bytes = reinterpret_cast<char*>(table.data());
    const size_t size = table.size() * sizeof(T), lines = (size + kTableLine - 1) / kTableLine;
    uint64_t written = 0;
    One(written);
    if (written != size) return Fail("its tables have another size");
    const std::string_view bits = Take((lines + 7) / 8);
    for (size_t line = 0; line < lines && ok_; ++line) {
      const size_t at = line * kTableLine, length = std::min(kTableLine, size - at);
      if (bits[line / 8] >> line % 8 & 1) Raw(bytes + at, length);
      else std::memset(bytes + at, 0, length);
    }
  }
  void Raw(void* bytes, size_t size) {
    const std::string_view taken = Take(size);
    if (ok_) std::memcpy(bytes, taken.data(), size);
  }

 private:
  std::string_view Take(size_t size) {
    if (size > left_.size()) Fail();
    if (!ok_) return {};
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }
  // How many items follow; each takes a byte at least.
  size_t Count() {
    uint64_t count = 0;
    One(count);
    if (count > left_.size()) Fail();
    return ok_ ? count : 0;
  }
  template <typename T>
  void One(T& value) {
    if constexpr (kIsRaw<T> || std::is_same_v<T, bool>) {
      Raw(&value, sizeof value);
    } else if constexpr (std::is_same_v<T, std::string>) {
      value = Take(Count());
    } else if constexpr (std::is_same_v<T, std::string_view>) {
      value = names_.emplace_back(Take(Count()));
    } else if constexpr (kIs<T, std::unique_ptr>) {
      value = std::make_unique<typename T::element_type>();
      One(*value);
    } else if constexpr (kIs<T, std::vector>) {
      value.clear();
      for (size_t count = Count(); count != 0 && ok_; --count) One(value.emplace_back());
    } else if constexpr (kIs<T, std::map>) {
      value.clear();
      for (size_t count = Count(); count != 0 && ok_; --count) {
        typename T::key_type key{};
        One(key);
        One(value[key]);
      }
    } else if constexpr (kIs<T, std::set>) {
      value.clear();
      for (size_t count = Count(); count != 0 && ok_; --count) {
        typename T::value_type item{};
        One(item);
        value.insert(std::move(item));
      }
    } else if constexpr (kIs<T, std::pair>) {
      One(value.first);
      One(value.second);
    } else if constexpr (requires { value.VisitState(*this); }) {
      value.VisitState(*this);
    } else {
      WithFields(value, [&](auto&... fields) { (One(fields), ...); });
    }
  }

  std::string_view left_;
  std::deque<std::string>& names_;
  bool ok_ = true;
  std::string why_;
};

// What a writer of this program would write, as a number: which types, in which order, how large.
class StateLayout {
 public:
  uint64_t value() const { return value_; }

  template <typename... T>
  void operator()(const T&... values) {
    (Value(values), ...);
  }
  template <typename T>
  void Table(const std::vector<T>&) {
    Mix(3, sizeof(T));
  }
  void Raw(const void*, size_t) {}

 private:
  void Mix(uint64_t kind, uint64_t size) { value_ = Mix64(value_ * 31 + kind * 1'000'003 + size); }
  template <typename T>
  void Value(const T& value) {
    if constexpr (requires(T& x) { x.VisitState(*this); }) const_cast<T&>(value).VisitState(*this);
    else One<T>();
  }
  template <typename T>
  void One() {
    if constexpr (kIsRaw<T> || std::is_same_v<T, bool>) {
      Mix(1, sizeof(T));
    } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
      Mix(2, 0);
    } else if constexpr (kIs<T, std::unique_ptr>) {
      One<typename T::element_type>();
    } else if constexpr (kIs<T, std::vector> || kIs<T, std::set>) {
      Mix(4, 0);
      One<typename T::value_type>();
    } else if constexpr (kIs<T, std::map>) {
      Mix(5, 0);
      One<typename T::key_type>();
      One<typename T::mapped_type>();
    } else if constexpr (kIs<T, std::pair>) {
      One<std::remove_const_t<typename T::first_type>>();
      One<std::remove_const_t<typename T::second_type>>();
    } else if constexpr (requires(T& value) { value.VisitState(*this); }) {
      T value{};
      value.VisitState(*this);
    } else {
      T value{};
      Mix(6, FieldCount<T>());
      WithFields(value, [&](const auto&... fields) { (One<std::remove_cvref_t<decltype(fields)>>(), ...); });
    }
  }

  uint64_t value_ = 0;
};

}  // namespace stillwatch::pipeline
