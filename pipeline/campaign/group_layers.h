// The functions behind the rows of GroupLayers(), one pair a file: *_layer.cc beside this.
#pragma once

#include "pipeline/campaign/group_layer.h"

namespace stillwatch::pipeline {

Finding MeasureSemantic(const GroupView& view, const Tunables& tunables);
std::string SemanticSentence(const Finding& finding);

Finding MeasureSynchrony(const GroupView& view, const Tunables& tunables);
std::string SynchronySentence(const Finding& finding);

Finding MeasureStack(const GroupView& view, const Tunables& tunables);
std::string StackSentence(const Finding& finding);

Finding MeasureSignups(const GroupView& view, const Tunables& tunables);
std::string SignupSentence(const Finding& finding);

Finding MeasureResidual(const GroupView& view, const Tunables& tunables);
std::string ResidualSentence(const Finding& finding);

Finding MeasureExactRules(const GroupView& view, const Tunables& tunables);
std::string ExactRulesSentence(const Finding& finding);

Finding MeasureNetwork(const GroupView& view, const Tunables& tunables);
std::string NetworkSentence(const Finding& finding);

// "4.6" from 46.
std::string TenthsText(uint64_t tenths);

}  // namespace stillwatch::pipeline
