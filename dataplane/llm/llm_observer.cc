#include "dataplane/llm/llm_observer.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"
#include "dataplane/llm/client_address.h"
#include "dataplane/llm/headers.h"
#include "dataplane/llm/identity.h"
#include "dataplane/http/text.h"
#include "dataplane/llm/llm_core.h"
#include "dataplane/llm/realtime.h"
#include "dataplane/llm/response_reader.h"

namespace stillwatch::dataplane {
namespace {

constexpr uint32_t kBatchRequestsMax = 1'024;  // of one batch; each takes a transaction

bool IsJson(std::string_view type) {
  return type.starts_with("application/json") || (type.find("+json") != std::string_view::npos && !type.starts_with("application/grpc"));
}

// Ollama takes JSON under any type: its documentation's curl calls it a form, as curl does when it is told nothing.
bool MayBeJson(std::string_view type, const DialectInfo& dialect) {
  if (type.starts_with("multipart/")) return dialect.batch == BatchForm::kLines;
  return !type.starts_with("application/x-www-form") || dialect.batch == BatchForm::kLines || dialect.dialect == Dialect::kOllama;
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
  Observer(const LlmOptions& options, WorkerOutput* output, ExchangeTextObserver* texts)
      : own_core_(options, output, texts), core_(&own_core_), identity_(options.account_key), responses_(core_),
        realtime_(core_) {}

  Handle OnRequestHead(const StreamContext& at, uint64_t index, const HttpRequestHead& head) override;
  void OnRequestBody(const StreamContext& at, Handle handle, Bytes data) override;
  void OnRequestEnd(const StreamContext& at, Handle handle) override;
  Handle OnResponseHead(const StreamContext&, Handle handle, uint64_t, const HttpResponseHead& head) override {
    // A response without its request, or to a declined one: nobody to attribute it to.
    if (handle != nullptr) responses_.OnHead(static_cast<Transaction*>(handle), head);
    return handle;
  }
  void OnResponseBody(const StreamContext& at, Handle handle, Bytes data) override {
    responses_.OnBody(at, static_cast<Transaction*>(handle), data);
  }
  void OnTransactionEnd(const StreamContext& at, Handle handle, HttpEnd end,
                        const HttpTransactionInfo& info) override;

  void RegisterCounters(CounterRegistry* registry) override {
    registry->Register(core_->counters);
    registry->Register(realtime_.counters());
  }
  WebSocketObserver* websockets() override { return &realtime_; }
  const CounterBlock<LlmCounter>& counters() const override { return core_->counters; }
  const CounterBlock<RealtimeCounter>& realtime_counters() override { return realtime_.counters(); }
  uint64_t pool_bytes_used() const override { return core_->pool.bytes_used(); }
  uint32_t exchanges_in_flight() const override { return core_->in_flight; }

 private:
  Handle OnUpgrade(const StreamContext& at, uint64_t index, const HttpRequestHead& head);
  void Introduce(const StreamContext& at, const HttpRequestHead& head, const RequestHeaders& headers, Transaction* t);
  void SetIdentity(const HttpRequestHead& head, const RequestHeaders& headers, Transaction* t);
  void SetClient(const StreamContext& at, const RequestHeaders& headers, ExchangeHeader* header);
  void EndRequest(Transaction* t, bool complete);
  void ReadBatch(Transaction* t, Bytes data);
  void ReadBatchRequest(Transaction* batch);
  void EmitBatch(const StreamContext& at, const HttpTransactionInfo& info, Transaction* batch);

  LlmCore own_core_;
  LlmCore* const core_;
  Identity identity_;
  ResponseReader responses_;
  RealtimeReader realtime_;
};

// --- request ------------------------------------------------------------------------------------

HttpObserver::Handle Observer::OnRequestHead(const StreamContext& at, uint64_t index, const HttpRequestHead& head) {
  const auto decline = [&](LlmCounter why) -> Handle {
    core_->counters.Add(why);
    return nullptr;
  };
  const bool may_upgrade = head.method == "GET" || (head.method == "CONNECT" && head.protocol == "websocket");
  if (may_upgrade && FindRealtime(head.target) != nullptr) return OnUpgrade(at, index, head);
  if (head.method != "POST") return decline(LlmCounter::kNotModelApi);
  const DialectInfo* dialect = FindDialect(head.target);
  const RequestHeaders headers = ReadRequestHeaders(head, core_->options.credential_header);
  if (dialect == nullptr && IsJson(headers.content_type)) {
    dialect = GenericDialect(head.target);
    if (dialect != nullptr && !core_->HalfFree()) return decline(LlmCounter::kGenericSkipped);
  }
  if (dialect == nullptr || !MayBeJson(headers.content_type, *dialect)) return decline(LlmCounter::kNotModelApi);
  Transaction* t = core_->Take();
  if (t == nullptr) {
    core_->counters.Add(LlmCounter::kExchangePoolEmpty);
    return nullptr;
  }
  t->dialect = dialect;
  Introduce(at, head, headers, t);
  if (dialect->batch == BatchForm::kObjects) t->documents = DocumentSplitter(DocumentSplitter::Form::kObjects);
  return t;
}

// "GET .../realtime" that asks for WebSocket, or the same of HTTP/2; its transaction stands for the connection.
HttpObserver::Handle Observer::OnUpgrade(const StreamContext& at, uint64_t index, const HttpRequestHead& head) {
  const RequestHeaders headers = ReadRequestHeaders(head, core_->options.credential_header);
  if (head.protocol.empty() && !EqualsNoCase(headers.upgrade, "websocket")) {
    core_->counters.Add(LlmCounter::kNotModelApi);
    return nullptr;
  }
  Transaction* const t = core_->Take();
  if (t == nullptr) {
    core_->counters.Add(LlmCounter::kExchangePoolEmpty);
    return nullptr;
  }
  t->dialect = FindRealtime(head.target);
  t->dropped = true;  // its answers are exchanges, not itself
  if (!realtime_.Follow(t, index)) {
    core_->Release(t);
    return nullptr;
  }
  Introduce(at, head, headers, t);
  std::string_view model = QueryValue(head.target, "model");
  if (model.empty()) model = QueryValue(head.target, "deployment");  // Azure
  t->model_length = static_cast<uint8_t>(Unescape(model, t->model));
  return t;
}

// Who asks, and with which client.
void Observer::Introduce(const StreamContext& at, const HttpRequestHead& head, const RequestHeaders& headers,
                         Transaction* t) {
  const DialectInfo* const dialect = t->dialect;
  ExchangeHeader& h = t->header;
  h.dialect = dialect->dialect;
  h.api = dialect->api;
  h.flags = kRequestSeen;
  h.request_start_ns = h.request_end_ns = at.time_ns;
  h.flow_id = at.flow_id;
  h.client = at.client;
  h.client_port = at.client_port;
  h.ja4_hash = at.ja4_hash;
  h.http2_hash = at.http2_hash;
  if (core_->options.generation != nullptr) {
    h.config_generation = static_cast<uint32_t>(core_->options.generation->load(std::memory_order_relaxed));
  }
  SetClient(at, headers, &h);
  SetIdentity(head, headers, t);
  if (!headers.organisation.empty()) h.organisation_id = KeyedHash64(headers.organisation, core_->name_salt);
  const std::string_view family = headers.user_agent.substr(0, headers.user_agent.find_first_of("/ "));
  if (!family.empty()) h.agent_family_hash = KeyedHash64(family, core_->name_salt);
  if (dialect->path_model != nullptr) {
    const std::string_view path = head.target.substr(0, head.target.find('?'));
    t->model_length = static_cast<uint8_t>(Unescape(dialect->path_model(path), t->model));
  }
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
      case CredentialPlace::kQueryKey:
        value = QueryValue(head.target, "key");
        if (value.empty()) value = QueryValue(head.target, "api-key");
        if (value.empty()) value = QueryValue(head.target, "access_token");
        break;
      case CredentialPlace::kSubprotocol: value = headers.subprotocol_key; break;
    }
    if (!value.empty()) return found(identity_.OfKey(value));
  }
  if (!headers.custom_credential.empty()) return found(identity_.OfKey(headers.custom_credential));
  core_->counters.Add(LlmCounter::kNoCredential);
}

