#include "dataplane/llm/llm_observer.h"

#include <algorithm>
#include <cctype>
#include <deque>
#include <new>
#include <optional>
#include <vector>

#include "base/mutant.h"
#include "dataplane/llm/client_address.h"
#include "dataplane/llm/exchange_builder.h"
#include "dataplane/llm/headers.h"
#include "dataplane/llm/identity.h"
#include "dataplane/llm/request_digest.h"
#include "dataplane/llm/transaction.h"

namespace stillwatch::dataplane {
namespace {

constexpr uint32_t kBatchRequestsMax = 1'024;  // of one batch; each takes a transaction
constexpr size_t kParserKeepBytes = 16u << 10;  // an event parser that grew beyond is made anew

// What a response is by its first byte that is no blank. Content types are not to be trusted: errors come
// as JSON under text/event-stream.
ResponseKind KindOf(uint8_t first, ResponseKind by_type) {
  switch (first) {
    case '{': case '[': return by_type == ResponseKind::kLines ? by_type : ResponseKind::kJson;
    case 'd': case 'e': case 'i': case 'r': case ':': case 0xEF:  // data, event, id, retry, byte-order mark
      return by_type == ResponseKind::kUnknown ? ResponseKind::kEvents : by_type;
    default: return by_type == ResponseKind::kUnknown ? ResponseKind::kJson : by_type;
  }
}

bool IsJson(std::string_view type) {
  return type.starts_with("application/json") || type.find("+json") != std::string_view::npos;
}

// Whether it is worth reading the body as the generic profile would.
bool MayBeChat(std::string_view body) {
  const auto has = [&](std::string_view key) { return body.find(key) != std::string_view::npos; };
  return has("\"model\"") && (has("\"messages\"") || has("\"prompt\""));
}

// `from` without its %XX, as far as it fits; the bytes written.
size_t Unescape(std::string_view from, std::span<char> to) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
  };
  size_t size = 0;
  for (size_t i = 0; i < from.size() && size < to.size(); ++i) {
    char c = from[i];
    if (c == '%' && i + 2 < from.size() && digit(from[i + 1]) >= 0 && digit(from[i + 2]) >= 0) {
      c = static_cast<char>(digit(from[i + 1]) * 16 + digit(from[i + 2]));
      i += 2;
    }
    to[size++] = c;
  }
  return size;
}

class Observer final : public LlmObserver {
 public:
  Observer(const LlmOptions& options, WorkerOutput* output, ExchangeTextObserver* texts);
  ~Observer() override;

  Handle OnRequestHead(const StreamContext& at, uint64_t index, const HttpRequestHead& head) override;
  void OnRequestBody(const StreamContext& at, Handle handle, Bytes data) override;
  void OnRequestEnd(const StreamContext& at, Handle handle) override;
  Handle OnResponseHead(const StreamContext& at, Handle handle, uint64_t index,
                        const HttpResponseHead& head) override;
  void OnResponseBody(const StreamContext& at, Handle handle, Bytes data) override;
  void OnTransactionEnd(const StreamContext& at, Handle handle, HttpEnd end,
                        const HttpTransactionInfo& info) override;

  void RegisterCounters(CounterRegistry* registry) override { registry->Register(counters_); }
  const CounterBlock<LlmCounter>& counters() const override { return counters_; }
  uint64_t pool_bytes_used() const override { return pool_.bytes_used(); }
  uint32_t exchanges_in_flight() const override { return in_flight_; }

 private:
  Transaction* Take();
  void Release(Transaction* t);
  OutputDigest OutputOf(Transaction* t) {
    return OutputDigest(&t->output, &pool_, &counters_, id_salt_, texts_, t);
  }

