// The executor itself: values worked out by hand from the PTX manual, and one small kernel for each
// fault that it must find. Kernels are one block of at most 64 threads; `out` has a word a thread.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/ptx/ptx.h"

namespace stillwatch::ptx {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kHead[] = R"(
.version 9.0
.target sm_80
.address_size 64
.visible .entry K(.param .u64 K_out, .param .u32 K_n)
.maxntid 64, 1, 1
{
 .reg .pred %p<9>;
 .reg .b16 %rs<9>;
 .reg .b32 %r<40>;
 .reg .b64 %rd<20>;
 .shared .align 4 .b8 s[256];
 ld.param.u64 %rd1, [K_out];
 ld.param.u32 %r30, [K_n];
 mov.u32 %r1, %tid.x;
 mul.wide.u32 %rd2, %r1, 4;
 cvta.to.global.u64 %rd3, %rd1;
 add.s64 %rd4, %rd3, %rd2;
 shl.b32 %r2, %r1, 2;
 mov.u32 %r3, s;
 add.s32 %r4, %r3, %r2;
)";

struct Outcome {
  std::string error;
  std::vector<uint32_t> out;
};

// Runs the body (which leaves the thread's word in %r9) and stores it.
Outcome Execute(const std::string& body, uint32_t threads = 32, uint32_t seed = 0, uint32_t n = 7) {
  Result<Module> module = Module::Load(kHead + body + "\n st.global.u32 [%rd4], %r9;\n ret;\n}\n");
  if (!module.ok()) return {module.message(), {}};
  Outcome outcome;
  outcome.out.resize(threads);
  Memory memory;
  const uint64_t out = memory.Map("out", outcome.out.data(), threads * 4);
  const void* const arguments[] = {&out, &n};
  outcome.error = module.value()
                      .Launch("K", {1, 1}, {threads, 1}, arguments, memory,
                              {.seed = seed, .warp_instructions_max = 100'000})
                      .error;
  return outcome;
}

// What lane 0 computes.
uint32_t Value(const std::string& body) {
  const Outcome outcome = Execute(body);
  EXPECT_EQ(outcome.error, "") << body;
  return outcome.out[0];
}

TEST(Executor, ArithmeticByHand) {
  EXPECT_EQ(Value("mov.u32 %r5, -7; mov.u32 %r6, 2; div.s32 %r9, %r5, %r6;"), 0xfffffffdu);
  EXPECT_EQ(Value("mov.u32 %r5, -7; mov.u32 %r6, 2; rem.s32 %r9, %r5, %r6;"), 0xffffffffu);
  EXPECT_EQ(Value("mov.u32 %r5, 0x80000000; mul.hi.u32 %r9, %r5, 6;"), 3u);
  EXPECT_EQ(Value("mov.u32 %r5, -2; mul.wide.s32 %rd5, %r5, 3; cvt.u32.u64 %r9, %rd5;"),
            0xfffffffau);
  EXPECT_EQ(Value("mov.u32 %r5, -8; shr.s32 %r9, %r5, 1;"), 0xfffffffcu);
  EXPECT_EQ(Value("mov.u32 %r5, -8; shr.u32 %r9, %r5, 28;"), 15u);
  EXPECT_EQ(Value("mov.u32 %r5, 1; shl.b32 %r9, %r5, 32;"), 0u);
  EXPECT_EQ(Value("mov.u32 %r5, 0xff; mov.u32 %r6, 0x12345678; bfi.b32 %r9, %r5, %r6, 8, 8;"),
            0x1234ff78u);
  EXPECT_EQ(Value("mov.u32 %r5, 0x12345678; bfe.u32 %r9, %r5, 8, 12;"), 0x456u);
  EXPECT_EQ(
      Value("mov.u32 %r5, 0x00010203; mov.u32 %r6, 0x04050607; prmt.b32 %r9, %r5, %r6, 0x7531;"),
      0x04060002u);
  EXPECT_EQ(Value("mov.u32 %r5, 0xf0; mov.u32 %r6, 0xcc; mov.u32 %r7, 0xaa; lop3.b32 %r9, %r5, "
                  "%r6, %r7, 0x96;"),
            0x96u);
  EXPECT_EQ(Value("mov.u32 %r5, 0x80000001; mov.u32 %r6, 2; shf.l.wrap.b32 %r9, %r5, %r6, 1;"), 5u);
  EXPECT_EQ(Value("mov.u32 %r5, 0x00ff00f0; popc.b32 %r9, %r5;"), 12u);
  EXPECT_EQ(Value("mov.u32 %r5, 0x00ff00f0; clz.b32 %r9, %r5;"), 8u);
  EXPECT_EQ(
      Value("mov.u32 %r5, 0x01ff0280; mov.u32 %r6, 0x02030405; dp4a.s32.s32 %r9, %r5, %r6, 10;"),
      static_cast<uint32_t>(1 * 2 + -1 * 3 + 2 * 4 + -128 * 5 + 10));
  EXPECT_EQ(Value("mov.u64 %rd5, 0x1234567890abcdef; mov.b64 {%r5, %r9}, %rd5;"), 0x12345678u);
  EXPECT_EQ(Value("mov.u32 %r5, 1; mov.u32 %r6, 2; mov.b64 %rd5, {%r5, %r6}; shr.u64 %rd6, %rd5, "
                  "32; cvt.u32.u64 %r9, %rd6;"),
            2u);
  EXPECT_EQ(Value("mov.u32 %r5, 0x80; cvt.s32.s8 %r9, %r5;"), 0xffffff80u);
  EXPECT_EQ(Value("mov.u64 %rd5, -1; mov.u64 %rd6, -1; mul.hi.u64 %rd7, %rd5, %rd6; cvt.u32.u64 "
                  "%r9, %rd7;"),
            0xfffffffeu);
  EXPECT_EQ(Value("mov.u32 %r5, -1; setp.lt.s32 %p1, %r5, 0; setp.lt.and.u32 %p2, %r5, 5, %p1; "
                  "selp.u32 %r9, 1, 2, %p2;"),
            2u);
  EXPECT_EQ(Value("add.s32 %r9, %r30, 1;"), 8u);
}

TEST(Executor, LanesExchange) {
  const Outcome butterfly =
      Execute("mov.u32 %r5, 3; shfl.sync.bfly.b32 %r9|%p1, %r1, %r5, 31, -1;");
  EXPECT_EQ(butterfly.error, "");
  EXPECT_EQ(butterfly.out[0], 3u);
  EXPECT_EQ(butterfly.out[29], 30u);
  const Outcome down = Execute("shfl.sync.down.b32 %r9|%p1, %r1, 1, 31, -1;");
  EXPECT_EQ(down.out[4], 5u);
  EXPECT_EQ(down.out[31], 31u);
  const Outcome votes = Execute("setp.lt.u32 %p1, %r1, 3; vote.sync.ballot.b32 %r9, %p1, -1;");
  EXPECT_EQ(votes.out[9], 7u);
}

// Each lane loops as often as its number says; then all meet again at the shuffle.
TEST(Executor, DivergedLanesMeetAgain) {
  for (const uint32_t seed : {0u, 1u, 2u, 3u}) {
    const Outcome outcome = Execute(R"(
      mov.u32 %r5, 0;
      mov.u32 %r6, 0;
    L1: setp.ge.u32 %p1, %r6, %r1;
      @%p1 bra L2;
      add.s32 %r5, %r5, %r6;
      add.s32 %r6, %r6, 1;
      bra.uni L1;
    L2: shfl.sync.bfly.b32 %r9|%p2, %r5, 1, 31, -1;)",
                                    32, seed);
    EXPECT_EQ(outcome.error, "");
    for (uint32_t lane = 0; lane < 32; ++lane) {
      const uint32_t other = lane ^ 1;
      EXPECT_EQ(outcome.out[lane], other * (other - 1) / 2) << lane;
    }
  }
}

TEST(Executor, BlockBarrierReduces) {
  const Outcome outcome = Execute(
      "setp.eq.u32 %p1, %r1, 40; bar.red.or.pred %p2, 0, %p1; selp.u32 %r9, 5, 6, %p2;", 64);
  EXPECT_EQ(outcome.error, "");
  EXPECT_EQ(outcome.out[0], 5u);
}

constexpr char kReverse[] = R"(
  st.shared.u32 [%r4], %r1;
  BARRIER
  sub.s32 %r5, 252, %r2;
  ld.shared.u32 %r9, [%r5];)";
std::string Reverse(const std::string& barrier) {
  std::string text = kReverse;
  return text.replace(text.find("BARRIER"), 7, barrier);
}

TEST(Executor, SharedMemoryBehindABarrier) {
  for (const uint32_t seed : {0u, 1u, 2u}) {
    const Outcome outcome = Execute(Reverse("bar.sync 0;"), 64, seed);
    EXPECT_EQ(outcome.error, "");
    EXPECT_EQ(outcome.out[10], 53u);
  }
}

TEST(ExecutorFaults, MissingBarrier) {
  for (const uint32_t seed : {0u, 1u, 2u}) {
    const std::string error = Execute(Reverse(""), 64, seed).error;
    EXPECT_TRUE(error.find("race") != std::string::npos ||
                error.find("uninitialised") != std::string::npos)
        << error;
  }
}

// Within one warp a barrier of the warp is enough, between warps it is not.
TEST(ExecutorFaults, WarpBarrierOrdersOneWarpOnly) {
  const std::string neighbour = R"(
    st.shared.u32 [%r4], %r1;
    BARRIER
    xor.b32 %r5, %r4, MASK;
    ld.shared.u32 %r9, [%r5];)";
  const auto with = [&](std::string barrier, std::string mask) {
    std::string text = neighbour;
    text.replace(text.find("BARRIER"), 7, barrier);
    return text.replace(text.find("MASK"), 4, mask);
  };
  EXPECT_EQ(Execute(with("bar.warp.sync -1;", "4"), 64).error, "");
  EXPECT_THAT(Execute(with("", "4"), 64).error, HasSubstr("race"));
  EXPECT_NE(Execute(with("bar.warp.sync -1;", "128"), 64).error, "");
}

