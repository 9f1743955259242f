#include "dataplane/llm/output_digest.h"

#include <algorithm>

#include "base/mutant.h"
#include "dataplane/llm/strong_id.h"

namespace stillwatch::dataplane {

// Fragments of one kind make one text, wherever they are cut; another kind ends the token.
void OutputDigest::Add(OutputKind kind, std::string_view fragment) {
  if (fragment.empty()) return;
  if (kind != state_.kind || MutantIs("llm.delta_ends_token")) {
    state_.tokenizer.Finish(this);
    state_.kind = kind;
  }
  state_.any_text = true;
  state_.tokenizer.Feed(fragment, this);
  state_.hash.Update(fragment);
  Tell(kind, fragment);
}

void OutputDigest::ToolCall(std::string_view name, std::string_view id) {
  state_.tokenizer.Finish(this);
  Tell(OutputKind::kToolName, name);
  if (!id.empty()) IdIssued(id);
}

void OutputDigest::Refusal(std::string_view fragment) {
  if (fragment.empty()) return;
  state_.flags |= kRefusal;
  Text(fragment);
}

void OutputDigest::Finish(FinishReason finish, std::string_view name) {
  state_.finish = finish;
  if (finish == FinishReason::kContentFilter) state_.flags |= kRefusal;
  Tell(OutputKind::kFinish, name);
}

void OutputDigest::IdIssued(std::string_view id) {
  if (id.empty()) return;
  const uint64_t hash = KeyedHash64(id, id_salt_);
  uint64_t* const end = state_.ids + state_.ids_count;
  if (std::find(state_.ids, end, hash) != end) return;  // every event of a stream repeats it
  if (!IsStrongId(id)) {
    counters_.Add(LlmCounter::kIdsWeak);
    return;
  }
  if (state_.ids_count == kIdsIssuedMax) {
    counters_.Add(LlmCounter::kIdsDropped);
    return;
  }
  state_.ids[state_.ids_count++] = hash;
}

void OutputDigest::UsageIn(uint64_t tokens) {
  state_.tokens_in = tokens;
  state_.flags |= kHasUsage;
}

void OutputDigest::UsageOut(uint64_t tokens) {
  state_.tokens_out = tokens;
  state_.flags |= kHasUsage;
}

void OutputDigest::Error(std::string_view type, bool rate_limited) {
  if (rate_limited) state_.flags |= kRateLimited;
  Tell(OutputKind::kError, type);
}

void OutputDigest::End() { state_.tokenizer.Finish(this); }

void OutputDigest::Append(std::span<const uint32_t> hashes) {
  constexpr uint64_t kHalf = kPartTokensMax / 2;
  const auto bytes = [](std::span<const uint32_t> words) {
    return Bytes(reinterpret_cast<const uint8_t*>(words.data()), words.size_bytes());
  };
  if (state_.tokens_lost) return;
  while (!hashes.empty()) {
    if (state_.tokens_seen < kPartTokensMax) {
      const size_t part = std::min<size_t>(hashes.size(), kPartTokensMax - state_.tokens_seen);
      if (!state_.tokens.Append(pool_, bytes(hashes.first(part)))) {
        counters_.Add(LlmCounter::kBodyPoolEmpty);
        state_.tokens_seen = state_.tokens.size() / 4;  // a token never straddles chunks
        state_.tokens_lost = true;
        return;
      }
      state_.tokens_seen += part;
      hashes = hashes.subspan(part);
      continue;
    }
    const uint64_t slot = kHalf + state_.tokens_seen % kHalf;
    const size_t part = std::min<size_t>(hashes.size(), kPartTokensMax - slot);
    state_.tokens.Overwrite(slot * 4, bytes(hashes.first(part)));
    state_.tokens_seen += part;
    hashes = hashes.subspan(part);
  }
}

}  // namespace stillwatch::dataplane
