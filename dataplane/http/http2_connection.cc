#include "dataplane/http/http2_connection.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/hash.h"
#include "base/mutant.h"
#include "dataplane/http/text.h"

namespace stillwatch::dataplane {
namespace {

constexpr int64_t kLingerNs = 2'000'000'000;

// Pseudo-header fields, in one list so that their order is told by a digit each.
constexpr std::string_view kPseudoNames[] = {":method", ":scheme", ":authority", ":path", ":status", ":protocol"};

// The fields of a block, taken apart: what HTTP/1 has in its start line, and the rest.
struct Http2Head {
  Head head;
  bool has_method = false, has_scheme = false, has_authority = false, has_path = false, has_status = false;
  bool grpc = false;
  std::string_view authority, protocol;
  HttpAnomalies http_anomalies = 0;
  bool field_malformed = false, pseudo_malformed = false, connection_field = false;
  uint64_t pseudo_order = 0;
};

bool IsToken(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), IsTokenChar); }

// RFC 9113, 8.3.1.
bool PathIsFine(std::string_view path) {
  return path == "*" || (path.starts_with('/') && path.find_first_of(" \t") == std::string_view::npos);
}

bool NameIsFine(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return IsTokenChar(c) && !(c >= 'A' && c <= 'Z');
  });
}

// RFC 9113, 8.2.1.
bool ValueIsFine(std::string_view value) {
  return std::none_of(value.begin(), value.end(), [](char c) { return c == '\0' || c == '\r' || c == '\n'; }) &&
         (value.empty() || (!IsBlank(value.front()) && !IsBlank(value.back())));
}

// RFC 9113, 8.2.2.
bool IsConnectionField(const HttpHeader& field) {
  switch (field.name.size()) {
    case 2: return field.name == "te" && field.value != "trailers";
    case 7: return field.name == "upgrade";
    case 10: return field.name == "connection" || field.name == "keep-alive";
    case 16: return field.name == "proxy-connection";
    case 17: return field.name == "transfer-encoding";
    default: return false;
  }
}

void TakePseudo(const HttpHeader& field, Http2Head* out) {
  const auto known = std::find(std::begin(kPseudoNames), std::end(kPseudoNames), field.name);
  const size_t number = static_cast<size_t>(known - std::begin(kPseudoNames));
  out->pseudo_order = out->pseudo_order << 4 | (number + 1);
  Head& head = out->head;
  const bool is_status = number == 4;
  if (known == std::end(kPseudoNames) || is_status == head.is_request) {
    out->pseudo_malformed = true;
    return;
  }
  const auto once = [out](bool* seen) {
    if (*seen) out->pseudo_malformed = true;
    return !std::exchange(*seen, true);
  };
  if (number == 0 && once(&out->has_method)) head.method = field.value;
  if (number == 1) once(&out->has_scheme);
  if (number == 2 && once(&out->has_authority)) out->authority = field.value;
  if (number == 3 && once(&out->has_path)) head.target = field.value;
  // A gateway puts these into a request line.
  if (number < 2 && !IsToken(field.value)) out->pseudo_malformed = true;
  if (number == 3 && !PathIsFine(field.value)) out->pseudo_malformed = true;
  if (number == 5) {
    if (!out->protocol.empty()) out->pseudo_malformed = true;
    out->protocol = field.value;
  }
  if (is_status && once(&out->has_status)) {
    const bool digits = field.value.size() == 3 && std::all_of(field.value.begin(), field.value.end(), IsDigit);
    if (!digits) out->pseudo_malformed = true;
    for (const char c : field.value.substr(0, 3)) {
      if (IsDigit(c)) head.status = static_cast<uint16_t>(head.status * 10 + (c - '0'));
    }
  }
}

