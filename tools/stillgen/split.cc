#include "tools/stillgen/split.h"

#include "base/mutant.h"

// The assembler puts the files into the program; STILLGEN_DATA comes from CMakeLists.txt.
#define STILLGEN_EMBED(symbol, file)                       \
  __asm__(".section .rodata\n"                             \
          ".global stillgen_" #symbol "_begin\n"           \
          ".global stillgen_" #symbol "_end\n"             \
          "stillgen_" #symbol "_begin:\n"                  \
          ".incbin \"" STILLGEN_DATA "/" file "\"\n"       \
          "stillgen_" #symbol "_end:\n"                    \
          ".byte 0\n"                                      \
          ".previous\n");                                  \
  extern "C" const char stillgen_##symbol##_begin[], stillgen_##symbol##_end[];
#define STILLGEN_EMBED_SPLIT(split)                                     \
  STILLGEN_EMBED(split##_maths, #split "/gsm8k_train.jsonl")            \
  STILLGEN_EMBED(split##_code, #split "/human_eval.jsonl")              \
  STILLGEN_EMBED(split##_support, #split "/banking77.jsonl")            \
  STILLGEN_EMBED(split##_task, #split "/self_instruct_seeds.jsonl")     \
  STILLGEN_EMBED(split##_role, #split "/gpteacher_roleplay.jsonl")      \
  STILLGEN_EMBED(split##_persona, #split "/awesome_chatgpt_prompts.jsonl") \
  STILLGEN_EMBED(split##_talk, #split "/chatterbot_corpus.jsonl")       \
  STILLGEN_EMBED(split##_jailbreak, #split "/pyrit_jailbreak_templates.jsonl") \
  STILLGEN_EMBED(split##_grammar, #split "/grammar.txt")

STILLGEN_EMBED_SPLIT(train)
STILLGEN_EMBED_SPLIT(dev)
STILLGEN_EMBED_SPLIT(test)

#define STILLGEN_FILE(symbol) {stillgen_##symbol##_begin, stillgen_##symbol##_end}
#define STILLGEN_FILES(split)                                                                           \
  {STILLGEN_FILE(split##_maths),   STILLGEN_FILE(split##_code),      STILLGEN_FILE(split##_support),    \
   STILLGEN_FILE(split##_task),    STILLGEN_FILE(split##_role),      STILLGEN_FILE(split##_persona),    \
   STILLGEN_FILE(split##_talk),    STILLGEN_FILE(split##_jailbreak), STILLGEN_FILE(split##_grammar)}

namespace stillwatch::stillgen {
namespace {

struct Embedded {
  const char *begin, *end;
};
constexpr Embedded kFiles[3][kSeedFiles] = {STILLGEN_FILES(train), STILLGEN_FILES(dev), STILLGEN_FILES(test)};
constexpr std::string_view kNames[] = {"train", "dev", "test"};

}  // namespace

std::string_view SplitName(Split split) { return kNames[static_cast<int>(split)]; }

std::optional<Split> SplitOf(std::string_view name) {
  for (Split split : kSplits) {
    if (SplitName(split) == name) return split;
  }
  return std::nullopt;
}

std::string_view SeedData(Split split, SeedFile file) {
  if (MutantIs("stillgen.split_leak") && file == SeedFile::kTask) split = Split::kTrain;
  const Embedded& data = kFiles[static_cast<int>(split)][static_cast<int>(file)];
  return {data.begin, static_cast<size_t>(data.end - data.begin)};
}

}  // namespace stillwatch::stillgen
