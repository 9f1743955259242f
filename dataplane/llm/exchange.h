// One exchange with a model API: what leaves the dataplane. Contract between dataplane and pipeline.
//
// Layout: a fixed ExchangeHeader (trivially copyable) followed by variable-length arrays, in one
// contiguous 8-aligned block, so that it crosses a byte ring by memcpy. ExchangeView reads such a
// block; ExchangeBuilder (exchange_builder.h) makes one. No raw text: token hashes and keyed hashes
// only. Emitted exactly once: at response end, flow end, or 10 minutes of traffic time after the
// request ended, in OrderKey order for each worker.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"

namespace stillwatch::dataplane {

// Total order of exchanges over all workers: the packet (or the packet that carried traffic time past a
// timeout) that completed it, then flow hash, then index in the flow.
struct OrderKey {
  uint64_t packet = 0;
  uint64_t flow_hash = 0;
  uint64_t index = 0;
  auto operator<=>(const OrderKey&) const = default;
};

enum class Dialect : uint8_t { kUnknown, kOpenAi, kAnthropic, kGemini, kBedrock, kOllama, kGeneric };
inline constexpr size_t kDialects = 7;
enum class Api : uint8_t {
  kUnknown,
  kChat,                   // OpenAI chat completions
  kResponses,              // OpenAI responses
  kMessages,               // Anthropic messages
  kGenerateContent,        // Gemini
  kStreamGenerateContent,  // Gemini, streamed
  kCompletions,            // OpenAI completions, before chat
  kConverse,               // Bedrock, all models alike
  kConverseStream,
  kInvoke,                 // Bedrock, each family with its own body
  kInvokeStream,
  kGenerate,               // Ollama, a prompt instead of messages
  kRawPredict,             // Vertex AI, models of others
  kStreamRawPredict,
  kEmbeddings,             // asked for numbers
  kEmbedContent,           // Gemini
  kBatchEmbedContents,
  kCountTokens,            // asked how long a request would be
  kRealtime,               // OpenAI realtime, Gemini Live, over WebSocket
  kInteractions,           // Gemini
};
inline constexpr size_t kApis = static_cast<size_t>(Api::kInteractions) + 1;
enum class FinishReason : uint8_t { kUnknown, kStop, kLength, kToolUse, kContentFilter, kOther };

// Which parts of the text the token hashes belong to.
enum class Part : uint8_t { kSystem, kInstruction, kTail, kOutput };
inline constexpr size_t kParts = 4;
// A longer part keeps its first and last kPartTokensMax / 2 tokens; shingles do not cross the cut.
inline constexpr uint32_t kPartTokensMax = 4096;
// Partners under whose keys instructions are hashed too (config sharing.partners).
inline constexpr uint32_t kPartnersMax = 4;

enum ExchangeFlags : uint32_t {
  kStreamed = 1u << 0,
  kRequestSeen = 1u << 1,
  kResponseSeen = 1u << 2,
  kRequestComplete = 1u << 3,
  kResponseComplete = 1u << 4,
  kRefusal = 1u << 5,
  kRateLimited = 1u << 6,
  kAmbiguous = 1u << 7,       // two readings of the byte stream were possible
  kToolsDeclared = 1u << 8,
  kResponseFormat = 1u << 9,  // structured output asked for
  kLogprobs = 1u << 10,
  kHasTemperature = 1u << 11,
  kHasTopP = 1u << 12,
  kHasMaxTokens = 1u << 13,
  kHasSeed = 1u << 14,
  kHasN = 1u << 15,
  kMalformedRequest = 1u << 16,   // JSON of the request could not be read to its end
  kMalformedResponse = 1u << 17,
  kBodyTooLarge = 1u << 18,       // the body passed its limit: text is missing
  kGapInStream = 1u << 19,        // TCP bytes were lost on the way to us
  kHasUsage = 1u << 20,           // tokens_in and tokens_out come from the provider's usage record
  kReasoningAsked = 1u << 21,     // reasoning effort, thinking budget or include-thoughts was set
  kHasKey = 1u << 22,             // a credential was seen
  kBatched = 1u << 23,            // one request of a batch; its answer comes elsewhere, and status is the batch's
};
inline constexpr uint32_t kPartTruncatedShift = 24;  // bits 24..27: part was cut to kPartTokensMax
inline constexpr uint32_t kClientJoined = 1u << 28;  // flow_id and ja4_hash are of the client's own connection, seen in front of the terminator

struct ClientAddress {
  uint8_t bytes[16] = {};  // IPv4 in the first four
  uint8_t length = 0;      // 4, 16, or 0 when unknown
};

struct ExchangeHeader {
  OrderKey order;
  int64_t request_start_ns = 0;   // traffic time of the request's first byte
  int64_t request_end_ns = 0;
  int64_t first_token_ns = 0;     // first body byte of the response; 0 when unseen
  int64_t response_end_ns = 0;    // time at which the exchange was completed
  uint64_t flow_id = 0;           // KeyedHash64 of the inner 5-tuple and its first packet's time
  uint32_t flags = 0;             // ExchangeFlags
  Dialect dialect = Dialect::kUnknown;
  Api api = Api::kUnknown;
  FinishReason finish = FinishReason::kUnknown;
  uint8_t key_id[16] = {};        // HMAC-SHA256(account_key, credential), first 16 bytes
  uint8_t reserved_1 = 0;         // no padding: equal exchanges are equal bytes, and none shows what was in memory before
  uint64_t organisation_id = 0;   // keyed hash of the declared organisation or project header; 0: none
  uint64_t end_user_id = 0;       // keyed hash of the request's end-user field; 0: none
  ClientAddress client;           // after PROXY / forwarded-for rules; else the packet's source
  uint8_t reserved_2[1] = {};
  uint16_t client_port = 0;       // of `client`; 0: it was named without one
  uint8_t reserved_4[4] = {};
  uint64_t ja4_hash = 0;          // 0: unknown
  uint64_t http2_hash = 0;
  uint64_t agent_family_hash = 0; // keyed hash of the User-Agent up to its first '/' or ' '
  uint16_t status = 0;            // 0: response unseen
  uint16_t turns = 0;             // messages in the request
  uint16_t tools = 0;             // tools declared
  uint16_t logit_bias_count = 0;
  uint16_t n = 0;
  uint16_t prefix_deep_from = 0;  // prefix_chain values from this one on, counted from 1, cover three turns and 64 tokens; 0: none
  int32_t temperature_milli = 0;  // 1/1000
  int32_t top_p_milli = 0;
  uint32_t max_tokens = 0;
  uint32_t tokens_in = 0;         // usage if kHasUsage, else counted
  uint32_t tokens_out = 0;
  uint64_t request_bytes = 0;     // body, after transfer and content decoding
  uint64_t response_bytes = 0;
  uint64_t body_hash = 0;         // exact keyed hash of the request body before normalisation
  uint64_t part_hash[kParts] = {};// exact keyed hash of each part's text before normalisation; 0: none
  uint64_t logit_bias_hash = 0;   // of the sorted biased token ids; 0: none
  uint64_t request_id_hash = 0;   // keyed hash of the provider's request-id header; 0: none
  uint32_t config_generation = 0;
  // Lengths of the arrays that follow, in this order: uint64 arrays first, then uint32, then chars.
  uint32_t prefix_chain_count = 0;  // uint64: hash over messages 1..k, one for each k (at most 64)
  uint32_t ids_issued_count = 0;    // uint64: response, tool-call and reasoning-signature ids issued, those of 64 random bits or more (strong_id.h)
  uint32_t ids_returned_count = 0;  // uint64: the same kinds, as the client sent them back
  uint32_t part_tokens[kParts] = {};// uint32 token hashes by part
  uint32_t model_length = 0;        // chars: model name as requested, at most 64
  uint32_t partners = 0;            // uint32: the instruction's tokens again under each partner's key, in the order of the config
};
static_assert(std::is_trivially_copyable_v<ExchangeHeader>);
static_assert(sizeof(ExchangeHeader) % 8 == 0);
static_assert(std::has_unique_object_representations_v<ExchangeHeader>);
static_assert(offsetof(ExchangeHeader, organisation_id) == 88);  // as tools/evaluation/exchanges.py reads it

inline size_t ExchangeBytes(const ExchangeHeader& h) {
  size_t words = 0;
  for (uint32_t tokens : h.part_tokens) words += tokens;
  words += size_t{h.partners} * h.part_tokens[static_cast<size_t>(Part::kInstruction)];
  return sizeof(ExchangeHeader) +
         8ull * (h.prefix_chain_count + h.ids_issued_count + h.ids_returned_count) + 4ull * words +
         h.model_length;
}

// Reads a block made by ExchangeBuilder. Does not own it; the block is 8-aligned.
class ExchangeView {
 public:
  explicit ExchangeView(Bytes block) : data_(block.data()) {
    CHECK(block.size() >= sizeof(ExchangeHeader));
    CHECK(reinterpret_cast<uintptr_t>(data_) % 8 == 0);
    CHECK(block.size() >= ExchangeBytes(header()));
  }

