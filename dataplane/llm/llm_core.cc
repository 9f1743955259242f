#include "dataplane/llm/llm_core.h"

#include <algorithm>
#include <array>
#include <new>

namespace stillwatch::dataplane {
namespace {

constexpr size_t kParserKeepBytes = 16u << 10;  // an event parser that grew beyond is made anew

// Whether it is worth reading the body as the generic profile would.
bool MayBeChat(std::string_view body) {
  const auto has = [&](std::string_view key) { return body.find(key) != std::string_view::npos; };
  return has("\"model\"") && (has("\"messages\"") || has("\"prompt\""));
}

}  // namespace

LlmCore::LlmCore(const LlmOptions& options_given, WorkerOutput* output_given, ExchangeTextObserver* texts_given)
    : options(options_given),
      output(output_given),
      texts(texts_given),
      id_salt(DeriveSalt(options.salt, "id")),
      text_salt(DeriveSalt(options.salt, "text")),
      body_salt(DeriveSalt(options.salt, "body")),
      name_salt(DeriveSalt(options.salt, "name")),
      hasher(options.salt),
      pool(options.body_pool_bytes),
      json(options.body_bytes_max),
      inner(options.body_bytes_max),
      digest(options.salt, options.partner_salts),
      scratch(2 * (kPrefixChainMax + kIdsMax) + (3 + kPartnersMax) * kPartTokensMax) {
  for (uint32_t i = 0; i < options.exchanges_max; ++i) {
    Transaction& t = transactions.emplace_back(hasher, text_salt);
    t.next_free = free;
    free = &t;
  }
  parsers_free.reserve(options.streams_max);
  for (uint32_t i = 0; i < options.streams_max; ++i) {
    parsers_free.push_back(&parsers.emplace_back(options.body_bytes_max));
  }
}

Transaction* LlmCore::Take() {
  Transaction* t = free;
  if (t == nullptr) return nullptr;
  free = t->next_free;
  ++in_flight;
  return t;
}

void LlmCore::Release(Transaction* t) {
  t->request_body.Clear(&pool);
  t->response_body.Clear(&pool);
  t->digest.Clear(&pool);
  t->output.tokens.Clear(&pool);
  if (t->stream != nullptr) {
    if (t->stream->largest_span > kParserKeepBytes) {
      t->stream->~StreamParser();
      new (t->stream) StreamParser(options.body_bytes_max);
    } else {
      t->stream->sse.Reset();
    }
    t->stream->largest_span = 0;
    t->stream->oversized_told = 0;
    parsers_free.push_back(t->stream);
  }
  t->~Transaction();
  new (t) Transaction(hasher, text_salt);
  t->next_free = free;
  free = t;
  --in_flight;
}

void LlmCore::Hold(Bytes data, ChunkList* body, bool* cut, LlmCounter too_large) {
  if (*cut) return;
  if (body->size() + data.size() > options.body_bytes_max) {
    data = data.first(options.body_bytes_max - body->size());
    *cut = true;
    counters.Add(too_large);
  }
  if (!body->Append(&pool, data)) {
    *cut = true;
    counters.Add(LlmCounter::kBodyPoolEmpty);
  }
}

void LlmCore::CountJsonTrouble(LlmCounter malformed) {
  counters.Add(malformed);
  if (json.nested_too_deep()) counters.Add(LlmCounter::kNestedTooDeep);
}

void LlmCore::DigestRequest(Transaction* t, bool complete) {
  if (t->request_digested) return;
  t->request_digested = true;
  ExchangeHeader& h = t->header;
  const size_t size = t->request_body.size();
  t->request_body.CopyTo(json.buffer());
  t->request_body.Clear(&pool);
  h.body_hash = KeyedHash64(Bytes(json.buffer(), size), body_salt);
  if (t->request_cut) h.flags |= kBodyTooLarge;

  request.Clear();
  request.dialect = t->dialect->dialect;
  request.api = t->dialect->api;
  request.model = {t->model, t->model_length};
  const bool streams = t->dialect->api == Api::kStreamGenerateContent || t->dialect->api == Api::kStreamRawPredict;
  if (streams) request.flags |= kStreamed;
  const bool generic = t->dialect->dialect == Dialect::kGeneric;
  const std::string_view body(reinterpret_cast<const char*>(json.buffer()), size);
  bool well = false;
  if (generic && !MayBeChat(body)) {
    well = true;  // nothing that concerns us, whatever it is
  } else if (json.Begin(size, t->request_cut || !complete)) {
    t->dialect->read_request(json, &request);
    well = json.Finish();
  }
  const bool cut = t->request_cut || !complete;
  const bool other = !request.shape && (well || size == 0);
  if (other || (generic && (!request.shape || (!well && !cut)))) {
    counters.Add(generic ? LlmCounter::kNotModelApi : LlmCounter::kNotModelShape);
    t->dropped = true;
    if (texts != nullptr) texts->OnDropped(t);
    Wipe();
    return;
  }
  if (!well && !cut) {
    h.flags |= kMalformedRequest;
    CountJsonTrouble(LlmCounter::kRequestMalformed);
  }
  DigestView(t);
  Wipe();
}

void LlmCore::DigestView(Transaction* t) {
  ExchangeHeader& h = t->header;
  if (request.pieces_dropped != 0) counters.Add(LlmCounter::kPiecesDropped, request.pieces_dropped);
  if (request.ids_dropped != 0) counters.Add(LlmCounter::kIdsDropped, request.ids_dropped);
  if (request.model.data() != t->model) {
    const std::string_view model = request.model.substr(0, sizeof t->model);
    std::copy(model.begin(), model.end(), t->model);
    t->model_length = static_cast<uint8_t>(model.size());
  }
  if (!request.end_user.empty()) h.end_user_id = KeyedHash64(request.end_user, name_salt);
  if (texts != nullptr) texts->OnRequest(t, request);
  // No output can be harvested there, and a count's text comes again with the request that is meant.
  if (!request.generates) request.ForgetText();
  digest.Digest(request, &h);
  if (digest.ids_weak() != 0) counters.Add(LlmCounter::kIdsWeak, digest.ids_weak());
  KeepDigest(t);
}

// The arrays wait for the response in one byte string.
void LlmCore::KeepDigest(Transaction* t) {
  const auto keep = [&](const auto words) {
    return t->digest.Append(&pool, {reinterpret_cast<const uint8_t*>(words.data()), words.size_bytes()});
  };
  bool kept = keep(digest.prefix_chain()) && keep(digest.ids_returned());
  for (const Part part : {Part::kSystem, Part::kInstruction, Part::kTail}) {
    kept = kept && keep(digest.tokens(part));
  }
  for (uint32_t partner = 0; partner < t->header.partners; ++partner) kept = kept && keep(digest.partner_tokens(partner));
  t->tokens_counted = digest.tokens_counted();
  if (kept) return;
  counters.Add(LlmCounter::kBodyPoolEmpty);
  t->digest.Clear(&pool);
  ExchangeHeader& h = t->header;
  h.prefix_chain_count = h.ids_returned_count = h.prefix_deep_from = 0;
  for (uint32_t& count : h.part_tokens) count = 0;
  h.partners = 0;
  h.flags |= kBodyTooLarge;
}

void LlmCore::Wipe() {
  json.Wipe();
  std::fill_n(inner.begin(), inner_used, uint8_t{0});
  inner_used = 0;
}

// A copy of `body` beside the reader's own buffer.
std::string_view LlmCore::Unwrap(const ChunkList& body) {
  body.CopyTo(inner.data());
  inner_used = std::max(inner_used, body.size());
  return {reinterpret_cast<const char*>(inner.data()), body.size()};
}

void LlmCore::ReadEvent(Transaction* t, std::string_view type, std::string_view data, bool cut) {
  ++t->events;
  counters.Add(LlmCounter::kEvents);
  OutputDigest to = OutputOf(t);
  bool well = false;
  if (json.Begin(data)) {
    t->dialect->read_event(json, type, &to);
    well = json.Finish();
  }
  if (!well && !cut) {
    t->header.flags |= kMalformedResponse;
    CountJsonTrouble(LlmCounter::kEventMalformed);
  }
}

void LlmCore::Emit(const StreamContext& at, const HttpTransactionInfo& info, Transaction* t) {
  builder.Reset();
  const OutputState& out = t->output;
  ExchangeHeader& h = builder.header();
  h = t->header;
  h.order = {at.packet, at.flow_hash, info.index};
  h.response_end_ns = at.time_ns;
  h.flags |= out.flags;
  if (info.ambiguous) h.flags |= kAmbiguous;
  if (info.gap) h.flags |= kGapInStream;
  if (info.request_complete) h.flags |= kRequestComplete;
  if (info.response_complete) h.flags |= kResponseComplete;
  h.finish = out.finish;
  const bool usage = (out.flags & kHasUsage) != 0;
  const auto narrow = [](uint64_t n) { return static_cast<uint32_t>(std::min<uint64_t>(n, UINT32_MAX)); };
  h.tokens_in = narrow(usage ? out.tokens_in : t->tokens_counted);
  h.tokens_out = narrow(usage ? out.tokens_out : out.tokens_seen);
  text::StreamHash hash = out.hash;
  h.part_hash[static_cast<size_t>(Part::kOutput)] = hash.Digest();

  const uint32_t prefixes = h.prefix_chain_count, returned = h.ids_returned_count;
  const std::array<uint32_t, 3> counts = {h.part_tokens[0], h.part_tokens[1], h.part_tokens[2]};
  h.prefix_chain_count = h.ids_returned_count = 0;  // counted again as they are added
  t->digest.CopyTo(reinterpret_cast<uint8_t*>(scratch.data()));
  const uint32_t* at32 = scratch.data();
  const auto take64 = [&at32] {
    const uint64_t value = LoadLe<uint64_t>(at32);
    at32 += 2;
    return value;
  };
  for (uint32_t i = 0; i < prefixes; ++i) builder.AddPrefixChain(take64());
  for (uint32_t i = 0; i < returned; ++i) builder.AddIdReturned(take64());
  for (size_t p = 0; p < counts.size(); ++p) {
    const bool truncated = (h.flags >> (kPartTruncatedShift + p) & 1u) != 0;
    builder.SetTokens(static_cast<Part>(p), {at32, counts[p]}, truncated);
    at32 += counts[p];
  }
  builder.SetPartnerTokens(h.partners, {at32, size_t{h.partners} * counts[static_cast<size_t>(Part::kInstruction)]});
  for (uint32_t i = 0; i < out.ids_count; ++i) builder.AddIdIssued(out.ids[i]);

  out.tokens.CopyTo(reinterpret_cast<uint8_t*>(scratch.data()));
  const std::span<uint32_t> tokens(scratch.data(), out.tokens.size() / 4);
  const bool cut = out.tokens_seen > kPartTokensMax;
  if (cut) {
    const auto ring = tokens.last(kPartTokensMax / 2);
    std::rotate(ring.begin(), ring.begin() + static_cast<ptrdiff_t>(out.tokens_seen % ring.size()), ring.end());
  }
  builder.SetTokens(Part::kOutput, tokens, cut || out.tokens_lost);
  builder.SetModel({t->model, t->model_length});

  const ExchangeView view = builder.Finish();
  counters.Add(LlmCounter::kExchanges);
  if (h.dialect == Dialect::kGeneric) counters.Add(LlmCounter::kGeneric);
  if (texts != nullptr) texts->OnExchange(t, view, t->events);
  output->OnExchange(view);
}

}  // namespace stillwatch::dataplane
