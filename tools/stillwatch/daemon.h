// One running box: ports, threads, pipeline, outputs, control. Made by RunMain; the thread that calls Run is the
// detection thread. Requests that concern the pipeline are carried over to it from the control threads.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/counters.h"
#include "base/quiescent.h"
#include "config/config.h"
#include "config/control.h"
#include "config/generations.h"
#include "dataplane/bypass/fail_open.h"
#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/inline_pair.h"
#include "dataplane/engine/engine.h"
#include "pipeline/kafka/topic_intake.h"
#include "pipeline/snapshot/snapshot_keeper.h"
#include "tools/stillwatch/args.h"
#include "tools/stillwatch/deadline.h"
#include "tools/stillwatch/outputs.h"
#include "tools/stillwatch/pipeline_consumer.h"
#include "tools/stillwatch/port_watch.h"
#include "tools/stillwatch/settings.h"

namespace stillwatch {

struct DaemonStart {
  std::string file;  // what a reload without a name reads
  std::vector<std::string> sets;
  bool empty = false;  // forget accounts and campaigns
  uint64_t generation = 0;
  int exit = kExitFailed;
};

class Daemon {
 public:
  // Takes up what the run before remembered, then the ports. The message says what, where and the mend; start->exit is
  // then what the program ends with.
  static Result<std::unique_ptr<Daemon>> Start(const config::Config& config, DaemonStart* start, config::GenerationStore store);
  ~Daemon();

  // Until `stop` becomes true; then an orderly end: the kernel takes over, what was received is forwarded and
  // judged, events are delivered or kept. Returns an exit code.
  int Run(const std::atomic<bool>& stop, std::atomic<bool>* reload);

  // Generations that ran before and were not confirmed: on record, and in the status. Before Run.
  void NoteLeftovers(const std::vector<uint64_t>& generations);

 private:
  // A generation that runs and goes back by itself unless it is confirmed.
  struct Unconfirmed {
    uint64_t generation = 0, before_generation = 0;
    int64_t until_ns = 0;  // CLOCK_MONOTONIC
    std::string file;
    config::Config before;
    std::shared_ptr<const pipeline::AccountDirectory> before_directory;
  };
  // Reload, confirm and rollback: one at a time.
  class ReloadTurn {
   public:
    explicit ReloadTurn(std::atomic<bool>* taken) : taken_(taken), mine_(!taken->exchange(true)) {}
    ~ReloadTurn() {
      if (mine_) taken_->store(false);
    }
    ReloadTurn(const ReloadTurn&) = delete;
    ReloadTurn& operator=(const ReloadTurn&) = delete;
    bool mine() const { return mine_; }

   private:
    std::atomic<bool>* const taken_;
    const bool mine_;
  };

  Daemon(const config::Config& config, config::GenerationStore store, uint64_t generation);
  // What snapshot and outbox hold; a file that is wrong is an error, never an empty start.
  Status Restore();
  Status ForgetAll();
  Status OpenPorts();
  Status StartThreads();
  Status PinDetection();
  // The kernel forwards from here on; what this process has received already is forwarded, then the engine is
  // asked to end. Once.
  void HandOver();

  // Control threads: several at one time. Reload: one at a time, the others are told so.
  config::ControlAnswer Handle(const config::ControlRequest& request);
  // `confirm_within`: "" confirms at once, else the time (ParseDurationNs) after which it goes back by itself.
  config::ControlAnswer Reload(const std::string& file, const std::string& confirm_within, const std::string& actor);
  // daemon_confirm.cc
  config::ControlAnswer Confirm(const std::string& actor);
  config::ControlAnswer Rollback(const std::string& actor);
  void AwaitConfirmation(Unconfirmed unconfirmed);
  std::optional<Unconfirmed> unconfirmed() const;
  void ConfirmationIsOver();  // the deadline's thread
  void GoBack(const Unconfirmed& from, const std::string& actor, const std::string& why);
  void AddConfirmation(nlohmann::json* status) const;
  // on, off; with `on` a duration ("": until it is switched off) and a reason.
  config::ControlAnswer Bypass(const std::vector<std::string>& words, const std::string& actor);
  // confirm, reject or split, a campaign, a reason ("": none), accounts of a split.
  config::ControlAnswer Erase(const std::string& account, const std::string& actor);
  config::ControlAnswer Feedback(const std::vector<std::string>& words, const std::string& actor);
  // A claim of a partner, as JSON.
  config::ControlAnswer Import(const std::string& claim, const std::string& actor);
  config::ControlAnswer Imports();
  // A live campaign for a named partner; audited.
  config::ControlAnswer Export(const std::string& id, const std::string& partner, const std::string& actor);
  // What keeps the box from looking at all or from forwarding, a sentence each; any thread.
  std::vector<std::string> Alarms() const;
  std::string StatusJson();
  // daemon_intake.cc: topics that others write, on the intake's thread.
  Status StartIntake();
  pipeline::TopicIntake::Outcome TakeRecord(const pipeline::ConsumedRecord& record);
  pipeline::TopicIntake::Outcome TakeIntel(const pipeline::ConsumedRecord& record);
  // The directory with what topic intel says on top, into detection, when something new was said.
  void MergeIntel();
  // The same for a directory that a start or a reload read from its file.
  std::shared_ptr<const pipeline::AccountDirectory> WithIntel(std::shared_ptr<const pipeline::AccountDirectory> base);
  // Publishes and waits until every thread has passed; after 2 s, which ones did not.
  std::vector<const Quiescent::Slot*> PublishAndWait(uint64_t generation);
  nlohmann::json ThreadGenerations() const;
  // Puts hot keys into force; the detection thread takes its part before it passes what is published after this.
  void ApplyHot(const config::Config& config, std::shared_ptr<const pipeline::AccountDirectory> directory, uint64_t generation);
  config::Config config() const;
  // Runs `work` on the detection thread and waits for it.
  void OnDetectionThread(const std::function<void()>& work);
  // The same without waiting.
  void Post(std::function<void()> work);
  // The record is durable when the detection thread has been there.
  void PostAudit(std::string actor, std::string action, std::string subject, std::string detail);

