// Every stage of the CPU twin from the same prompts, and what is needed to measure other libraries on
// them (tools/bench gpu).
//   bench_stages make DIR       writes prompts, pairs of known similarity, int8 rows and queries
//   bench_stages measure DIR    reads them and prints one JSON object; writes DIR/top_k.i32
// One thread; CPU time, the least of several rounds; pin it to a core.
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/text/tokenizer.h"
#include "gpu/cpu/cpu_backend.h"
#include "gpu/cpu/roofs.h"
#include "gpu/cpu/sketch_row.h"
#include "gpu/embed/embedding_table.h"
#include "gpu/flow/flow_embedding.h"
#include "gpu/join/labels.h"
#include "gpu/join/representatives.h"
#include "gpu/sketch/oph.h"
#include "gpu/sketch/rarity_table.h"

namespace stillwatch::gpu {
namespace {

constexpr uint32_t kPrompts = 4096, kPromptTokens = 100, kVocabulary = 200'000;
constexpr uint32_t kPairsACell = 400;
constexpr double kJaccards[] = {0.2, 0.5, 0.8};
constexpr uint32_t kRows = 65'536, kQueries = 960, kBest = 8;
constexpr uint64_t kWindowBytes = 1ull << 30;
constexpr uint32_t kRounds = 15;
constexpr uint32_t kFlows = 256, kAccounts = 8'192, kNodes = 1u << 21, kNodeEdges = 4, kSteps = 2;

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "bench_stages: %s\n", message.c_str());
  std::exit(1);
}

// ---- make

// A made-up word of `number`, unlike any other number's.
std::string WordOf(uint64_t number) {
  std::string word = "q";
  for (; number != 0; number /= 26) word += static_cast<char>('a' + number % 26);
  return word + "e";
}

void WriteFile(const std::string& path, const void* data, size_t size) {
  FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr || std::fwrite(data, 1, size, file) != size || std::fclose(file) != 0) {
    Fail("cannot write " + path);
  }
}

// Words by Zipf's law, the most common of them those of the built-in rarity list.
std::string ZipfPrompts(std::mt19937_64& random) {
  std::vector<double> sums(kVocabulary);
  double sum = 0;
  for (uint32_t i = 0; i < kVocabulary; ++i) sums[i] = sum += 1.0 / (i + 2.7);
  const auto listed = BuiltInRarityList();
  std::uniform_real_distribution<double> uniform(0, sum);
  std::string text;
  for (uint32_t prompt = 0; prompt < kPrompts; ++prompt) {
    for (uint32_t i = 0; i < kPromptTokens; ++i) {
      const auto rank = static_cast<size_t>(
          std::lower_bound(sums.begin(), sums.end(), uniform(random)) - sums.begin());
      if (i != 0) text += ' ';
      text += rank < listed.size() ? std::string(listed[rank].token) : WordOf(Mix32(static_cast<uint32_t>(rank)));
    }
    text += '\n';
  }
  return text;
}

// Two lines a pair: the second keeps the first's leading words, as many as give the Jaccard similarity.
std::string Pairs(std::mt19937_64& random) {
  const uint32_t shingles = ShinglesOf(kPromptTokens);
  std::string text;
  for (const double jaccard : kJaccards) {
    const auto shared = static_cast<uint32_t>(std::lround(2 * jaccard * shingles / (1 + jaccard)));
    for (uint32_t pair = 0; pair < kPairsACell; ++pair) {
      std::string lines[2];
      for (uint32_t i = 0; i < kPromptTokens; ++i) {
        const std::string word = WordOf(random() >> 24);
        const bool same = i < shared + kShingleTokens - 1;
        lines[0] += (i != 0 ? " " : "") + word;
        lines[1] += (i != 0 ? " " : "") + (same ? word : WordOf(random() >> 24));
      }
      text += lines[0] + "\n" + lines[1] + "\n";
    }
  }
  return text;
}