  void SetIdentity(const HttpRequestHead& head, const RequestHeaders& headers, Transaction* t);
  void SetClient(const StreamContext& at, const RequestHeaders& headers, ExchangeHeader* header);
  void Hold(Bytes data, ChunkList* body, bool* cut, LlmCounter too_large);
  void DigestRequest(Transaction* t, bool complete);
  void KeepDigest(Transaction* t);
  bool HalfFree() const { return in_flight_ < options_.exchanges_max / 2; }
  void ReadBatch(Transaction* t, Bytes data);
  void ReadBatchRequest(Transaction* batch);
  void EmitBatch(const StreamContext& at, const HttpTransactionInfo& info, Transaction* batch);
  void ReadEvents(Transaction* t, Bytes data);
  void ReadLines(Transaction* t, Bytes data);
  void ReadLine(Transaction* t, bool cut);
  void ReadFrames(Transaction* t, Bytes data);
  void ReadFrame(Transaction* t);
  void ReadSseEvent(Transaction* t, const SseEvent& event, bool cut);
  void ReadEvent(Transaction* t, std::string_view type, std::string_view data, bool cut);
  std::string_view Unwrap(const ChunkList& body);
  void Wipe();
  void DigestResponse(Transaction* t, bool complete);
  void CountJsonTrouble(LlmCounter malformed);
  void Emit(const StreamContext& at, const HttpTransactionInfo& info, Transaction* t);

  const LlmOptions options_;
  WorkerOutput* const output_;
  ExchangeTextObserver* const texts_;
  CounterBlock<LlmCounter> counters_{kLlmCounterNames};
  const Salt id_salt_, text_salt_, body_salt_, name_salt_;
  const text::TokenHasher hasher_;
  ChunkPool pool_;
  JsonReader json_;
  std::vector<uint8_t> inner_;              // a document that came inside another one or in a frame
  size_t inner_used_ = 0;                   // since Wipe
  RequestView request_;
  RequestDigest digest_;
  Identity identity_;
  ExchangeBuilder builder_;
  std::vector<uint32_t> scratch_;           // one exchange's request arrays, or its output tokens
  std::deque<Transaction> transactions_;    // grows to exchanges_max, never shrinks
  Transaction* free_ = nullptr;
  uint32_t in_flight_ = 0;
  std::deque<StreamParser> parsers_;
  std::vector<StreamParser*> parsers_free_;
};

Observer::Observer(const LlmOptions& options, WorkerOutput* output, ExchangeTextObserver* texts)
    : options_(options),
      output_(output),
      texts_(texts),
      id_salt_(DeriveSalt(options.salt, "id")),
      text_salt_(DeriveSalt(options.salt, "text")),
      body_salt_(DeriveSalt(options.salt, "body")),
      name_salt_(DeriveSalt(options.salt, "name")),
      hasher_(options.salt),
      pool_(options.body_pool_bytes),
      json_(options.body_bytes_max),
      inner_(options.body_bytes_max),
      digest_(options.salt),
      identity_(options.account_key),
      scratch_(2 * (kPrefixChainMax + kIdsMax) + 3 * kPartTokensMax) {
  for (uint32_t i = 0; i < options.exchanges_max; ++i) {
    Transaction& t = transactions_.emplace_back(hasher_, text_salt_);
    t.next_free = free_;
    free_ = &t;
  }
  parsers_free_.reserve(options.streams_max);
  for (uint32_t i = 0; i < options.streams_max; ++i) {
    parsers_free_.push_back(&parsers_.emplace_back(options.body_bytes_max));
  }
}

Observer::~Observer() = default;

Transaction* Observer::Take() {
  Transaction* t = free_;
  if (t == nullptr) return nullptr;
  free_ = t->next_free;
  ++in_flight_;
  return t;
}

void Observer::Release(Transaction* t) {
  t->request_body.Clear(&pool_);
  t->response_body.Clear(&pool_);
  t->digest.Clear(&pool_);
  t->output.tokens.Clear(&pool_);
  if (t->stream != nullptr) {
    if (t->stream->largest_span > kParserKeepBytes) {
      t->stream->~StreamParser();
      new (t->stream) StreamParser(options_.body_bytes_max);
    } else {
      t->stream->sse.Reset();
    }
    t->stream->largest_span = 0;
    t->stream->oversized_told = 0;
    parsers_free_.push_back(t->stream);
  }
  t->~Transaction();
  new (t) Transaction(hasher_, text_salt_);
  t->next_free = free_;
  free_ = t;
  --in_flight_;
}

// --- request ------------------------------------------------------------------------------------

