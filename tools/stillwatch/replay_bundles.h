// What `stillctl import` and `stillctl export` do on a live box, for captures and recorded exchanges: times are traffic times.
#pragma once

#include <string>

#include "base/result.h"
#include "config/config.h"
#include "pipeline/pipeline.h"
#include "tools/stillwatch/settings.h"

namespace stillwatch {

// A partner's STIX bundle, before anything is played.
Status ImportBundle(const std::string& path, const Secrets& secrets, pipeline::Pipeline* pipeline);

// DIR/PARTNER.CAMPAIGN.json for every live campaign and partner, as things stand at the end. Makes DIR.
Status ExportBundles(const std::string& dir, const config::Config& config, const Secrets& secrets, const pipeline::Pipeline& pipeline);

}  // namespace stillwatch