// `block` holds at least the fields; they are told apart in place (pseudo-header fields come first).
Http2Head TakeApart(const Http2Block& block, bool is_request) {
  Http2Head out;
  out.head.is_request = is_request;
  out.head.version_major = 2;
  out.head.version_minor = 0;
  size_t pseudo = 0;
  bool regular_seen = false;
  for (const HttpHeader& field : block.fields) {
    if (!ValueIsFine(field.value)) out.field_malformed = true;
    if (!field.name.empty() && field.name.front() == ':') {
      if (regular_seen) out.pseudo_malformed = true;
      if (!regular_seen) ++pseudo;
      TakePseudo(field, &out);
      continue;
    }
    regular_seen = true;
    if (!NameIsFine(field.name)) out.field_malformed = true;
    if (IsConnectionField(field)) {
      out.connection_field = true;
      continue;  // it frames nothing here
    }
    ReadFraming(field.name, field.value, &out.head);
    if (field.name == "content-type" && field.value.starts_with("application/grpc")) out.grpc = true;
  }
  const auto shown = block.fields.first(std::min(block.fields.size(), kHeadFieldsMax));
  out.head.fields = shown.subspan(std::min(pseudo, shown.size()));
  if (is_request) {
    const bool connect = out.head.method == "CONNECT";
    if (!out.authority.empty()) {
      if (out.head.hosts > 0 && out.head.host != out.authority) out.pseudo_malformed = true;
      out.head.host = out.authority;
    }
    if (connect && !out.has_path) out.head.target = out.authority;
    if (!out.protocol.empty() && (!connect || !out.has_path)) out.pseudo_malformed = true;  // RFC 8441, 4
    const bool tunnel = connect && out.protocol.empty();
    const bool complete = out.has_method && (tunnel || (out.has_scheme && out.has_path));
    if (block.fields_lost == 0 && !complete) out.pseudo_malformed = true;
  } else if (block.fields_lost == 0 && !out.has_status) {
    out.pseudo_malformed = true;
  }
  return out;
}

}  // namespace

void* Http2Connection::operator new(size_t bytes, HttpCore* core) {
  static_assert(sizeof(Http2Connection) + kConnectionBlockHead <= kConnectionBlockBytes);
  return TakeConnectionBlock(core, bytes);
}
void Http2Connection::operator delete(void* object) { GiveConnectionBlock(object); }
void Http2Connection::operator delete(void* object, HttpCore*) { GiveConnectionBlock(object); }

Http2Connection::Http2Connection(HttpCore* core, uint64_t first_index, Http2Reader::Start client,
                                 Http2Reader::Start server)
    : core_(core),
      client_(core, this, true, client),
      server_(core, this, false, server),
      next_index_(first_index) {
  requests_missed_ = client == Http2Reader::Start::kJoined || client == Http2Reader::Start::kJoinedAtFrame;
  fingerprint_done_ = requests_missed_;
}

Http2Connection::~Http2Connection() {
  while (first_ != nullptr) Forget(first_);
}

void Http2Connection::BeginUpgraded(const StreamContext& at, HttpObserver::Handle handle,
                                    const HttpTransactionInfo& info, RequestTraits request, int64_t awaited_since_ns,
                                    uint32_t table_bytes) {
  at_ = &at;
  server_.SetTableMax(table_bytes);
  Http2Stream* const stream = Open(1);
  last_request_ = 1;
  if (stream == nullptr) {
    if (handle != nullptr) core_->observer->OnTransactionEnd(at, handle, HttpEnd::kUpgraded, info);
    return;
  }
  stream->handle = handle;
  stream->info = info;
  stream->info.stream_id = 1;
  stream->request = request;
  stream->awaited_since_ns = awaited_since_ns;
  stream->halves[kRequest].head_seen = stream->halves[kRequest].done = true;
}

size_t Http2Connection::Feed(const StreamContext& at, bool from_client, Bytes data, DecodeBudget* budget) {
  at_ = &at;
  if (at.time_ns >= linger_until_ns_) EndLingering();
  return (from_client ? client_ : server_).Feed(data, budget);
}

void Http2Connection::Gap(const StreamContext& at, bool from_client, uint64_t skipped) {
  at_ = &at;
  (from_client ? client_ : server_).Gap(skipped);
}

// A FIN cuts what is open; the flow's end tells.
void Http2Connection::End(const StreamContext& at, bool from_client) {
  at_ = &at;
  (from_client ? client_ : server_).Stop();
}

void Http2Connection::Close(const StreamContext& at, HttpEnd reason) {
  at_ = &at;
  while (first_ != nullptr) {
    TellEnd(first_, reason);
    Forget(first_);
  }
  client_.Stop();
  server_.Stop();
}

// Streams that the client gave up, and whose answer had its time.
void Http2Connection::EndLingering() {
  linger_until_ns_ = INT64_MAX;
  for (Http2Stream* stream = first_; stream != nullptr;) {
    Http2Stream* const next = stream->next;
    const int64_t until_ns = stream->reset_ns + kLingerNs;
    if (stream->reset_ns != 0 && at_->time_ns >= until_ns) {
      TellEnd(stream, HttpEnd::kFlowEnded);
      Forget(stream);
    } else if (stream->reset_ns != 0) {
      linger_until_ns_ = std::min(linger_until_ns_, until_ns);
    }
    stream = next;
  }
}

