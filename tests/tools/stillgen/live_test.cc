// play and serve talk over loopback: what one end counts, the other end counts.
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>

#include "tools/stillgen/play.h"
#include "tools/stillgen/scenario.h"
#include "tools/stillgen/serve.h"

namespace stillwatch::stillgen {
namespace {

class LiveTest : public testing::Test {
 protected:
  void StartServer(Responder::Options options) {
    prose_ = std::make_unique<Prose>(Rng(1), &grammar_);
    responder_ = std::make_unique<Responder>(Rng(2), prose_.get(), options);
    auto listener = Listen(ParseEndpoint("127.0.0.1:0").value());
    ASSERT_TRUE(listener.ok()) << listener.message();
    server_ = std::make_unique<Server>(responder_.get(), std::move(listener).value());
    stop_ = Fd(eventfd(0, EFD_CLOEXEC));
    thread_ = std::thread([this] { server_->Run(stop_.get(), -1); });
  }
  void StopServer() {
    const uint64_t one = 1;
    ASSERT_EQ(write(stop_.get(), &one, sizeof one), 8);
    thread_.join();
  }
  PlayOptions ToServer() const {
    PlayOptions options;
    options.target = ParseEndpoint("127.0.0.1:" + std::to_string(server_->port())).value();
    options.speed = 3600;
    options.duration_ns = 60 * kNsPerSecond;  // a bound: play ends when nobody has anything left to ask
    return options;
  }

  Grammar grammar_{Split::kTrain};
  std::unique_ptr<Prose> prose_;
  std::unique_ptr<Responder> responder_;
  std::unique_ptr<Server> server_;
  Fd stop_;
  std::thread thread_;
};

TEST_F(LiveTest, BothEndsCountTheSame) {
  StartServer({.rate_limited = 0.05, .speed = 5000});
  World world({.seed = 8, .duration_ns = kNsPerHour, .scale = 0.3});
  BuildWorld(ParseMix("chat=30,backend=1,agent=12,batch=1,t1=1x10,t4=1x10").value(), &world);
  PlayOptions options = ToServer();
  options.sources = ParsePrefix("127.9.0.0/16").value();
  const auto played = Play(&world, options, -1);
  StopServer();
  ASSERT_TRUE(played.ok()) << played.message();
  const PlayCounts& client = played.value();
  const ServeCounts& server = server_->counts();
  EXPECT_GT(client.requests, 200u);
  EXPECT_GT(client.rate_limited, 0u);
  EXPECT_EQ(client.requests, server.requests);
  EXPECT_EQ(client.responses, server.responses);
  EXPECT_EQ(client.requests, client.responses);
  EXPECT_EQ(client.bytes_out, server.bytes_in);
  EXPECT_EQ(client.bytes_in, server.bytes_out);
  EXPECT_EQ(client.rate_limited, server.rate_limited);
  EXPECT_EQ(client.connections, server.connections);
  EXPECT_EQ(client.connect_errors + client.broken + client.unreadable + client.unanswered, 0u);
  EXPECT_EQ(server.bad_requests + server.broken, 0u);
  uint64_t counted = 0;
  for (const auto& account : world.accounts) counted += account->requests;
  EXPECT_EQ(counted, client.requests);
}

TEST_F(LiveTest, WhatIsNoModelApiGetsAnAnswerAndIsCounted) {
  StartServer({.speed = 5000});
  const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in at = ToServer().target;
  ASSERT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
  const std::string requests =
      "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
      "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\n[1]";
  ASSERT_EQ(write(fd.get(), requests.data(), requests.size()), static_cast<ssize_t>(requests.size()));
  std::string answers;
  char buffer[4096];
  for (ssize_t got; (got = read(fd.get(), buffer, sizeof buffer)) > 0;) answers.append(buffer, static_cast<size_t>(got));
  StopServer();
  EXPECT_TRUE(answers.starts_with("HTTP/1.1 404")) << answers;
  EXPECT_NE(answers.find("HTTP/1.1 400"), std::string::npos) << answers;
  EXPECT_EQ(server_->counts().bad_requests, 2u);
}

TEST(PlayTest, AnUnreachableServerIsAnError) {
  auto listener = Listen(ParseEndpoint("127.0.0.1:0").value());
  ASSERT_TRUE(listener.ok());
  sockaddr_in at{};
  socklen_t size = sizeof at;
  getsockname(listener.value().get(), reinterpret_cast<sockaddr*>(&at), &size);
  listener.value().Reset();  // nobody listens there now
  World world({.seed = 8, .duration_ns = kNsPerHour});
  BuildWorld(ParseMix("chat=3").value(), &world);
  PlayOptions options;
  options.target = at;
  options.speed = 3600;
  options.duration_ns = 20 * kNsPerSecond;
  const auto played = Play(&world, options, -1);
  ASSERT_FALSE(played.ok());
  EXPECT_NE(played.message().find("Connection refused"), std::string::npos) << played.message();
}

}  // namespace
}  // namespace stillwatch::stillgen
