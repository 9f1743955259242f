// Benign: courses without a network of their own (homework over weeks from home), and exam season, when
// people who never met ask about the same past papers.
#include "tools/stillgen/kinds/script.h"
#include "tools/stillgen/person.h"

namespace stillwatch::stillgen {
namespace {

// Tasks of one list, each once or twice, in the list's order or by chance, and own follow-ups.
class StudyScript : public Script {
 public:
  StudyScript(const World& world, Rng rng, std::vector<std::string> tasks, std::string_view section)
      : world_(&world), rng_(rng.Fork("turns")), person_(world, rng.Fork("person")), tasks_(std::move(tasks)), section_(section) {}
  void Begin(Prompt* prompt) override {
    const size_t at = rng_.Chance(0.7) ? next_++ % tasks_.size() : rng_.Below(tasks_.size());
    std::string text = tasks_[at];
    if (!section_.empty() && rng_.Chance(0.6)) {
      text = world_->grammar.Say(section_, rng_, {{"question", text}, {"k", std::to_string(at + 1)}});
    }
    if (rng_.Chance(0.3) && text.size() > 30) text[1 + rng_.Below(20)] = static_cast<char>('a' + rng_.Below(26));  // a slip
    prompt->messages.resize(1);
    prompt->messages[0].text = rng_.Chance(0.15) ? person_.FirstQuestion() : std::move(text);
  }
  bool Continue(const Answer& answer, Prompt* prompt, int64_t* pause_ns) override {
    if (prompt->messages.size() > 9 || !rng_.Chance(0.4)) return false;
    *pause_ns = AddFollowUp(answer, 70, &person_, rng_, prompt);
    return true;
  }

 private:
  const World* world_;
  Rng rng_;
  Person person_;
  std::vector<std::string> tasks_;
  std::string_view section_;
  size_t next_ = 0;
};

std::vector<std::string> Tasks(const World& world, int64_t count, Rng& rng) {
  std::vector<std::string> tasks;
  for (int64_t i = 0; i < count; ++i) tasks.push_back(world.corpus.Any(rng.Chance(0.7) ? Subject::kMaths : Subject::kCode, rng));
  return tasks;
}

void AddStudents(World* world, std::string_view kind, const Share& share, int64_t tasks_low, int64_t tasks_high,
                 std::string_view section, bool rising) {
  for (int g = 0; g < share.groups; ++g) {
    Rng rng = world->rng.Fork(kind, static_cast<uint64_t>(g));
    auto tasks = Tasks(*world, rng.Range(tasks_low, tasks_high), rng);
    if (!rising) {
      const std::string sheet = world->prose.Dress(world->grammar.Say("class.sheet", rng), rng);
      const std::string ask = world->grammar.Say("class.ask", rng);
      for (size_t i = 0; i < tasks.size(); ++i) tasks[i] = sheet + ", " + std::to_string(i + 1) + ". " + ask + "\n" + tasks[i];
    }
    for (int i = 0; i < share.accounts; ++i) {
      Rng own = rng.Fork("student", static_cast<uint64_t>(i));
      Account* account = world->NewAccount(kind, World::Site::kPerson, own);
      const double per_day = own.LogUniform(0.2, 4) * world->options.scale;
      const int64_t count = std::max<int64_t>(1, own.Poisson(per_day * world->hours() / 24));
      auto times = StartTimes(own, count, 0, world->options.duration_ns, true);
      if (rising) {  // towards the day of the exam
        for (int64_t& at : times) at = world->options.duration_ns - 1 - static_cast<int64_t>(static_cast<double>(world->options.duration_ns - at) * own.Unit());
        std::sort(times.begin(), times.end());
      }
      world->actors.push_back(MakeScriptActor(account, std::make_shared<StudyScript>(*world, own.Fork("script"), tasks, section),
                                              std::move(times), own.Fork("caller"), {OwnTuning(*world, own)}));
    }
  }
}

}  // namespace

void BuildCourses(World* world, const Share& share) { AddStudents(world, "course", share, 8, 24, "", false); }
void BuildExamSeason(World* world, const Share& share) { AddStudents(world, "exam", share, 10, 40, "exam.ask", true); }

}  // namespace stillwatch::stillgen