void Make(const std::string& dir) {
  std::mt19937_64 random(1);
  const std::string prompts = ZipfPrompts(random), pairs = Pairs(random);
  WriteFile(dir + "/prompts.txt", prompts.data(), prompts.size());
  WriteFile(dir + "/pairs.txt", pairs.data(), pairs.size());
  for (const auto& [name, rows] : {std::pair("rows.i8", kRows), std::pair("queries.i8", kQueries)}) {
    std::vector<int8_t> values(size_t{rows} * kEmbeddingDims);
    for (int8_t& value : values) value = static_cast<int8_t>(static_cast<int>(random() % 201) - 100);
    WriteFile(dir + "/" + name, values.data(), values.size());
  }
}

// ---- measure

std::string ReadFile(const std::string& path) {
  FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) Fail("cannot read " + path + "; run `bench_stages make` first");
  std::string data;
  char piece[65'536];
  for (size_t got; (got = std::fread(piece, 1, sizeof piece, file)) != 0;) data.append(piece, got);
  std::fclose(file);
  return data;
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

class Collect final : public text::TokenSink {
 public:
  explicit Collect(std::vector<uint32_t>* out) : out_(out) {}
  void Append(std::span<const uint32_t> hashes) override {
    out_->insert(out_->end(), hashes.begin(), hashes.end());
  }

 private:
  std::vector<uint32_t>* out_;
};

void Tokenise(const text::TokenHasher& hasher, std::string_view line, std::vector<uint32_t>* out) {
  out->clear();
  Collect collect(out);
  text::Tokenizer tokenizer(hasher);
  tokenizer.Feed(line, &collect);
  tokenizer.Finish(&collect);
}

double CpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}
double BestSeconds(const std::function<void()>& work) {
  double best = 1e9;
  for (uint32_t round = 0; round < kRounds; ++round) {
    const double start = CpuSeconds();
    work();
    best = std::min(best, CpuSeconds() - start);
  }
  return best;
}

// The tables and scratch of one backend, without its window.
struct Twin {
  Salt salt{0x62656e6368};
  text::TokenHasher hasher{salt};
  RarityTable rarity = Take(RarityTable::BuiltIn(salt));
  EmbeddingTable embedding = Take(EmbeddingTable::BuiltIn());
  SketchTables tables{MakeSketchSeeds(salt), rarity.view(), embedding.view(), {}};
  SimdScratch* scratch = NewSimdScratch(tables.seeds);

  template <class T>
  static T Take(Result<T> made) {
    if (!made.ok()) Fail(made.message());
    return std::move(made).value();
  }
};

// From the 4-bit bins that a sketch keeps (docs/sketches.md).
double EstimateJaccard(const Sketch& a, const Sketch& b) {
  uint32_t equal = 0;
  for (uint32_t i = 0; i < kOphBins / 2; ++i) {
    const int differ = a.oph[i] ^ b.oph[i];
    equal += ((differ & 15) == 0) + (differ >> 4 == 0);
  }
  return (equal / 128.0 - 1.0 / 16) * 16 / 15;
}

double ExactJaccard(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
  const auto set_of = [](const std::vector<uint32_t>& tokens) {
    std::set<std::tuple<uint32_t, uint32_t, uint32_t>> shingles;
    for (size_t i = 0; i + 2 < tokens.size(); ++i) {
      shingles.emplace(tokens[i], tokens[i + 1], tokens[i + 2]);
    }
    return shingles;
  };
  const auto left = set_of(a), right = set_of(b);
  size_t both = 0;
  for (const auto& shingle : left) both += right.count(shingle);
  return static_cast<double>(both) / static_cast<double>(left.size() + right.size() - both);
}