HttpObserver::Handle Observer::OnRequestHead(const StreamContext& at, uint64_t, const HttpRequestHead& head) {
  const auto decline = [&](LlmCounter why) -> Handle {
    counters_.Add(why);
    return nullptr;
  };
  if (head.method != "POST") return decline(LlmCounter::kNotModelApi);
  const DialectInfo* dialect = FindDialect(head.target);
  const RequestHeaders headers = ReadRequestHeaders(head, options_.credential_header);
  if (dialect == nullptr && IsJson(headers.content_type)) {
    dialect = GenericDialect(head.target);
    if (dialect != nullptr && !HalfFree()) return decline(LlmCounter::kGenericSkipped);
  }
  const bool form = headers.content_type.starts_with("multipart/") ||
                    headers.content_type.starts_with("application/x-www-form");
  if (dialect == nullptr || (form && dialect->batch != BatchForm::kLines)) return decline(LlmCounter::kNotModelApi);
  Transaction* t = Take();
  if (t == nullptr) {
    counters_.Add(LlmCounter::kExchangePoolEmpty);
    return nullptr;
  }
  t->dialect = dialect;
  ExchangeHeader& h = t->header;
  h.dialect = dialect->dialect;
  h.api = dialect->api;
  h.flags = kRequestSeen;
  h.request_start_ns = h.request_end_ns = at.time_ns;
  h.flow_id = at.flow_id;
  h.client = at.client;
  h.ja4_hash = at.ja4_hash;
  h.http2_hash = at.http2_hash;
  if (options_.generation != nullptr) {
    h.config_generation = static_cast<uint32_t>(options_.generation->load(std::memory_order_relaxed));
  }
  SetClient(at, headers, &h);
  SetIdentity(head, headers, t);
  if (!headers.organisation.empty()) h.organisation_id = KeyedHash64(headers.organisation, name_salt_);
  const std::string_view family = headers.user_agent.substr(0, headers.user_agent.find_first_of("/ "));
  if (!family.empty()) h.agent_family_hash = KeyedHash64(family, name_salt_);
  if (dialect->path_model != nullptr) {
    const std::string_view path = head.target.substr(0, head.target.find('?'));
    t->model_length = static_cast<uint8_t>(Unescape(dialect->path_model(path), t->model));
  }
  if (dialect->batch == BatchForm::kObjects) t->documents = DocumentSplitter(DocumentSplitter::Form::kObjects);
  return t;
}

void Observer::SetIdentity(const HttpRequestHead& head, const RequestHeaders& headers, Transaction* t) {
  const auto found = [&](const KeyId& key_id) {
    std::copy(key_id.begin(), key_id.end(), t->header.key_id);
    t->header.flags |= kHasKey;
  };
  for (const CredentialPlace place : t->dialect->credentials) {
    std::string_view value;
    switch (place) {
      case CredentialPlace::kNone: break;
      case CredentialPlace::kAuthorization:
        if (!headers.authorization.empty()) return found(identity_.OfAuthorization(headers.authorization));
        break;
      case CredentialPlace::kXApiKey: value = headers.x_api_key; break;
      case CredentialPlace::kApiKey: value = headers.api_key; break;
      case CredentialPlace::kGoogApiKey: value = headers.goog_api_key; break;
      case CredentialPlace::kQueryKey: value = QueryValue(head.target, "key"); break;
    }
    if (!value.empty()) return found(identity_.OfKey(value));
  }
  if (!headers.custom_credential.empty()) return found(identity_.OfKey(headers.custom_credential));
  counters_.Add(LlmCounter::kNoCredential);
}

