// Key log lines, the store of secrets and the feed from file and socket.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include <gtest/gtest.h>

#include "dataplane/tls/key_feed.h"
#include "dataplane/tls/locked_memory.h"
#include "dataplane/tls/secret_store.h"

namespace stillwatch::dataplane {
namespace {

const std::string kRandom(64, 'a'), kMaster(96, 'b'), kShort(64, 'c');

KeyLogLine Parse(const std::string& line, SessionSecret* secret) { return ParseKeyLogLine(line, secret); }

TEST(KeyLog, ReadsTheLabelsThatDecrypt) {
  SessionSecret secret;
  ASSERT_EQ(Parse("CLIENT_RANDOM " + kRandom + " " + kMaster, &secret), KeyLogLine::kSecret);
  EXPECT_EQ(secret.label, SecretLabel::kMaster);
  EXPECT_EQ(secret.size, 48);
  EXPECT_EQ(secret.random[31], 0xaa);
  EXPECT_EQ(secret.bytes[47], 0xbb);
  ASSERT_EQ(Parse("SERVER_TRAFFIC_SECRET_0 " + kRandom + " " + kShort + "\r", &secret), KeyLogLine::kSecret);
  EXPECT_EQ(secret.label, SecretLabel::kServerTraffic);
  EXPECT_EQ(secret.size, 32);
}

TEST(KeyLog, PassesOverTheRest) {
  SessionSecret secret;
  for (const std::string& line : {std::string(), std::string("# a comment"), "EXPORTER_SECRET " + kRandom + " " + kShort,
                                  "CLIENT_EARLY_TRAFFIC_SECRET " + kRandom + " " + kShort}) {
    EXPECT_EQ(Parse(line, &secret), KeyLogLine::kOther) << line;
  }
  for (const std::string& line :
       {std::string("CLIENT_RANDOM"), "CLIENT_RANDOM " + kRandom, "CLIENT_RANDOM " + kRandom + " " + kShort,
        "CLIENT_RANDOM " + kRandom + " " + kMaster + " more", "CLIENT_RANDOM x" + kRandom.substr(1) + " " + kMaster,
        "CLIENT_RANDOM " + kRandom.substr(2) + " " + kMaster, "CLIENT_TRAFFIC_SECRET_0 " + kRandom + " " + kShort + "00"}) {
    EXPECT_EQ(Parse(line, &secret), KeyLogLine::kBad) << line;
  }
}

SessionSecret Secret(uint8_t session, SecretLabel label, uint8_t fill) {
  SessionSecret secret{};
  secret.label = label;
  secret.size = 48;
  std::memset(secret.random, session, sizeof secret.random);
  std::memset(secret.bytes, fill, sizeof secret.bytes);
  return secret;
}

uint8_t Take(SecretStore* store, uint8_t session, SecretLabel label) {
  const SessionSecret which = Secret(session, label, 0);
  uint8_t bytes[SessionSecret::kBytesMax];
  return store->Take(which.random, label, bytes) == 0 ? 0 : bytes[0];
}

TEST(SecretStore, ASecretIsTakenOnce) {
  SecretStore store(4, 0, Salt{1});
  store.Put(Secret(1, SecretLabel::kClientTraffic, 7), 0);
  store.Put(Secret(1, SecretLabel::kServerTraffic, 8), 0);
  EXPECT_EQ(store.size(), 1u);
  EXPECT_EQ(Take(&store, 1, SecretLabel::kClientTraffic), 7);
  EXPECT_EQ(Take(&store, 1, SecretLabel::kClientTraffic), 0);
  EXPECT_EQ(Take(&store, 2, SecretLabel::kServerTraffic), 0);
  EXPECT_EQ(Take(&store, 1, SecretLabel::kServerTraffic), 8);
  EXPECT_EQ(store.size(), 0u);
}

// No copy of a secret stays in the store's memory once it was taken, grew old or gave way.
TEST(SecretStore, WipesWhatLeaves) {
  SecretStore store(2, 10, Salt{1});
  const auto holds = [&](uint8_t fill) {
    // The store's own memory, by way of a session put into the same place.
    for (uint8_t session = 0; session < 255; ++session) {
      for (const SecretLabel label : {SecretLabel::kMaster, SecretLabel::kClientTraffic}) {
        if (store.Has(Secret(session, label, 0).random, label) && Take(&store, session, label) == fill) return true;
      }
    }
    return false;
  };
  store.Put(Secret(1, SecretLabel::kMaster, 0x55), 0);
  EXPECT_EQ(store.Expire(9), 0u);
  EXPECT_EQ(store.Expire(10), 1u);
  EXPECT_EQ(store.size(), 0u);
  // Another session in the same places has none of the old one's secrets.
  store.Put(Secret(2, SecretLabel::kClientTraffic, 0x66), 11);
  store.Put(Secret(3, SecretLabel::kClientTraffic, 0x67), 11);
  EXPECT_EQ(Take(&store, 2, SecretLabel::kMaster), 0);
  EXPECT_EQ(Take(&store, 3, SecretLabel::kMaster), 0);
  EXPECT_FALSE(holds(0x55));
}

// The kernel's word on the mapping that holds `at`: "lo" locked, "dd" left out of core dumps.
std::string MappingFlags(const void* at) {
  std::ifstream maps("/proc/self/smaps");
  const auto address = reinterpret_cast<uintptr_t>(at);
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) inside = address >= begin && address < end;
    if (inside && line.starts_with("VmFlags:")) return line + " ";
  }
  return "";
}

