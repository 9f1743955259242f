// One DPDK Ethernet device, brought up and taken down. For InlinePair only: the one header that
// shows rte_* types.
#pragma once

#include <rte_ethdev.h>
#include <rte_mempool.h>

#include <string>

#include "base/result.h"
#include "dataplane/dpdk/inline_pair.h"

namespace stillwatch::dataplane {

struct PoolFree {
  void operator()(rte_mempool* pool) const { rte_mempool_free(pool); }
};
using Pool = std::unique_ptr<rte_mempool, PoolFree>;

// Bytes of packet data that a buffer must hold for this MTU and driver.
uint16_t DataRoomOf(PortDriver driver, uint32_t mtu);

// The packet buffers of all ports, or why there are none.
Result<Pool> MakePool(const InlinePairOptions& options);

// Enough buffers for every place where one can be at the same time, or an error that says how many.
Status CheckPoolSize(const InlinePairOptions& options, size_t devices);

// Closes AF_XDP sockets that the driver has left open: DPDK 22.11's does so when a device is closed, and the kernel lets
// nobody bind to that queue again. Only when no device of this process is open.
void CloseLeftSockets();

class Device {
 public:
  // `letter` is 'a' or 'b': the configuration key that names the device.
  static Result<std::unique_ptr<Device>> Open(const InlinePairOptions& options, char letter,
                                              rte_mempool* pool);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  uint16_t id() const { return id_; }
  const std::string& name() const { return name_; }
  // It takes packets in several chained buffers.
  bool sends_chains() const { return sends_chains_; }

 private:
  Device() = default;
  Status Configure(const InlinePairOptions& options, rte_mempool* pool);

  std::string name_;  // as the operator wrote it
  std::string vdev_;  // DPDK's name of a device that we made; empty: one that was there
  uint16_t id_ = 0;
  bool found_ = false, started_ = false;
  bool sends_chains_ = false;
};

}  // namespace stillwatch::dataplane