// The proxy that wrote a PROXY header is the first trusted hop: what it names is the last of those before it.
void Observer::SetClient(const StreamContext& at, const RequestHeaders& headers, ExchangeHeader* header) {
  int hops = options_.trusted_hops - (at.client_from_proxy && !MutantIs("llm.proxy_is_no_hop") ? 1 : 0);
  if (hops <= 0) return;
  const bool x = options_.forwarded_header == ForwardedHeader::kXForwardedFor ||
                 (options_.forwarded_header == ForwardedHeader::kAuto && headers.x_forwarded_for_count != 0);
  const auto& values = x ? headers.x_forwarded_for : headers.forwarded;
  size_t count = x ? headers.x_forwarded_for_count : headers.forwarded_count;
  ForwardedResult result = ForwardedResult::kShort;
  while (count-- > 0) {
    result = x ? FromXForwardedFor(values[count], hops, &header->client)
               : FromForwarded(values[count], hops, &header->client);
    if (result != ForwardedResult::kShort) break;
    hops -= ListEntries(values[count]);
    if (hops <= 0) break;
  }
  if (result == ForwardedResult::kShort) counters_.Add(LlmCounter::kForwardedShort);
  if (result == ForwardedResult::kUnreadable) counters_.Add(LlmCounter::kForwardedUnreadable);
}

void Observer::Hold(Bytes data, ChunkList* body, bool* cut, LlmCounter too_large) {
  if (*cut) return;
  if (body->size() + data.size() > options_.body_bytes_max) {
    data = data.first(options_.body_bytes_max - body->size());
    *cut = true;
    counters_.Add(too_large);
  }
  if (!body->Append(&pool_, data)) {
    *cut = true;
    counters_.Add(LlmCounter::kBodyPoolEmpty);
  }
}

void Observer::OnRequestBody(const StreamContext&, Handle handle, Bytes data) {
  Transaction* t = static_cast<Transaction*>(handle);
  t->header.request_bytes += data.size();
  if (t->dialect->batch != BatchForm::kNone) return ReadBatch(t, data);
  Hold(data, &t->request_body, &t->request_cut, LlmCounter::kRequestTooLarge);
}

void Observer::OnRequestEnd(const StreamContext& at, Handle handle) {
  Transaction* t = static_cast<Transaction*>(handle);
  t->header.request_end_ns = at.time_ns;
  DigestRequest(t, true);
}

void Observer::CountJsonTrouble(LlmCounter malformed) {
  counters_.Add(malformed);
  if (json_.nested_too_deep()) counters_.Add(LlmCounter::kNestedTooDeep);
}

void Observer::DigestRequest(Transaction* t, bool complete) {
  if (t->request_digested) return;
  t->request_digested = true;
  if (t->dialect->batch != BatchForm::kNone) {
    t->documents.End([&] { ReadBatchRequest(t); });
    t->dropped = true;  // what is emitted are its requests
    return;
  }
  ExchangeHeader& h = t->header;
  const size_t size = t->request_body.size();
  t->request_body.CopyTo(json_.buffer());
  t->request_body.Clear(&pool_);
  h.body_hash = KeyedHash64(Bytes(json_.buffer(), size), body_salt_);
  if (t->request_cut) h.flags |= kBodyTooLarge;

  request_.Clear();
  request_.dialect = t->dialect->dialect;
  request_.api = t->dialect->api;
  request_.model = {t->model, t->model_length};
  const bool streams = t->dialect->api == Api::kStreamGenerateContent || t->dialect->api == Api::kStreamRawPredict;
  if (streams) request_.flags |= kStreamed;
  const bool generic = t->dialect->dialect == Dialect::kGeneric;
  const std::string_view body(reinterpret_cast<const char*>(json_.buffer()), size);
  bool well = false;
  if (generic && !MayBeChat(body)) {
    well = true;  // nothing that concerns us, whatever it is
  } else if (json_.Begin(size, t->request_cut || !complete)) {
    t->dialect->read_request(json_, &request_);
    well = json_.Finish();
  }
  const bool cut = t->request_cut || !complete;
  const bool other = !request_.shape && (well || size == 0);
  if (other || (generic && (!request_.shape || (!well && !cut)))) {
    counters_.Add(generic ? LlmCounter::kNotModelApi : LlmCounter::kNotModelShape);
    t->dropped = true;
    if (texts_ != nullptr) texts_->OnDropped(t);
    Wipe();
    return;
  }
  if (!well && !cut) {
    h.flags |= kMalformedRequest;
    CountJsonTrouble(LlmCounter::kRequestMalformed);
  }
  if (request_.pieces_dropped != 0) counters_.Add(LlmCounter::kPiecesDropped, request_.pieces_dropped);
  if (request_.ids_dropped != 0) counters_.Add(LlmCounter::kIdsDropped, request_.ids_dropped);
  if (request_.model.data() != t->model) {
    const std::string_view model = request_.model.substr(0, sizeof t->model);
    std::copy(model.begin(), model.end(), t->model);
    t->model_length = static_cast<uint8_t>(model.size());
  }
  if (!request_.end_user.empty()) h.end_user_id = KeyedHash64(request_.end_user, name_salt_);
  if (texts_ != nullptr) texts_->OnRequest(t, request_);
  // No output can be harvested there, and a count's text comes again with the request that is meant.
  if (!request_.generates) request_.ForgetText();
  digest_.Digest(request_, &h);
  if (digest_.ids_weak() != 0) counters_.Add(LlmCounter::kIdsWeak, digest_.ids_weak());
  KeepDigest(t);
  Wipe();
}