void Http2Connection::Tick(const StreamContext& at) {
  at_ = &at;
  if (at.time_ns >= linger_until_ns_) EndLingering();
  for (Http2Stream* stream = first_; stream != nullptr;) {
    Http2Stream* const next = stream->next;
    if (stream->halves[kRequest].done && stream->websocket == nullptr &&
        at.time_ns - stream->awaited_since_ns >= core_->limits.response_timeout_ns) {
      core_->Count(HttpCounter::kTimedOut);
      TellEnd(stream, HttpEnd::kTimedOut);
      Forget(stream);
    }
    stream = next;
  }
}

int64_t Http2Connection::next_deadline_ns() const {
  int64_t next = linger_until_ns_;
  for (const Http2Stream* stream = first_; stream != nullptr; stream = stream->next) {
    if (stream->halves[kRequest].done && stream->websocket == nullptr) {
      next = std::min(next, stream->awaited_since_ns + core_->limits.response_timeout_ns);
    }
  }
  return next;
}

// ---- streams

Http2Stream* Http2Connection::Find(uint32_t id) const {
  Http2Stream* stream = buckets_[id / 2 % kBuckets];
  while (stream != nullptr && stream->id != id) stream = stream->chain;
  return stream;
}

Http2Stream* Http2Connection::Open(uint32_t id) {
  if (open_ >= core_->limits.streams_per_connection_max) {
    core_->Count(Http2Counter::kStreamsTooMany);
    return nullptr;
  }
  void* const block = core_->streams.Take();
  if (block == nullptr) {
    core_->Count(Http2Counter::kStreamsEmpty);
    return nullptr;
  }
  auto* const stream = new (block) Http2Stream;
  core_->Count(Http2Counter::kStreams);
  stream->id = id;
  Http2Stream*& bucket = buckets_[id / 2 % kBuckets];
  stream->chain = bucket;
  bucket = stream;
  stream->before = last_;
  (last_ == nullptr ? first_ : last_->next) = stream;
  last_ = stream;
  ++open_;
  return stream;
}

void Http2Connection::Forget(Http2Stream* stream) {
  for (Http2Stream::Half& half : stream->halves) half.body.Drop(core_);
  delete stream->websocket;
  Http2Stream** link = &buckets_[stream->id / 2 % kBuckets];
  while (*link != stream) link = &(*link)->chain;
  *link = stream->chain;
  (stream->before == nullptr ? first_ : stream->before->next) = stream->next;
  (stream->next == nullptr ? last_ : stream->next->before) = stream->before;
  --open_;
  lingering_ -= stream->reset_ns != 0;
  core_->streams.Give(stream);
}

void Http2Connection::TellEnd(Http2Stream* stream, HttpEnd end) {
  if (stream->websocket != nullptr) stream->websocket->Close(*at_);
  HttpTransactionInfo& info = stream->info;
  info.ambiguous |= at_->contested;
  Http2Stream::Half& request = stream->halves[kRequest];
  Http2Stream::Half& response = stream->halves[kResponse];
  // Of messages still being read: as far as they came. An upgraded request was counted by its own reader.
  if (!request.done) {
    info.request_body_bytes = request.body.bytes();
    info.request_body_cut = request.body.cut();
  }
  if (!response.done) {
    info.response_body_bytes = response.body.bytes();
    info.response_body_cut = response.body.cut();
  }
  info.request_data_bytes = request.data_bytes;
  info.response_data_bytes = response.data_bytes;
  core_->Count(HttpCounter::kTransactions);
  if (stream->handle != nullptr) core_->observer->OnTransactionEnd(*at_, stream->handle, end, info);
  stream->handle = nullptr;
}

// The message came to its end; the stream too when the other one has.
void Http2Connection::EndHalf(Http2Stream* stream, Side side) {
  Http2Stream::Half& half = stream->halves[side];
  if (stream->websocket != nullptr) stream->websocket->End(*at_, side == kRequest);
  half.body.End(core_);
  half.done = true;
  if (half.has_length && !half.no_body && !stream->info.gap && half.data_bytes != half.length) {
    Mark(stream, Http2Counter::kLengthMismatch);
  }
  HttpTransactionInfo& info = stream->info;
  if (side == kRequest) {
    info.request_complete = true;
    info.request_body_bytes = half.body.bytes();
    info.request_body_cut = half.body.cut();
    stream->awaited_since_ns = at_->time_ns;
    if (stream->handle != nullptr) core_->observer->OnRequestEnd(*at_, stream->handle);
  } else {
    info.response_complete = true;
    info.response_body_bytes = half.body.bytes();
    info.response_body_cut = half.body.cut();
  }
  if (!stream->halves[kRequest].done || !stream->halves[kResponse].done) return;
  TellEnd(stream, info.request_complete && info.response_complete ? HttpEnd::kComplete : HttpEnd::kFlowEnded);
  Forget(stream);
}

