// Counters of realtime conversations over WebSocket; one block a worker.
#pragma once

#include "base/counters.h"

namespace stillwatch::dataplane {

enum class RealtimeCounter {
  kConnections,     // WebSocket connections to realtime APIs that were followed
  kRefused,         // such connections that the server did not open
  kSessionsEmpty,   // such connections not followed: too many at one time
  kExchanges,       // exchanges that came from them; llm.exchanges has them too
  kEvents,          // events of either side that were read
  kEventMalformed,  // events whose JSON could not be read to its end
  kEventTooLarge,   // events over the body limit, passed over; raise llm.body_kib
  kEventCut,        // events passed over because bytes of them are missing
  kUnexpected,      // server's events of an answer that never began, and its errors about requests that nobody made
  kTurnsFull,       // answers not followed: more than 8 of one connection were open
  kHistoryCut,      // conversations whose older part was forgotten because it passed its bound
  kCount,
};

inline constexpr CounterNames<RealtimeCounter> kRealtimeCounterNames{
    "realtime.connections",     "realtime.refused",         "realtime.sessions_empty", "realtime.exchanges",
    "realtime.events",          "realtime.event_malformed", "realtime.event_too_large", "realtime.event_cut",
    "realtime.unexpected",      "realtime.turns_full",      "realtime.history_cut"};

}  // namespace stillwatch::dataplane
