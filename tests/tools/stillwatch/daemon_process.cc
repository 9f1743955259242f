#include "tests/tools/stillwatch/daemon_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include "dataplane/bypass/fail_open.h"

namespace stillwatch::e2e {

using nlohmann::json;
using testing::BinPath;
using testing::ReadAll;

DaemonProcess::~DaemonProcess() {
  Kill();
  if (::testing::Test::HasFailure()) std::printf("-- the daemon's log\n%s", log().c_str());
  EXPECT_TRUE(dataplane::FailOpen::Uninstall(folder_ / "bpf").ok());
}

std::string DaemonProcess::WriteConfig(const std::string& name, const std::vector<std::string>& more) const {
  const std::string path = folder_ / name;
  std::ofstream file(path);
  file << "box.name = \"lab\"\nbox.state_dir = \"" << folder_ / "state" << "\"\n"
       << "ports.mode = \"inline\"\nports.driver = \"af_xdp\"\nports.a = \"a0\"\nports.b = \"b0\"\n"
       << "threads.forwarder_ring_frames = 256\n"
       << "eal.huge_pages = \"off\"\nfail_open.bpffs = \"" << folder_ / "bpf" << "\"\n"
       << "privacy.account_key = \"hex:00112233445566778899aabbccddeeff\"\nprivacy.salt = \"hex:0000000000000007\"\n"
       << "sketch.window_mib = 16\nflow.flows_max = 4096\ndetect.request_sketches = true\n"
       << "output.dir = \"" << folder_ / "out" << "\"\ncontrol.socket = \"" << folder_ / "control.sock" << "\"\n";
  for (const std::string& line : more) file << line << "\n";
  return path;
}

bool DaemonProcess::Start(const std::string& config, std::vector<std::string> more_words) {
  std::string command = "exec " + program_ + " run --config " + config;
  for (const std::string& word : more_words) command += " " + word;
  const int log = open((folder_ / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  pid_ = lab_.appliance.Spawn({"/bin/sh", "-c", command + " 2>&1"}, log);
  close(log);
  bool answers = false;
  testing::WaitFor([&] {
    siginfo_t ended{};
    waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT);
    const testing::Ran status = Ctl({"--json", "status"});
    answers = status.exit == 0 && json::parse(status.output, nullptr, false).value("pid", 0) == pid_;
    return answers || ended.si_pid != 0;
  }, std::chrono::minutes(3));  // a start takes a second of processor time, which a busy machine may not have for half a minute
  return answers;
}

void DaemonProcess::Signal(int number) const { kill(pid_, number); }

void DaemonProcess::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  Wait();
}

int DaemonProcess::Stop() {
  Signal(SIGTERM);
  return Wait();
}

int DaemonProcess::Wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

testing::Ran DaemonProcess::Ctl(std::vector<std::string> words) const {
  words.insert(words.begin(), {BinPath("stillctl"), "--socket", folder_ / "control.sock"});
  return testing::RunProgram(words);
}

json DaemonProcess::Ask(const std::vector<std::string>& words) const {
  std::vector<std::string> all{"--json"};
  all.insert(all.end(), words.begin(), words.end());
  const testing::Ran ran = Ctl(all);
  EXPECT_EQ(ran.exit, 0) << ran.output;
  return json::parse(ran.output, nullptr, false);
}

uint64_t DaemonProcess::Counter(const std::string& name) const { return Ask({"counters", name}).value(name, uint64_t{0}); }

std::vector<json> DaemonProcess::Records(const std::string& topic) const {
  std::vector<json> records;
  std::istringstream lines(ReadAll(folder_ / "out/" + topic + ".ndjson"));
  for (std::string line; std::getline(lines, line);) {
    records.push_back(json::parse(line, nullptr, false));
    EXPECT_TRUE(records.back().is_object()) << topic << ": " << line;
  }
  return records;
}

}  // namespace stillwatch::e2e
