// Benign: people who study models, and those who may distil. Persona studies (a lab's few keys, personas by
// questions), jailbreak hobbyists (famous jailbreaks, each tries a few), and authorised distillers (the owner
// is on the allow-list; the traffic is a distiller's).
#include "tools/stillgen/kinds/harvest.h"
#include "tools/stillgen/person.h"

namespace stillwatch::stillgen {
namespace {

class StudyGridScript : public Script {
 public:
  StudyGridScript(const World& world, Rng rng) : rng_(rng) {
    for (int64_t i = rng_.Range(12, 60); i > 0; --i) personas_.push_back(world.grammar.Say("study.persona", rng_));
    for (int64_t i = rng_.Range(6, 30); i > 0; --i) questions_.push_back(world.prose.Dress(world.grammar.Say("study.question", rng_), rng_));
    tuning_ = OwnTuning(world, rng_);
    in_system_ = rng_.Chance(0.5);
  }
  void Begin(Prompt* prompt) override {
    const std::string& persona = personas_[next_ / questions_.size() % personas_.size()];
    const std::string& question = questions_[next_++ % questions_.size()];
    tuning_.Apply(prompt);
    if (in_system_) prompt->system = persona;
    prompt->messages.resize(1);
    prompt->messages[0].text = in_system_ ? question : persona + "\n\n" + question;
  }

 private:
  Rng rng_;
  std::vector<std::string> personas_, questions_;
  Tuning tuning_;
  bool in_system_;
  size_t next_ = 0;
};

class HobbyScript : public Script {
 public:
  HobbyScript(const World& world, Rng rng) : rng_(rng.Fork("turns")), person_(world, rng.Fork("person")) {
    for (int64_t i = rng_.Range(1, 3); i > 0; --i) known_.push_back(rng_.Pick(world.corpus.famous_jailbreaks()));
  }
  void Begin(Prompt* prompt) override {
    std::string text = person_.FirstQuestion();
    if (rng_.Chance(0.5)) text = Fill(rng_.Pick(known_), {{"question", text}});
    prompt->messages.resize(1);
    prompt->messages[0].text = std::move(text);
  }

 private:
  Rng rng_;
  Person person_;
  std::vector<std::string> known_;
};

class LicensedScript : public Script {
 public:
  LicensedScript(const World& world, Rng rng) : rng_(rng), deck_(world, rng.Fork("deck")), next_(rng_.Range(100, 99999)) {
    for (int64_t i = rng_.Range(1, 3); i > 0; --i) forms_.push_back(world.grammar.Say("distiller.form", rng_));
    tuning_ = {world.PickModel(rng_), 700, -1, 4096};
  }
  void Begin(Prompt* prompt) override {
    tuning_.Apply(prompt);
    prompt->messages.resize(1);
    prompt->messages[0].text = Fill(rng_.Pick(forms_), {{"id", std::to_string(next_++)}, {"question", deck_.Next()}});
  }

 private:
  Rng rng_;
  QuestionDeck deck_;
  int64_t next_;
  std::vector<std::string> forms_;
  Tuning tuning_;
};

template <typename Work>
void AddTeams(World* world, std::string_view kind, const Share& share, double low, double high, bool allowed) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork(kind, static_cast<uint64_t>(g));
    auto script = std::make_shared<Work>(*world, rng.Fork("script"));
    Account* first = nullptr;
    for (int i = 0; i < share.accounts; ++i) {
      Rng own = rng.Fork("key", static_cast<uint64_t>(i));
      Account* account = world->NewAccount(kind, World::Site::kServer, own);
      account->allowed = allowed;
      if (first == nullptr) first = account;
      World::SameOwner(*first, account);
      AddPersonCaller(world, account, script, low, high, own.Fork("caller"));
    }
  }
}

}  // namespace

void BuildPersonaStudies(World* world, const Share& share) { AddTeams<StudyGridScript>(world, "study", share, 20, 300, false); }
void BuildAuthorisedDistillers(World* world, const Share& share) { AddTeams<LicensedScript>(world, "distiller", share, 10, 200, true); }

void BuildJailbreakHobbyists(World* world, const Share& share) {
  for (int i = 0; i < share.accounts * share.groups; ++i) {
    Rng rng = world->rng.Fork("hobby", static_cast<uint64_t>(i));
    Account* account = world->NewAccount("hobby", World::Site::kPerson, rng);
    AddPersonCaller(world, account, std::make_shared<HobbyScript>(*world, rng.Fork("script")), 0.3, 10, rng.Fork("caller"), {OwnTuning(*world, rng)});
  }
}

}  // namespace stillwatch::stillgen