void Http2Connection::Mark(Http2Stream* stream, Http2Counter anomaly) {
  core_->Count(anomaly);
  stream->info.ambiguous = true;
}

void Http2Connection::PassedOver(uint32_t stream_id) {
  core_->Count(stream_id % 2 == 0 ? Http2Counter::kPushedFrames : Http2Counter::kClosedStreamFrames);
}

// ---- header blocks

void Http2Connection::OnBlock(bool from_client, const Http2Block& block) {
  if (block.promised_stream != 0) {
    core_->Count(Http2Counter::kPushPromised);
  } else if (block.stream_id % 2 == 0) {
    PassedOver(block.stream_id);
  } else if (from_client) {
    OnRequestBlock(block);
  } else {
    OnResponseBlock(block);
  }
}

void Http2Connection::OnRequestBlock(const Http2Block& block) {
  Http2Stream* stream = Find(block.stream_id);
  if (stream != nullptr && !stream->halves[kRequest].done) return OnTrailers(stream, kRequest, block);
  if (stream != nullptr || block.stream_id <= last_request_) return PassedOver(block.stream_id);
  last_request_ = block.stream_id;
  if (block.dropped) {  // counted by its reader; what follows of the request is passed over, its answer is not
    requests_missed_ = true;
    return;
  }
  stream = Open(block.stream_id);
  if (stream == nullptr) return;
  Http2Head parts = TakeApart(block, true);
  stream->info.index = next_index_++;
  stream->info.stream_id = block.stream_id;
  stream->info.gap = block.fields_lost > 0;
  stream->request = {parts.head.method == "HEAD", parts.head.method == "CONNECT"};
  if (parts.field_malformed) Mark(stream, Http2Counter::kFieldMalformed);
  if (parts.pseudo_malformed) Mark(stream, Http2Counter::kPseudoMalformed);
  if (parts.connection_field) Mark(stream, Http2Counter::kConnectionField);
  if (!fingerprint_done_) {
    Fingerprint(parts.pseudo_order);
    fingerprint_done_ = true;
  }
  core_->Count(HttpCounter::kRequests);
  StreamContext at = *at_;
  at.http2_hash = http2_hash();
  stream->handle = core_->observer->OnRequestHead(
      at, stream->info.index, {parts.head.method, parts.head.target, parts.head.host, parts.head.fields, 2, parts.protocol});
  if (parts.grpc) core_->Count(Http2Counter::kGrpc);
  BeginBody(stream, kRequest, parts.head, block.end_stream);
  stream->asks_websocket = stream->request.connect && parts.protocol == "websocket" && !block.end_stream;
  if (stream->asks_websocket) stream->halves[kRequest].body.Start(core_, {}, false);
  if (block.end_stream) EndHalf(stream, kRequest);
}

// A response without a stream belongs to a request that was not seen, unless it comes late on one that is over.
bool Http2Connection::OpensUnseen(uint32_t id) const { return id > last_request_ || requests_missed_; }