void Observer::Wipe() {
  json_.Wipe();
  std::fill_n(inner_.begin(), inner_used_, uint8_t{0});
  inner_used_ = 0;
}

// A copy of `body` beside the reader's own buffer.
std::string_view Observer::Unwrap(const ChunkList& body) {
  body.CopyTo(inner_.data());
  inner_used_ = std::max(inner_used_, body.size());
  return {reinterpret_cast<const char*>(inner_.data()), body.size()};
}

// --- batches ------------------------------------------------------------------------------------

void Observer::ReadBatch(Transaction* t, Bytes data) {
  t->documents.Feed(
      data, [&](Bytes part) { Hold(part, &t->request_body, &t->request_cut, LlmCounter::kRequestTooLarge); },
      [&] { ReadBatchRequest(t); });
}

// One line of a file of requests, or one element of an array of them: it waits, digested, for the batch's answer.
void Observer::ReadBatchRequest(Transaction* batch) {
  const std::string_view document = Unwrap(batch->request_body);
  const bool cut = batch->request_cut;
  batch->request_body.Clear(&pool_);
  batch->request_cut = false;
  std::copy(document.begin(), document.end(), json_.buffer());
  const DialectInfo* dialect = batch->dialect->batch_of;
  std::string_view body;
  if (json_.Begin(document.size(), cut)) {
    json_.RootFields([&](std::string_view key, JsonValue value) {
      std::string_view url;
      if (key == "url" && json_.String(value, &url)) dialect = FindDialect(url);
      if (key == "body" || key == "params") json_.Raw(value, &body);
    });
  }
  if (body.empty() || dialect == nullptr || dialect->batch != BatchForm::kNone) return Wipe();
  Transaction* t = nullptr;
  if (batch->lines_count < kBatchRequestsMax && HalfFree()) t = Take();
  if (t == nullptr) {
    counters_.Add(LlmCounter::kBatchUnread);
    return Wipe();
  }
  t->dialect = dialect;
  t->header = batch->header;
  t->header.dialect = dialect->dialect;
  t->header.api = dialect->api;
  t->header.flags |= kBatched;
  t->header.request_bytes = body.size();
  t->request_cut = cut;
  Hold({reinterpret_cast<const uint8_t*>(body.data()), body.size()}, &t->request_body, &t->request_cut,
       LlmCounter::kRequestTooLarge);
  DigestRequest(t, true);
  if (t->dropped) return Release(t);
  t->next_line = batch->lines;
  batch->lines = t;
  ++batch->lines_count;
}

void Observer::EmitBatch(const StreamContext& at, const HttpTransactionInfo& info, Transaction* batch) {
  if (batch->lines == nullptr) counters_.Add(LlmCounter::kNotModelShape);
  Transaction* first = nullptr;
  while (batch->lines != nullptr) {  // in the order in which they came
    Transaction* const t = batch->lines;
    batch->lines = t->next_line;
    t->next_line = first;
    first = t;
  }
  while (first != nullptr) {
    Transaction* const t = first;
    first = t->next_line;
    t->header.status = batch->header.status;
    t->header.request_end_ns = batch->header.request_end_ns;
    t->header.request_id_hash = batch->header.request_id_hash;
    t->header.flags |= batch->header.flags & (kResponseSeen | kRateLimited);
    counters_.Add(LlmCounter::kBatchRequests);
    Emit(at, info, t);
    Release(t);
  }
}

