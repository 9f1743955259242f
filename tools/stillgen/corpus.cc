#include "tools/stillgen/corpus.h"

#include <nlohmann/json.hpp>

#include "base/check.h"

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

STILLGEN_EMBED(maths, "gsm8k_train.jsonl")
STILLGEN_EMBED(code, "human_eval.jsonl")
STILLGEN_EMBED(support, "banking77.jsonl")
STILLGEN_EMBED(task, "self_instruct_seeds.jsonl")
STILLGEN_EMBED(role, "gpteacher_roleplay.jsonl")
STILLGEN_EMBED(persona, "awesome_chatgpt_prompts.jsonl")
STILLGEN_EMBED(talk, "chatterbot_corpus.jsonl")

namespace stillwatch::stillgen {

Corpus::Corpus() {
  const auto load = [this](const char* begin, const char* end, Subject subject) {
    Load({begin, static_cast<size_t>(end - begin)}, subject);
  };
  load(stillgen_maths_begin, stillgen_maths_end, Subject::kMaths);
  load(stillgen_code_begin, stillgen_code_end, Subject::kCode);
  load(stillgen_support_begin, stillgen_support_end, Subject::kSupport);
  load(stillgen_task_begin, stillgen_task_end, Subject::kTask);
  load(stillgen_role_begin, stillgen_role_end, Subject::kRolePlay);
  load(stillgen_persona_begin, stillgen_persona_end, Subject::kPersona);
  load(stillgen_talk_begin, stillgen_talk_end, Subject::kSmallTalk);
}

void Corpus::Load(std::string_view lines, Subject subject) {
  while (!lines.empty()) {
    const size_t end = lines.find('\n');
    const auto row = nlohmann::json::parse(lines.substr(0, end), nullptr, false);
    CHECK(row.is_object() && row.contains("text"));
    by_subject_[static_cast<int>(subject)].push_back(static_cast<int>(questions_.size()));
    questions_.push_back({row["text"], subject, row.value("lang", "english")});
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
  }
}

}  // namespace stillwatch::stillgen
