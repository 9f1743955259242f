#include "tests/ptx/warp.h"

#include <algorithm>

namespace stillwatch::ptx {
namespace {

// Instructions a group runs before another gets its turn, when turns are random.
constexpr uint32_t kTurn = 7;

}  // namespace

Warp::Warp(Block& block, uint32_t index)
    : block_(block), index_(index), rows_(static_cast<size_t>(block.kernel.rows) * kLanes) {
  const uint32_t threads = block.size.x * block.size.y;
  const uint32_t first = index * kLanes;
  const uint32_t count = threads - first < kLanes ? threads - first : kLanes;
  live_ = started_ = count == kLanes ? kAllLanes : (1u << count) - 1;
  // A register that nothing wrote reads as rubbish.
  std::fill(rows_.begin(), rows_.end(), 0xdeadbeefdeadbeefull);
  for (const auto& [row, value] : block.kernel.constants) {
    for (uint32_t lane = 0; lane < kLanes; ++lane) Row(row)[lane] = value;
  }
  for (const auto& [name, row] : block.kernel.specials) {
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      const uint32_t thread = first + lane;
      uint64_t value = 0;
      if (name == "%tid.x") value = thread % block.size.x;
      if (name == "%tid.y") value = thread / block.size.x;
      if (name == "%ntid.x") value = block.size.x;
      if (name == "%ntid.y") value = block.size.y;
      if (name == "%ctaid.x") value = block.at.x;
      if (name == "%ctaid.y") value = block.at.y;
      if (name == "%nctaid.x") value = block.grid.x;
      if (name == "%nctaid.y") value = block.grid.y;
      if (name == "%laneid") value = lane;
      Row(row)[lane] = value;
    }
  }
}

std::string Warp::PlaceOf(uint32_t lane) const {
  return "block (" + std::to_string(block_.at.x) + "," + std::to_string(block_.at.y) + ") thread " +
         std::to_string(index_ * kLanes + lane);
}

void Warp::Fail(uint32_t lane, const std::string& what) {
  if (failed()) return;
  block_.error = "kernel " + block_.kernel.name + ", PTX line " + std::to_string(now_->line) +
                 " '" + now_->text + "', " + PlaceOf(lane) + ": " + what;
}

const Instruction* Warp::barrier_of(uint32_t lane) const { return &block_.kernel.code[pcs_[lane]]; }

const Instruction* Warp::barrier() const {
  if (at_barrier_ == 0) return nullptr;
  return barrier_of(static_cast<uint32_t>(__builtin_ctz(at_barrier_)));
}

void Warp::SetPc(uint32_t lanes, uint32_t pc) {
  ForLanes(lanes, [&](uint32_t lane) { pcs_[lane] = pc; });
}

void Warp::LeaveBarrier() {
  ForLanes(at_barrier_, [&](uint32_t lane) { ++pcs_[lane]; });
  at_barrier_ = 0;
}

// The lanes that run next: those at the lowest place, so that lanes that parted meet again; or, in
// random turns, those that are where some lane is.
Warp::Group Warp::PickGroup() {
  const uint32_t ready = live_ & ~gathering_ & ~at_barrier_;
  Group group = {0xffffffffu, 0};
  if (ready == 0) return group;
  if (block_.random_lanes) {
    uint32_t skip =
        static_cast<uint32_t>(block_.random()) % static_cast<uint32_t>(__builtin_popcount(ready));
    uint32_t left = ready;
    for (; skip > 0; --skip) left &= left - 1;
    group.pc = pcs_[static_cast<uint32_t>(__builtin_ctz(left))];
  } else {
    ForLanes(ready, [&](uint32_t lane) { group.pc = std::min(group.pc, pcs_[lane]); });
  }
  ForLanes(ready, [&](uint32_t lane) {
    if (pcs_[lane] == group.pc) group.lanes |= 1u << lane;
  });
  return group;
}

void Warp::Run() {
  while (!failed()) {
    Group group = PickGroup();
    if (group.lanes == 0) break;
    const bool all = group.lanes == live_;
    uint32_t others = 0xffffffffu;  // the lowest place of lanes that run too
    ForLanes(live_ & ~group.lanes & ~gathering_ & ~at_barrier_,
             [&](uint32_t lane) { others = std::min(others, pcs_[lane]); });
    for (uint32_t steps = 0; Step(&group) && !failed(); ++steps) {
      if (all) continue;
      if (block_.random_lanes ? steps >= kTurn : group.pc >= others) break;
    }
    SetPc(group.lanes, group.pc);
  }
  if (failed() || live_ == 0) return;
  if (gathering_ != 0) {
    const uint32_t lane = static_cast<uint32_t>(__builtin_ctz(gathering_));
    now_ = &block_.kernel.code[pcs_[lane]];
    Fail(lane, at_barrier_ != 0 ? "waits for lanes that wait at a barrier of the block"
                                : "lanes wait for each other");
    return;
  }
  // All live lanes are at a barrier of the block: it must be one.
  ForLanes(at_barrier_, [&](uint32_t lane) {
    if (barrier_of(lane) == barrier()) return;
    now_ = barrier_of(lane);
    Fail(lane, "barrier divergence: other lanes of the warp are at line " +
                   std::to_string(barrier()->line));
  });
}