// The arrays wait for the response in one byte string.
void Observer::KeepDigest(Transaction* t) {
  const auto keep = [&](const auto words) {
    return t->digest.Append(&pool_, {reinterpret_cast<const uint8_t*>(words.data()), words.size_bytes()});
  };
  bool kept = keep(digest_.prefix_chain()) && keep(digest_.ids_returned());
  for (const Part part : {Part::kSystem, Part::kInstruction, Part::kTail}) {
    kept = kept && keep(digest_.tokens(part));
  }
  t->tokens_counted = digest_.tokens_counted();
  if (kept) return;
  counters_.Add(LlmCounter::kBodyPoolEmpty);
  t->digest.Clear(&pool_);
  ExchangeHeader& h = t->header;
  h.prefix_chain_count = h.ids_returned_count = h.prefix_deep_from = 0;
  for (uint32_t& count : h.part_tokens) count = 0;
  h.flags |= kBodyTooLarge;
}

// --- response -----------------------------------------------------------------------------------

HttpObserver::Handle Observer::OnResponseHead(const StreamContext&, Handle handle, uint64_t,
                                              const HttpResponseHead& head) {
  // A response without its request, or to a declined one: nobody to attribute it to.
  if (handle == nullptr) return nullptr;
  Transaction* t = static_cast<Transaction*>(handle);
  const ResponseHeaders headers = ReadResponseHeaders(head);
  t->header.flags |= kResponseSeen;
  t->header.status = head.status;
  if (head.status == 429) t->header.flags |= kRateLimited;
  if (!headers.request_id.empty()) t->header.request_id_hash = KeyedHash64(headers.request_id, id_salt_);
  if (headers.content_type.starts_with("text/event-stream")) t->response_kind = ResponseKind::kEvents;
  if (headers.content_type.starts_with("application/json")) t->response_kind = ResponseKind::kJson;
  if (headers.content_type.starts_with("application/x-ndjson") ||
      headers.content_type.starts_with("application/jsonl")) {
    t->response_kind = ResponseKind::kLines;
  }
  if (headers.content_type.starts_with("application/vnd.amazon.eventstream")) {
    t->response_kind = ResponseKind::kFrames;
  }
  return t;
}

void Observer::OnResponseBody(const StreamContext& at, Handle handle, Bytes data) {
  Transaction* t = static_cast<Transaction*>(handle);
  if (data.empty()) return;
  if (t->header.response_bytes == 0) t->header.first_token_ns = at.time_ns;
  t->header.response_bytes += data.size();
  if (t->dropped) return;
  if (!t->response_begun) {
    while (!data.empty() && std::isspace(data[0]) != 0) data = data.subspan(1);
    if (data.empty()) return;
    t->response_begun = true;
    t->response_kind = KindOf(data[0], t->response_kind);
  }
  switch (t->response_kind) {
    case ResponseKind::kEvents: ReadEvents(t, data); break;
    case ResponseKind::kLines: ReadLines(t, data); break;
    case ResponseKind::kFrames: ReadFrames(t, data); break;
    case ResponseKind::kJson:
      Hold(data, &t->response_body, &t->response_cut, LlmCounter::kResponseTooLarge);
      break;
    case ResponseKind::kUnknown:
    case ResponseKind::kIgnored: break;
  }
}

void Observer::ReadEvents(Transaction* t, Bytes data) {
  if (t->stream == nullptr) {
    if (parsers_free_.empty()) {
      counters_.Add(LlmCounter::kStreamPoolEmpty);
      t->response_kind = ResponseKind::kIgnored;
      t->header.flags |= kBodyTooLarge;
      return;
    }
    t->stream = parsers_free_.back();
    parsers_free_.pop_back();
    t->output.flags |= kStreamed;
  }
  t->stream->sse.Feed(data, [&](const SseEvent& event) { ReadSseEvent(t, event, false); });
  const uint64_t oversized = t->stream->sse.events_oversized();
  if (oversized != t->stream->oversized_told) {
    counters_.Add(LlmCounter::kEventTooLarge, oversized - t->stream->oversized_told);
    t->stream->oversized_told = oversized;
    t->header.flags |= kBodyTooLarge;
  }
}

