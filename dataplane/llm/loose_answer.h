// An answer read by the names of its fields alone: for doors behind which many families of models answer (Bedrock's
// invoke) and for APIs that we do not know. Names that mean one thing with all servers we know are taken; others are
// passed over, so nothing is guessed from a value.
//
// Known: OpenAI's choices, Anthropic's content blocks, Bedrock's output and its events, Titan's results, Llama's
// generation, Cohere's generations and text, Claude 2's completion, Mistral's outputs, Ollama's and Cohere's message.
#pragma once

#include "dataplane/llm/dialect.h"

namespace stillwatch::dataplane {

void ReadLooseAnswer(JsonReader& json, OutputDigest* output);
// The same of one event; `type` as the event stream named it.
void ReadLooseEvent(JsonReader& json, std::string_view type, OutputDigest* output);

}  // namespace stillwatch::dataplane
