// Several forwarders, each with its own queue: whatever comes by which queue, both directions of a flow reach one worker, in the
// order in which they were received.
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include "base/endian.h"
#include "dataplane/engine/engine.h"
#include "dataplane/port/memory_port.h"
#include "fake_worker.h"

namespace stillwatch::dataplane {
namespace {

constexpr int64_t kStart = 1'700'000'000 * kNsPerSecond;

// What workers looked at: conversation, step.
struct Looked {
  uint32_t conversation, step;
  size_t worker;
  int64_t time_ns;
};
struct Book {
  std::vector<Looked> looked;
  std::vector<int64_t> last_ns;  // of each worker
  std::vector<uint64_t> ticks;
};

std::vector<uint8_t> Bytes60(uint32_t conversation, uint32_t step) {
  std::vector<uint8_t> bytes(60);
  StoreLe(bytes.data(), conversation);
  StoreLe(bytes.data() + 4, step);
  return bytes;
}
uint64_t ConversationHash(Bytes frame, Salt, bool*) { return Mix64(LoadLe<uint32_t>(frame.data()) + 1); }

class Recorder final : public Worker {
 public:
  Recorder(Book* book, size_t index) : book_(book), index_(index) {}
  LookResult Look(const Frame& frame) override {
    NoteTime(frame.time_ns);
    book_->looked.push_back({LoadLe<uint32_t>(frame.bytes.data()), LoadLe<uint32_t>(frame.bytes.data() + 4), index_, frame.time_ns});
    return LookResult::kDone;
  }
  LookResult Continue() override { return LookResult::kDone; }
  void Tick(uint64_t, int64_t time_ns) override {
    NoteTime(time_ns);
    ++book_->ticks[index_];
  }
  void Finish(uint64_t, int64_t time_ns) override { NoteTime(time_ns); }
  void RegisterCounters(CounterRegistry*) override {}

 private:
  void NoteTime(int64_t time_ns) {
    EXPECT_GE(time_ns, book_->last_ns[index_]);
    book_->last_ns[index_] = time_ns;
  }
  Book* const book_;
  const size_t index_;
};

// A wire whose frames carry the time at which they were polled, as those of a device.
class Queue final : public Port {
 public:
  explicit Queue(const Clock* clock) : clock_(clock) {}
  void Arrive(std::vector<uint8_t> bytes) { waiting_.push_back(std::move(bytes)); }
  size_t Receive(std::span<Frame> frames) override {
    size_t count = 0;
    for (; count < frames.size() && next_ < waiting_.size(); ++next_) {
      frames[count++] = Frame{waiting_[next_], 60, 0, ++number_, clock_->UnixNs(), next_};
    }
    // A device sends what it receives: from here on it may be answered, though no worker has been told of it.
    if (count != 0 && between_poll_and_hand_over) std::exchange(between_poll_and_hand_over, nullptr)();
    return count;
  }
  void Release(std::span<const Frame> frames) override { released += frames.size(); }
  bool lossless() const override { return false; }
  bool at_end() const override { return false; }
  size_t polled() const { return next_; }
  uint64_t released = 0;
  std::function<void()> between_poll_and_hand_over;

 private:
  const Clock* const clock_;
  std::deque<std::vector<uint8_t>> waiting_;
  size_t next_ = 0;
  uint64_t number_ = 0;
};

// Forwarders and workers, stepped by hand in any order.
struct Harness {
  Harness(size_t forwarders_count, size_t lanes_count) : sent(forwarders_count) {
    book.last_ns.resize(lanes_count);
    book.ticks.resize(lanes_count);
    for (size_t i = 0; i < lanes_count; ++i) {
      Lane::Options options;
      options.index = i;
      options.first = i == 0;
      options.clock = &clock;
      lanes.push_back(std::make_unique<Lane>(
          options, [this](size_t index, WorkerOutput*) { return std::make_unique<Recorder>(&book, index); }, sent, &abandoned));
    }
    for (size_t i = 0; i < forwarders_count; ++i) {
      Forwarder::Options options;
      options.flow_hash = ConversationHash;
      options.index = i;
      options.forwarders = forwarders_count;
      options.epoch_ns = kStart;
      queues.push_back(std::make_unique<Queue>(&clock));
      forwarders.push_back(std::make_unique<Forwarder>(options, queues[i].get(), lanes, &sent[i], &clock));
    }
  }
  void Drain() {
    for (int idle = 0; idle < 3;) {
      bool worked = false;
      clock.Advance(100);
      for (const auto& forwarder : forwarders) worked |= forwarder->Step();
      for (const auto& lane : lanes) worked |= lane->Step();
      idle = worked ? 0 : idle + 1;
    }
  }
  uint64_t Skipped() const {
    uint64_t sum = 0;
    for (const auto& lane : lanes) sum += lane->output().counters().Get(LaneCounter::kOrderSkipped);
    return sum;
  }

