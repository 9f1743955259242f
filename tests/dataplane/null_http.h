// Observers that want nothing, for tests of the layers below HTTP.
#pragma once

#include "dataplane/http/http_observer.h"
#include "dataplane/worker_output.h"

namespace stillwatch::testing {

class NullHttp final : public dataplane::HttpObserver {
 public:
  Handle OnRequestHead(const dataplane::StreamContext&, uint64_t, const dataplane::HttpRequestHead&) override {
    return nullptr;
  }
  void OnRequestBody(const dataplane::StreamContext&, Handle, Bytes) override {}
  void OnRequestEnd(const dataplane::StreamContext&, Handle) override {}
  Handle OnResponseHead(const dataplane::StreamContext&, Handle, uint64_t, const dataplane::HttpResponseHead&) override {
    return nullptr;
  }
  void OnResponseBody(const dataplane::StreamContext&, Handle, Bytes) override {}
  void OnTransactionEnd(const dataplane::StreamContext&, Handle, dataplane::HttpEnd,
                        const dataplane::HttpTransactionInfo&) override {}
};

class NullOutput final : public dataplane::WorkerOutput {
 public:
  void OnExchange(const dataplane::ExchangeView&) override {}
  void OnFlowRecord(const dataplane::FlowRecord&) override {}
};

}  // namespace stillwatch::testing
