#include "tools/stillgen/person.h"

#include "tools/stillgen/phrase.h"

namespace stillwatch::stillgen {
namespace {

class PersonActor : public Actor {
 public:
  PersonActor(const World& world, Account* account, Rng rng, std::vector<int64_t> times, std::string language)
      : Actor(account), rng_(rng), person_(world, rng.Fork("person"), std::move(language)), times_(std::move(times)) {
    prompt_.model = world.PickModel(rng_);
    prompt_.parameters.stream = account->stream;
    if (rng_.Chance(0.6)) prompt_.parameters.temperature_milli = static_cast<int>(rng_.Range(0, 12)) * 100;
    if (rng_.Chance(0.5)) prompt_.parameters.max_tokens = 256 << rng_.Below(5);
    if (rng_.Chance(0.3)) {
      prompt_.system = world.grammar.Say("person.system", rng_);
    }
    server_keeps_ = account->client.api == Api::kResponses && rng_.Chance(0.3);
    if (!times_.empty()) next_ns_ = times_[0];
  }

  int64_t NextAt() const override { return next_ns_; }

  const Prompt& Ask(int64_t) override {
    Message message;
    message.text = turns_ == 0 ? person_.FirstQuestion() : person_.FollowUp();
    prompt_.messages.push_back(std::move(message));
    return prompt_;
  }

  void Hear(const Answer& answer, int64_t now_ns) override {
    if (answer.status == 200 && turns_ < 12 && rng_.Chance(person_.talkative())) {
      ++turns_;
      next_ns_ = now_ns + static_cast<int64_t>(rng_.LogNormal(40, 0.8) * static_cast<double>(kNsPerSecond));
      if (server_keeps_) {  // only the new message goes out
        prompt_.messages.clear();
        prompt_.previous_response_id = answer.id;
        return;
      }
      Message message;
      message.role = Message::Role::kAssistant;
      message.text = answer.text.empty() ? "..." : answer.text;
      prompt_.messages.push_back(std::move(message));
      return;
    }
    prompt_.messages.clear();
    prompt_.previous_response_id.clear();
    turns_ = 0;
    ++session_;
    next_ns_ = session_ < times_.size() ? std::max(times_[session_], now_ns + kNsPerSecond) : kNever;
  }

 private:
  Rng rng_;
  Person person_;
  std::vector<int64_t> times_;
  size_t session_ = 0;
  int turns_ = 0;
  bool server_keeps_ = false;
  int64_t next_ns_ = kNever;
  Prompt prompt_;
};

}  // namespace

Person::Person(const World& world, Rng rng, std::string language)
    : world_(&world), rng_(rng), language_(std::move(language)) {
  for (Subject& subject : favourites_) subject = static_cast<Subject>(rng_.Below(kSubjects));
  if (rng_.Chance(0.25)) habit_ = world.grammar.Say("person.habit", rng_);
  talkative_ = 0.35 + 0.5 * rng_.Unit();
}

std::string Person::FirstQuestion() {
  if (!language_.empty()) {
    const std::string& text = world_->corpus.all()[static_cast<size_t>(rng_.Pick(world_->corpus.In(language_)))].text;
    return rng_.Chance(0.4) ? world_->grammar.Say("lang." + language_ + ".casual", rng_, {{"question", text}}) : text;
  }
  const Subject subject = rng_.Chance(0.75) ? favourites_[rng_.Below(2)] : static_cast<Subject>(rng_.Below(kSubjects));
  std::string text = world_->corpus.all()[rng_.Pick(world_->corpus.Of(subject))].text;
  if (rng_.Chance(0.3)) {  // people add what they are at
    const std::string subject_text = world_->prose.Subject(rng_);
    text = world_->grammar.Say("person.about", rng_, {{"subject", subject_text}}) + " " + text;
  }
  if (rng_.Chance(0.3)) text += " " + std::string(world_->prose.Sentence(rng_));
  if (!habit_.empty() && rng_.Chance(0.6)) text = Fill(habit_, {{"question", text}});
  return text;
}

std::string Person::FollowUp() {
  if (!language_.empty()) return FirstQuestion();
  const std::string noun = world_->prose.Word(rng_), number = std::to_string(rng_.Range(2, 400));
  std::string text = world_->grammar.Say("person.follow_up", rng_, {{"n", noun}, {"k", number}});
  if (rng_.Chance(0.4)) text += " " + std::string(world_->prose.Sentence(rng_));
  return text;
}

std::unique_ptr<Actor> MakePersonActor(const World& world, Account* account, Rng rng,
                                       std::vector<int64_t> times, std::string language) {
  return std::make_unique<PersonActor>(world, account, rng, std::move(times), std::move(language));
}

}  // namespace stillwatch::stillgen