void PrintErrors(Twin& twin, SketchRowSimd row, const std::vector<std::string>& lines) {
  std::printf("\"rmse\":{");
  for (size_t cell = 0; cell < std::size(kJaccards); ++cell) {
    double square = 0;
    for (uint32_t pair = 0; pair < kPairsACell; ++pair) {
      std::vector<uint32_t> tokens[2];
      Sketch sketches[2];
      for (uint32_t i = 0; i < 2; ++i) {
        Tokenise(twin.hasher, lines[(cell * kPairsACell + pair) * 2 + i], &tokens[i]);
        row(twin.tables, tokens[i].data(), static_cast<uint32_t>(tokens[i].size()), 0, twin.scratch,
            &sketches[i]);
      }
      const double error =
          EstimateJaccard(sketches[0], sketches[1]) - ExactJaccard(tokens[0], tokens[1]);
      square += error * error;
    }
    std::printf("%s\"%.1f\":%.4f", cell != 0 ? "," : "", kJaccards[cell], std::sqrt(square / kPairsACell));
  }
  std::printf("},");
}

void PrintSketches(Twin& twin, const std::vector<std::string>& prompts) {
  std::vector<std::vector<uint32_t>> tokens(prompts.size());
  size_t bytes = 0, token_count = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    Tokenise(twin.hasher, prompts[i], &tokens[i]);
    bytes += prompts[i].size();
    token_count += tokens[i].size();
  }
  std::printf("\"prompts\":%zu,\"prompt_bytes\":%zu,\"prompt_tokens\":%zu,", prompts.size(), bytes, token_count);

  std::vector<Sketch> out(prompts.size());
  std::vector<uint32_t> buffer;
  const auto sketch = [&](SketchRowSimd row) {
    return BestSeconds([&] {
      for (size_t i = 0; i < tokens.size(); ++i) {
        row(twin.tables, tokens[i].data(), static_cast<uint32_t>(tokens[i].size()), 0, twin.scratch, &out[i]);
      }
    });
  };
  const auto from_text = [&](SketchRowSimd row) {
    return BestSeconds([&] {
      for (size_t i = 0; i < prompts.size(); ++i) {
        Tokenise(twin.hasher, prompts[i], &buffer);
        if (row == nullptr) continue;
        row(twin.tables, buffer.data(), static_cast<uint32_t>(buffer.size()), 0, twin.scratch, &out[i]);
      }
    });
  };
  const SketchRowSimd all = ChooseSketchRowSimd().row;
  const SketchRowSimd oph = ChooseSketchRowSimd(SketchPart::kOph).row;
  const double rows = static_cast<double>(prompts.size());
  std::printf("\"instruction_set\":\"%s\",", ChooseSketchRowSimd().name);
  std::printf("\"tokenise\":%.0f,", rows / from_text(nullptr));
  std::printf("\"oph\":%.0f,", rows / sketch(oph));
  std::printf("\"simhash\":%.0f,", rows / sketch(ChooseSketchRowSimd(SketchPart::kSimHash).row));
  std::printf("\"embedding\":%.0f,", rows / sketch(ChooseSketchRowSimd(SketchPart::kEmbedding).row));
  std::printf("\"sketch\":%.0f,", rows / sketch(all));
  std::printf("\"tokenise_oph\":%.0f,", rows / from_text(oph));
  std::printf("\"fused\":%.0f,", rows / from_text(all));
}