TEST(LockedMemory, IsKeptOutOfSwapAndCoreDumps) {
  const LockedMemory memory(10'000);
  const std::string flags = MappingFlags(memory.data());
  ASSERT_NE(flags, "");
  EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // whose mlock does nothing and says that it did
  EXPECT_EQ(memory.locked(), flags.find(" lo ") != std::string::npos) << flags;
#endif
  // 12 KiB are below every usual RLIMIT_MEMLOCK.
  EXPECT_TRUE(memory.locked());
}

TEST(SecretStore, TheOldestMakesRoom) {
  SecretStore store(3, 0, Salt{1});
  for (uint8_t session = 1; session <= 3; ++session) {
    EXPECT_TRUE(store.Put(Secret(session, SecretLabel::kMaster, session), 0));
  }
  EXPECT_FALSE(store.Put(Secret(4, SecretLabel::kMaster, 4), 0));
  EXPECT_EQ(store.size(), 3u);
  EXPECT_EQ(Take(&store, 1, SecretLabel::kMaster), 0);
  EXPECT_EQ(Take(&store, 3, SecretLabel::kMaster), 3);
  EXPECT_TRUE(store.Put(Secret(5, SecretLabel::kMaster, 5), 0) || store.size() == 2);
  for (uint8_t session = 6; session < 200; ++session) store.Put(Secret(session, SecretLabel::kMaster, session), 0);
  EXPECT_EQ(store.size(), 3u);
  EXPECT_EQ(Take(&store, 199, SecretLabel::kMaster), 199);
}

TEST(SecretRing, IsBoundedAndKeepsOrder) {
  SecretRing ring(2);
  EXPECT_TRUE(ring.Push(Secret(1, SecretLabel::kMaster, 1)));
  EXPECT_TRUE(ring.Push(Secret(2, SecretLabel::kMaster, 2)));
  EXPECT_FALSE(ring.Push(Secret(3, SecretLabel::kMaster, 3)));
  SessionSecret out;
  ASSERT_TRUE(ring.Pop(&out));
  EXPECT_EQ(out.bytes[0], 1);
  EXPECT_TRUE(ring.Push(Secret(3, SecretLabel::kMaster, 3)));
  ASSERT_TRUE(ring.Pop(&out));
  ASSERT_TRUE(ring.Pop(&out));
  EXPECT_EQ(out.bytes[0], 3);
  EXPECT_FALSE(ring.Pop(&out));
}

// ---- the feed

bool Await(const std::function<bool()>& holds) {
  for (int i = 0; i < 5'000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

std::string Line(char session) { return "CLIENT_RANDOM " + std::string(64, session) + " " + kMaster + "\n"; }

class KeyFeedTest : public ::testing::Test {
 protected:
  KeyFeedTest() {
    char name[] = "/tmp/keyfeed-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~KeyFeedTest() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
};

TEST_F(KeyFeedTest, ReadsAFileWhole) {
  const std::string path = folder_ + "/keys";
  std::ofstream(path) << "# made by a test\n" << Line('1') << Line('2') << "nonsense here now\nCLIENT_RANDOM " + kRandom + " " + kMaster;
  const auto feed = KeyFeed::ReadFile(path, 2);
  ASSERT_TRUE(feed.ok()) << feed.message();
  for (size_t worker = 0; worker < 2; ++worker) {
    SessionSecret secret;
    for (const uint8_t random : {0x11, 0x22, 0xaa}) {
      ASSERT_TRUE(feed.value()->ring(worker)->Pop(&secret));
      EXPECT_EQ(secret.random[0], random);
    }
    EXPECT_FALSE(feed.value()->ring(worker)->Pop(&secret));
  }
  EXPECT_EQ(feed.value()->counters().Get(KeyFeedCounter::kLines), 3u);
  EXPECT_FALSE(KeyFeed::ReadFile(folder_ + "/none", 1).ok());
}

TEST_F(KeyFeedTest, FollowsAFileThatGrowsAndIsReplaced) {
  KeyFeedOptions options;
  options.file = folder_ + "/keys";
  std::ofstream(options.file) << Line('1');
  const auto feed = KeyFeed::Open(options);
  ASSERT_TRUE(feed.ok()) << feed.message();
  feed.value()->Start();
  const auto lines = [&] { return feed.value()->counters().Get(KeyFeedCounter::kLines); };
  EXPECT_TRUE(Await([&] { return lines() == 1; }));
  std::ofstream(options.file, std::ios::app) << Line('2').substr(0, 50) << std::flush << Line('2').substr(50) << Line('3');
  EXPECT_TRUE(Await([&] { return lines() == 3; }));
  std::ofstream(folder_ + "/new") << Line('4');
  std::filesystem::rename(folder_ + "/new", options.file);
  EXPECT_TRUE(Await([&] { return lines() == 4; }));
  EXPECT_EQ(feed.value()->counters().Get(KeyFeedCounter::kFileReopened), 1u);
  EXPECT_EQ(feed.value()->counters().Get(KeyFeedCounter::kBadLines), 0u);
}

// As logrotate does it: the new file is there at once, and the terminator opens it a while later, or never.
TEST_F(KeyFeedTest, ReadsOnInTheOldFileUntilTheNewOneIsWrittenTo) {
  KeyFeedOptions options;
  options.file = folder_ + "/keys";
  std::ofstream terminator(options.file);
  terminator << Line('1') << std::flush;
  const auto feed = KeyFeed::Open(options);
  ASSERT_TRUE(feed.ok()) << feed.message();
  feed.value()->Start();
  const auto lines = [&] { return feed.value()->counters().Get(KeyFeedCounter::kLines); };
  EXPECT_TRUE(Await([&] { return lines() == 1; }));
  std::filesystem::rename(options.file, folder_ + "/keys.1");
  std::ofstream after(options.file);
  for (const char session : {'2', '3', '4'}) {
    terminator << Line(session) << std::flush;
    EXPECT_TRUE(Await([&] { return lines() == static_cast<uint64_t>(session - '0'); })) << session;
  }
  EXPECT_EQ(feed.value()->counters().Get(KeyFeedCounter::kFileReopened), 0u);
  after << Line('5') << std::flush;
  EXPECT_TRUE(Await([&] { return lines() == 5; }));
  EXPECT_EQ(feed.value()->counters().Get(KeyFeedCounter::kFileReopened), 1u);
}

int Connect(const std::string& path) {
  const int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (connect(peer, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return peer;
  close(peer);
  return -1;
}

TEST_F(KeyFeedTest, HearsTheSocketInPieces) {
  KeyFeedOptions options;
  options.socket = folder_ + "/feed.sock";
  const auto feed = KeyFeed::Open(options);
  ASSERT_TRUE(feed.ok()) << feed.message();
  feed.value()->Start();
  const int peer = Connect(options.socket);
  ASSERT_GE(peer, 0);
  const std::string text = Line('1') + std::string(2'000, 'x') + "\n" + Line('2');
  for (size_t at = 0; at < text.size(); at += 700) {
    ASSERT_GT(write(peer, text.data() + at, std::min<size_t>(700, text.size() - at)), 0);
  }
  const auto& counters = feed.value()->counters();
  EXPECT_TRUE(Await([&] { return counters.Get(KeyFeedCounter::kLines) == 2; }));
  EXPECT_EQ(counters.Get(KeyFeedCounter::kLongLines), 1u);
  close(peer);
}

// Needs root: another user's program writes to the socket.
TEST_F(KeyFeedTest, RefusesWhoIsNotListed) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to act as other users";
  chmod(folder_.c_str(), 0755);
  for (const bool listed : {false, true}) {
    KeyFeedOptions options;
    options.socket = folder_ + "/feed.sock";
    if (listed) options.uids = {65'534};
    const auto feed = KeyFeed::Open(options);
    ASSERT_TRUE(feed.ok()) << feed.message();
    feed.value()->Start();
    const std::string line = Line('1');
    const pid_t child = fork();
    if (child == 0) {
      if (setuid(65'534) != 0) _exit(1);
      const int peer = Connect(options.socket);
      if (peer < 0) _exit(2);
      [[maybe_unused]] const ssize_t sent = send(peer, line.data(), line.size(), MSG_NOSIGNAL);
      if (listed) _exit(0);
      pollfd closed{peer, POLLIN, 0};  // nobody writes to us: this is the end
      _exit(poll(&closed, 1, 10'000) == 1 ? 0 : 3);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_EQ(status, 0);
    const auto& counters = feed.value()->counters();
    if (listed) {
      EXPECT_TRUE(Await([&] { return counters.Get(KeyFeedCounter::kLines) == 1; }));
    } else {
      EXPECT_TRUE(Await([&] { return counters.Get(KeyFeedCounter::kPeersRefused) == 1; }));
      EXPECT_EQ(counters.Get(KeyFeedCounter::kLines), 0u);
    }
    EXPECT_EQ(counters.Get(KeyFeedCounter::kPeersRefused), listed ? 0u : 1u);
  }
}

}  // namespace
}  // namespace stillwatch::dataplane
