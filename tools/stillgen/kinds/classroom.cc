// Benign: a class on one assignment. Near-identical texts from many accounts, bounded in time, a dozen
// distinct payloads for the whole class, one campus network; typing errors and own follow-ups.
#include "tools/stillgen/kinds/kind.h"
#include "tools/stillgen/person.h"
#include "tools/stillgen/phrase.h"

namespace stillwatch::stillgen {
namespace {

class StudentActor : public Actor {
 public:
  StudentActor(const World& world, Account* account, Rng rng, std::vector<std::string> tasks, std::string model,
               int64_t start_ns)
      : Actor(account), world_(&world), rng_(rng), person_(world, rng.Fork("person")), tasks_(std::move(tasks)), next_ns_(start_ns) {
    prompt_.model = std::move(model);
    prompt_.parameters.stream = account->stream;
  }
  int64_t NextAt() const override { return next_ns_; }
  const Prompt& Ask(int64_t) override {
    Message message;
    message.text = prompt_.messages.empty() ? WithTypingErrors(tasks_[task_]) : person_.FollowUp();
    prompt_.messages.push_back(std::move(message));
    return prompt_;
  }
  void Hear(const Answer& answer, int64_t now_ns) override {
    if (answer.status == 200 && prompt_.messages.size() < 10 && rng_.Chance(0.45)) {
      Message message;
      message.role = Message::Role::kAssistant;
      message.text = answer.text.empty() ? "..." : answer.text;
      prompt_.messages.push_back(std::move(message));
    } else {
      prompt_.messages.clear();
      ++task_;
    }
    next_ns_ = task_ < tasks_.size() ? now_ns + static_cast<int64_t>(rng_.LogNormal(70, 0.8) * 1e9) : kNever;
  }

 private:
  std::string WithTypingErrors(std::string text) {
    if (rng_.Chance(0.3)) text = text.substr(text.find('\n') + 1);  // without the sheet's first line
    const int64_t errors = rng_.Chance(0.5) ? 0 : rng_.Range(1, 3);
    for (int64_t i = 0; i < errors && text.size() > 20; ++i) {
      const size_t at = 1 + rng_.Below(text.size() - 2);
      if (static_cast<uint8_t>(text[at] | text[at + 1]) < 0x80) std::swap(text[at], text[at + 1]);
    }
    if (rng_.Chance(0.2)) text = world_->grammar.Word("class.prefix", rng_) + " " + text;
    return text;
  }

  const World* world_;
  Rng rng_;
  Person person_;
  std::vector<std::string> tasks_;
  size_t task_ = 0;
  int64_t next_ns_;
  Prompt prompt_;
};

}  // namespace

void BuildClassrooms(World* world, const Share& share) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork("class", static_cast<uint64_t>(g));
    const std::string sheet = world->prose.Dress(world->grammar.Say("class.sheet", rng), rng);
    std::vector<std::string> tasks;
    const int64_t count = rng.Range(3, 8);
    for (int64_t i = 1; i <= count; ++i) {
      const auto& subject = world->corpus.Of(rng.Chance(0.7) ? Subject::kMaths : Subject::kCode);
      tasks.push_back(sheet + ", task " + std::to_string(i) + ". " + world->grammar.Say("class.ask", rng) + "\n" +
                      world->corpus.all()[rng.Pick(subject)].text);
    }
    const std::string model = world->PickModel(rng);
    const std::vector<Address> campus = {NewAddress(rng), NewAddress(rng)};
    // A lesson, or homework over a few days where the run is long.
    const int64_t window = std::min<int64_t>(world->options.duration_ns, rng.Chance(0.5) ? kNsPerHour : 3 * kNsPerDay);
    const int64_t begin = static_cast<int64_t>(rng.Unit() * static_cast<double>(world->options.duration_ns - window) * 0.9);
    for (int i = 0; i < share.accounts; ++i) {
      Rng own = rng.Fork("student", static_cast<uint64_t>(i));
      Account* account = world->NewAccount("classroom", World::Site::kPerson, own);
      account->addresses = campus;
      auto mine = tasks;
      if (own.Chance(0.4)) mine.resize(1 + own.Below(mine.size()));
      const int64_t start = begin + static_cast<int64_t>(own.Unit() * 0.7 * static_cast<double>(window));
      world->actors.push_back(std::make_unique<StudentActor>(*world, account, own.Fork("actor"), std::move(mine), model, start));
    }
  }
}

}  // namespace stillwatch::stillgen
