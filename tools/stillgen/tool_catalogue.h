// Tools that agents declare and the model calls: name, description, JSON schema, and an argument object.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tools/stillgen/model_request.h"
#include "tools/stillgen/prose.h"
#include "tools/stillgen/rng.h"

namespace stillwatch::stillgen {

std::span<const ToolSpec> ToolCatalogue();

// A plausible argument object for the tool of that name ({} for a name we do not know).
std::string ToolArguments(std::string_view tool, const Prose& prose, Rng& rng);

}  // namespace stillwatch::stillgen
