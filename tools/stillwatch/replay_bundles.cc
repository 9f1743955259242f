#include "tools/stillwatch/replay_bundles.h"

#include <filesystem>
#include <fstream>

#include "base/time_format.h"
#include "pipeline/sink/json_writer.h"
#include "tools/stillwatch/partner_claims.h"
#include "tools/stix/bundle.h"

namespace stillwatch {

namespace {

nlohmann::json JsonOf(const google::protobuf::Message& message) {
  std::string text;
  pipeline::AppendRecord(message, &text);
  return nlohmann::json::parse(text);
}

}  // namespace

Status ImportBundle(const std::string& path, const Secrets& secrets, pipeline::Pipeline* pipeline) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{path + ": cannot be read"};
  std::string text(stix::kBundleBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  const Result<nlohmann::json> found = stix::ClaimOf(text);
  if (!found.ok()) return Error{path + ": " + found.message()};
  const Result<v1::PartnerClaim> claim = ReadClaim(found.value().dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), secrets);
  if (!claim.ok()) return Error{path + ": " + claim.message()};
  const Result<std::string> taken = pipeline->TakeClaim(claim.value(), "replay --import", 0);
  return taken.ok() ? Status() : Status(Error{path + ": " + taken.message()});
}

Status ExportBundles(const std::string& dir, const config::Config& config, const Secrets& secrets, const pipeline::Pipeline& pipeline) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) return Error{dir + ": " + error.message()};
  for (const v1::CampaignVerdict& campaign : pipeline.Campaigns()) {
    if (campaign.state() > v1::CAMPAIGN_STATE_DORMANT || pipeline.imports().Find(campaign.campaign_id()) != nullptr) continue;
    for (const PartnerSecret& partner : secrets.partners) {
      Result<v1::PartnerClaim> claim = pipeline.ClaimFor(partner.name, campaign.campaign_id());
      if (!claim.ok()) {
        std::printf("not exported for %s: %s\n", partner.name.c_str(), claim.message().c_str());
        continue;
      }
      SignClaim(pipeline.newest_ns() + config.sharing.valid_days * 24 * kNsPerHour, secrets, &claim.value());
      const std::string path = dir + "/" + partner.name + "." + campaign.campaign_id() + ".json";
      std::ofstream file(path, std::ios::binary);
      file << stix::Bundle(JsonOf(campaign), JsonOf(claim.value()), config.box.name, FormatTime(pipeline.newest_ns())).dump(2) << "\n";
      if (!file.flush()) return Error{path + ": cannot be written"};
      std::printf("exported: %s\n", path.c_str());
    }
  }
  return {};
}

}  // namespace stillwatch