  // Detection thread.
  void RunRequests();
  void ReloadAsSignalled();
  void Housekeeping(int64_t now_ns);
  void NoteCoverage(const std::map<std::string, uint64_t>& counters);
  void WriteBoxStatus(const std::map<std::string, uint64_t>& counters);
  // No exchange waits longer for detection than 1 ms and the closing of the batch before.
  void CutBatchIfDue(int64_t now_ns);
  // At the end of a logical batch, when one is due. Looking stands still for the copy only.
  void SnapshotIfDue(bool now);

  mutable std::mutex config_mutex_;
  config::Config config_;  // what runs; under config_mutex_ once the control threads run
  std::string file_;
  std::vector<std::string> sets_;
  config::GenerationStore store_;
  std::atomic<uint64_t> generation_;
  SystemClock clock_;
  CounterRegistry registry_;
  Quiescent quiescent_;
  Quiescent::Slot* slot_ = nullptr;
  Secrets secrets_;
  std::shared_ptr<const pipeline::AccountDirectory> directory_;  // what runs; after start the reloading thread's
  std::unique_ptr<gpu::Backend> backend_;
  std::unique_ptr<Outputs> outputs_;
  std::unique_ptr<pipeline::Pipeline> pipeline_;
  std::unique_ptr<pipeline::SnapshotKeeper> keeper_;
  uint64_t restored_accounts_ = 0;
  std::string restored_from_ = "nothing";
  std::unique_ptr<PipelineConsumer> consumer_;
  std::unique_ptr<dataplane::Eal> eal_;
  std::unique_ptr<dataplane::FailOpen> fail_open_;
  dataplane::Heart own_heart_;  // of ports without the programme
  std::unique_ptr<dataplane::InlinePair> ports_;
  std::unique_ptr<dataplane::KeyFeed> keys_;  // null: nothing is decrypted
  std::unique_ptr<dataplane::Engine> engine_;
  std::unique_ptr<PortWatch> watch_;
  std::mutex intel_mutex_;
  std::map<std::string, v1::DirectoryEntry> intel_entries_;  // by key_id; at most kIntelEntriesMax
  std::shared_ptr<const pipeline::AccountDirectory> base_directory_;  // the file's
  bool intel_changed_ = false;
  std::unique_ptr<pipeline::TopicIntake> intake_;  // null: no topic is read

  std::mutex requests_mutex_, running_mutex_;
  mutable std::mutex bypass_mutex_;  // the operator's switch and its reason belong together
  std::vector<std::packaged_task<void()>> requests_;
  struct RolledBack {
    uint64_t generation = 0;  // 0: none since start
    int64_t unix_ns = 0;
    std::string why;
  };
  mutable std::mutex confirm_mutex_;
  std::optional<Unconfirmed> unconfirmed_;
  RolledBack rolled_back_;
  std::unique_ptr<Deadline> confirm_deadline_;
  std::atomic<bool> reloading_{false}, signal_reloading_{false};
  std::atomic<bool> detection_over_{false};
  bool handed_over_ = false;
  std::thread signal_reload_;
  int64_t next_housekeeping_ns_ = 0;
  int64_t next_status_ns_ = 0;
  int64_t snapshot_time_ns_ = 0;  // traffic time of the last snapshot
  int64_t idle_since_ns_ = 0;
  int64_t batch_since_ns_ = 0;  // when the open batch was first seen; 0: none is open
  uint64_t skipped_ = 0;  // at the last NoteCoverage
  std::unique_ptr<config::ControlServer> control_;  // last: its threads use all above
};

}  // namespace stillwatch
