// What the fuzz targets of the HTTP parsers share: how an input is read, and what must hold after it.
//
// Records of one command byte, one length byte and that many bytes. The command's low bits say what: feed the client's
// or the server's side, a gap, the end of a side, traffic time.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "tests/dataplane/http/recorder.h"
#include "tests/fuzz/target.h"

namespace stillwatch::dataplane {

using fuzz::Require;

inline HttpLimits FuzzLimits() {
  HttpLimits limits = Driver::SmallLimits();
  limits.header_bytes_max = 512;
  limits.decoded_body_bytes_max = 100'000;
  return limits;
}

// Plays the records and closes the connection: every transaction has ended exactly once. `bytewise`:
// byte by byte with a small budget, which must give the same calls.
inline void PlayRecords(Bytes data, bool bytewise, Driver* driver) {
  driver->budget_bytes = bytewise ? 37 : 64u << 10;
  while (data.size() >= 2) {
    const uint8_t command = data[0];
    const size_t length = std::min<size_t>(data[1], data.size() - 2);
    const std::string text(AsText(data.subspan(2, length)));
    data = data.subspan(2 + length);
    const bool from_client = (command & 1) == 0;
    switch (command >> 1 & 7) {
      default:
        if (bytewise) driver->FeedBytewise(from_client, text);
        else driver->Feed(from_client, text);
        break;
      case 5:
        driver->connection->Gap(driver->context, from_client, length);
        break;
      case 6:
        driver->connection->End(driver->context, from_client);
        break;
      case 7:
        driver->context.time_ns += static_cast<int64_t>(length) * 10 * kNsPerSecond;
        driver->connection->Tick(driver->context);
        break;
    }
  }
  driver->Close();
  for (const auto& t : driver->recorder.seen) Require(t->ended);
  Require(!driver->recorder.ended_twice);
}

}  // namespace stillwatch::dataplane