void Http2Connection::OnResponseBlock(const Http2Block& block) {
  Http2Stream* stream = Find(block.stream_id);
  if (stream == nullptr) {
    if (block.dropped || !OpensUnseen(block.stream_id)) return PassedOver(block.stream_id);
    stream = Open(block.stream_id);
    if (stream == nullptr) return;
    core_->Count(HttpCounter::kRequestUnseen);
    stream->info.index = next_index_++;
    stream->info.stream_id = block.stream_id;
    stream->halves[kRequest].done = true;
    stream->awaited_since_ns = at_->time_ns;
  }
  Http2Stream::Half& half = stream->halves[kResponse];
  if (half.done) return PassedOver(block.stream_id);
  if (half.head_seen || block.dropped) return OnTrailers(stream, kResponse, block);
  Http2Head parts = TakeApart(block, false);
  // Missing bytes took the head: these are its trailers.
  if (stream->info.gap && block.fields_lost == 0 && !parts.has_status) return OnTrailers(stream, kResponse, block);
  if (parts.head.status >= 100 && parts.head.status < 200 && !block.end_stream) {
    core_->Count(HttpCounter::kInterim);
    return;
  }
  if (block.fields_lost > 0) stream->info.gap = true;
  if (parts.field_malformed) Mark(stream, Http2Counter::kFieldMalformed);
  if (parts.pseudo_malformed) Mark(stream, Http2Counter::kPseudoMalformed);
  if (parts.connection_field) Mark(stream, Http2Counter::kConnectionField);
  core_->Count(HttpCounter::kResponses);
  stream->handle = core_->observer->OnResponseHead(*at_, stream->handle, stream->info.index,
                                                   {parts.head.status, parts.head.fields, 2});
  if (!block.end_stream && SwitchToWebSocket(stream, parts.head)) return;
  BeginBody(stream, kResponse, parts.head, block.end_stream);
  if (block.end_stream) EndHalf(stream, kResponse);
}

// RFC 8441, 5: any 2xx accepts, without the fields of an upgrade but with those of its extensions.
bool Http2Connection::SwitchToWebSocket(Http2Stream* stream, const Head& head) {
  if (!stream->asks_websocket || head.status / 100 != 2 || stream->halves[kRequest].done || core_->websockets == nullptr ||
      !core_->websockets->Wants(stream->handle)) {
    return false;
  }
  WebSocketTerms terms;
  ReadWebSocketExtensions(head.fields, &terms);
  core_->Count(Http2Counter::kWebSockets);
  stream->websocket = new (core_) WebSocketConnection(core_, terms, core_->websockets, stream->handle);
  stream->handle = nullptr;
  stream->halves[kResponse].head_seen = true;
  return true;
}

// A second block of a message, or one that could not be read.
void Http2Connection::OnTrailers(Http2Stream* stream, Side side, const Http2Block& block) {
  if (block.dropped) {
    stream->info.gap = true;
  } else {
    const Http2Head parts = TakeApart(block, side == kRequest);
    if (parts.field_malformed) Mark(stream, Http2Counter::kFieldMalformed);
    if (parts.pseudo_order != 0 || !block.end_stream) Mark(stream, Http2Counter::kPseudoMalformed);
    if (parts.connection_field) Mark(stream, Http2Counter::kConnectionField);
  }
  if (block.end_stream) EndHalf(stream, side);
}

void Http2Connection::BeginBody(Http2Stream* stream, Side side, const Head& head, bool ends) {
  Http2Stream::Half& half = stream->halves[side];
  half.head_seen = true;
  half.has_length = head.has_length && !head.length_unknown;
  half.length = head.length;
  half.no_body = side == kResponse && HasNoBody(head.status, stream->request);
  HttpAnomalies stops = 0;
  const BodyPlan plan = PlanHttp2Body(head, stream->request, ends, &stops);
  if (head.length_unknown) Mark(stream, Http2Counter::kLengthMismatch);
  core_->CountAll(stops);
  half.body.Start(core_, plan, stream->handle != nullptr && plan.kind != BodyKind::kNone);
}

// ---- bodies

bool Http2Connection::OnData(bool from_client, uint32_t stream_id, Bytes* data, DecodeBudget* budget) {
  const Side side = SideOf(from_client);
  Http2Stream* const stream = Find(stream_id);
  // Of streams that are not followed; DATA without a head may go on a head that was lost.
  if (stream == nullptr || stream->halves[side].done || !stream->halves[side].head_seen) {
    *data = {};
    return true;
  }
  Http2Stream::Half& half = stream->halves[side];
  const size_t given = data->size();
  if (stream->websocket != nullptr) {
    const size_t used = stream->websocket->Feed(*at_, from_client, *data, budget);
    *data = data->subspan(used);
    half.data_bytes += used;
    return data->empty();
  }
  body_of_ = stream;
  body_side_ = side;
  const bool goes_on = half.body.Take(core_, this, data, budget);
  half.data_bytes += given - data->size();
  return goes_on;
}

bool Http2Connection::OnDrain(bool from_client, uint32_t stream_id, DecodeBudget* budget) {
  Http2Stream* const stream = Find(stream_id);
  if (stream == nullptr) return true;  // reset by the other side meanwhile
  body_of_ = stream;
  body_side_ = SideOf(from_client);
  return stream->halves[body_side_].body.Drain(core_, this, budget);
}