// The proxy that wrote a PROXY header is the first trusted hop: what it names is the last of those before it.
void Observer::SetClient(const StreamContext& at, const RequestHeaders& headers, ExchangeHeader* header) {
  int hops = core_->options.trusted_hops - (at.client_from_proxy && !MutantIs("llm.proxy_is_no_hop") ? 1 : 0);
  if (hops <= 0) return;
  const bool x = core_->options.forwarded_header == ForwardedHeader::kXForwardedFor ||
                 (core_->options.forwarded_header == ForwardedHeader::kAuto && headers.x_forwarded_for_count != 0);
  const auto& values = x ? headers.x_forwarded_for : headers.forwarded;
  size_t count = x ? headers.x_forwarded_for_count : headers.forwarded_count;
  ForwardedResult result = ForwardedResult::kShort;
  while (count-- > 0) {
    result = x ? FromXForwardedFor(values[count], hops, &header->client, &header->client_port)
               : FromForwarded(values[count], hops, &header->client, &header->client_port);
    if (result != ForwardedResult::kShort) break;
    hops -= ListEntries(values[count]);
    if (hops <= 0) break;
  }
  if (result == ForwardedResult::kShort) core_->counters.Add(LlmCounter::kForwardedShort);
  if (result == ForwardedResult::kUnreadable) core_->counters.Add(LlmCounter::kForwardedUnreadable);
}