void Observer::ReadSseEvent(Transaction* t, const SseEvent& event, bool cut) {
  t->stream->largest_span = std::max(t->stream->largest_span, event.data.size());
  if (event.data.empty() || event.data == "[DONE]") return;
  ReadEvent(t, event.type, event.data, cut);
}

// A JSON document a line (NDJSON), as Ollama streams.
void Observer::ReadLines(Transaction* t, Bytes data) {
  t->output.flags |= kStreamed;
  t->documents.Feed(
      data, [&](Bytes part) { Hold(part, &t->response_body, &t->response_cut, LlmCounter::kEventTooLarge); },
      [&] { ReadLine(t, false); });
}

void Observer::ReadLine(Transaction* t, bool cut) {
  if (t->response_cut) {
    t->header.flags |= kBodyTooLarge;
  } else {
    ReadEvent(t, "message", Unwrap(t->response_body), cut);
  }
  t->response_body.Clear(&pool_);
  t->response_cut = false;
}

void Observer::ReadFrames(Transaction* t, Bytes data) {
  t->output.flags |= kStreamed;
  const bool whole = t->frames.Feed(
      data,
      [&](size_t rest) {
        t->frame_skipped = rest > options_.body_bytes_max;
        if (t->frame_skipped) counters_.Add(LlmCounter::kEventTooLarge);
      },
      [&](Bytes part) {
        if (!t->frame_skipped) Hold(part, &t->response_body, &t->response_cut, LlmCounter::kEventTooLarge);
      },
      [&] {
        if (t->frame_skipped || t->response_cut) {
          t->header.flags |= kBodyTooLarge;
        } else if (t->response_kind == ResponseKind::kFrames) {
          ReadFrame(t);
        }
        t->response_body.Clear(&pool_);
        t->response_cut = false;
      });
  if (whole) return;
  counters_.Add(LlmCounter::kEventStreamBroken);
  t->header.flags |= kMalformedResponse;
  t->response_kind = ResponseKind::kIgnored;
}

void Observer::ReadFrame(Transaction* t) {
  const std::string_view rest = Unwrap(t->response_body);
  EventFrame frame;
  if (!ReadEventFrame(t->frames.prelude(), {inner_.data(), rest.size()}, &frame)) {
    counters_.Add(LlmCounter::kEventStreamBroken);
    t->header.flags |= kMalformedResponse;
    t->response_kind = ResponseKind::kIgnored;
    return;
  }
  if (frame.exception) {
    ++t->events;
    counters_.Add(LlmCounter::kEvents);
    OutputOf(t).Error(frame.type, frame.type == "throttlingException" || frame.type == "serviceQuotaExceededException");
    return;
  }
  if (frame.payload.empty()) return;
  if (!t->dialect->base64_events) return ReadEvent(t, frame.type, frame.payload, false);
  std::string_view coded;
  if (json_.Begin(frame.payload)) {
    json_.RootFields([&](std::string_view key, JsonValue value) {
      if (key == "bytes") json_.String(value, &coded);
    });
  }
  const ptrdiff_t size = DecodeBase64(coded, inner_.data());
  const std::string_view inner(reinterpret_cast<const char*>(inner_.data()), static_cast<size_t>(std::max<ptrdiff_t>(size, 0)));
  ReadEvent(t, "chunk", inner, false);
}

void Observer::ReadEvent(Transaction* t, std::string_view type, std::string_view data, bool cut) {
  ++t->events;
  counters_.Add(LlmCounter::kEvents);
  OutputDigest output = OutputOf(t);
  bool well = false;
  if (json_.Begin(data)) {
    t->dialect->read_event(json_, type, &output);
    well = json_.Finish();
  }
  if (!well && !cut) {
    t->header.flags |= kMalformedResponse;
    CountJsonTrouble(LlmCounter::kEventMalformed);
  }
}