  const ExchangeHeader& header() const { return *reinterpret_cast<const ExchangeHeader*>(data_); }
  bool has(ExchangeFlags flag) const { return (header().flags & flag) != 0; }
  bool truncated(Part part) const {
    return (header().flags >> (kPartTruncatedShift + static_cast<uint32_t>(part)) & 1u) != 0;
  }

  std::span<const uint64_t> prefix_chain() const { return {Words64(), header().prefix_chain_count}; }
  std::span<const uint64_t> ids_issued() const {
    return {Words64() + header().prefix_chain_count, header().ids_issued_count};
  }
  std::span<const uint64_t> ids_returned() const {
    return {Words64() + header().prefix_chain_count + header().ids_issued_count,
            header().ids_returned_count};
  }
  std::span<const uint32_t> tokens(Part part) const {
    const uint32_t* at = Words32();
    for (size_t p = 0; p < static_cast<size_t>(part); ++p) at += header().part_tokens[p];
    return {at, header().part_tokens[static_cast<size_t>(part)]};
  }
  // The instruction's tokens under the key of one partner: each in the place that it has in tokens().
  std::span<const uint32_t> partner_tokens(uint32_t partner) const {
    const size_t count = header().part_tokens[static_cast<size_t>(Part::kInstruction)];
    return {PartnerWords() + partner * count, count};
  }
  std::string_view model() const {
    const size_t count = header().part_tokens[static_cast<size_t>(Part::kInstruction)];
    return {reinterpret_cast<const char*>(PartnerWords() + header().partners * count), header().model_length};
  }
  Bytes block() const { return {data_, ExchangeBytes(header())}; }