  FakeClock clock{kStart};
  std::atomic<bool> abandoned{false};
  std::vector<SentUpTo> sent;
  Book book;
  std::vector<std::unique_ptr<Lane>> lanes;
  std::vector<std::unique_ptr<Queue>> queues;
  std::vector<std::unique_ptr<Forwarder>> forwarders;
};

// Each step of a conversation arrives by another queue, and only once the step before was polled, as an answer comes only
// after its request was sent on.
TEST(QueuesTest, AnAnswerIsNeverLookedAtBeforeItsRequest) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    const size_t queues = 2 + seed % 3, lanes = 1 + seed % 2;
    Harness harness(queues, lanes);
    struct Talk {
      uint32_t step = 0;
      size_t queue = 0, place = 0;  // of the step on its way
    };
    std::vector<Talk> talks(20);
    std::vector<size_t> arrived(queues);
    const auto arrive = [&](uint32_t conversation) {
      Talk& talk = talks[conversation];
      talk.queue = random() % queues;
      talk.place = arrived[talk.queue]++;
      harness.queues[talk.queue]->Arrive(Bytes60(conversation, talk.step++));
    };
    for (uint32_t i = 0; i < talks.size(); ++i) arrive(i);
    for (int round = 0; round < 3'000; ++round) {
      if (random() % 2 == 0) harness.clock.Advance(static_cast<int64_t>(random() % 500));
      // Not all threads are equally quick.
      if (random() % 3 == 0) {
        harness.lanes[random() % lanes]->Step();
      } else {
        harness.forwarders[random() % queues]->Step();
      }
      harness.clock.Advance(1'000);  // no wire is quicker than a burst's frames are nanoseconds
      for (uint32_t i = 0; i < talks.size(); ++i) {
        if (harness.queues[talks[i].queue]->polled() > talks[i].place && random() % 4 == 0) arrive(i);
      }
    }
    harness.Drain();
    EXPECT_EQ(harness.Skipped(), 0u);
    std::map<uint32_t, uint32_t> next;
    std::map<uint32_t, size_t> worker;
    for (const Looked& looked : harness.book.looked) {
      ASSERT_EQ(looked.step, next[looked.conversation]++) << "seed " << seed << ", conversation " << looked.conversation;
      EXPECT_EQ(worker.try_emplace(looked.conversation, looked.worker).first->second, looked.worker);
    }
    uint64_t released = 0;
    for (const auto& queue : harness.queues) released += queue->released;
    EXPECT_EQ(released, harness.book.looked.size());
    EXPECT_GT(harness.book.looked.size(), 500u);
  }
}

TEST(QueuesTest, AnAnswerWaitsForARequestThatItsForwarderHasNotHandedOver) {
  Harness harness(2, 1);
  for (const auto& forwarder : harness.forwarders) forwarder->Step();
  harness.queues[0]->Arrive(Bytes60(1, 0));
  harness.queues[0]->between_poll_and_hand_over = [&] {
    harness.clock.Advance(1'000);
    harness.queues[1]->Arrive(Bytes60(1, 1));
    harness.forwarders[1]->Step();
    for (int i = 0; i < 3; ++i) harness.lanes[0]->Step();
  };
  harness.forwarders[0]->Step();
  harness.Drain();
  ASSERT_EQ(harness.book.looked.size(), 2u);
  EXPECT_EQ(harness.book.looked[0].step, 0u);
  EXPECT_EQ(harness.book.looked[1].step, 1u);
  EXPECT_EQ(harness.Skipped(), 0u);
}

TEST(QueuesTest, AForwarderThatHangsIsWaitedForAWhileOnly) {
  Harness harness(2, 1);
  for (const auto& forwarder : harness.forwarders) forwarder->Step();
  harness.clock.Advance(1'000);
  for (uint32_t i = 0; i < 5; ++i) harness.queues[0]->Arrive(Bytes60(i, 0));
  harness.forwarders[0]->Step();
  Lane& lane = *harness.lanes[0];
  lane.Step();
  EXPECT_TRUE(harness.book.looked.empty());
  harness.clock.Advance(kOrderWaitNs);
  lane.Step();
  EXPECT_TRUE(harness.book.looked.empty());
  harness.clock.Advance(1);
  lane.Step();
  EXPECT_EQ(harness.book.looked.size(), 5u);
  EXPECT_EQ(harness.Skipped(), 5u);
  // It goes on, with what it had received before: late, and looked at all the same.
  harness.queues[1]->Arrive(Bytes60(9, 0));
  harness.forwarders[1]->Step();
  harness.clock.Advance(1);
  harness.forwarders[0]->Step();
  lane.Step();
  EXPECT_EQ(harness.book.looked.size(), 6u);
  harness.queues[0]->Arrive(Bytes60(1, 1));
  harness.Drain();
  EXPECT_EQ(harness.book.looked.size(), 7u);
  EXPECT_EQ(harness.Skipped(), 5u);
}

TEST(QueuesTest, TimeGoesOnThoughTheFirstQueueIsSilent) {
  Harness harness(2, 2);
  for (int i = 0; i < 50; ++i) {
    harness.clock.Advance(50 * kNsPerMs);
    harness.queues[1]->Arrive(Bytes60(static_cast<uint32_t>(i), 0));
    for (const auto& forwarder : harness.forwarders) forwarder->Step();
    for (const auto& lane : harness.lanes) lane->Step();
  }
  harness.Drain();
  EXPECT_EQ(harness.book.looked.size(), 50u);
  for (const uint64_t ticks : harness.book.ticks) EXPECT_EQ(ticks, 24u);  // 2.5 s less the first 100 ms
}

// With threads: two wires at full speed, two workers.
TEST(QueuesTest, TwoForwardersAndTwoWorkersLookAtEverything) {
  constexpr uint32_t kConversations = 40, kSteps = 50;
  MemoryPort wires[2] = {MemoryPort(false), MemoryPort(false)};
  for (uint32_t step = 0; step < kSteps; ++step) {
    for (uint32_t i = 0; i < kConversations; ++i) wires[(step + i) % 2].Add(Bytes60(i, step), kStart + step * kNsPerMs);
  }
  Port* const ports[] = {&wires[0], &wires[1]};
  EngineOptions options;
  options.workers = 2;
  options.flow_hash = ConversationHash;
  Book books[2];
  for (Book& book : books) book.last_ns.resize(2), book.ticks.resize(2);
  Quiescent quiescent;
  options.quiescent = &quiescent;
  Engine engine(options, ports, [&](size_t index, WorkerOutput*) { return std::make_unique<Recorder>(&books[index], index); });
  ASSERT_TRUE(engine.Start().ok());
  Transcript transcript;
  engine.Drain(&transcript);
  while (engine.running()) std::this_thread::yield();
  EXPECT_EQ(engine.Count(ForwarderCounter::kFrames), kConversations * kSteps);
  EXPECT_EQ(engine.Count(ForwarderCounter::kWorkerRingFull), 0u);
  std::map<uint32_t, size_t> worker;
  for (const Book& book : books) {
    EXPECT_FALSE(book.looked.empty());
    for (const Looked& looked : book.looked) {
      EXPECT_EQ(worker.try_emplace(looked.conversation, looked.worker).first->second, looked.worker);
    }
  }
  EXPECT_EQ(books[0].looked.size() + books[1].looked.size(), kConversations * kSteps);
  for (const MemoryPort& wire : wires) EXPECT_EQ(wire.released(), wire.received());
}

}  // namespace
}  // namespace stillwatch::dataplane