bool Warp::Step(Group* group) {
  const Instruction& in = block_.kernel.code[group->pc];
  now_ = &in;
  if (++block_.instructions > block_.instructions_max) {
    Fail(static_cast<uint32_t>(__builtin_ctz(group->lanes)), "the kernel does not end");
    return false;
  }
  uint32_t active = group->lanes;
  if (in.guard != kNoRow) {
    const uint64_t* guard = Row(in.guard);
    ForLanes(group->lanes, [&](uint32_t lane) {
      if (((guard[lane] & 1) != 0) == in.guard_not) active &= ~(1u << lane);
    });
  }
  switch (in.kind) {
    case Kind::kPlain:
      if (active != 0) in.action(*this, in, active);
      ++group->pc;
      return true;
    case Kind::kBranch:
      return Branch(in, active, group);
    case Kind::kExit:
      live_ &= ~active;
      group->lanes &= ~active;
      ++group->pc;
      return group->lanes != 0;
    case Kind::kGathered:
      return Gather(in, active, group);
    case Kind::kBlockBarrier:
      SetPc(active, group->pc);
      at_barrier_ |= active;
      group->lanes &= ~active;
      ++group->pc;
      return group->lanes != 0;
  }
  return false;
}

bool Warp::Branch(const Instruction& in, uint32_t taken, Group* group) {
  if (taken == group->lanes) {
    group->pc = in.target;
    return true;
  }
  if (taken == 0) {
    ++group->pc;
    return true;
  }
  SetPc(taken, in.target);
  SetPc(group->lanes & ~taken, group->pc + 1);
  group->lanes = 0;
  return false;
}

bool Warp::Gather(const Instruction& in, uint32_t active, Group* group) {
  const uint32_t skip = group->lanes & ~active;
  if (active == 0) {
    ++group->pc;
    return true;
  }
  const auto mask_of = [&](uint32_t lane) {
    return in.whole_warp ? kAllLanes : static_cast<uint32_t>(Row(in.members)[lane]);
  };
  const uint32_t members = mask_of(static_cast<uint32_t>(__builtin_ctz(active)));
  uint32_t here = 0;  // lanes of this mask, those that wait already too
  ForLanes(active | gathering_, [&](uint32_t lane) {
    const bool waits = (gathering_ >> lane & 1) != 0;
    if (waits && pcs_[lane] != group->pc) return;
    if (mask_of(lane) == members) here |= 1u << lane;
  });
  const uint32_t lane = static_cast<uint32_t>(__builtin_ctz(active));
  if ((here & ~members) != 0) {
    Fail(static_cast<uint32_t>(__builtin_ctz(here & ~members)),
         "the member mask leaves out its own lane");
    return false;
  }
  if ((members & ~live_) != 0) {
    Fail(lane, "the member mask names lane " + std::to_string(__builtin_ctz(members & ~live_)) +
                   ", which has ended or never was");
    return false;
  }
  SetPc(active, group->pc);
  SetPc(skip, group->pc + 1);
  if (here == members) {
    members_ = members;
    in.action(*this, in, members);
    gathering_ &= ~members;
    SetPc(members, group->pc + 1);
    gathering_ |= active & ~members;  // of another mask: they wait for theirs
    if (group->lanes == members) {
      ++group->pc;
      return true;
    }
  } else {
    gathering_ |= active;
  }
  group->lanes = 0;
  return false;
}

uint8_t* Warp::Touch(const Instruction& in, uint32_t lane, uint64_t address, uint32_t bytes,
                     Access access, const void* value) {
  Space space = in.space;
  if (space == Space::kGeneric) {
    const bool in_shared = address >= kSharedBase && address < kSharedBase + (1u << 24);
    space = in_shared ? Space::kShared : Space::kGlobal;
    if (in_shared) address -= kSharedBase;
  }
  if (space == Space::kShared) {
    const Moment now = {index_ * kLanes + lane, block_.epoch, epoch_, in.line};
    const std::string fault = block_.shared.Check(address & 0xffffffffu, bytes, access, now, value);
    if (!fault.empty()) {
      Fail(lane, fault);
      return nullptr;
    }
    return block_.shared.data() + (address & 0xffffffffu);
  }
  if (address % bytes != 0) {
    Fail(lane, "misaligned access of " + std::to_string(bytes) + " bytes");
    return nullptr;
  }
  std::string why;
  uint8_t* data = block_.memory.Resolve(address, bytes, access != Access::kRead, &why);
  if (data == nullptr) Fail(lane, why);
  return data;
}

}  // namespace stillwatch::ptx