 private:
  const uint64_t* Words64() const {
    return reinterpret_cast<const uint64_t*>(data_ + sizeof(ExchangeHeader));
  }
  const uint32_t* Words32() const {
    return reinterpret_cast<const uint32_t*>(Words64() + header().prefix_chain_count +
                                             header().ids_issued_count +
                                             header().ids_returned_count);
  }

  const uint32_t* PartnerWords() const {
    const uint32_t* at = Words32();
    for (uint32_t count : header().part_tokens) at += count;
    return at;
  }

  const uint8_t* data_;
};

// "openai" ... as inspect and the topics print them.
inline std::string_view NameOf(Dialect dialect) {
  switch (dialect) {
    case Dialect::kOpenAi: return "openai";
    case Dialect::kAnthropic: return "anthropic";
    case Dialect::kGemini: return "gemini";
    case Dialect::kBedrock: return "bedrock";
    case Dialect::kOllama: return "ollama";
    case Dialect::kGeneric: return "generic";
    case Dialect::kUnknown: break;
  }
  return "unknown";
}
inline std::string_view NameOf(Api api) {
  switch (api) {
    case Api::kChat: return "chat";
    case Api::kResponses: return "responses";
    case Api::kMessages: return "messages";
    case Api::kGenerateContent: return "generateContent";
    case Api::kStreamGenerateContent: return "streamGenerateContent";
    case Api::kCompletions: return "completions";
    case Api::kConverse: return "converse";
    case Api::kConverseStream: return "converse-stream";
    case Api::kInvoke: return "invoke";
    case Api::kInvokeStream: return "invoke-with-response-stream";
    case Api::kGenerate: return "generate";
    case Api::kRawPredict: return "rawPredict";
    case Api::kStreamRawPredict: return "streamRawPredict";
    case Api::kEmbeddings: return "embeddings";
    case Api::kEmbedContent: return "embedContent";
    case Api::kBatchEmbedContents: return "batchEmbedContents";
    case Api::kCountTokens: return "count_tokens";
    case Api::kRealtime: return "realtime";
    case Api::kInteractions: return "interactions";
    case Api::kUnknown: break;
  }
  return "unknown";
}
inline std::string_view NameOf(FinishReason finish) {
  switch (finish) {
    case FinishReason::kStop: return "stop";
    case FinishReason::kLength: return "length";
    case FinishReason::kToolUse: return "tool_use";
    case FinishReason::kContentFilter: return "content_filter";
    case FinishReason::kOther: return "other";
    case FinishReason::kUnknown: break;
  }
  return "unknown";
}

}  // namespace stillwatch::dataplane
