#include "tests/pipeline/detect/crowd.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <utility>

#include "base/bytes.h"
#include "base/hash.h"

namespace stillwatch::crowd {

namespace {

using Words = std::vector<uint32_t>;

class Maker {
 public:
  explicit Maker(const CrowdOptions& options) : options_(options), random_(options.seed * 7919 + 17) {
    vocabulary_ = Between(3'000, 12'000);
    for (uint32_t i = 0; i < Between(400, 2'500); ++i) seeds_.push_back(Text(Between(8, 40)));
    for (uint32_t i = 0; i < Between(15, 60); ++i) frames_.push_back(Text(Between(2, 7)));
    for (uint32_t i = 0; i < 6; ++i) everyone_.push_back(NewTuple());
    if (options_.t6) options_.duration_ns = 14 * 86'400'000'000'000;
  }

  Crowd Make() {
    Chat();
    Apps();
    Framework();
    for (uint32_t i = 0; i < options_.classes; ++i) Classroom();
    Harnesses();
    BatchJobs();
    PromptPack();
    if (options_.t1) TemplateSweep("T1");
    if (options_.t4) Elicitation("T4");
    if (options_.t6) LowAndSlow("T6");
    std::stable_sort(crowd_.requests.begin(), crowd_.requests.end(),
                     [](const Request& a, const Request& b) { return a.time_ns < b.time_ns; });
    return std::move(crowd_);
  }

 private:
  struct Tuple {
    int32_t temperature_milli;
    uint32_t max_tokens, model, agent;
  };

  uint32_t Between(uint32_t low, uint32_t high) {  // inclusive
    return low + static_cast<uint32_t>(random_() % (high - low + 1));
  }
  bool Chance(uint32_t percent) { return Between(1, 100) <= percent; }
  template <typename T>
  const T& One(const std::vector<T>& from) { return from[Between(0, static_cast<uint32_t>(from.size()) - 1)]; }

  // About Zipf, with habits: half of the time one of four usual successors of the last word.
  uint32_t Word(uint32_t last) {
    if (last != 0 && Chance(45)) return WordAt(Mix32(last * 4 + Between(0, 3)) % 997);
    const double u = static_cast<double>(random_() >> 11) / 9007199254740992.0;
    return WordAt(static_cast<uint32_t>(std::pow(static_cast<double>(vocabulary_), u)) - 1);
  }
  static uint32_t WordAt(uint32_t rank) { return Mix32(rank + 1) | 1; }
  Words Text(uint32_t length) {
    Words words;
    for (uint32_t i = 0; i < length; ++i) words.push_back(Word(words.empty() ? 0 : words.back()));
    return words;
  }
  static void Append(Words* to, const Words& from) { to->insert(to->end(), from.begin(), from.end()); }

  Tuple NewTuple() {
    static constexpr uint32_t kMax[] = {0, 256, 512, 1000, 1024, 2048, 4000, 4096, 8192};
    return {static_cast<int32_t>(Between(0, 10) * 100), kMax[Between(0, 8)], Between(1, 3), Between(1, 8)};
  }
  Tuple AnyTuple() { return Chance(70) ? One(everyone_) : NewTuple(); }

  uint32_t NewAccount(const std::string& kind, int campaign = -1) {
    uint8_t bytes[16];
    for (int i = 0; i < 16; ++i) bytes[i] = static_cast<uint8_t>(random_() >> 32);
    const uint32_t network = options_.one_address && campaign < 0 ? 1 : Mix32(static_cast<uint32_t>(crowd_.accounts.size()) + 1);
    crowd_.accounts.push_back({HexOf(Bytes(bytes, 16)), kind, campaign, network, 0});
    return static_cast<uint32_t>(crowd_.accounts.size() - 1);
  }
  int64_t AnyTime(int64_t from = 0, int64_t span = 0) {
    if (span == 0) span = options_.duration_ns;
    return kStart + from + static_cast<int64_t>(random_() % static_cast<uint64_t>(span));
  }
  Request& Send(uint32_t account, const Tuple& tuple, Words instruction, int64_t time) {
    Request request;
    request.time_ns = time, request.account = account, request.instruction = std::move(instruction);
    request.temperature_milli = tuple.temperature_milli, request.max_tokens = tuple.max_tokens;
    request.model = tuple.model, request.agent = tuple.agent;
    crowd_.requests.push_back(std::move(request));
    return crowd_.requests.back();
  }

  Words Ordinary() {
    Words words;
    if (Chance(40)) Append(&words, One(frames_));
    if (Chance(50)) Append(&words, One(seeds_));
    else Append(&words, Text(Between(4, 60)));
    if (Chance(10)) Append(&words, Phrase(kSteps));
    return words;
  }
  void Chat() {
    for (uint32_t i = 0; i < options_.chat_accounts; ++i) {
      const uint32_t account = NewAccount("chat");
      const Tuple tuple = AnyTuple();
      // Two in three are at something of their own and come back to it.
      std::vector<Words> subjects;
      for (uint32_t k = Chance(66) ? Between(1, 3) : 0; k > 0; --k) subjects.push_back(Text(Between(4, 9)));
      for (uint32_t n = Between(1, 25); n > 0; --n) {
        Words words = Ordinary();
        if (!subjects.empty() && Chance(50)) Append(&words, One(subjects));
        Send(account, tuple, words, AnyTime()).conversation = Chance(35);
      }
    }
  }
  void Apps() {
    for (uint32_t i = 0; i < options_.app_accounts; ++i) {
      const uint32_t account = NewAccount("app");
      const Tuple tuple = NewTuple();
      const Words system = Text(Between(200, 800)), wrap = Text(Between(0, 25));
      for (uint32_t n = Between(50, 250); n > 0; --n) {
        Words words = wrap;
        Append(&words, Ordinary());
        Send(account, tuple, words, AnyTime()).system = system;
      }
    }
  }
  void Framework() {
    const Tuple tuple = NewTuple();
    const Words system = Text(600);
    const Words wrap = Text(Between(0, 6));
    for (uint32_t i = 0; i < options_.framework_accounts; ++i) {
      const uint32_t account = NewAccount("framework");
      for (uint32_t n = Between(3, 30); n > 0; --n) {
        Words words = Chance(50) ? wrap : Words{};
        Append(&words, Ordinary());
        Request& request = Send(account, tuple, words, AnyTime());
        request.system = system, request.tools = true, request.conversation = Chance(60);
      }
    }
  }
  void Classroom() {
    const uint32_t questions = Between(1, 6);
    std::vector<Words> asked;
    for (uint32_t q = 0; q < questions; ++q) asked.push_back(Text(Between(15, 60)));
    const Tuple web = One(everyone_);
    const int64_t from = AnyTime() - kStart;
    for (uint32_t student = Between(20, 40); student > 0; --student) {
      const uint32_t account = NewAccount("classroom");
      for (uint32_t n = Between(1, 5); n > 0; --n) {
        Words words;
        if (Chance(40)) Append(&words, One(frames_));
        Append(&words, One(asked));
        if (Chance(30)) Append(&words, Text(Between(2, 8)));  // words of their own
        Send(account, web, words, AnyTime(from, options_.duration_ns / 6)).conversation = Chance(20);
      }
      for (uint32_t n = Between(0, 6); n > 0; --n) Send(account, web, Ordinary(), AnyTime());
    }
  }
  void Harnesses() {
    for (uint32_t i = 0; i < options_.harnesses; ++i) {
      const uint32_t account = NewAccount("harness");
      const Words wrap = Text(Between(5, 30));
      const Tuple tuple = NewTuple();
      for (uint32_t n = Between(60, 300); n > 0; --n) {
        Words words = wrap;
        Append(&words, One(seeds_));
        Append(&words, Phrase(kSteps));
        Send(account, tuple, words, AnyTime());
      }
    }
  }
  void BatchJobs() {
    for (uint32_t i = 0; i < options_.batch_jobs; ++i) {
      const uint32_t account = NewAccount("batch");
      const Words wrap = Text(Between(10, 40));
      const Tuple tuple = NewTuple();
      for (uint32_t n = Between(60, 300); n > 0; --n) {
        Words words = wrap;
        Append(&words, Text(Between(20, 80)));
        Send(account, tuple, words, AnyTime());
      }
    }
  }
  // Public prompts, each user with a subject of their own.
  void PromptPack() {
    std::vector<Words> pack;
    for (uint32_t i = 0; i < 12; ++i) pack.push_back(Text(Between(15, 50)));
    for (uint32_t i = 0; i < options_.pack_users; ++i) {
      const uint32_t account = NewAccount("pack");
      const Tuple tuple = AnyTuple();
      const Words subject = Text(6);
      for (uint32_t n = Between(2, 10); n > 0; --n) {
        Words words = One(pack);
        for (uint32_t k = 0; k < 4; ++k) words.push_back(One(subject));
        Append(&words, Text(Between(1, 4)));
        Send(account, tuple, words, AnyTime());
      }
      for (uint32_t n = Between(0, 12); n > 0; --n) Send(account, tuple, Ordinary(), AnyTime());
    }
  }

  std::vector<Tuple> CampaignTuples() {
    std::vector<Tuple> tuples;
    for (uint32_t n = Between(1, 3); n > 0; --n) tuples.push_back(options_.own_parameters ? NewTuple() : One(everyone_));
    return tuples;
  }
  Tuple HarvestTuple(const std::vector<Tuple>& own) { return options_.own_parameters ? One(own) : AnyTuple(); }

  // A template: rigid runs with slots between.
  std::vector<Words> NewTemplate() {
    std::vector<Words> runs;
    for (uint32_t n = Between(2, 4); n > 0; --n) runs.push_back(Text(Between(4, 14)));
    return runs;
  }
  Words FillTemplate(const std::vector<Words>& runs, bool seeds) {
    Words words;
    for (size_t i = 0; i < runs.size(); ++i) {
      Append(&words, runs[i]);
      if (i + 1 == runs.size()) break;
      if (seeds && i == 0) Append(&words, One(seeds_));
      else Append(&words, Text(Between(1, 6)));
    }
    return words;
  }
  int NewCampaign(const std::string& name) {
    crowd_.campaigns.push_back(name);
    return static_cast<int>(crowd_.campaigns.size() - 1);
  }
  void TemplateSweep(const std::string& name) {
    const int campaign = NewCampaign(name);
    std::vector<std::vector<Words>> templates;
    for (uint32_t n = Between(3, 8); n > 0; --n) templates.push_back(NewTemplate());
    const std::vector<Tuple> tuples = CampaignTuples();
    const bool seeds = Chance(60);
    for (uint32_t accounts = Between(30, 120); accounts > 0; --accounts) {
      const uint32_t account = NewAccount(name, campaign);
      const Tuple tuple = HarvestTuple(tuples);
      for (uint32_t n = Between(4, 20); n > 0; --n) {
        Send(account, tuple, FillTemplate(One(templates), seeds), AnyTime()).harvest = true;
        for (uint32_t k = 0; k < options_.cover; ++k) Send(account, tuple, Ordinary(), AnyTime());
      }
      for (uint32_t n = Between(0, 4); n > 0; --n) Send(account, tuple, Ordinary(), AnyTime());
    }
  }

  static constexpr const char* kSteps[] = {"step", "by", "step"};
  template <size_t N>
  static Words Phrase(const char* const (&words)[N]) {
    Words tokens;
    for (const char* word : words) tokens.push_back(TokenOf(word));
    return tokens;
  }
  // Wording varies; what is asked for is the same.
  struct Style {
    std::vector<Words> openings, asks, closings;
    uint32_t words_of_own;  // percent of requests with free words between
  };
  Style NewStyle() {
    static constexpr const char* kAsked[] = {"reasoning", "rubric", "score", "rationale", "criteria", "justify", "critique", "steps"};
    Style style;
    const auto fill = [&](std::vector<Words>* list, uint32_t asked_percent) {
      for (uint32_t n = Between(5, 12); n > 0; --n) {
        Words words = Text(Between(3, 9));
        if (Chance(asked_percent)) words.insert(words.begin() + Between(1, 2), TokenOf(kAsked[Between(0, 7)]));
        if (Chance(asked_percent / 2)) Append(&words, Phrase(kSteps));
        list->push_back(words);
      }
    };
    fill(&style.openings, 20), fill(&style.asks, 80), fill(&style.closings, 50);
    style.words_of_own = Between(0, 60);
    return style;
  }
  Words Styled(const Style& style) {
    Words words;
    if (Chance(80)) Append(&words, One(style.openings));
    if (Chance(50)) Append(&words, One(seeds_));
    if (Chance(static_cast<uint32_t>(style.words_of_own))) Append(&words, Text(Between(1, 6)));
    Append(&words, One(style.asks));
    if (words.size() < 25) Append(&words, One(seeds_));
    if (Chance(70)) Append(&words, One(style.closings));
    return words;
  }
  void Elicitation(const std::string& name) {
    const int campaign = NewCampaign(name);
    const Style style = NewStyle();
    const std::vector<Tuple> tuples = CampaignTuples();
    for (uint32_t accounts = Between(40, 100); accounts > 0; --accounts) {
      const uint32_t account = NewAccount(name, campaign);
      const Tuple tuple = HarvestTuple(tuples);
      for (uint32_t n = Between(5, 30); n > 0; --n) {
        Send(account, tuple, Styled(style), AnyTime()).harvest = true;
      }
    }
  }
  void LowAndSlow(const std::string& name) {
    const int campaign = NewCampaign(name);
    const bool styled = Chance(50);
    const Style style = NewStyle();
    std::vector<std::vector<Words>> templates;
    for (uint32_t n = Between(3, 8); n > 0; --n) templates.push_back(NewTemplate());
    const std::vector<Tuple> tuples = CampaignTuples();
    const uint32_t cover_percent = Between(30, 75);
    for (uint32_t accounts = Between(40, 200); accounts > 0; --accounts) {
      const uint32_t account = NewAccount(name, campaign);
      const Tuple tuple = HarvestTuple(tuples), cover = AnyTuple();
      for (uint32_t n = Between(12, 28); n > 0; --n) {
        if (Chance(cover_percent)) {
          Send(account, cover, Ordinary(), AnyTime()).conversation = Chance(35);
        } else {
          Send(account, tuple, styled ? Styled(style) : FillTemplate(One(templates), true), AnyTime()).harvest = true;
        }
      }
    }
  }

  static constexpr int64_t kStart = 1'767'225'600'000'000'000;
  CrowdOptions options_;
  std::mt19937_64 random_;
  uint32_t vocabulary_ = 0;
  std::vector<Words> seeds_, frames_;
  std::vector<Tuple> everyone_;
  Crowd crowd_;
};

}  // namespace

uint32_t TokenOf(std::string_view word) {
  return static_cast<uint32_t>(KeyedHash64(word, Salt{77}));
}

Crowd MakeCrowd(const CrowdOptions& options) {
  Crowd crowd = Maker(options).Make();
  std::map<uint32_t, uint64_t> last;  // answer to each account, that nobody went on with
  std::map<int, std::vector<std::pair<uint64_t, uint32_t>>> answers;  // by campaign: of cover that nobody went on with, and whose
  uint64_t serial = 0;
  for (Request& request : crowd.requests) {
    request.id_issued = Mix64(options.seed * 1'000'003 + ++serial);
    const Account& account = crowd.accounts[request.account];
    if (options.relays && account.campaign >= 0 && !request.harvest) {
      std::vector<std::pair<uint64_t, uint32_t>>& open = answers[account.campaign];
      const size_t at = Mix64(request.id_issued) % std::max<size_t>(open.size(), 1);
      if (open.size() >= 8 && open[at].second != request.account) {
        request.id_returned = open[at].first;
        open.erase(open.begin() + static_cast<ptrdiff_t>(at));
      } else {
        open.push_back({request.id_issued, request.account});
      }
    }
    if (!request.harvest || !options.migrates) continue;
    request.id_returned = std::exchange(last[request.account ^ 1], 0);
    if (request.id_returned == 0) last[request.account] = request.id_issued;
  }
  return crowd;
}

dataplane::ExchangeView BuildExchange(const Crowd& crowd, const Request& request, uint64_t order,
                                      dataplane::ExchangeBuilder* builder) {
  builder->Reset();
  dataplane::ExchangeHeader& h = builder->header();
  h.order.packet = order;
  h.request_start_ns = request.time_ns;
  h.request_end_ns = request.time_ns + 1'000'000;
  h.first_token_ns = request.time_ns + 2'000'000;
  h.response_end_ns = request.time_ns + 3'000'000;
  h.flow_id = order;
  h.flags = dataplane::kRequestSeen | dataplane::kResponseSeen | dataplane::kRequestComplete |
            dataplane::kResponseComplete | dataplane::kHasTemperature | dataplane::kHasMaxTokens | dataplane::kHasKey;
  h.dialect = static_cast<dataplane::Dialect>(request.model);
  std::string id;
  ParseHex(crowd.accounts[request.account].id, &id);
  std::memcpy(h.key_id, id.data(), 16);
  h.agent_family_hash = request.agent;
  h.ja4_hash = request.agent * 31 + 1;  // each client's own hello
  h.client.length = 4;
  for (int i = 0; i < 3; ++i) h.client.bytes[i] = static_cast<uint8_t>(crowd.accounts[request.account].network >> 8 * i);
  h.organisation_id = request.declared_organisation;
  h.end_user_id = crowd.accounts[request.account].end_user;
  h.status = 200;
  h.turns = 1;
  h.tools = request.tools ? 5 : 0;
  h.temperature_milli = request.temperature_milli;
  h.max_tokens = request.max_tokens;
  h.tokens_in = static_cast<uint32_t>(request.instruction.size());
  h.tokens_out = 200;
  h.request_id_hash = order + 1;
  uint64_t text = 0;
  for (uint32_t token : request.instruction) text = Mix64(text + token);
  h.part_hash[1] = text;
  h.body_hash = Mix64(text + 1);
  builder->AddPrefixChain(text);
  if (request.id_issued != 0) builder->AddIdIssued(request.id_issued);
  if (request.id_returned != 0) builder->AddIdReturned(request.id_returned);
  builder->SetTokens(dataplane::Part::kSystem, request.system);
  builder->SetTokens(dataplane::Part::kInstruction, request.instruction);
  if (request.conversation) builder->SetTokens(dataplane::Part::kTail, request.instruction);
  builder->SetModel("model-" + std::to_string(request.model));
  return builder->Finish();
}

}  // namespace stillwatch::crowd
