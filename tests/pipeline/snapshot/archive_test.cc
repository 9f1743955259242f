// State to bytes and back: what was written is read, whatever is cut or longer fails, and a type that changes is another
// layout.
#include <gtest/gtest.h>

#include <random>

#include "pipeline/snapshot/archive.h"

namespace stillwatch::pipeline {
namespace {

enum class Colour : uint8_t { kRed = 1, kBlue };
struct Small {
  uint32_t number = 0;
  bool flag = false;  // padding follows: not raw
  Colour colour = Colour::kRed;
  auto operator<=>(const Small&) const = default;
};
struct Everything {
  std::string text;
  std::string_view view;
  std::vector<Small> smalls;
  std::map<uint64_t, std::string> map;
  std::set<std::pair<std::string, uint16_t>> set;
  std::vector<std::unique_ptr<Small>> pointers;
  int64_t last = 0;
};
struct OneMore {
  uint32_t number = 0;
  bool flag = false;
  Colour colour = Colour::kRed;
  bool more = false;
};
static_assert(FieldCount<Small>() == 3 && FieldCount<Everything>() == 7 && FieldCount<OneMore>() == 4);
static_assert(!kIsRaw<Small> && kIsRaw<Colour> && kIsRaw<int64_t>);

Everything Example() {
  Everything all;
  all.text = std::string("a\0b", 3);
  all.view = "look_alike";
  all.smalls = {{1, true, Colour::kBlue}, {2, false, Colour::kRed}};
  all.map = {{7, "seven"}, {1ull << 60, ""}};
  all.set = {{"x", 1}, {"x", 2}};
  all.pointers.push_back(std::make_unique<Small>(Small{9, true, Colour::kBlue}));
  all.last = -5;
  return all;
}

TEST(Archive, WhatIsWrittenIsRead) {
  const Everything written = Example();
  std::string bytes;
  StateWriter{&bytes}(written, uint8_t{77});
  std::deque<std::string> names;
  Everything read;
  uint8_t end = 0;
  StateReader reader(bytes, &names);
  reader(read, end);
  ASSERT_TRUE(reader.at_end());
  EXPECT_EQ(read.text, written.text);
  EXPECT_EQ(read.view, written.view);
  EXPECT_NE(read.view.data(), written.view.data()) << "a view of what the next process does not have";
  EXPECT_EQ(read.smalls, written.smalls);
  EXPECT_EQ(read.map, written.map);
  EXPECT_EQ(read.set, written.set);
  ASSERT_EQ(read.pointers.size(), 1u);
  EXPECT_EQ(*read.pointers[0], *written.pointers[0]);
  EXPECT_EQ(read.last, written.last);
  EXPECT_EQ(end, 77);
}

TEST(Archive, EveryCutFails) {
  std::string bytes;
  StateWriter{&bytes}(Example());
  for (size_t size = 0; size < bytes.size(); ++size) {
    std::deque<std::string> names;
    Everything read;
    StateReader reader(std::string_view(bytes).substr(0, size), &names);
    reader(read);
    EXPECT_FALSE(reader.ok()) << size;
  }
  // A count that nothing fills takes no memory.
  std::string endless(8, '\xff');
  std::vector<Small> smalls;
  std::deque<std::string> names;
  StateReader reader(endless, &names);
  reader(smalls);
  EXPECT_FALSE(reader.ok());
  EXPECT_TRUE(smalls.empty());
}

TEST(Archive, TablesAreSparseAndKeepTheirSize) {
  std::mt19937_64 random(1);
  for (const size_t size : {1u, 7u, 8u, 9u, 1'000u, 4'096u}) {
    std::vector<uint64_t> table(size);
    for (size_t i = 0; i < size / 100 + 1; ++i) table[random() % size] = random();
    std::string bytes;
    StateWriter{&bytes}.Table(table);
    EXPECT_LE(bytes.size(), 8 + size / 64 + 1 + (size / 100 + 1) * kTableLine);
    std::vector<uint64_t> read(size, 5);  // what was there is gone
    std::deque<std::string> names;
    StateReader reader(bytes, &names);
    reader.Table(read);
    EXPECT_TRUE(reader.at_end());
    EXPECT_EQ(read, table);
    std::vector<uint64_t> other(size + 1);
    StateReader again(bytes, &names);
    again.Table(other);
    EXPECT_FALSE(again.ok());
  }
}

template <typename T>
uint64_t LayoutOf() {
  StateLayout layout;
  layout(T{});
  return layout.value();
}

TEST(Archive, ATypeThatChangesIsAnotherLayout) {
  EXPECT_EQ(LayoutOf<Small>(), LayoutOf<Small>());
  EXPECT_NE(LayoutOf<Small>(), LayoutOf<OneMore>());
  EXPECT_NE(LayoutOf<std::vector<Small>>(), LayoutOf<std::vector<OneMore>>());
  EXPECT_NE((LayoutOf<std::map<uint32_t, bool>>()), (LayoutOf<std::map<uint64_t, bool>>()));
}

}  // namespace
}  // namespace stillwatch::pipeline
