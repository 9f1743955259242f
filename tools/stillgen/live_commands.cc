#include <cstdio>
#include <fstream>

#include "tools/stillgen/commands.h"
#include "tools/stillgen/play.h"
#include "tools/stillgen/serve.h"
#include "tools/stillgen/truth.h"
#include "tools/stillgen/world_options.h"

namespace stillwatch::stillgen {
namespace {

int Wrong(const char* command, const std::string& message) {
  std::fprintf(stderr, "stillgen %s: %s\n", command, message.c_str());
  return 64;
}

nlohmann::ordered_json JsonOf(const PlayCounts& c) {
  return {{"connections", c.connections}, {"requests_sent", c.requests}, {"responses_received", c.responses},
          {"rate_limited", c.rate_limited}, {"bytes_sent", c.bytes_out}, {"bytes_received", c.bytes_in},
          {"connect_errors", c.connect_errors}, {"broken", c.broken}, {"unreadable", c.unreadable},
          {"unanswered", c.unanswered}};
}

nlohmann::ordered_json JsonOf(const ServeCounts& c) {
  return {{"connections", c.connections}, {"requests_received", c.requests}, {"responses_sent", c.responses},
          {"rate_limited", c.rate_limited}, {"bytes_received", c.bytes_in}, {"bytes_sent", c.bytes_out},
          {"bad_requests", c.bad_requests}, {"broken", c.broken}};
}

}  // namespace

int RunServe(int argc, char** argv) {
  auto options = Options::Parse(argc, argv, {"listen", "speed", "seed", "split", "stats", "rate-limited", "answer-tokens"});
  if (!options.ok()) return Wrong("serve", options.message());
  const Options& given = options.value();
  const auto at = ParseEndpoint(given.Text("listen"));
  if (!at.ok()) return Wrong("serve", "--listen: " + at.message());
  RaiseDescriptorLimit();
  auto listener = Listen(at.value());
  if (!listener.ok()) {
    std::fprintf(stderr, "stillgen serve: %s: %s\n", given.Text("listen").c_str(), listener.message().c_str());
    return 1;
  }
  Responder::Options response;
  response.speed = given.Number("speed", 1, 0.001, 1e6);
  response.rate_limited = given.Number("rate-limited", response.rate_limited, 0, 1);
  response.answer_tokens = given.Number("answer-tokens", response.answer_tokens, 1, 100000);
  const Rng rng(static_cast<uint64_t>(given.Number("seed", 1, 0, 9e15)));
  const auto split = SplitOf(given.Text("split", "train"));
  if (!split.has_value()) return Wrong("serve", "--split is train, dev or test");
  const Grammar grammar(*split);
  const Prose prose(rng.Fork("prose"), &grammar);
  const Responder responder(rng.Fork("responder"), &prose, response);
  const Fd stop = StopSignals();
  Server server(&responder, std::move(listener).value());
  std::fprintf(stderr, "stillgen serve: listening on %s\n", given.Text("listen").c_str());
  server.Run(stop.get(), -1);
  if (given.Has("stats")) std::ofstream(given.Text("stats")) << JsonOf(server.counts()).dump(1) << "\n";
  return 0;
}

int RunPlay(int argc, char** argv) {
  auto names = WorldOptionNames();
  names.insert(names.end(), {"target", "duration", "truth", "source-prefix", "progress!"});
  auto options = Options::Parse(argc, argv, names);
  if (!options.ok()) return Wrong("play", options.message());
  const Options& given = options.value();
  PlayOptions play;
  const auto target = ParseEndpoint(given.Text("target"));
  if (!target.ok()) return Wrong("play", "--target: " + target.message());
  play.target = target.value();
  if (given.Has("source-prefix")) {
    const auto prefix = ParsePrefix(given.Text("source-prefix"));
    if (!prefix.ok()) return Wrong("play", prefix.message());
    play.sources = prefix.value();
  }
  auto built = WorldFromOptions(given, -1);
  if (!built.ok()) return Wrong("play", built.message());
  World& world = *built.value().world;
  const double duration_s = given.Number("duration", 60, 0.1, 86400);
  play.duration_ns = static_cast<int64_t>(duration_s * 1e9);
  play.speed = static_cast<double>(world.options.duration_ns) / static_cast<double>(play.duration_ns);
  if (given.Has("progress")) {
    play.progress = [&](int64_t wall_ns, const PlayCounts& c) {
      std::fprintf(stderr, "\r%4lld of %.0f s: %llu requests sent, %llu answered, %llu errors ",
                   static_cast<long long>(wall_ns / kNsPerSecond), duration_s, static_cast<unsigned long long>(c.requests),
                   static_cast<unsigned long long>(c.responses),
                   static_cast<unsigned long long>(c.connect_errors + c.broken + c.unreadable));
    };
  }
  RaiseDescriptorLimit();
  const Fd stop = StopSignals();
  world.options.start_unix_ns = SystemClock().UnixNs();
  const auto played = Play(&world, play, stop.get());
  if (given.Has("progress")) std::fputs("\n", stderr);
  if (!played.ok()) {
    std::fprintf(stderr, "stillgen play: %s: %s\n", given.Text("target").c_str(), played.message().c_str());
    return 1;
  }
  for (const auto& account : world.accounts) {  // the truth tells wall time
    account->first_ns = static_cast<int64_t>(static_cast<double>(account->first_ns) / play.speed);
    account->last_ns = static_cast<int64_t>(static_cast<double>(account->last_ns) / play.speed);
  }
  auto truth = TruthOf(world, built.value().mix, built.value().account_key);
  truth["live"] = JsonOf(played.value());
  truth["live"]["speed"] = play.speed;
  if (given.Has("truth")) {
    const Status status = WriteTruth(given.Text("truth"), truth);
    if (!status.ok()) {
      std::fprintf(stderr, "stillgen play: %s\n", status.message().c_str());
      return 1;
    }
  }
  std::fprintf(stderr, "%s\n", truth["live"].dump().c_str());
  return 0;
}

}  // namespace stillwatch::stillgen
