// Tokenizer speed: 100 tokens (about 600 bytes) of English, the same in pieces, and other scripts.
#include <benchmark/benchmark.h>

#include <string>

#include "base/text/tokenizer.h"

namespace {
using namespace stillwatch;

class Count : public text::TokenSink {
 public:
  void Append(std::span<const uint32_t> hashes) override {
    count += hashes.size();
    benchmark::DoNotOptimize(hashes.data());
  }
  size_t count = 0;
};

constexpr std::string_view kEnglish =
    "Explain in simple terms how the immune system of a vertebrate tells its own cells from those of a "
    "pathogen, and why that sometimes fails. Give three examples, each with the name of the disease, the "
    "cells which are attacked, and the treatment that is usually offered first. Then write a short summary "
    "(no more than 80 words) for a reader who has never studied biology; avoid jargon, and say plainly what is "
    "not known yet. Finally, list two questions that a curious student could ask after reading the answer, "
    "and answer them in one sentence each, with a source where you can name one.";
constexpr std::string_view kChinese =
    "请用简单的语言解释免疫系统如何区分自身细胞和病原体，并说明为什么有时会失败。请举三个例子，每个例子都要写出疾病的名称、受到攻击的细胞以及通常首先采用的治疗方法。";
constexpr std::string_view kRussian =
    "Объясните простыми словами, как иммунная система отличает собственные клетки от возбудителей болезни и почему иногда "
    "ошибается. Приведите три примера с названием болезни.";

void Run(benchmark::State& state, std::string_view text, size_t piece) {
  const text::TokenHasher hasher(Salt{1});
  Count count;
  for (auto _ : state) {
    text::Tokenizer tokenizer(hasher);
    for (size_t at = 0; at < text.size(); at += piece) tokenizer.Feed(text.substr(at, piece), &count);
    tokenizer.Finish(&count);
  }
  state.counters["tokens"] = static_cast<double>(count.count) / static_cast<double>(state.iterations());
  state.counters["bytes"] = static_cast<double>(text.size());
}
BENCHMARK_CAPTURE(Run, english, kEnglish, size_t{1} << 20);
BENCHMARK_CAPTURE(Run, english_in_deltas_of_5, kEnglish, size_t{5});
BENCHMARK_CAPTURE(Run, chinese, kChinese, size_t{1} << 20);
BENCHMARK_CAPTURE(Run, russian, kRussian, size_t{1} << 20);
}  // namespace