// A full window and texts that share nothing: each has 32 bands, each band one probe and one insert.
void PrintWindow() {
  BackendOptions options;
  options.window_bytes = kWindowBytes;
  options.representatives_max = 64;
  auto backend = Twin::Take(MakeCpuBackend(options));
  constexpr uint32_t kBatch = 4096;
  std::vector<Sketch> sketches(kBatch);
  std::vector<uint64_t> ids(kBatch);
  std::vector<Candidate> candidates;
  uint32_t next = 1;
  const auto fill = [&] {
    for (uint32_t row = 0; row < kBatch; ++row) {
      sketches[row].tokens = kPromptTokens;
      sketches[row].versions = backend->Versions();
      for (uint32_t& key : sketches[row].bands) key = Mix32(next++);
      ids[row] = next;
    }
  };
  const auto insert = [&] {
    if (!backend->ProbeAndInsert(sketches, ids, &candidates).ok()) Fail("the window refused a batch");
  };
  for (uint64_t texts = 0; texts < kWindowBytes / 584; texts += kBatch) fill(), insert();
  double best = 1e9;
  for (uint32_t round = 0; round < 2 * kRounds; ++round) {
    fill();
    const double start = CpuSeconds();
    insert();
    best = std::min(best, CpuSeconds() - start);
  }
  std::printf("\"window_bytes\":%llu,\"window_texts\":%.0f,\"window_lines\":%.0f,\"window_ops\":%.0f,",
              static_cast<unsigned long long>(kWindowBytes), kBatch / best, kBatch * kBands / best,
              2.0 * kBatch * kBands / best);

  // The same with one candidate a text: an older text, anywhere in the window, that shares eight of its bands and is verified.
  constexpr uint32_t kShared = 8;
  const uint32_t texts = static_cast<uint32_t>(kWindowBytes / 584) / 2;  // of the newest half
  best = 1e9;
  uint64_t found = 0;
  for (uint32_t round = 0; round < 2 * kRounds; ++round) {
    const uint32_t newest = next;
    fill();
    for (uint32_t row = 0; row < kBatch; ++row) {
      const uint32_t older = newest - kBands * (1 + Mix32(next + row) % texts);  // its first key is Mix32 of that
      for (uint32_t band = 0; band < kShared; ++band) sketches[row].bands[band] = Mix32(older + band);
    }
    candidates.clear();
    const double start = CpuSeconds();
    insert();
    best = std::min(best, CpuSeconds() - start);
    found += candidates.size();
  }
  // A key whose bucket gave it up, or that an earlier round has taken over, finds nobody or more than one.
  if (found < uint64_t{kRounds} * kBatch) Fail("the window found too few of the texts that share bands");
  std::printf("\"window_found\":%.3f,\"window_joined\":%.0f,", static_cast<double>(found) / (2.0 * kRounds * kBatch), kBatch / best);
}

void PrintTopK(const std::string& dir) {
  const std::string rows = ReadFile(dir + "/rows.i8"), queries = ReadFile(dir + "/queries.i8");
  const DotKernel kernel = BestDotKernel();
  auto table = Twin::Take(Representatives::Make(kRows, kernel));
  const auto as_int8 = [](const std::string& data) {
    return std::span(reinterpret_cast<const int8_t*>(data.data()), data.size());
  };
  if (!table.Set(as_int8(rows)).ok()) Fail("the rows do not fit");
  std::vector<RepresentativeMatch> out(size_t{kQueries} * kBest);
  const double seconds = BestSeconds([&] {
    if (!table.TopK(as_int8(queries), kBest, out).ok()) Fail("top k refused");
  });
  WriteFile(dir + "/top_k.i32", out.data(), out.size() * sizeof out[0]);
  std::printf("\"top_k_kernel\":\"%s\",\"top_k_rows\":%u,\"top_k_queries\":%.0f,\"top_k_pairs\":%.0f,",
              kernel.name, kRows, kQueries / seconds, 1.0 * kRows * kQueries / seconds);
}

// Flows of 256 records of every size and gap, without instructions: the convolution.
void PrintFlows() {
  const FlowKernel kernel = FlowKernelFor(FeaturesOfThisCpu());
  const FlowFilters filters = MakeFlowFilters(Salt{1});
  std::mt19937_64 random(2);
  std::vector<FlowStep> steps(size_t{kFlows} * kFlowStepsMax);
  for (FlowStep& step : steps) {
    step = {static_cast<uint32_t>(random()) >> random() % 32,
            static_cast<uint32_t>(random()) >> random() % 32, static_cast<uint8_t>(random() % 2), {}};
  }
  std::vector<FlowEmbedding> out(kFlows);
  const double seconds = BestSeconds([&] {
    for (uint32_t i = 0; i < kFlows; ++i) {
      EmbedFlow(filters, kernel.convolve,
                std::span(steps).subspan(size_t{i} * kFlowStepsMax, kFlowStepsMax), {}, &out[i]);
    }
  });
  std::printf("\"flow_kernel\":\"%s\",\"flows\":%.0f,", kernel.name, kFlows / seconds);
}

