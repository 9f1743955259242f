// A model API and its customers over real TCP, one in each namespace of the lab: what a daemon between them looks at.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/net_lab.h"

namespace stillwatch::e2e {

// Answers each POST on 10.77.0.2:8080 with a chat completion, but a request whose text has "no answer" never.
class ChatServer {
 public:
  explicit ChatServer(const NetLab& lab);
  ~ChatServer();

 private:
  void Serve();

  int listener_ = -1;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// One customer's connection. Throws when it breaks.
class ChatClient {
 public:
  ChatClient(const NetLab& lab, std::string api_key);
  ~ChatClient();

  void Send(const std::string& text);  // a request
  void Receive();                      // and its whole answer
  void Ask(const std::string& text) {
    Send(text);
    Receive();
  }

 private:
  const std::string api_key_;
  int fd_ = -1;
};

}  // namespace stillwatch::e2e
