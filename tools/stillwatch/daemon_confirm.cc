// The end of a reload that waits for its confirmation: kept by `stillctl confirm`, undone by `stillctl rollback` or when
// its time is over. The other half, taking a file, is Daemon::Reload.
#include "base/log.h"
#include "base/mutant.h"
#include "base/time_format.h"
#include "tools/stillwatch/daemon.h"

namespace stillwatch {

using config::ControlAnswer;
using nlohmann::json;

namespace {

std::string Number(uint64_t generation) { return "generation " + std::to_string(generation); }

}  // namespace

void Daemon::AwaitConfirmation(Unconfirmed unconfirmed) {
  const int64_t until_ns = unconfirmed.until_ns;
  {
    std::lock_guard lock(confirm_mutex_);
    unconfirmed_ = std::move(unconfirmed);
  }
  if (!MutantIs("confirm.never_goes_back")) confirm_deadline_->Set(until_ns);
}

std::optional<Daemon::Unconfirmed> Daemon::unconfirmed() const {
  std::lock_guard lock(confirm_mutex_);
  return unconfirmed_;
}

ControlAnswer Daemon::Confirm(const std::string& actor) {
  const ReloadTurn turn(&reloading_);
  if (!turn.mine()) return {config::kExitBusy, "a reload runs; try again", ""};
  const std::optional<Unconfirmed> waiting = unconfirmed();
  if (!waiting.has_value()) {
    return {config::kExitRefused, Number(generation_.load()) + " is confirmed; nothing waits for it", ""};
  }
  // Acknowledged means that the next start takes it.
  if (Status confirmed = store_.Confirm(waiting->generation); !confirmed.ok()) {
    return {config::kExitRefused, confirmed.message() + "; it still waits", ""};
  }
  confirm_deadline_->Clear();
  {
    std::lock_guard lock(confirm_mutex_);
    unconfirmed_.reset();
  }
  PostAudit(actor, "confirm", waiting->file, Number(waiting->generation));
  return {config::kExitOk, "", json(Number(waiting->generation) + " is confirmed").dump()};
}

ControlAnswer Daemon::Rollback(const std::string& actor) {
  const ReloadTurn turn(&reloading_);
  if (!turn.mine()) return {config::kExitBusy, "a reload runs; try again", ""};
  const std::optional<Unconfirmed> waiting = unconfirmed();
  if (!waiting.has_value()) {
    return {config::kExitRefused, Number(generation_.load()) + " is confirmed; reload the file that you want", ""};
  }
  GoBack(*waiting, actor, "asked for");
  return {config::kExitOk, "", json("back to " + Number(waiting->before_generation)).dump()};
}

void Daemon::ConfirmationIsOver() {
  // A confirmation that is being made durable right now is let through.
  for (;;) {
    const ReloadTurn turn(&reloading_);
    const std::optional<Unconfirmed> waiting = unconfirmed();
    if (!waiting.has_value() || clock_.MonotonicNs() < waiting->until_ns) return;
    if (turn.mine()) return GoBack(*waiting, "daemon", "not confirmed in time");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

// In the reload's turn. A thread that stands still takes the old generation when it goes on: it cannot be kept from it.
void Daemon::GoBack(const Unconfirmed& from, const std::string& actor, const std::string& why) {
  confirm_deadline_->Clear();
  ApplyHot(from.before, from.before_directory, from.before_generation);
  quiescent_.Publish(from.before_generation);
  directory_ = from.before_directory;
  generation_.store(from.before_generation);
  if (Status moved = store_.RollBack(from.generation); !moved.ok()) Log(LogLevel::kError, moved.message());
  {
    std::lock_guard lock(confirm_mutex_);
    unconfirmed_.reset();
    rolled_back_ = {from.generation, clock_.UnixNs(), why};
  }
  Log(LogLevel::kWarning, Number(from.generation) + " is undone, " + why + "; " + Number(from.before_generation) + " runs");
  PostAudit(actor, "rollback", from.file, Number(from.generation) + " to " + Number(from.before_generation) + "; " + why);
}

void Daemon::NoteLeftovers(const std::vector<uint64_t>& generations) {
  const std::string why = "the process ended before it was confirmed";
  std::lock_guard lock(confirm_mutex_);
  for (const uint64_t generation : generations) {
    rolled_back_ = {generation, clock_.UnixNs(), why};
    Log(LogLevel::kWarning, Number(generation) + " is undone, " + why + "; " + Number(generation_.load()) + " runs");
    PostAudit("start", "rollback", config_.box.name, Number(generation) + " to " + Number(generation_.load()) + "; " + why);
  }
}

void Daemon::AddConfirmation(json* status) const {
  (*status)["unconfirmed"] = nullptr;
  (*status)["rolled_back"] = nullptr;
  std::lock_guard lock(confirm_mutex_);
  if (unconfirmed_.has_value()) {
    (*status)["unconfirmed"] = {{"generation", unconfirmed_->generation},
                                {"until", FormatTime(clock_.UnixNs() + unconfirmed_->until_ns - clock_.MonotonicNs())},
                                {"goes_back_to", unconfirmed_->before_generation}};
  }
  if (rolled_back_.generation != 0) {
    (*status)["rolled_back"] = {{"generation", rolled_back_.generation}, {"at", FormatTime(rolled_back_.unix_ns)}, {"why", rolled_back_.why}};
  }
}

}  // namespace stillwatch
