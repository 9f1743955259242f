// Two receive queues a port, two forwarders, on AF_PACKET (DPDK's AF_XDP driver gives a veth one queue only): connections spread over both, whole through kill and restart, and one forwarder that
// hangs does not hold up its queue's frames.
#include <gtest/gtest.h>

#include "held_thread.h"
#include "inline_lab.h"
#include "tcp_load.h"

namespace stillwatch::e2e {
namespace {

class QueuesTest : public InlineLabTest {
 protected:
  void SetUp() override {
    InlineLabTest::SetUp();
    if (!IsSkipped()) lab_ = std::make_unique<NetLab>(2);
    process_ = lab_ == nullptr ? nullptr : std::make_unique<ForwarderProcess>(*lab_);
  }
  // Several connections at once, so that both queues have some.
  void StartLoads(size_t count) {
    for (size_t i = 0; i < count; ++i) loads_.push_back(std::make_unique<TcpLoad>(*lab_, 1, static_cast<uint16_t>(8'080 + i)));
  }
  uint64_t Received() const {
    uint64_t sum = 0;
    for (const auto& load : loads_) sum += load->received();
    return sum;
  }
  void FinishLoads() {
    for (const auto& load : loads_) EXPECT_EQ(load->Finish(), "");
    loads_.clear();
  }
  // With the kernel's programme on traffic control.
  std::vector<std::string> TwoQueues() const { return Inline({"--tc", "--queues", "2"}); }
  std::vector<std::unique_ptr<TcpLoad>> loads_;
};

TEST_F(QueuesTest, ConnectionsLiveThroughKillAndRestartAndBothQueuesCarrySome) {
  ASSERT_TRUE(process_->Start(TwoQueues()));
  StartLoads(8);
  ASSERT_TRUE(Await([&] { return Received() > 4'000'000; }));
  process_->Kill();
  const uint64_t at_kill = Received();
  ASSERT_TRUE(Await([&] { return Received() > at_kill + 4'000'000; })) << "no traffic while the process is dead";
  ASSERT_TRUE(process_->Start(TwoQueues()));
  const uint64_t at_start = Received();
  ASSERT_TRUE(Await([&] { return Received() > at_start + 8'000'000; })) << "no traffic after the restart";
  FinishLoads();
  EXPECT_EQ(process_->Stop(), 0);
  const uint64_t received = process_->Counter("forward.received_a") + process_->Counter("forward.received_b");
  EXPECT_GT(process_->Counter("queue.0"), 0u);
  EXPECT_GT(process_->Counter("queue.1"), 0u);
  EXPECT_EQ(process_->Counter("queue.0") + process_->Counter("queue.1"), received);
  EXPECT_EQ(process_->Counter("engine.looked") + process_->Counter("engine.worker_ring_full") + process_->Counter("engine.buffers_scarce"), received);
}

TEST_F(QueuesTest, OneForwarderThatHangsIsBypassedWithAllOthers) {
  ASSERT_TRUE(process_->Start(TwoQueues()));
  StartLoads(8);
  ASSERT_TRUE(Await([&] { return Received() > 2'000'000; }));
  {
    const HeldThread held(process_->pid(), "sw-forward-1");
    SleepMs(2 * kTimeoutMs);
    // Every connection goes on, also those of the queue that nobody polls.
    std::vector<uint64_t> before;
    for (const auto& load : loads_) before.push_back(load->received());
    EXPECT_TRUE(Await([&] {
      size_t alive = 0;
      for (size_t i = 0; i < loads_.size(); ++i) alive += loads_[i]->received() > before[i] + 100'000;
      return alive == loads_.size();
    }));
  }
  const uint64_t after = Received();
  ASSERT_TRUE(Await([&] { return Received() > after + 2'000'000; }));
  FinishLoads();
  EXPECT_EQ(process_->Stop(), 0);
  EXPECT_GT(process_->Counter("bypass.heart_stale"), 0u);
}

TEST_F(QueuesTest, WithoutTheKernelsBypassToo) {
  ASSERT_TRUE(process_->Start(Inline({"--driver", "af_packet", "--queues", "2"})));
  StartLoads(8);
  ASSERT_TRUE(Await([&] { return Received() > 4'000'000; }));
  FinishLoads();
  EXPECT_EQ(process_->Stop(), 0);
  EXPECT_GT(process_->Counter("queue.0"), 0u);
  EXPECT_GT(process_->Counter("queue.1"), 0u);
}

}  // namespace
}  // namespace stillwatch::e2e
