// One message of a socket that has SO_TIMESTAMPNS, with what the kernel says beside it.
#pragma once

#include <sys/socket.h>
#include <time.h>

#include <cstdint>
#include <cstring>
#include <span>

namespace stillwatch::e2e {

struct StampedMessage {
  alignas(cmsghdr) char control[256];
  iovec part{};
  msghdr message{};
  int64_t unix_ns = 0;  // when the kernel had it; 0: no stamp came

  // As recvmsg. Into a fresh object.
  ssize_t Receive(int fd, std::span<char> into) {
    part = {into.data(), into.size()};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = recvmsg(fd, &message, 0);
    for (const cmsghdr* at = size < 0 ? nullptr : CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, const_cast<cmsghdr*>(at))) {
      if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_TIMESTAMPNS) continue;
      timespec stamp;
      std::memcpy(&stamp, CMSG_DATA(at), sizeof stamp);
      unix_ns = stamp.tv_sec * 1'000'000'000ll + stamp.tv_nsec;
    }
    return size;
  }
};

}  // namespace stillwatch::e2e
