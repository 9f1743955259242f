#include <cstdio>

#include "tools/stillgen/capture.h"
#include "tools/stillgen/commands.h"
#include "tools/stillgen/truth.h"
#include "tools/stillgen/world_options.h"

namespace stillwatch::stillgen {

int RunCapture(int argc, char** argv) {
  auto names = WorldOptionNames();
  names.insert(names.end(), {"out", "truth", "reorder", "dup", "loss", "rate-limited", "answer-tokens", "port"});
  auto options = Options::Parse(argc, argv, names);
  if (options.ok() && !options.value().Has("out")) options = Error{"--out FILE.pcap is missing"};
  if (!options.ok()) {
    std::fprintf(stderr, "stillgen capture: %s\n", options.message().c_str());
    return 64;
  }
  const Options& given = options.value();
  auto built = WorldFromOptions(given, -1);
  if (!built.ok()) {
    std::fprintf(stderr, "stillgen capture: %s\n", built.message().c_str());
    return 64;
  }
  CaptureOptions capture;
  capture.path = given.Text("out");
  capture.reorder = given.Number("reorder", 0, 0, 0.3);
  capture.dup = given.Number("dup", 0, 0, 0.3);
  capture.loss = given.Number("loss", 0, 0, 0.3);
  capture.server_port = static_cast<uint16_t>(given.Number("port", 80, 1, 65535));
  capture.responder.rate_limited = given.Number("rate-limited", capture.responder.rate_limited, 0, 1);
  capture.responder.answer_tokens = given.Number("answer-tokens", capture.responder.answer_tokens, 1, 100000);
  World& world = *built.value().world;
  const auto written = WriteCapture(&world, capture);
  if (!written.ok()) {
    std::fprintf(stderr, "stillgen capture: %s\n", written.message().c_str());
    return 1;
  }
  const CaptureTotals& totals = written.value();
  auto truth = TruthOf(world, built.value().mix, built.value().account_key);
  truth["capture"] = {{"file", capture.path.substr(capture.path.rfind('/') + 1)}, {"frames", totals.frames}, {"bytes", totals.bytes},
                      {"connections", totals.connections}, {"exchanges", totals.exchanges}, {"rate_limited", totals.rate_limited}};
  if (given.Has("truth")) {
    const Status status = WriteTruth(given.Text("truth"), truth);
    if (!status.ok()) {
      std::fprintf(stderr, "stillgen capture: %s\n", status.message().c_str());
      return 1;
    }
  }
  std::fprintf(stderr, "%s: %llu frames, %llu bytes, %llu connections, %llu exchanges of %llu accounts, %llu of them in campaigns\n",
               capture.path.c_str(), static_cast<unsigned long long>(totals.frames), static_cast<unsigned long long>(totals.bytes),
               static_cast<unsigned long long>(totals.connections), static_cast<unsigned long long>(totals.exchanges),
               static_cast<unsigned long long>(truth["totals"]["accounts"].get<uint64_t>()),
               static_cast<unsigned long long>(truth["totals"]["campaign_accounts"].get<uint64_t>()));
  return 0;
}

}  // namespace stillwatch::stillgen