TEST(ExecutorFaults, TwoWritersOfOneWord) {
  EXPECT_THAT(Execute("st.shared.u32 [s], %r1; mov.u32 %r9, 0;").error, HasSubstr("race"));
  EXPECT_EQ(Execute("mov.u32 %r5, 1; st.shared.u32 [s], %r5; mov.u32 %r9, 0;").error, "")
      << "one value";
  EXPECT_THAT(Execute("mov.u32 %r5, 0; setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [s], %r5; "
                      "atom.shared.add.u32 %r9, [s], 1;")
                  .error,
              HasSubstr("race"));
  EXPECT_EQ(
      Execute("mov.u32 %r5, 0; setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [s], %r5; bar.sync 0; "
              "atom.shared.add.u32 %r9, [s], 1;")
          .error,
      "");
}

TEST(ExecutorFaults, UninitialisedShared) {
  EXPECT_THAT(Execute("ld.shared.u32 %r9, [%r4+128];").error,
              HasSubstr("uninitialised shared byte 128"));
}

TEST(ExecutorFaults, Bounds) {
  EXPECT_THAT(Execute("mov.u32 %r9, 1; st.global.u32 [%rd4+4], %r9;").error,
              HasSubstr("thread 31: write of 4 bytes at byte 128 of buffer 'out', which has 128"));
  EXPECT_THAT(Execute("ld.global.u32 %r9, [%rd4+-4];").error, HasSubstr("no buffer has"));
  EXPECT_THAT(Execute("ld.global.u32 %r9, [%rd4+2];").error, HasSubstr("misaligned"));
  EXPECT_THAT(Execute("mov.u32 %r9, 1; st.shared.u32 [%r4+252], %r9;").error,
              HasSubstr("shared access at byte 256 of 256"));
}

