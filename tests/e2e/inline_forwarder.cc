// The packet path alone, as a program: forwards between two interfaces with fail-open, looks at
// nothing, or (--pass) finds out which flows are of no interest. For end-to-end tests and for measuring forwarding by itself.
//   inline_forwarder --a IF --b IF [--driver af_xdp|af_packet] [--bpffs PATH] [--timeout-ms N]
//   [--workers N]
//                    [--tc] [--mirror] [--interest-port PORTS] [--interest-udp-port PORTS] [--poll]
//                    [--pass FLOWS]   // so many may stay in the kernel
// Prints "ready" when frames are being forwarded. SIGTERM: hands over to the kernel, drains, prints
// its counters, ends.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "base/log.h"
#include "dataplane/bypass/fail_open.h"
#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/inline_pair.h"
#include "dataplane/engine/engine.h"
#include "tests/dataplane/null_http.h"

namespace stillwatch::dataplane {
namespace {

struct Arguments {
  InlinePairOptions pair;
  FailOpenOptions fail_open;
  size_t workers = 1;
  bool poll = false;
  std::vector<std::string> interest_ports, interest_udp_ports;
};

class Looker final : public Worker {
 public:
  LookResult Look(const Frame& frame) override {
    uint64_t sum = 0;
    for (size_t i = 0; i < frame.bytes.size(); i += 64) sum += frame.bytes[i];
    sum_ = sum;
    return LookResult::kDone;
  }
  LookResult Continue() override { return LookResult::kDone; }
  void Tick(uint64_t, int64_t) override {}
  void Finish(uint64_t, int64_t) override {}
  void RegisterCounters(CounterRegistry*) override {}

 private:
  volatile uint64_t sum_ = 0;
};

class Ignore final : public ExchangeConsumer {
 public:
  void OnExchange(const ExchangeView&) override {}
  void OnFlowRecord(const FlowRecord&) override {}
  void OnWatermark(uint64_t, int64_t) override {}
};

uint64_t AddressHash(Bytes frame, Salt, bool*) {
  return frame.size() < 34 ? 0 : uint64_t{frame[29]} ^ frame[33];
}

Result<Arguments> Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--mirror") {
      arguments.pair.forward = arguments.fail_open.forward = false;
      continue;
    }
    if (word == "--tc") {  // af_packet, with the kernel's programme on traffic control
      arguments.pair.driver = PortDriver::kAfPacket;
      arguments.fail_open.traffic_control = true;
      continue;
    }
    if (word == "--poll") {
      arguments.poll = true;
      continue;
    }
    if (i + 1 == argc) return Error{"inline_forwarder: " + word + " wants a value"};
    const std::string value = argv[++i];
    if (word == "--a")
      arguments.pair.a = arguments.fail_open.port_a = value;
    else if (word == "--b")
      arguments.pair.b = arguments.fail_open.port_b = value;
    else if (word == "--bpffs")
      arguments.fail_open.bpffs = value;
    else if (word == "--driver")
      arguments.pair.driver = value == "af_packet" ? PortDriver::kAfPacket : PortDriver::kAfXdp;
    else if (word == "--timeout-ms")
      arguments.fail_open.timeout_ns = std::stoll(value) * kNsPerMs;
    else if (word == "--queues") {
      arguments.pair.queues = static_cast<uint16_t>(std::stoul(value));
      arguments.pair.mbufs = 32'767;
    } else if (word == "--workers")
      arguments.workers = std::stoul(value);
    else if (word == "--pass")
      arguments.fail_open.passed_flows_max = static_cast<uint32_t>(std::stoul(value));
    else if (word == "--interest-port")
      arguments.interest_ports.push_back(value);
    else if (word == "--interest-udp-port")
      arguments.interest_udp_ports.push_back(value);
    else
      return Error{"inline_forwarder: unknown option " + word};
  }
  return arguments;
}

void PrintCounters(const CounterRegistry& registry) {
  for (const auto& [name, value] : registry.Snapshot())
    std::printf("%s %lu\n", name.c_str(), value);
  std::fflush(stdout);
}

volatile sig_atomic_t asked_to_end = 0;

