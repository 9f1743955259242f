// Conversations with realtime APIs, made from the events that their documentation shows, and the exchanges that they are.
#pragma once

#include <vector>

#include "dataplane/llm/exchange.h"

namespace stillwatch::dataplane::testing {

struct RealtimeEvent {
  char from;  // 'c'lient or 's'erver
  const char* json;
};

struct RealtimeExchange {
  const char *model, *user, *system, *text, *finish, *tool;
  unsigned turns, tokens_in, tokens_out, status;
};

struct RealtimeCase {
  const char* name;
  const char* target;
  std::vector<RealtimeEvent> events;
  std::vector<RealtimeExchange> exchanges;
  Api api = Api::kRealtime;
};

inline const RealtimeCase kRealtimeCases[] = {
    {"openai, text, two answers, the second with the first in its history",
     "/v1/realtime?model=gpt-realtime",
     {{'s', R"({"type":"session.created","event_id":"event_C9G5RJeJ2gF77mV7f2B1j","session":{"id":"sess_C9G5QPteg4UIbotdKLoYQ","object":"realtime.session","model":"gpt-realtime-2025-08-28","instructions":"Your knowledge cutoff is 2023-10. You are a helpful AI.","tools":[]}})"},
      {'c', R"({"type":"session.update","session":{"type":"realtime","instructions":"Answer in one word.","tools":[{"type":"function","name":"lookup","parameters":{}}],"max_output_tokens":300,"output_modalities":["text"]}})"},
      {'s', R"({"type":"session.updated","event_id":"event_C9G8mqI3IucaojlVKE8Cs","session":{"model":"gpt-realtime-2025-08-28","instructions":"Answer in one word."}})"},
      {'c', R"({"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"Capital of France?"}]}})"},
      {'s', R"({"type":"conversation.item.added","event_id":"event_C9G8psjY294mLqUZlqLEq","item":{"id":"item_C9G8pPDp5UDsMhVPqWmtc","type":"message","role":"user","content":[{"type":"input_text","text":"Capital of France?"}]}})"},
      {'c', R"({"type":"response.create"})"},
      {'s', R"({"type":"response.created","event_id":"event_C9G8pqbTEddBSIxbBN6Os","response":{"object":"realtime.response","id":"resp_C9G8p7IH2WxLbkgPNouYL","status":"in_progress","output":[],"conversation_id":"conv_C9G5RJfAKVlSCVhWcPRnz","usage":null}})"},
      {'s', R"({"type":"response.output_text.delta","event_id":"event_1","response_id":"resp_C9G8p7IH2WxLbkgPNouYL","item_id":"item_C9G8pTWFqRyUGr2B1dmcZ","output_index":0,"content_index":0,"delta":"Par"})"},
      {'s', R"({"type":"response.output_text.delta","event_id":"event_2","response_id":"resp_C9G8p7IH2WxLbkgPNouYL","item_id":"item_C9G8pTWFqRyUGr2B1dmcZ","output_index":0,"content_index":0,"delta":"is"})"},
      {'s', R"({"type":"response.output_text.done","event_id":"event_3","response_id":"resp_C9G8p7IH2WxLbkgPNouYL","text":"Paris"})"},
      {'s', R"({"type":"response.done","event_id":"event_4","response":{"object":"realtime.response","id":"resp_C9G8p7IH2WxLbkgPNouYL","status":"completed","status_details":null,"output":[{"id":"item_C9G8pTWFqRyUGr2B1dmcZ","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Paris"}]}],"conversation_id":"conv_C9G5RJfAKVlSCVhWcPRnz","usage":{"total_tokens":40,"input_tokens":38,"output_tokens":2}}})"},
      {'c', R"({"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"And of Italy?"}]}})"},
      {'c', R"({"event_id":"e2","response":{"instructions":"Shout."},"type":"response.create"})"},
      {'s', R"({"type":"response.created","response":{"id":"resp_DKM2Lw0TzqvVm8iV3bX4n","status":"in_progress"}})"},
      {'s', R"({"type":"response.done","response":{"id":"resp_DKM2Lw0TzqvVm8iV3bX4n","status":"incomplete","status_details":{"type":"incomplete","reason":"max_output_tokens"},"output":[{"id":"item_x","type":"message","role":"assistant","content":[{"type":"output_text","text":"ROME"}]}],"usage":{"input_tokens":60,"output_tokens":3}}})"}},
     {{"gpt-realtime", "Capital of France?", "Answer in one word.", "Paris", "completed", "lookup", 1, 38, 2, 200},
      {"gpt-realtime", "And of Italy?", "Shout.", "ROME", "incomplete", "lookup", 3, 60, 3, 200}}},

    {"openai beta, speech: the server begins, the transcript of what was heard comes last",
     "/openai/realtime?api-version=2024-10-01-preview&deployment=gpt-4o-realtime",
     {{'s', R"({"type":"session.created","event_id":"event_1","session":{"id":"sess_001","model":"gpt-4o-realtime-preview"}})"},
      {'c', R"({"type":"input_audio_buffer.append","audio":"UklGRuQAAABXQVZFZm10IBAAAAABAAEA"})"},
      {'s', R"({"type":"input_audio_buffer.speech_stopped","audio_end_ms":2000,"item_id":"msg_003"})"},
      {'s', R"({"type":"conversation.item.created","item":{"id":"msg_003","type":"message","role":"user","content":[{"type":"input_audio","transcript":null}]}})"},
      {'s', R"({"type":"response.created","response":{"id":"resp_001","status":"in_progress"}})"},
      {'s', R"({"type":"response.audio_transcript.delta","response_id":"resp_001","item_id":"msg_008","delta":"Good "})"},
      {'s', R"({"type":"response.audio.delta","response_id":"resp_001","item_id":"msg_008","delta":"UklGRg=="})"},
      {'s', R"({"type":"conversation.item.input_audio_transcription.completed","item_id":"msg_003","content_index":0,"transcript":"How are you?"})"},
      {'s', R"({"type":"response.audio_transcript.delta","response_id":"resp_001","item_id":"msg_008","delta":"thanks"})"},
      {'s', R"({"type":"response.done","response":{"id":"resp_001","status":"completed","output":[{"id":"msg_008","type":"message","role":"assistant","content":[{"type":"audio","transcript":"Good thanks"}]}],"usage":{"input_tokens":120,"output_tokens":50}}})"}},
     {{"gpt-4o-realtime", "How are you?", "", "Good thanks", "completed", "", 1, 120, 50, 200}}},

    {"openai, a tool is called and answers; then an answer beside the conversation",
     "/v1/realtime",
     {{'s', R"({"type":"session.created","session":{"model":"gpt-realtime-mini"}})"},
      {'c', R"({"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"my sign?"}]}})"},
      {'c', R"({"type":"response.create","response":{"tools":[{"type":"function","name":"horoscope"}]}})"},
      {'s', R"({"type":"response.created","response":{"id":"resp_AeqL8XwMUOri9OhcQJIu9"}})"},
      {'s', R"({"type":"response.function_call_arguments.delta","response_id":"resp_AeqL8XwMUOri9OhcQJIu9","delta":"{\"sign\":"})"},
      {'s', R"({"type":"response.output_item.done","response_id":"resp_AeqL8XwMUOri9OhcQJIu9","item":{"id":"item_AeqL8gmRWDn9bIsUM2T35","type":"function_call","name":"horoscope","call_id":"call_sHlR7iaFwQ2YQOqm","arguments":"{\"sign\":\"Aquarius\"}"}})"},
      {'s', R"({"type":"response.done","response":{"id":"resp_AeqL8XwMUOri9OhcQJIu9","status":"completed","output":[{"type":"function_call","name":"horoscope","call_id":"call_sHlR7iaFwQ2YQOqm","arguments":"{\"sign\":\"Aquarius\"}"}],"usage":{"input_tokens":10,"output_tokens":11}}})"},
      {'c', R"({"type":"conversation.item.create","item":{"type":"function_call_output","call_id":"call_sHlR7iaFwQ2YQOqm","output":"{\"h\":\"luck\"}"}})"},
      {'c', R"({"type":"response.create","event_id":"q1","response":{"conversation":"none","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"Is this spam?"}]}]}})"},
      {'c', R"({"type":"response.create","event_id":"q2"})"},
      {'s', R"({"type":"error","error":{"type":"invalid_request_error","code":"conversation_already_has_active_response","event_id":"q2"}})"},
      {'s', R"({"type":"response.created","response":{"id":"resp_beside","conversation_id":null}})"},
      {'s', R"({"type":"response.done","response":{"id":"resp_beside","conversation_id":null,"status":"completed","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"no"}]}],"usage":{"input_tokens":4,"output_tokens":1}}})"},
      {'c', R"({"type":"response.create","event_id":"q3"})"},
      {'s', R"({"type":"response.created","response":{"id":"resp_last"}})"},
      {'s', R"({"type":"response.done","response":{"id":"resp_last","status":"failed","status_details":{"type":"failed","error":{"type":"tokens","code":"rate_limit_exceeded"}},"output":[]}})"}},
     {{"gpt-realtime-mini", "my sign?", "", "", "completed", "horoscope", 1, 10, 11, 200},
      {"gpt-realtime-mini", "my sign?", "", "", "", "", 3, 0, 0, 400},
      {"gpt-realtime-mini", "Is this spam?", "", "no", "completed", "", 1, 4, 1, 200},
      {"gpt-realtime-mini", "my sign?", "", "", "failed", "", 3, 0, 0, 429}}},

    {"gemini live, text, then speech with transcripts",
     "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
     {{'c', R"({"setup":{"model":"models/gemini-2.0-flash-live-001","generationConfig":{"responseModalities":["TEXT"],"temperature":0.5},"systemInstruction":{"parts":[{"text":"Be brief."}]},"tools":[{"functionDeclarations":[{"name":"lights"}]}]}})"},
      {'s', R"({"setupComplete":{}})"},
      {'c', R"({"clientContent":{"turns":[{"role":"user","parts":[{"text":"Hello there"}]}],"turnComplete":true}})"},
      {'s', R"({"serverContent":{"modelTurn":{"parts":[{"text":"Hi"}]}}})"},
      {'s', R"({"serverContent":{"modelTurn":{"parts":[{"text":", you"}]}}})"},
      {'s', R"({"serverContent":{"generationComplete":true}})"},
      {'s', R"({"serverContent":{"turnComplete":true},"usageMetadata":{"promptTokenCount":20,"responseTokenCount":5,"totalTokenCount":25}})"},
      {'c', R"({"realtimeInput":{"audio":{"data":"UklGRg==","mimeType":"audio/pcm;rate=16000"}}})"},
      {'s', R"({"serverContent":{"inputTranscription":{"text":"Lights "}}})"},
      {'s', R"({"serverContent":{"inputTranscription":{"text":"on."}}})"},
      {'s', R"({"toolCall":{"functionCalls":[{"id":"function-call-1","name":"lights","args":{"on":true}}]},"usageMetadata":{"promptTokenCount":60,"responseTokenCount":9}})"},
      {'c', R"({"toolResponse":{"functionResponses":[{"id":"function-call-1","name":"lights","response":{"ok":true}}]}})"},
      {'s', R"({"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm","data":"UklGRg=="}}]}}})"},
      {'s', R"({"serverContent":{"outputTranscription":{"text":"Done"}}})"},
      {'s', R"({"serverContent":{"interrupted":true}})"},
      {'s', R"({"serverContent":{"turnComplete":true}})"}},
     {{"gemini-2.0-flash-live-001", "Hello there", "Be brief.", "Hi, you", "turn_complete", "lights", 1, 20, 5, 200},
      {"gemini-2.0-flash-live-001", "Lights on.", "Be brief.", "", "tool_call", "lights", 3, 60, 9, 200},
      {"gemini-2.0-flash-live-001", "Lights on.", "Be brief.", "Done", "interrupted", "lights", 4, 0, 0, 200}}},

    {"gemini live from a browser, with a token of its own",
     "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained?access_token=auth_tokens/1",
     {{'c', R"({"setup":{"model":"models/gemini-2.0-flash-live-001"}})"},
      {'c', R"({"clientContent":{"turns":[{"role":"user","parts":[{"text":"Hello there"}]}],"turnComplete":true}})"},
      {'s', R"({"serverContent":{"modelTurn":{"parts":[{"text":"Hi"}]}}})"},
      {'s', R"({"serverContent":{"turnComplete":true},"usageMetadata":{"promptTokenCount":2,"responseTokenCount":1}})"}},
     {{"gemini-2.0-flash-live-001", "Hello there", "", "Hi", "turn_complete", "", 1, 2, 1, 200}}},

    {"openai responses over one WebSocket, in turns and in two lanes",
     "/v1/responses",
     {{'c', R"({"type":"response.create","model":"gpt-5.2","store":false,"instructions":"Be brief.","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"Find fizz_buzz"}]}],"tools":[{"type":"function","name":"grep"}]})"},
      {'s', R"({"type":"codex.rate_limits","plan_type":"plus"})"},
      {'s', R"({"type":"response.created","sequence_number":0,"response":{"id":"resp_0123456789abcdef0123456789abcdef","status":"in_progress","model":"gpt-5.2"}})"},
      {'s', R"({"type":"response.output_item.done","sequence_number":5,"output_index":0,"item":{"id":"fc_1","type":"function_call","name":"grep","call_id":"call_1","arguments":"{\"q\":\"fizz_buzz\"}"}})"},
      {'s', R"({"type":"response.completed","sequence_number":6,"response":{"id":"resp_0123456789abcdef0123456789abcdef","status":"completed","output":[],"usage":{"input_tokens":40,"output_tokens":9}}})"},
      {'c', R"({"type":"response.create","model":"gpt-5.2","store":false,"previous_response_id":"resp_0123456789abcdef0123456789abcdef","input":[{"type":"function_call_output","call_id":"call_1","output":"a.py:3"},{"type":"message","role":"user","content":[{"type":"input_text","text":"Mend it"}]}]})"},
      {'s', R"({"type":"response.created","response":{"id":"resp_2","status":"in_progress"}})"},
      {'s', R"({"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"content_index":0,"delta":"Do"})"},
      {'s', R"({"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"content_index":0,"delta":"ne."})"},
      {'s', R"({"type":"response.completed","response":{"id":"resp_2","status":"completed","usage":{"input_tokens":60,"output_tokens":2}}})"},
      {'c', R"({"type":"response.create","stream_id":"a","model":"gpt-5.2","input":"first lane"})"},
      {'c', R"({"type":"response.create","stream_id":"b","model":"gpt-5.2-mini","input":"second lane"})"},
      {'s', R"({"type":"response.created","stream_id":"b","response":{"id":"resp_b","status":"in_progress"}})"},
      {'s', R"({"type":"response.created","stream_id":"a","response":{"id":"resp_a","status":"in_progress"}})"},
      {'s', R"({"type":"response.output_text.delta","stream_id":"a","delta":"from a"})"},
      {'s', R"({"type":"response.output_text.delta","stream_id":"b","delta":"from b"})"},
      {'s', R"({"type":"response.incomplete","stream_id":"b","response":{"id":"resp_b","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}})"},
      {'s', R"({"type":"response.completed","stream_id":"a","response":{"id":"resp_a","status":"completed"}})"},
      {'c', R"({"type":"response.create","model":"gpt-5.2","previous_response_id":"resp_gone","input":"again"})"},
      {'s', R"({"type":"error","status":400,"error":{"code":"previous_response_not_found","message":"Previous response with id 'resp_gone' not found.","param":"previous_response_id"}})"},
      {'c', R"({"type":"response.create","model":"gpt-5.2","input":"and again"})"},
      {'s', R"({"type":"error","status":429,"error":{"type":"usage_limit_reached","message":"The usage limit has been reached"}})"}},
     {{"gpt-5.2", "Find fizz_buzz", "Be brief.", "", "completed", "grep", 1, 40, 9, 200},
      {"gpt-5.2", "Mend it", "", "Done.", "completed", "", 2, 60, 2, 200},
      {"gpt-5.2-mini", "second lane", "", "from b", "incomplete", "", 1, 0, 0, 200},
      {"gpt-5.2", "first lane", "", "from a", "completed", "", 1, 0, 0, 200},
      {"gpt-5.2", "again", "", "", "", "", 1, 0, 0, 400},
      {"gpt-5.2", "and again", "", "", "", "", 1, 0, 0, 429}},
     Api::kResponses},
};

}  // namespace stillwatch::dataplane::testing