void PrintPairs(const std::string& dir) {
  const std::string rows = ReadFile(dir + "/rows.i8");
  auto table = Twin::Take(Representatives::Make(kAccounts, BestDotKernel()));
  const auto values = std::span(reinterpret_cast<const int8_t*>(rows.data()), size_t{kAccounts} * kEmbeddingDims);
  std::vector<RepresentativeMatch> out(size_t{kAccounts} * kBest);
  const double seconds = BestSeconds([&] {
    if (!table.AllPairs(values, kBest, 0, out).ok()) Fail("all pairs refused");
  });
  std::printf("\"accounts\":%u,\"account_rows\":%.0f,", kAccounts, kAccounts / seconds);
}

// A random graph with as many labels as nodes, 8 MiB of them: each edge reads one at a random place.
void PrintLabels() {
  std::mt19937_64 random(3);
  std::vector<uint32_t> offsets(kNodes + 1), neighbours(size_t{kNodes} * kNodeEdges), labels(kNodes);
  for (uint32_t node = 0; node <= kNodes; ++node) offsets[node] = node * kNodeEdges;
  for (uint32_t& neighbour : neighbours) neighbour = static_cast<uint32_t>(random() % kNodes);
  const std::vector<uint32_t> weights(neighbours.size(), 1);
  LabelStepper stepper(kNodes);
  for (const auto& [name, rule] : {std::pair("component_edges", LabelRule::kComponents),
                                   std::pair("label_edges", LabelRule::kPropagate)}) {
    double best = 1e9;
    for (uint32_t round = 0; round < 3; ++round) {
      std::iota(labels.begin(), labels.end(), 0u);
      const double start = CpuSeconds();
      if (!stepper.Run({offsets, neighbours, weights}, rule, 0, kSteps, labels).ok()) Fail("labels refused");
      best = std::min(best, CpuSeconds() - start);
    }
    std::printf("\"%s\":%.0f,", name, 1.0 * kSteps * static_cast<double>(neighbours.size()) / best);
  }
}

void Measure(const std::string& dir) {
  std::printf("{");
  Twin twin;
  PrintErrors(twin, ChooseSketchRowSimd(SketchPart::kOph).row, Lines(ReadFile(dir + "/pairs.txt")));
  PrintSketches(twin, Lines(ReadFile(dir + "/prompts.txt")));
  PrintWindow();
  PrintTopK(dir);
  PrintFlows();
  PrintPairs(dir);
  PrintLabels();
  const Roofs roofs = MeasureRoofs();
  std::printf("\"roofs\":{\"vector_ops\":%.0f,\"multiplies\":%.0f,\"int8_pairs\":%.0f,\"bin_updates\":%.0f,"
              "\"lines_8mib\":%.0f,\"lines_1gib\":%.0f}}\n",
              roofs.vector_ops, roofs.multiplies, roofs.int8_pairs, roofs.bin_updates, roofs.lines_8mib,
              roofs.lines_1gib);
  DeleteSimdScratch(twin.scratch);
}

}  // namespace
}  // namespace stillwatch::gpu

int main(int argc, char** argv) {
  const std::string what = argc == 3 ? argv[1] : "";
  if (what == "make") {
    stillwatch::gpu::Make(argv[2]);
  } else if (what == "measure") {
    stillwatch::gpu::Measure(argv[2]);
  } else {
    std::fprintf(stderr, "usage: bench_stages make|measure DIR\n");
    return 64;
  }
  return 0;
}
