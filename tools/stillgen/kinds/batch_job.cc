// Benign: one account sends one template over a pile of documents (extraction, translation, triage).
#include "tools/stillgen/kinds/kind.h"
#include "tools/stillgen/phrase.h"

namespace stillwatch::stillgen {
namespace {

class BatchActor : public Actor {
 public:
  BatchActor(const World& world, Account* account, Rng rng, int64_t start_ns, int64_t count, double gap_s)
      : Actor(account), world_(&world), rng_(rng), next_ns_(start_ns), left_(count), gap_s_(gap_s) {
    form_ = world.grammar.Say("batch.job", rng_);
    document_bytes_ = static_cast<double>(rng_.Range(200, 2500));
    prompt_.model = world.PickModel(rng_);
    prompt_.parameters.temperature_milli = rng_.Chance(0.7) ? 0 : 200;
    prompt_.parameters.max_tokens = 128 << rng_.Below(3);
    prompt_.parameters.json_output = form_.find("JSON") != std::string::npos;
    prompt_.messages.resize(1);
  }
  int64_t NextAt() const override { return left_ > 0 ? next_ns_ : kNever; }
  const Prompt& Ask(int64_t) override {
    const size_t bytes = static_cast<size_t>(rng_.LogNormal(document_bytes_, 0.4));
    std::string document = "#" + std::to_string(rng_.Range(100000, 999999)) + " " + world_->prose.Name(rng_) + ", " +
                           world_->prose.Product(rng_) + "\n" + world_->prose.Text(rng_, std::min<size_t>(bytes, 8000));
    prompt_.messages[0].text = Fill(form_, {{"document", document}});
    return prompt_;
  }
  void Hear(const Answer&, int64_t now_ns) override {
    --left_;
    next_ns_ = now_ns + static_cast<int64_t>(rng_.Exponential(gap_s_) * static_cast<double>(kNsPerSecond));
  }

 private:
  const World* world_;
  Rng rng_;
  std::string form_;
  double document_bytes_;
  int64_t next_ns_, left_;
  double gap_s_;
  Prompt prompt_;
};

}  // namespace

void BuildBatchJobs(World* world, const Share& share) {
  for (int i = 0; i < share.accounts * share.groups; ++i) {
    Rng rng = world->rng.Fork("batch", static_cast<uint64_t>(i));
    Account* account = world->NewAccount("batch", World::Site::kServer, rng);
    const int64_t count = static_cast<int64_t>(rng.LogUniform(80, 600) * world->options.scale) + 1;
    // A job runs for part of the period, in one go.
    const double span_s = 0.6 * rng.Unit() * world->hours() * 3600;
    const int64_t start = static_cast<int64_t>(0.3 * rng.Unit() * static_cast<double>(world->options.duration_ns));
    world->actors.push_back(std::make_unique<BatchActor>(*world, account, rng.Fork("actor"), start, count,
                                                         span_s / static_cast<double>(count)));
  }
}

}  // namespace stillwatch::stillgen