TEST(ExecutorFaults, BarrierDivergence) {
  const char* const some =
      "setp.lt.u32 %p1, %r1, 9; @%p1 bra L1; bar.sync 0; L1: bar.sync 0; mov.u32 %r9, 0;";
  EXPECT_THAT(Execute(some).error, HasSubstr("barrier divergence"));
  const char* const warps =
      "setp.lt.u32 %p1, %r1, 32; @%p1 bra L1; bar.sync 0; L1: bar.sync 0; mov.u32 %r9, 0;";
  EXPECT_THAT(Execute(warps, 64).error, HasSubstr("barrier divergence"));
  const char* const ended = "setp.lt.u32 %p1, %r1, 32; @%p1 ret; bar.sync 0; mov.u32 %r9, 0;";
  EXPECT_THAT(Execute(ended, 64).error, HasSubstr("threads have ended"));
}

TEST(ExecutorFaults, BadMasks) {
  EXPECT_THAT(Execute("shfl.sync.bfly.b32 %r9, %r1, 1, 31, 0xfffffffe;").error,
              HasSubstr("leaves out its own lane"));
  EXPECT_THAT(Execute("setp.eq.u32 %p1, %r1, 5; @%p1 ret; bar.warp.sync -1; mov.u32 %r9, 0;").error,
              HasSubstr("names lane 5"));
  EXPECT_THAT(Execute("bar.warp.sync -1; mov.u32 %r9, 0;", 20).error, HasSubstr("names lane 20"));
  const char* const parted =
      "setp.eq.u32 %p1, %r1, 5; @%p1 bra L1; bar.warp.sync -1; L1: bar.warp.sync -1; mov.u32 %r9, "
      "0;";
  EXPECT_THAT(Execute(parted).error, HasSubstr("wait for each other"));
  EXPECT_THAT(Execute("setp.lt.u32 %p1, %r1, 16; @%p1 shfl.sync.idx.b32 %r9, %r1, 20, 31, 0xffff; "
                      "mov.u32 %r9, 0;")
                  .error,
              HasSubstr("takes no part"));
}