void Observer::DigestResponse(Transaction* t, bool complete) {
  OutputDigest output = OutputOf(t);
  if (t->stream != nullptr) {
    // A last event without its blank line: readers take it, though the standard discards it.
    static constexpr uint8_t kBlankLine[] = {'\n', '\n'};
    t->stream->sse.Feed(kBlankLine, [&](const SseEvent& event) { ReadSseEvent(t, event, !complete); });
  }
  if (t->response_kind == ResponseKind::kLines) t->documents.End([&] { ReadLine(t, !complete); });
  if (t->response_kind == ResponseKind::kFrames && complete && !t->frames.between_frames()) {
    counters_.Add(LlmCounter::kEventStreamBroken);
    t->header.flags |= kMalformedResponse;
  }
  if (t->response_kind == ResponseKind::kJson && t->response_body.size() != 0) {
    const size_t size = t->response_body.size();
    t->response_body.CopyTo(json_.buffer());
    t->response_body.Clear(&pool_);
    if (t->response_cut) t->header.flags |= kBodyTooLarge;
    const bool cut = t->response_cut || !complete;
    bool well = false;
    if (json_.Begin(size, cut)) {
      t->dialect->read_response(json_, &output);
      well = json_.Finish();
    }
    if (!well && !cut) {
      t->header.flags |= kMalformedResponse;
      CountJsonTrouble(LlmCounter::kResponseMalformed);
    }
  }
  output.End();
  Wipe();
}

// --- end ----------------------------------------------------------------------------------------

void Observer::OnTransactionEnd(const StreamContext& at, Handle handle, HttpEnd,
                                const HttpTransactionInfo& info) {
  if (handle == nullptr) return;
  Transaction* t = static_cast<Transaction*>(handle);
  DigestRequest(t, info.request_complete);
  if (!t->dropped) {
    DigestResponse(t, info.response_complete);
    Emit(at, info, t);
  }
  if (t->dialect->batch != BatchForm::kNone) EmitBatch(at, info, t);
  Release(t);
}

void Observer::Emit(const StreamContext& at, const HttpTransactionInfo& info, Transaction* t) {
  builder_.Reset();
  const OutputState& out = t->output;
  ExchangeHeader& h = builder_.header();
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
  t->digest.CopyTo(reinterpret_cast<uint8_t*>(scratch_.data()));
  const uint32_t* at32 = scratch_.data();
  const auto take64 = [&at32] {
    const uint64_t value = LoadLe<uint64_t>(at32);
    at32 += 2;
    return value;
  };
  for (uint32_t i = 0; i < prefixes; ++i) builder_.AddPrefixChain(take64());
  for (uint32_t i = 0; i < returned; ++i) builder_.AddIdReturned(take64());
  for (size_t p = 0; p < counts.size(); ++p) {
    const bool truncated = (h.flags >> (kPartTruncatedShift + p) & 1u) != 0;
    builder_.SetTokens(static_cast<Part>(p), {at32, counts[p]}, truncated);
    at32 += counts[p];
  }
  for (uint32_t i = 0; i < out.ids_count; ++i) builder_.AddIdIssued(out.ids[i]);

  out.tokens.CopyTo(reinterpret_cast<uint8_t*>(scratch_.data()));
  const std::span<uint32_t> tokens(scratch_.data(), out.tokens.size() / 4);
  const bool cut = out.tokens_seen > kPartTokensMax;
  if (cut) {
    const auto ring = tokens.last(kPartTokensMax / 2);
    std::rotate(ring.begin(), ring.begin() + static_cast<ptrdiff_t>(out.tokens_seen % ring.size()), ring.end());
  }
  builder_.SetTokens(Part::kOutput, tokens, cut || out.tokens_lost);
  builder_.SetModel({t->model, t->model_length});

  const ExchangeView view = builder_.Finish();
  counters_.Add(LlmCounter::kExchanges);
  if (h.dialect == Dialect::kGeneric) counters_.Add(LlmCounter::kGeneric);
  if (texts_ != nullptr) texts_->OnExchange(t, view, t->events);
  output_->OnExchange(view);
}

}  // namespace

std::unique_ptr<LlmObserver> MakeLlmObserver(const LlmOptions& options, WorkerOutput* output,
                                             ExchangeTextObserver* texts) {
  return std::make_unique<Observer>(options, output, texts);
}

}  // namespace stillwatch::dataplane
