// A synthetic population of accounts at token-hash level, for tests of detection: ordinary users, the
// look-alikes of docs/detection.md and hidden campaigns, drawn from wide ranges by a seed. It shares
// nothing with stillgen. Deterministic: the same options give the same exchanges.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/llm/exchange_builder.h"

namespace stillwatch::crowd {

// How this crowd hashes a token; given to the pipeline so that its word list matches.
uint32_t TokenOf(std::string_view word);

struct Account {
  std::string id;    // 32 hex digits, as verdicts print it
  std::string kind;  // "chat", "classroom", ..., or the campaign's name
  int campaign = -1;
  uint32_t network = 0;  // its /24
  uint64_t end_user = 0;  // named in its requests; several may share an id then: a reseller's
};

struct Request {
  int64_t time_ns = 0;
  uint32_t account = 0;
  bool harvest = false;
  bool conversation = false, tools = false;
  std::vector<uint32_t> system, instruction;
  int32_t temperature_milli = 0;
  uint32_t max_tokens = 0;
  uint32_t model = 0, agent = 0;
  uint64_t declared_organisation = 0;  // of a request header
  uint64_t id_issued = 0, id_returned = 0;  // 0: none
};

struct Crowd {
  std::vector<Account> accounts;
  std::vector<Request> requests;  // by time
  std::vector<std::string> campaigns;
};

struct CrowdOptions {
  uint64_t seed = 1;
  uint32_t chat_accounts = 700;
  uint32_t app_accounts = 20;
  uint32_t framework_accounts = 200;
  uint32_t classes = 2;
  uint32_t harnesses = 2;
  uint32_t batch_jobs = 3;
  uint32_t pack_users = 40;
  int64_t duration_ns = 240'000'000'000;  // of fast kinds
  bool t1 = true, t4 = true, t6 = false;  // t6 stretches everything over 14 days
  bool one_address = false;    // everybody but campaigns behind one
  bool migrates = false;       // harvests of two neighbouring accounts go on with one another's answers
  bool relays = false;         // what campaign accounts ask beside their harvest goes on with what another one of them was answered
  uint32_t cover = 0;          // ordinary requests of a T1 account around each harvest
  bool own_parameters = true;  // campaigns choose parameters of their own; false: everyone's
};

Crowd MakeCrowd(const CrowdOptions& options);

// The exchange of one request, in the builder.
dataplane::ExchangeView BuildExchange(const Crowd& crowd, const Request& request, uint64_t order,
                                      dataplane::ExchangeBuilder* builder);

}  // namespace stillwatch::crowd
