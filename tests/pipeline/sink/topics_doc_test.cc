#include "pipeline/sink/topics_doc.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace stillwatch::pipeline {
namespace {

TopicsDocInput Input() {
  auto input = ReadTopicsDocInput(STILLWATCH_BINARY_DIR "/generated/pipeline/proto/stillwatch.desc",
                                  STILLWATCH_SOURCE_DIR "/pipeline/proto/examples");
  EXPECT_TRUE(input.ok());
  return std::move(input).value();
}

std::string Document() {
  std::stringstream text;
  text << std::ifstream(STILLWATCH_SOURCE_DIR "/docs/topics.md").rdbuf();
  return text.str();
}

TEST(TopicsDocTest, TheDocIsWhatTheProtoSays) {
  const auto made = RegenerateTopicsDoc(Document(), Input());
  ASSERT_TRUE(made.ok()) << made.message();
  EXPECT_TRUE(made.value() == Document())
      << "docs/topics.md is stale: run BUILD/bin/topics_doc docs/topics.md";
}

// The test above can fail: a changed comment, a new field and a changed example each show.
TEST(TopicsDocTest, AChangedProtoMakesItStale) {
  TopicsDocInput input = Input();
  auto* file = input.descriptors.mutable_file(0);
  for (auto& message : *file->mutable_message_type()) {
    if (message.name() == "Audit") message.mutable_field(1)->set_name("who");
  }
  input.examples[Topic::kAudit] = "actor: 'x'";
  const auto made = RegenerateTopicsDoc(Document(), input);
  ASSERT_TRUE(made.ok()) << made.message();
  EXPECT_NE(made.value(), Document());

  TopicsDocInput commentless = Input();
  commentless.descriptors.mutable_file(0)->clear_source_code_info();
  const auto refused = RegenerateTopicsDoc(Document(), commentless);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.message().find("no comment"), std::string::npos) << refused.message();
}

TEST(TopicsDocTest, EveryTopicNeedsAPlace) {
  EXPECT_FALSE(RegenerateTopicsDoc("no marker here\n", Input()).ok());
  EXPECT_FALSE(
      RegenerateTopicsDoc(Document() + "<!-- generated: no-such-topic -->\n<!-- end -->\n", Input())
          .ok());
  EXPECT_FALSE(RegenerateTopicsDoc(Document() + "<!-- generated: audit -->\n", Input()).ok());
}

}  // namespace
}  // namespace stillwatch::pipeline