// Polls the merger until a signal asks for the end.
void RunUntilAsked(Engine* engine, FailOpen* fail_open) {
  Ignore ignore;
  while (asked_to_end == 0) {
    engine->merger().Poll(&ignore);
    if (fail_open != nullptr) engine->TakeUninteresting([&](const UninterestingFlow& flow) { fail_open->Pass(flow.ends, flow.looked_ns); });
    usleep(2'000);
  }
}

// Flows of frames without checksums, as tests make them.
std::unique_ptr<Worker> PassingWorker(WorkerOutput* output) {
  static stillwatch::testing::NullHttp nobody;
  WorkerOptions options;
  options.ignore_checksums = options.pass_uninteresting = true;
  return MakeWorker(options, &nobody, output);
}

Status Main(int argc, char** argv) {
  auto parsed = Parse(argc, argv);
  if (!parsed.ok()) return parsed.error();
  Arguments& arguments = parsed.value();
  EalOptions eal_options;
  eal_options.huge_pages = false;
  auto eal = Eal::Start(eal_options);
  if (!eal.ok()) return eal.error();

  std::unique_ptr<FailOpen> fail_open;
  Heart no_heart;
  Heart* heart = &no_heart;
  if (arguments.pair.driver == PortDriver::kAfXdp || arguments.fail_open.traffic_control) {
    auto installed = FailOpen::Install(arguments.fail_open);
    if (!installed.ok()) return installed.error();
    fail_open = std::move(installed).value();
    auto interest = ParseInterest({}, arguments.interest_ports, arguments.interest_udp_ports);
    if (!interest.ok()) return interest.error();
    if (Status s = fail_open->SetInterest(interest.value()); !s.ok()) return s;
    heart = &fail_open->heart();
    arguments.pair.a = fail_open->process_port(0);
    arguments.pair.b = fail_open->process_port(1);
  }
  SystemClock clock;
  auto pair = InlinePair::Open(arguments.pair, heart, &clock);
  if (!pair.ok()) return pair.error();
  EngineOptions options;
  options.workers = arguments.workers;
  options.flow_hash = AddressHash;
  options.sleep_when_idle = !arguments.poll;
  options.record_bytes = 1 << 20;
  const bool passes = arguments.fail_open.passed_flows_max != 0;
  Engine engine(
      options, pair.value()->ports(),
      [passes](size_t, WorkerOutput* output) -> std::unique_ptr<Worker> {
        if (passes) return PassingWorker(output);
        return std::make_unique<Looker>();
      },
      &clock);
  CounterRegistry registry;
  engine.RegisterCounters(&registry);
  pair.value()->RegisterCounters(&registry);
  if (fail_open != nullptr) registry.Register(fail_open->counters());
  if (Status s = engine.Start(); !s.ok()) return s;

  // Or the kernel would forward the first frames of a test.
  for (int i = 0; i < 10'000 && !heart->beating(); ++i) usleep(1'000);
  std::printf("ready%s\n", fail_open != nullptr && fail_open->adopted() ? " adopted" : "");
  std::fflush(stdout);
  RunUntilAsked(&engine, fail_open.get());

  // The kernel takes over; then what is still in our rings goes out.
  heart->Stop();
  const auto received = [&] {
    return pair.value()->Count(ForwardCounter::kReceivedA) + pair.value()->Count(ForwardCounter::kReceivedB);
  };
  if (fail_open != nullptr) {
    uint64_t before = ~0ull;
    for (int round = 0; round < 50 && before != received(); ++round) {
      before = received();
      usleep(20'000);
    }
    fail_open->RefreshCounters();
  }
  pair.value()->RefreshDeviceCounters();
  engine.Stop();
  Ignore ignore;
  engine.Drain(&ignore);
  while (engine.running()) usleep(1'000);
  for (size_t i = 0; i < pair.value()->ports().size(); ++i) std::printf("queue.%zu %lu\n", i, pair.value()->Received(i));
  PrintCounters(registry);
  return {};
}

}  // namespace
}  // namespace stillwatch::dataplane

int main(int argc, char** argv) {
  const auto note = [](int) { stillwatch::dataplane::asked_to_end = 1; };
  signal(SIGTERM, note);
  signal(SIGINT, note);
  const stillwatch::Status status = stillwatch::dataplane::Main(argc, argv);
  if (status.ok()) return 0;
  stillwatch::Log(stillwatch::LogLevel::kError, status.message());
  return 1;
}
