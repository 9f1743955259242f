#include "tools/stillwatch/inspect.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/tls/key_feed.h"
#include "tools/stillwatch/args.h"
#include "tools/stillwatch/capture_run.h"
#include "tools/stillwatch/inspect_exchange.h"
#include "tools/stillwatch/inspect_layers.h"
#include "tools/stillwatch/inspect_packets.h"

namespace stillwatch {
namespace {

int Usage(const std::string& what) {
  std::fprintf(stderr,
               "stillwatch: %s\n"
               "usage: stillwatch inspect --layer packet|stream|tls|http|http2|websocket|exchange [--keylog FILE] [--ignore-checksums] "
               "[--trusted-hops N] [--show-text] CAPTURE...\n",
               what.c_str());
  return kExitBadUsage;
}

// Accounts are named under the all-zero key: inspect has no configuration.
Status InspectExchanges(std::span<const std::string> captures, dataplane::WorkerOptions options, int trusted_hops, bool show_text) {
  InspectExchangeOptions exchange;
  exchange.llm.trusted_hops = trusted_hops;
  options.trust_proxy_header = trusted_hops > 0;
  options.tell_connections = true;
  exchange.show_text = show_text;
  const std::unique_ptr<ExchangeInspector> inspector = MakeExchangeInspector(exchange);
  return RunCaptures(captures, options, inspector->http(), inspector->output(), nullptr);
}

}  // namespace

int InspectMain(std::span<char*> args) {
  std::string layer, key_log;
  std::vector<std::string> captures;
  dataplane::WorkerOptions options;
  bool show_text = false, words_only = false;
  int trusted_hops = 0;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string_view word = args[i];
    if (words_only || !word.starts_with("-")) {
      captures.emplace_back(word);
    } else if (word == "--") {
      words_only = true;
    } else if (word == "--layer") {
      if (++i == args.size()) return Usage("--layer needs a value");
      layer = args[i];
    } else if (word.starts_with("--layer=")) {
      layer = word.substr(8);
    } else if (word == "--keylog") {
      if (++i == args.size()) return Usage("--keylog needs a file");
      key_log = args[i];
    } else if (word == "--ignore-checksums") {
      options.ignore_checksums = true;
    } else if (word == "--trusted-hops") {
      constexpr int kHopsMax = 16;
      const std::string_view number = ++i == args.size() ? "" : args[i];
      const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), trusted_hops);
      if (error != std::errc() || end != number.data() + number.size() || trusted_hops < 0 || trusted_hops > kHopsMax) {
        return Usage("--trusted-hops needs a number from 0 to 16");
      }
    } else if (word == "--show-text") {
      show_text = true;
    } else {
      return Usage("unknown option " + std::string(word));
    }
  }
  if (layer != "packet" && layer != "http" && layer != "http2" && layer != "websocket" && layer != "stream" && layer != "tls" && layer != "exchange") {
    return Usage(layer.empty() ? "--layer is missing" : "there is no layer " + layer);
  }
  if (captures.empty()) return Usage("name a capture");
  std::unique_ptr<dataplane::KeyFeed> keys;
  if (!key_log.empty()) {
    Result<std::unique_ptr<dataplane::KeyFeed>> read = dataplane::KeyFeed::ReadFile(key_log, 1);
    if (!read.ok()) return Complain(kExitUnreadable, read.message());
    keys = std::move(read).value();
    options.tls.secrets = keys->ring(0);
    options.tls.secrets_max = std::max(options.tls.secrets_max, static_cast<uint32_t>(keys->sessions_max()));
  }
  const Status status = layer == "packet"   ? InspectPackets(captures, options.ignore_checksums, stdout)
                        : layer == "http"   ? InspectHttp(captures, options, stdout)
                        : layer == "http2"  ? InspectHttp2(captures, options, stdout)
                        : layer == "websocket" ? InspectWebSocket(captures, options, stdout)
                        : layer == "stream" ? InspectStreams(captures, options, stdout)
                        : layer == "tls"    ? InspectTls(captures, options, stdout)
                                            : InspectExchanges(captures, options, trusted_hops, show_text);
  if (!status.ok()) return Complain(kExitUnreadable, status.message());
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
    return Complain(kExitFailed, "the output cannot be written: " + std::string(std::strerror(errno)));
  }
  return kExitDone;
}

}  // namespace stillwatch
