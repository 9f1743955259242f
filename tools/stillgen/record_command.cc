#include <cstdio>
#include <ctime>

#include "base/partner_salt.h"
#include "dataplane/llm/exchange_file.h"
#include "tools/stillgen/commands.h"
#include "tools/stillgen/exchange_recorder.h"
#include "tools/stillgen/truth.h"
#include "tools/stillgen/world_options.h"

namespace stillwatch::stillgen {
namespace {

int Wrong(const std::string& message, int status) {
  std::fprintf(stderr, "stillgen record: %s\n", message.c_str());
  return status;
}

}  // namespace

int RunRecord(int argc, char** argv) {
  auto names = WorldOptionNames();
  names.insert(names.end(), {"out", "truth", "rate-limited", "answer-tokens", "salt", "partner-key", "sample"});
  auto options = Options::Parse(argc, argv, names);
  if (options.ok() && !options.value().Has("out")) options = Error{"--out FILE.exchanges is missing"};
  if (!options.ok()) return Wrong(options.message(), 64);
  const Options& given = options.value();
  auto built = WorldFromOptions(given, -1);
  if (!built.ok()) return Wrong(built.message(), 64);
  if (built.value().account_key.empty()) return Wrong("--account-key is missing: exchanges carry key ids", 64);
  std::string secret;
  if (given.Has("salt")) {
    auto salt = ReadAccountKey(given.Text("salt"));
    if (!salt.ok()) return Wrong("--salt is hex:DIGITS or file:PATH, as privacy.salt", 64);
    secret = salt.value();
  }
  std::vector<Salt> partners;
  if (given.Has("partner-key")) {
    auto key = ReadAccountKey(given.Text("partner-key"));
    if (!key.ok()) return Wrong("--partner-key is hex:DIGITS or file:PATH, as in sharing.partners", 64);
    partners.push_back(PartnerSalt(key.value()));
  }
  World& world = *built.value().world;
  const Salt salt = SaltFromSecret(secret);
  auto opened = dataplane::ExchangeFileWriter::Open(given.Text("out"), dataplane::MarksOf(salt, built.value().account_key));
  if (!opened.ok()) return Wrong(opened.message(), 1);
  dataplane::ExchangeFileWriter& file = opened.value();
  Responder::Options responder;
  responder.rate_limited = given.Number("rate-limited", responder.rate_limited, 0, 1);
  responder.answer_tokens = given.Number("answer-tokens", responder.answer_tokens, 1, 100000);
  const uint32_t sample = static_cast<uint32_t>(given.Number("sample", 1, 1, 1e6));
  ExchangeRecorder recorder(world, salt, built.value().account_key, partners);
  const std::clock_t begin = std::clock();
  const DriveTotals totals = Drive(&world, responder, [&](const Exchanged& exchanged) {
    file.Advance(world.options.start_unix_ns + exchanged.asked_ns);
    if (exchanged.account->index % sample == 0) file.Add(recorder.Record(exchanged));
  });
  const Status closed = file.Close();
  if (!closed.ok()) return Wrong(closed.message(), 1);
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;  // of processor time
  for (auto& account : world.accounts) {  // the truth is of what the file holds
    if (account->index % sample == 0) continue;
    account->requests = account->harvest = 0;
  }
  auto truth = TruthOf(world, built.value().mix, built.value().account_key);
  truth["recorded"] = {{"exchanges", file.written()}, {"bytes", file.bytes()}, {"played", totals.exchanges}, {"sample", sample}};
  if (given.Has("truth")) {
    const Status status = WriteTruth(given.Text("truth"), truth);
    if (!status.ok()) return Wrong(status.message(), 1);
  }
  std::fprintf(stderr, "%s: %llu of %llu exchanges, %llu bytes, played %.0f exchanges a second of processor time\n", given.Text("out").c_str(),
               static_cast<unsigned long long>(file.written()), static_cast<unsigned long long>(totals.exchanges),
               static_cast<unsigned long long>(file.bytes()), static_cast<double>(totals.exchanges) / seconds);
  return 0;
}

}  // namespace stillwatch::stillgen
