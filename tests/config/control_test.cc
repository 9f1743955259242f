#include "config/control.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <future>

namespace stillwatch::config {
namespace {

class ControlTest : public ::testing::Test {
 protected:
  ControlTest() {
    char name[] = "/tmp/control-XXXXXX";
    folder_ = mkdtemp(name);
    path_ = folder_ + "/sub/control.sock";
    server_ = ControlServer::Start(path_, [this](const ControlRequest& request) {
                if (request.command == "echo") {
                  return ControlAnswer{kExitOk, "", "\"" + request.args.at(0) + "\""};
                }
                if (request.command == "wait") released_.get_future().wait();
                return ControlAnswer{kExitRefused, "no " + request.command, ""};
              }).value();
  }
  ~ControlTest() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  std::promise<void> released_;
  std::string folder_, path_;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlTest, CarriesAnswersAndRefusals) {
  const Result<ControlAnswer> echo = CallControl(path_, "echo", {"hello"});
  ASSERT_TRUE(echo.ok()) << echo.message();
  EXPECT_EQ(echo.value().result_json, "\"hello\"");
  const Result<ControlAnswer> refused = CallControl(path_, "sing", {});
  ASSERT_TRUE(refused.ok());
  EXPECT_EQ(refused.value().exit, kExitRefused);
  EXPECT_EQ(refused.value().error, "no sing");
}

TEST_F(ControlTest, ASlowRequestDoesNotHoldUpAnother) {
  auto slow = std::async(std::launch::async, [&] { return CallControl(path_, "wait", {}); });
  for (int i = 0; i < 20; ++i) {
    const Result<ControlAnswer> echo = CallControl(path_, "echo", {"meanwhile"});
    ASSERT_TRUE(echo.ok()) << echo.message();
    EXPECT_EQ(echo.value().result_json, "\"meanwhile\"");
  }
  EXPECT_EQ(slow.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  released_.set_value();
  const Result<ControlAnswer> answer = slow.get();
  ASSERT_TRUE(answer.ok()) << answer.message();
  EXPECT_EQ(answer.value().error, "no wait");
}

TEST_F(ControlTest, IsForItsOwnerOnly) {
  struct stat info{};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(ControlTest, ASecondDaemonIsRefused) {
  const auto second = ControlServer::Start(path_, [](const ControlRequest&) { return ControlAnswer{}; });
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.message().find("in use"), std::string::npos);
}

TEST_F(ControlTest, NonsenseAndEndlessLinesDoNotHarm) {
  const auto raw = [&](const std::string& text) {
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    (void)!send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    std::string answer;
    char buffer[512];
    for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;) answer.append(buffer, static_cast<size_t>(got));
    close(fd);
    return answer;
  };
  EXPECT_NE(raw("nonsense\n").find("\"exit\":64"), std::string::npos);
  EXPECT_NE(raw("{\"command\":3}\n").find("\"exit\":64"), std::string::npos);
  EXPECT_EQ(raw(std::string(100'000, 'x')), "");
  EXPECT_TRUE(CallControl(path_, "echo", {"still here"}).ok());
}

TEST(ControlClientTest, SaysWhenNobodyAnswers) {
  const Result<ControlAnswer> answer = CallControl("/tmp/no-such-control.sock", "status", {});
  ASSERT_FALSE(answer.ok());
  EXPECT_NE(answer.message().find("no daemon answers"), std::string::npos);
}

}  // namespace
}  // namespace stillwatch::config