void Observer::OnRequestBody(const StreamContext&, Handle handle, Bytes data) {
  Transaction* t = static_cast<Transaction*>(handle);
  t->header.request_bytes += data.size();
  if (t->dialect->batch != BatchForm::kNone) return ReadBatch(t, data);
  core_->Hold(data, &t->request_body, &t->request_cut, LlmCounter::kRequestTooLarge);
}

void Observer::OnRequestEnd(const StreamContext& at, Handle handle) {
  Transaction* t = static_cast<Transaction*>(handle);
  t->header.request_end_ns = at.time_ns;
  if (t->session == nullptr) EndRequest(t, true);
}

void Observer::EndRequest(Transaction* t, bool complete) {
  if (t->dialect->batch == BatchForm::kNone) return core_->DigestRequest(t, complete);
  if (std::exchange(t->request_digested, true)) return;
  t->documents.End([&] { ReadBatchRequest(t); });
  t->dropped = true;  // what is emitted are its requests
}

// --- batches ------------------------------------------------------------------------------------

void Observer::ReadBatch(Transaction* t, Bytes data) {
  t->documents.Feed(
      data, [&](Bytes part) { core_->Hold(part, &t->request_body, &t->request_cut, LlmCounter::kRequestTooLarge); },
      [&] { ReadBatchRequest(t); });
}

// One line of a file of requests, or one element of an array of them: it waits, digested, for the batch's answer.
void Observer::ReadBatchRequest(Transaction* batch) {
  const std::string_view document = core_->Unwrap(batch->request_body);
  const bool cut = batch->request_cut;
  batch->request_body.Clear(&core_->pool);
  batch->request_cut = false;
  std::copy(document.begin(), document.end(), core_->json.buffer());
  const DialectInfo* dialect = batch->dialect->batch_of;
  std::string_view body;
  if (core_->json.Begin(document.size(), cut)) {
    core_->json.RootFields([&](std::string_view key, JsonValue value) {
      std::string_view url;
      if (key == "url" && core_->json.String(value, &url)) dialect = FindDialect(url);
      if (key == "body" || key == "params") core_->json.Raw(value, &body);
    });
  }
  if (body.empty() || dialect == nullptr || dialect->batch != BatchForm::kNone) return core_->Wipe();
  Transaction* t = nullptr;
  if (batch->lines_count < kBatchRequestsMax && core_->HalfFree()) t = core_->Take();
  if (t == nullptr) {
    core_->counters.Add(LlmCounter::kBatchUnread);
    return core_->Wipe();
  }
  t->dialect = dialect;
  t->header = batch->header;
  t->header.dialect = dialect->dialect;
  t->header.api = dialect->api;
  t->header.flags |= kBatched;
  t->header.request_bytes = body.size();
  t->request_cut = cut;
  core_->Hold({reinterpret_cast<const uint8_t*>(body.data()), body.size()}, &t->request_body, &t->request_cut,
       LlmCounter::kRequestTooLarge);
  core_->DigestRequest(t, true);
  if (t->dropped) return core_->Release(t);
  t->next_line = batch->lines;
  batch->lines = t;
  ++batch->lines_count;
}

void Observer::EmitBatch(const StreamContext& at, const HttpTransactionInfo& info, Transaction* batch) {
  if (batch->lines == nullptr) core_->counters.Add(LlmCounter::kNotModelShape);
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
    core_->counters.Add(LlmCounter::kBatchRequests);
    core_->Emit(at, info, t);
    core_->Release(t);
  }
}

// --- end ----------------------------------------------------------------------------------------

void Observer::OnTransactionEnd(const StreamContext& at, Handle handle, HttpEnd,
                                const HttpTransactionInfo& info) {
  if (handle == nullptr) return;
  Transaction* t = static_cast<Transaction*>(handle);
  if (t->session != nullptr) {
    realtime_.Refused(t);
    return core_->Release(t);
  }
  EndRequest(t, info.request_complete);
  if (!t->dropped) {
    responses_.End(t, info.response_complete);
    core_->Emit(at, info, t);
  }
  if (t->dialect->batch != BatchForm::kNone) EmitBatch(at, info, t);
  core_->Release(t);
}

}  // namespace

std::unique_ptr<LlmObserver> MakeLlmObserver(const LlmOptions& options, WorkerOutput* output,
                                             ExchangeTextObserver* texts) {
  return std::make_unique<Observer>(options, output, texts);
}

}  // namespace stillwatch::dataplane
