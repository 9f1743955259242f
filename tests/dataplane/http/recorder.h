// An observer that writes down what the HTTP layer says, and a driver that feeds a connection piece by piece.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/http/http_connection.h"

namespace stillwatch::dataplane {

struct SeenTransaction {
  bool has_request = false, has_response = false, request_ended = false, ended = false;
  std::string method, target, host;
  std::vector<std::pair<std::string, std::string>> request_fields, response_fields;
  uint16_t status = 0;
  std::string request_body, response_body;
  HttpEnd end = HttpEnd::kComplete;
  HttpTransactionInfo info;

  bool flagged() const {
    return info.ambiguous || end == HttpEnd::kMalformed;
  }
};

class Recorder final : public HttpObserver {
 public:
  std::vector<std::unique_ptr<SeenTransaction>> seen;
  std::string log;        // every call in order; body data of neighbouring calls joined
  bool decline = false;   // answer nullptr to every request

  Handle OnRequestHead(const StreamContext&, uint64_t index, const HttpRequestHead& head) override {
    Note("request", index);
    log += std::string(head.method) + " " + std::string(head.target) + " " + std::string(head.host);
    if (decline) return nullptr;
    SeenTransaction* const t = Add();
    t->has_request = true;
    t->method = head.method;
    t->target = head.target;
    t->host = head.host;
    Copy(head.headers, &t->request_fields);
    return t;
  }
  void OnRequestBody(const StreamContext&, Handle handle, Bytes data) override {
    Body("request-body", handle, data, &SeenTransaction::request_body);
  }
  void OnRequestEnd(const StreamContext&, Handle handle) override {
    Note("request-end", Id(handle));
    static_cast<SeenTransaction*>(handle)->request_ended = true;
  }
  Handle OnResponseHead(const StreamContext&, Handle handle, uint64_t index,
                        const HttpResponseHead& head) override {
    Note("response", index);
    log += std::to_string(head.status);
    if (decline) return nullptr;
    auto* t = static_cast<SeenTransaction*>(handle);
    if (t == nullptr) t = Add();
    t->has_response = true;
    t->status = head.status;
    Copy(head.headers, &t->response_fields);
    return t;
  }
  void OnResponseBody(const StreamContext&, Handle handle, Bytes data) override {
    Body("response-body", handle, data, &SeenTransaction::response_body);
  }
  void OnTransactionEnd(const StreamContext&, Handle handle, HttpEnd end,
                        const HttpTransactionInfo& info) override {
    Note("end", Id(handle));
    auto* const t = static_cast<SeenTransaction*>(handle);
    log += std::to_string(static_cast<int>(end)) + (info.ambiguous ? " ambiguous" : "") +
           (info.gap ? " gap" : "") + (info.request_complete ? " q" : "") +
           (info.response_complete ? " r" : "") + " " + std::to_string(info.request_body_bytes) +
           " " + std::to_string(info.response_body_bytes) +
           (info.request_body_cut || info.response_body_cut ? " cut" : "");
    ended_twice |= t->ended;
    t->ended = true;
    t->end = end;
    t->info = info;
  }

  bool ended_twice = false;

 private:
  SeenTransaction* Add() {
    seen.push_back(std::make_unique<SeenTransaction>());
    return seen.back().get();
  }
  size_t Id(Handle handle) const {
    return static_cast<size_t>(
        std::find_if(seen.begin(), seen.end(), [&](auto& t) { return t.get() == handle; }) -
        seen.begin());
  }
  void Copy(std::span<const HttpHeader> fields,
            std::vector<std::pair<std::string, std::string>>* out) {
    for (const HttpHeader& f : fields) {
      out->emplace_back(f.name, f.value);
      log += "|" + std::string(f.name) + "=" + std::string(f.value);
    }
  }
  void Note(std::string_view what, uint64_t id) {
    log += "\n" + std::string(what) + " " + std::to_string(id) + " ";
    body_open_.clear();
  }
  void Body(std::string_view what, Handle handle, Bytes data, std::string SeenTransaction::*body) {
    const std::string key = std::string(what) + std::to_string(Id(handle));
    if (body_open_ != key) Note(what, Id(handle));
    body_open_ = key;
    log += AsText(data);
    (static_cast<SeenTransaction*>(handle)->*body) += AsText(data);
    largest_call = std::max(largest_call, data.size());
  }
  std::string body_open_;

 public:
  size_t largest_call = 0;
};

// Feeds pieces, each from its own heap block freed right after (views kept too long show under ASan), with the
// given budget for each step.
class Driver {
 public:
  explicit Driver(HttpLimits limits = SmallLimits())
      : shared(MakeHttpShared(limits, &recorder)), connection(MakeHttpConnection(shared.get())) {
    shared->RegisterCounters(&registry);
  }

  static HttpLimits SmallLimits() {
    HttpLimits limits;
    limits.connections_max = 4;
    limits.transactions_max = 256;
    limits.large_heads_max = 4;
    limits.decoders_max = 8;
    limits.window_bytes_max = 1u << 20;
    // A sanitizer touches what is reserved, and tests make thousands of drivers.
    limits.streams_max = 1'024;
    limits.hpack_bytes_max = 2u << 20;
    return limits;
  }

  void Feed(bool from_client, std::string_view text) {
    const auto block = std::make_unique<uint8_t[]>(text.size());
    std::copy(text.begin(), text.end(), block.get());
    Bytes data(block.get(), text.size());
    while (!data.empty()) {
      DecodeBudget budget{budget_bytes};
      const size_t taken = connection->Feed(context, from_client, data, &budget);
      data = data.subspan(taken);
      ++steps;
    }
  }
  void Client(std::string_view text) { Feed(true, text); }
  void Server(std::string_view text) { Feed(false, text); }
  void FeedBytewise(bool from_client, std::string_view text) {
    for (const char& c : text) Feed(from_client, {&c, 1});
  }
  void Close(HttpEnd end = HttpEnd::kFlowEnded) { connection->Close(context, end); }

  uint64_t Count(const std::string& name) const { return registry.Snapshot().at(name); }
  const SeenTransaction& operator[](size_t i) const { return *recorder.seen.at(i); }
  size_t size() const { return recorder.seen.size(); }

  Recorder recorder;
  CounterRegistry registry;
  std::unique_ptr<HttpShared> shared;
  std::unique_ptr<HttpConnection> connection;
  StreamContext context;
  uint64_t budget_bytes = 64u << 10;
  size_t steps = 0;
};

}  // namespace stillwatch::dataplane