TEST(ExecutorFaults, DivisionAndEndlessLoops) {
  EXPECT_THAT(Execute("mov.u32 %r5, 0; div.u32 %r9, %r1, %r5;").error,
              HasSubstr("division by zero"));
  EXPECT_THAT(Execute("L1: bra.uni L1; mov.u32 %r9, 0;").error, HasSubstr("does not end"));
}

TEST(ExecutorFaults, RefusesByName) {
  for (const std::string text :
       {"add.f32 %r9, %r1, %r1;",
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 %r9, %r1, %r1, %r1;",
        "addc.s32 %r9, %r1, %r1;", "add.sat.s32 %r9, %r1, %r1;", "cp.async.bulk %r9, %r1;",
        "setp.lt.f32 %p1, %r1, %r1;", "ld.local.u32 %r9, [%rd4];"}) {
    EXPECT_THAT(Execute(text).error,
                HasSubstr("not covered: line 22: " + text.substr(0, text.size() - 1)));
  }
}

TEST(ExecutorFaults, LaunchesThatNoDeviceTakes) {
  Result<Module> module = Module::Load(std::string(kHead) + "ret;\n}\n");
  ASSERT_TRUE(module.ok());
  Memory memory;
  const uint64_t out = 0;
  const uint32_t n = 0;
  const void* const arguments[] = {&out, &n};
  EXPECT_THAT(module.value().Launch("K", {1, 1}, {65, 1}, arguments, memory).error,
              HasSubstr("65 threads; it takes 1 to 64"));
  EXPECT_THAT(module.value().Launch("K", {0, 1}, {32, 1}, arguments, memory).error,
              HasSubstr("grid"));
  EXPECT_THAT(module.value().Launch("L", {1, 1}, {32, 1}, arguments, memory).error,
              HasSubstr("no such kernel"));
  EXPECT_FALSE(Module::Load("int main() {}").ok());
}

}  // namespace
}  // namespace stillwatch::ptx
