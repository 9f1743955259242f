// Calls a function with every field of a plain struct (no base, no C array, no private member), found by the compiler: a
// field that is added later is part of a snapshot without anybody thinking of it. A struct that does not fit does not
// compile here; give it a VisitState (archive.h), or std::array for its array.
#pragma once

#include <cstddef>
#include <type_traits>

namespace stillwatch::pipeline {

struct AnyField {
  template <typename T>
  constexpr operator T() const noexcept;  // NOLINT: stands for a value of any type, never called
};

template <typename T, typename... Given>
constexpr size_t FieldCount() {
  static_assert(std::is_aggregate_v<T>, "no plain struct: give it a VisitState");
  if constexpr (requires { T{Given{}..., AnyField{}}; }) {
    return FieldCount<T, Given..., AnyField>();
  } else {
    return sizeof...(Given);
  }
}

template <typename T, typename Function>
void WithFields(T& x, Function&& f) {
  constexpr size_t kCount = FieldCount<std::remove_const_t<T>>();
  static_assert(kCount >= 1 && kCount <= 28, "more fields than fields.h knows");
  // clang-format off
  if constexpr (kCount == 1) { auto& [a] = x; f(a); }
  else if constexpr (kCount == 2) { auto& [a, b] = x; f(a, b); }
  else if constexpr (kCount == 3) { auto& [a, b, c] = x; f(a, b, c); }
  else if constexpr (kCount == 4) { auto& [a, b, c, d] = x; f(a, b, c, d); }
  else if constexpr (kCount == 5) { auto& [a, b, c, d, e] = x; f(a, b, c, d, e); }
  else if constexpr (kCount == 6) { auto& [a, b, c, d, e, g] = x; f(a, b, c, d, e, g); }
  else if constexpr (kCount == 7) { auto& [a, b, c, d, e, g, h] = x; f(a, b, c, d, e, g, h); }
  else if constexpr (kCount == 8) { auto& [a, b, c, d, e, g, h, i] = x; f(a, b, c, d, e, g, h, i); }
  else if constexpr (kCount == 9) { auto& [a, b, c, d, e, g, h, i, j] = x; f(a, b, c, d, e, g, h, i, j); }
  else if constexpr (kCount == 10) { auto& [a, b, c, d, e, g, h, i, j, k] = x; f(a, b, c, d, e, g, h, i, j, k); }
  else if constexpr (kCount == 11) { auto& [a, b, c, d, e, g, h, i, j, k, l] = x; f(a, b, c, d, e, g, h, i, j, k, l); }
  else if constexpr (kCount == 12) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m);
  }
  else if constexpr (kCount == 13) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m, n] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m, n);
  }
  else if constexpr (kCount == 14) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m, n, o] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m, n, o);
  }
  else if constexpr (kCount == 15) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m, n, o, p] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m, n, o, p);
  }
  else if constexpr (kCount == 16) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q);
  }
  else if constexpr (kCount == 17) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r);
  }
  else if constexpr (kCount == 18) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s);
  }
  else if constexpr (kCount == 19) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t);
  }
  else if constexpr (kCount == 20) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u);
  }
  else if constexpr (kCount == 21) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v);
  }
  else if constexpr (kCount == 22) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w);
  }
  else if constexpr (kCount == 23) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y);
  }
  else if constexpr (kCount == 24) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z);
  }
  else if constexpr (kCount == 25) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1);
  }
  else if constexpr (kCount == 26) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, b1] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, b1);
  }
  else if constexpr (kCount == 27) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, b1, c1] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, b1, c1);
  }
  else if constexpr (kCount == 28) {
    auto& [a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, b1, c1, d1] = x;
    f(a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, b1, c1, d1);
  }
  // clang-format on
}

}  // namespace stillwatch::pipeline