void Http2Connection::OnBodyBytes(Bytes data) {
  if (body_of_->handle == nullptr) return;
  if (body_side_ == kRequest) {
    core_->observer->OnRequestBody(*at_, body_of_->handle, data);
  } else {
    core_->observer->OnResponseBody(*at_, body_of_->handle, data);
  }
}

void Http2Connection::OnMislabelled() {
  core_->Count(HttpCounter::kEncodingMislabelled);
  body_of_->info.ambiguous = true;
}

void Http2Connection::OnDataEnd(bool from_client, uint32_t stream_id, bool end_stream) {
  const Side side = SideOf(from_client);
  Http2Stream* const stream = Find(stream_id);
  if (stream == nullptr || stream->halves[side].done) return PassedOver(stream_id);
  if (stream->halves[side].no_body && stream->halves[side].data_bytes > 0 && end_stream) {
    Mark(stream, Http2Counter::kLengthMismatch);
  }
  if (end_stream && !MutantIs("http2.end_stream_unseen")) EndHalf(stream, side);
}

// ---- control frames

void Http2Connection::OnReset(bool from_client, uint32_t stream_id) {
  Http2Stream* const stream = Find(stream_id);
  if (stream == nullptr || stream->reset_ns != 0) {
    if (stream == nullptr || from_client) return PassedOver(stream_id);
  } else {
    core_->Count(Http2Counter::kStreamsReset);
  }
  // The client's reset and the server's answer may cross.
  const bool lingers = from_client && stream->websocket == nullptr && !stream->halves[kResponse].done && lingering_ < kLingeringMax &&
                       !MutantIs("http2.reset_forgets");
  if (!lingers) {
    TellEnd(stream, HttpEnd::kFlowEnded);
    return Forget(stream);
  }
  ++lingering_;
  stream->reset_ns = std::max<int64_t>(at_->time_ns, 1);
  linger_until_ns_ = std::min(linger_until_ns_, stream->reset_ns + kLingerNs);
  Http2Stream::Half& request = stream->halves[kRequest];
  if (request.done) return;
  request.done = true;
  request.body.Drop(core_);
  stream->info.request_body_bytes = request.body.bytes();
  stream->info.request_body_cut = true;
  stream->awaited_since_ns = at_->time_ns;
}

void Http2Connection::OnSetting(bool from_client, uint16_t id, uint32_t value) {
  if (from_client && !fingerprint_done_) Fingerprint(static_cast<uint64_t>(id) << 32 | value);
  const Side side = SideOf(from_client);
  if (id == kHttp2SettingTableSize) {
    table_size_[side] = table_pending_[side] ? std::max(table_size_[side], value) : value;
    table_pending_[side] = true;
  } else if (id == kHttp2SettingFrameSize) {
    // Not below what was in force: frames sent before it arrived may be as large.
    (from_client ? server_ : client_).SetFrameSizeMax(std::clamp(value, kHttp2FrameSizeMin, (1u << 24) - 1));
  }
}

// An acknowledgement says from where in its sender's bytes the other side's table size holds.
void Http2Connection::OnSettingsEnd(bool from_client, bool ack) {
  if (!ack) return;
  const Side other = SideOf(!from_client);
  if (!table_pending_[other]) return;
  table_pending_[other] = false;
  (from_client ? client_ : server_).SetTableMax(table_size_[other]);
}

void Http2Connection::OnWindowUpdate(bool from_client, uint32_t stream_id, uint32_t increment) {
  if (from_client && stream_id == 0 && !fingerprint_done_) Fingerprint(uint64_t{1} << 48 | increment);
}

void Http2Connection::Fingerprint(uint64_t value) { fingerprint_ = Mix64(fingerprint_ * 3 + value + 1); }

// ---- missing bytes

void Http2Connection::OnGap(bool from_client, uint32_t stream_id) {
  const Side side = SideOf(from_client);
  if (stream_id == 0 && from_client) requests_missed_ = true;
  for (Http2Stream* stream = first_; stream != nullptr; stream = stream->next) {
    if (stream_id != 0 && stream->id != stream_id) continue;
    if (stream->halves[side].done) continue;
    stream->info.gap = true;
    // How much of this stream is missing nobody says: its frames cannot be found again.
    if (stream->websocket != nullptr) stream->websocket->Gap(*at_, from_client, UINT64_MAX);
    stream->halves[side].body.Gap(core_);
  }
}

void Http2Connection::OnGaveUp(bool) { Close(*at_, HttpEnd::kMalformed); }

}  // namespace stillwatch::dataplane
