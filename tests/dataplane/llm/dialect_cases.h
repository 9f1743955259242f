// One case a dialect that no recording in tests/data covers: bodies written by hand from the APIs' public
// documentation (linked in each dialect's file). What is expected was written down with them, not computed.
#pragma once

#include <string>
#include <vector>

namespace stillwatch::dataplane::testing {

struct DialectCase {
  const char* name;
  const char* target;
  const char* response_type;
  const char* request;
  const char* response;
  // Expected: "dialect api", model, user's last text, system, answer's text, reasoning, finish, tokens in and out,
  // tool called, events.
  const char *kind, *model, *user, *system, *text, *reasoning, *finish;
  unsigned tokens_in, tokens_out;
  const char* tool;
  unsigned events;
};

inline constexpr DialectCase kDialectCases[] = {
    {"ollama chat, streamed by lines", "/api/chat", "application/x-ndjson",
     R"({"model":"llama3.2","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"why is the sky blue?"}],"options":{"temperature":0.5,"num_predict":40}})",
     R"({"model":"llama3.2","created_at":"2023-08-04T08:52:19.385406455-07:00","message":{"role":"assistant","content":"","thinking":"Rayleigh."},"done":false})"
     "\n"
     R"({"model":"llama3.2","created_at":"2023-08-04T08:52:19.385406455-07:00","message":{"role":"assistant","content":"It scat"},"done":false})"
     "\n"
     R"({"model":"llama3.2","message":{"role":"assistant","content":"ters.","tool_calls":[{"function":{"name":"lookup","arguments":{"q":"sky"}}}]},"done":false})"
     "\n"
     R"({"model":"llama3.2","message":{"role":"assistant","content":""},"done_reason":"stop","done":true,"total_duration":4883583458,"prompt_eval_count":26,"eval_count":282})"
     "\n",
     "ollama chat", "llama3.2", "why is the sky blue?", "", "It scatters.", "Rayleigh.", "stop", 26, 282, "lookup", 4},
    {"ollama generate, whole", "/api/generate", "application/json; charset=utf-8",
     R"({"model":"llama3.2","prompt":"Why is the sky blue?","system":"Talk like a pirate.","stream":false})",
     R"({"model":"llama3.2","response":"Arr, the light scatters.","done":true,"done_reason":"length","context":[1,2,3],"prompt_eval_count":11,"eval_count":7})",
     "ollama generate", "llama3.2", "Why is the sky blue?", "Talk like a pirate.", "Arr, the light scatters.", "",
     "length", 11, 7, "", 0},
    {"ollama embed", "/api/embed", "application/json", R"({"model":"all-minilm","input":["Why is the sky blue?","And the grass?"]})",
     R"({"model":"all-minilm","embeddings":[[0.01,-0.001],[0.3,0.2]],"prompt_eval_count":8})", "ollama embeddings",
     "all-minilm", "And the grass?", "", "", "", "", 8, 0, "", 0},
    {"anthropic count_tokens", "/v1/messages/count_tokens", "application/json",
     R"({"model":"claude-x","system":"You are a scientist","messages":[{"role":"user","content":"Hello, Claude"}]})",
     R"({"input_tokens":14})", "anthropic count_tokens", "claude-x", "Hello, Claude", "You are a scientist", "", "", "",
     14, 0, "", 0},
    {"gemini countTokens of a whole request", "/v1beta/models/gemini-2.0-flash:countTokens", "application/json",
     R"({"generateContentRequest":{"model":"models/gemini-2.0-flash","contents":[{"role":"user","parts":[{"text":"The quick brown fox"}]}],"systemInstruction":{"parts":[{"text":"Count."}]}}})",
     R"({"totalTokens":11,"promptTokensDetails":[{"modality":"TEXT","tokenCount":11}]})", "gemini count_tokens",
     "gemini-2.0-flash", "The quick brown fox", "Count.", "", "", "", 11, 0, "", 0},
    {"gemini by Code Assist, streamed, as the Gemini CLI asks", "/v1internal:streamGenerateContent?alt=sse", "text/event-stream",
     R"({"model":"gemini-2.5-pro","project":"p","user_prompt_id":"u","request":{"contents":[{"role":"user","parts":[{"text":"list files"}]}],"systemInstruction":{"role":"user","parts":[{"text":"You are an agent."}]},"generationConfig":{"temperature":0,"topP":1},"session_id":"s"}})",
     "data: {\"response\":{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"thought\":true,\"text\":\"Hm.\"},{\"text\":\"a.\"}]}}],\"usageMetadata\":{\"promptTokenCount\":7}},\"traceId\":\"t\"}\r\n\r\n"
     "data: {\"response\":{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"py\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":7,\"candidatesTokenCount\":3}},\"traceId\":\"t\"}\r\n\r\n",
     "gemini streamGenerateContent", "gemini-2.5-pro", "list files", "You are an agent.", "a.py", "Hm.", "STOP", 7, 3, "", 2},
    {"gemini interaction", "/v1beta/interactions", "application/json",
     R"({"model":"gemini-3.8-flash","system_instruction":"Be brief.","input":[{"type":"text","text":"Explain how AI works"},{"type":"text","text":"in a few words"}],"generation_config":{"temperature":0.5},"tools":[{"type":"google_search"}]})",
     R"({"id":"v1_ChdpQUFvYXI","status":"completed","usage":{"total_tokens":197,"total_input_tokens":8,"total_output_tokens":12},"steps":[{"type":"user_input","content":[{"type":"text","text":"Explain"}]},{"type":"thought","signature":"EvEFCu4FAQw","summary":[{"type":"text","text":"Plan."}]},{"type":"model_output","content":[{"type":"text","text":"AI learns patterns."}]}],"object":"interaction","model":"gemini-3.8-flash"})",
     "gemini interactions", "gemini-3.8-flash", "Explain how AI works\nin a few words", "Be brief.", "AI learns patterns.", "Plan.", "completed", 8, 12, "", 0},
    {"gemini interaction, streamed, goes on and calls a tool", "/v1beta/interactions?alt=sse", "text/event-stream",
     R"({"model":"gemini-3.8-flash","input":[{"type":"user_input","content":[{"type":"text","text":"17 and 25?"}]}],"previous_interaction_id":"v1_ChdpQUFvYXI","stream":true})",
     "event: interaction.created\ndata: {\"interaction\":{\"id\":\"v1_b\",\"status\":\"in_progress\",\"model\":\"gemini-3.8-flash\"},\"event_type\":\"interaction.created\"}\n\n"
     "event: step.start\ndata: {\"index\":0,\"step\":{\"type\":\"thought\"},\"event_type\":\"step.start\"}\n\n"
     "event: step.delta\ndata: {\"index\":0,\"delta\":{\"content\":{\"text\":\"Add.\",\"type\":\"text\"},\"type\":\"thought_summary\"},\"event_type\":\"step.delta\"}\n\n"
     "event: step.delta\ndata: {\"index\":0,\"delta\":{\"signature\":\"EvEFCu4F\",\"type\":\"thought_signature\"},\"event_type\":\"step.delta\"}\n\n"
     "event: step.start\ndata: {\"index\":1,\"step\":{\"content\":[{\"text\":\"I \",\"type\":\"text\"}],\"type\":\"model_output\"},\"event_type\":\"step.start\"}\n\n"
     "event: step.delta\ndata: {\"index\":1,\"delta\":{\"text\":\"add.\",\"type\":\"text\"},\"event_type\":\"step.delta\"}\n\n"
     "event: step.start\ndata: {\"index\":2,\"step\":{\"type\":\"function_call\",\"id\":\"c1\",\"name\":\"add\",\"arguments\":{}},\"event_type\":\"step.start\"}\n\n"
     "event: step.delta\ndata: {\"index\":2,\"delta\":{\"type\":\"arguments_delta\",\"arguments\":\"{}\"},\"event_type\":\"step.delta\"}\n\n"
     "event: interaction.completed\ndata: {\"interaction\":{\"id\":\"v1_b\",\"status\":\"requires_action\",\"steps\":[{\"type\":\"model_output\",\"content\":[{\"type\":\"text\",\"text\":\"I add.\"}]}],\"usage\":{\"total_input_tokens\":11,\"total_output_tokens\":9}},\"event_type\":\"interaction.completed\"}\n\n"
     "event: done\ndata: [DONE]\n\n",
     "gemini interactions", "gemini-3.8-flash", "17 and 25?", "", "I add.", "Add.", "requires_action", 11, 9, "add", 9},
    {"gemini countTokens by Code Assist", "/v1internal:countTokens", "application/json",
     R"({"request":{"model":"models/gemini-2.5-pro","contents":[{"role":"user","parts":[{"text":"list files"}]}]}})",
     R"({"totalTokens":3})", "gemini count_tokens", "gemini-2.5-pro", "list files", "", "", "", "", 3, 0, "", 0},
    {"openai responses input_tokens", "/v1/responses/input_tokens", "application/json",
     R"({"model":"gpt-5","input":"Tell me a joke."})", R"({"object":"response.input_tokens","input_tokens":11})",
     "openai count_tokens", "gpt-5", "Tell me a joke.", "", "", "", "", 11, 0, "", 0},
    {"claude on vertex", "/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-sonnet-4@20250514:rawPredict",
     "application/json",
     R"({"anthropic_version":"vertex-2023-10-16","max_tokens":100,"messages":[{"role":"user","content":"Hello"}]})",
     R"({"id":"msg_vrtx_1","type":"message","role":"assistant","model":"claude-sonnet-4-20250514","content":[{"type":"text","text":"Hi."}],"stop_reason":"end_turn","usage":{"input_tokens":8,"output_tokens":4}})",
     "anthropic rawPredict", "claude-sonnet-4@20250514", "Hello", "", "Hi.", "", "end_turn", 8, 4, "", 0},
    {"claude on vertex, streamed",
     "/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-x:streamRawPredict", "text/event-stream",
     R"({"anthropic_version":"vertex-2023-10-16","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"Hello"}]})",
     "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude-x\",\"usage\":{\"input_tokens\":8,\"output_tokens\":1}}}\n\n"
     "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi.\"}}\n\n"
     "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":4}}\n\n",
     "anthropic streamRawPredict", "claude-x", "Hello", "", "Hi.", "", "end_turn", 8, 4, "", 3},
    {"mistral on vertex", "/v1/projects/p/locations/l/publishers/mistralai/models/mistral-large-2411%3ArawPredict",
     "application/json", R"({"model":"mistral-large-2411","messages":[{"role":"user","content":"Bonjour"}]})",
     R"({"id":"x","model":"mistral-large-2411","choices":[{"index":0,"message":{"role":"assistant","content":"Salut"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}})",
     "openai rawPredict", "mistral-large-2411", "Bonjour", "", "Salut", "", "stop", 3, 2, "", 0},
    {"mistral fill in the middle", "/v1/fim/completions", "application/json",
     R"({"model":"codestral-latest","prompt":"def f(","suffix":"return a+b","max_tokens":64})",
     R"({"id":"f","model":"codestral-latest","choices":[{"index":0,"message":{"role":"assistant","content":"a, b):"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":5}})",
     "openai completions", "codestral-latest", "def f(", "", "a, b):", "", "stop", 9, 5, "", 0},
    {"vllm chat with reasoning", "/v1/chat/completions", "application/json",
     R"({"model":"Qwen/QwQ-32B","messages":[{"role":"user","content":"9.11 or 9.8?"}],"top_k":20,"chat_template_kwargs":{"enable_thinking":true}})",
     R"({"id":"chatcmpl-1","object":"chat.completion","model":"Qwen/QwQ-32B","choices":[{"index":0,"message":{"role":"assistant","reasoning_content":"Compare.","content":"9.8","tool_calls":[]},"logprobs":null,"finish_reason":"stop","stop_reason":null}],"usage":{"prompt_tokens":12,"total_tokens":20,"completion_tokens":8},"prompt_logprobs":null})",
     "openai chat", "Qwen/QwQ-32B", "9.11 or 9.8?", "", "9.8", "Compare.", "stop", 12, 8, "", 0},
    {"vllm tokenize", "/tokenize", "application/json",
     R"({"model":"Qwen/QwQ-32B","messages":[{"role":"user","content":"hello"}]})",
     R"({"count":9,"max_model_len":40960,"tokens":[1,2,3]})", "openai count_tokens", "Qwen/QwQ-32B", "hello", "", "",
     "", "", 0, 0, "", 0},
    {"llama by bedrock invoke", "/model/meta.llama3-8b-instruct-v1%3A0/invoke", "application/json",
     R"({"prompt":"Say hi","max_gen_len":16,"temperature":0.2,"top_p":0.9})",
     R"({"generation":"Hi!","prompt_token_count":3,"generation_token_count":2,"stop_reason":"stop"})",
     "bedrock invoke", "meta.llama3-8b-instruct-v1:0", "Say hi", "", "Hi!", "", "stop", 3, 2, "", 0},
    {"mistral by bedrock invoke", "/model/mistral.mistral-7b-instruct-v0%3A2/invoke", "application/json",
     R"({"prompt":"<s>[INST]Say hi[/INST]","max_tokens":16})",
     R"({"outputs":[{"text":" Hi!","stop_reason":"length"}]})", "bedrock invoke",
     "mistral.mistral-7b-instruct-v0:2", "<s>[INST]Say hi[/INST]", "", " Hi!", "", "length", 0, 0, "", 0},
    {"openai chat that answers in audio, streamed", "/v1/chat/completions", "text/event-stream",
     R"({"model":"gpt-audio","modalities":["text","audio"],"audio":{"voice":"alloy","format":"pcm16"},"stream":true,"messages":[{"role":"user","content":"Is a golden retriever a good family dog?"}]})",
     "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null,\"refusal\":null,\"audio\":{\"id\":\"audio_6725224ac62481908ab55dc283289d87\",\"transcript\":\"Yes, \"}},\"finish_reason\":null}]}\n\n"
     "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"audio\":{\"data\":\"UklGRg==\"}},\"finish_reason\":null}]}\n\n"
     "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"audio\":{\"transcript\":\"they are.\"}},\"finish_reason\":null}]}\n\n"
     "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"audio\":{\"expires_at\":1730234186}},\"finish_reason\":\"stop\"}]}\n\n"
     "data: [DONE]\n\n",
     "openai chat", "gpt-audio", "Is a golden retriever a good family dog?", "", "Yes, they are.", "", "stop", 0, 0, "", 4},
    {"openai chat that calls a custom tool", "/v1/chat/completions", "application/json",
     R"({"model":"gpt-5","messages":[{"role":"user","content":"Print hello"}],"tools":[{"type":"custom","custom":{"name":"code_exec"}}]})",
     R"({"id":"chatcmpl-2","model":"gpt-5","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"custom","custom":{"name":"code_exec","input":"print 'hello'"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"completion_tokens":5}})",
     "openai chat", "gpt-5", "Print hello", "", "", "", "tool_calls", 9, 5, "code_exec", 0},
    {"openai responses that patch a file", "/v1/responses", "application/json",
     R"({"model":"gpt-5.1","input":"Mend it","tools":[{"type":"apply_patch"}]})",
     R"({"id":"resp_1","model":"gpt-5.1","status":"completed","output":[{"id":"apc_1","type":"apply_patch_call","status":"completed","call_id":"call_1","operation":{"type":"update_file","path":"fib.py","diff":"@@\n-def fib(n):\n+def fibonacci(n):\n"}}],"usage":{"input_tokens":9,"output_tokens":5}})",
     "openai responses", "gpt-5.1", "Mend it", "", "", "", "completed", 9, 5, "apply_patch_call", 0},
    {"claude on vertex, its version escaped",
     "/v1/projects/p/locations/l/publishers/anthropic/models/claude-sonnet-4%4020250514:rawPredict", "application/json",
     R"({"anthropic_version":"vertex-2023-10-16","max_tokens":100,"messages":[{"role":"user","content":"Hello"}]})",
     R"({"id":"msg_vrtx_1","type":"message","role":"assistant","model":"claude-sonnet-4-20250514","content":[{"type":"text","text":"Hi."}],"stop_reason":"end_turn","usage":{"input_tokens":8,"output_tokens":4}})",
     "anthropic rawPredict", "claude-sonnet-4@20250514", "Hello", "", "Hi.", "", "end_turn", 8, 4, "", 0},
    {"deepseek by bedrock invoke", "/model/us.deepseek.r1-v1%3A0/invoke", "application/json",
     R"({"prompt":"<|User|>Say hi<|Assistant|><think>\n","max_tokens":512,"temperature":0.5,"top_p":0.9})",
     R"({"choices":[{"text":"Hi!","stop_reason":"stop"}]})", "bedrock invoke", "us.deepseek.r1-v1:0",
     "<|User|>Say hi<|Assistant|><think>\n", "", "Hi!", "", "stop", 0, 0, "", 0},
    {"mistral's chat by bedrock invoke", "/model/mistral.mistral-large-2407-v1%3A0/invoke", "application/json",
     R"({"messages":[{"role":"user","content":"Say hi"}],"max_tokens":16})",
     R"({"choices":[{"index":0,"message":{"role":"assistant","content":"Hi!"},"stop_reason":"length"}]})",
     "bedrock invoke", "mistral.mistral-large-2407-v1:0", "Say hi", "", "Hi!", "", "length", 0, 0, "", 0},
    {"command r by bedrock invoke", "/model/cohere.command-r-plus-v1%3A0/invoke", "application/json",
     R"({"message":"Tell me more about him","chat_history":[{"role":"USER","message":"Who discovered gravity?"},{"role":"CHATBOT","message":"Isaac Newton"}],"preamble":"Be a historian.","max_tokens":400,"p":0.75})",
     R"({"response_id":"r1","text":"He was born in 1643.","generation_id":"g1","finish_reason":"COMPLETE","chat_history":[{"role":"USER","message":"Who discovered gravity?"}]})",
     "bedrock invoke", "cohere.command-r-plus-v1:0", "Tell me more about him", "Be a historian.", "He was born in 1643.", "",
     "COMPLETE", 0, 0, "", 0},
    {"bedrock converse, what a guardrail looks at, and an answer with citations", "/model/m/converse", "application/json",
     R"({"system":[{"text":"Be brief."},{"guardContent":{"text":{"text":"Only songs."}}}],"messages":[{"role":"user","content":[{"guardContent":{"text":{"text":"Create a playlist of 2 heavy metal songs.","qualifiers":["query"]}}}]}]})",
     R"({"output":{"message":{"role":"assistant","content":[{"citationsContent":{"content":[{"text":"Painkiller."}],"citations":[{"title":"d","sourceContent":[{"text":"not said"}],"location":{"documentPage":{"documentIndex":0,"start":1,"end":2}}}]}}]}},"stopReason":"end_turn","usage":{"inputTokens":12,"outputTokens":3,"totalTokens":15}})",
     "bedrock converse", "m", "Create a playlist of 2 heavy metal songs.", "Be brief.\nOnly songs.", "Painkiller.", "", "end_turn", 12, 3, "", 0},
    {"bedrock converse with a prompt that is kept", "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aprompt%2FP%3A1/converse", "application/json",
     R"({"promptVariables":{"genre":{"text":"jazz"},"number":{"text":"2"}}})",
     R"({"output":{"message":{"role":"assistant","content":[{"text":"So What."}]}},"stopReason":"end_turn","usage":{"inputTokens":30,"outputTokens":4}})",
     "bedrock converse", "arn:aws:bedrock:us-east-1:1:prompt/P:1", "jazz\n2", "", "So What.", "", "end_turn", 30, 4, "", 0},
    {"cohere, which no dialect claims", "/v2/chat", "application/json",
     R"({"model":"command-r","messages":[{"role":"user","content":"Tell me about LLMs"}]})",
     R"({"id":"c14c","finish_reason":"COMPLETE","message":{"role":"assistant","content":[{"type":"text","text":"LLMs are large."}]},"usage":{"billed_units":{"input_tokens":5,"output_tokens":4},"tokens":{"input_tokens":71,"output_tokens":6}}})",
     "generic unknown", "command-r", "Tell me about LLMs", "", "LLMs are large.", "", "COMPLETE", 71, 6, "", 0},
    {"an unknown completion", "/my/own/llm", "application/json", R"({"model":"m","prompt":"once upon"})",
     R"({"id":"c","choices":[{"text":"a time","index":0,"finish_reason":"length"}],"usage":{"prompt_tokens":2,"completion_tokens":2}})",
     "generic unknown", "m", "once upon", "", "a time", "", "length", 2, 2, "", 0},
    {"an unknown chat by events", "/my/own/llm", "text/event-stream",
     R"({"model":"m","prompt":"once upon","stream":true})",
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a \"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"time\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
     "generic unknown", "m", "once upon", "", "a time", "", "stop", 0, 0, "", 2},
};

}  // namespace stillwatch::dataplane::testing
