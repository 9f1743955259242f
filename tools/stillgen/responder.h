// The model server's side: decides an answer and writes it as one of the four dialects answers, whole
// or as server-sent events. `capture` and `serve` use the same code. One per thread; no shared state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tools/stillgen/model_request.h"
#include "tools/stillgen/prose.h"
#include "tools/stillgen/rng.h"

namespace stillwatch::stillgen {

// What the server reads out of a request.
struct RequestFacts {
  Api api = Api::kChat;
  std::string model;
  bool stream = false;
  bool json_output = false;
  bool reasoning = false;
  int max_tokens = -1;
  bool logprobs = false;
  int tool_results = 0;                     // answers of tools already in the conversation
  std::vector<std::string_view> tool_names; // declared
  size_t body_bytes = 0;
};
RequestFacts FactsOf(Api api, const Prompt& prompt, size_t body_bytes);

// A stretch of the response and how long after the request's end it leaves.
struct ResponsePiece {
  int64_t at_ns = 0;
  size_t begin = 0, end = 0;  // into Response::bytes
};
struct Response {
  Answer answer;
  std::string bytes;
  std::vector<ResponsePiece> pieces;  // in order, covering bytes
};

class Responder {
 public:
  struct Options {
    double rate_limited = 0.004;  // share of requests answered 429
    double answer_tokens = 300;   // median length
    double speed = 1.0;           // delays are divided by this
    bool words = true;            // false: answers have length, id and calls, and no words
  };
  Responder(Rng rng, const Prose* prose, Options options)
      : rng_(rng), prose_(prose), options_(options) {}

  struct Decision {
    Answer answer;
    int64_t first_ns = 0, whole_ns = 0;  // delays of the first and the last byte
  };
  // The answer alone, without a dialect's bytes.
  Decision Decide(const RequestFacts& facts, uint64_t serial) const;

  // `serial` numbers the requests of this run; `unix_s` is stamped into the answer.
  Response Respond(const RequestFacts& facts, uint64_t serial, int64_t unix_s) const;

 private:
  Answer Choose(const RequestFacts& facts, Rng& rng) const;

  Rng rng_;
  const Prose* prose_;
  Options options_;
};

}  // namespace stillwatch::stillgen
