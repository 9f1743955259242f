// A file of edges and profiles, from which the campaign assembler alone gives the same verdicts again
// (design: the assembler reads only edges and profiles). Written by `stillwatch replay --record-edges FILE`, mode
// 0600: it holds salted fragment hashes of prompts, so it is personal data and never leaves the machine.
//
// Layout: one line of text that says what this is, then frames {u32 length, u64 hash, RecordedPart}, little-endian;
// the first is `start`, the last `end`. A damaged or cut file is refused with one message; nothing in it is
// trusted beyond its bounds. Batch thread only.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "gpu/backend.h"
#include "pipeline/batch/records.h"
#include "pipeline/evidence/edge.h"
#include "pipeline/profile/profile.h"
#include "pipeline/proto/edge_recording.pb.h"

namespace stillwatch::pipeline {

struct FileCloser {
  void operator()(FILE* file) const { std::fclose(file); }
};
using OpenFile = std::unique_ptr<FILE, FileCloser>;

class EdgeRecorder {
 public:
  static Result<std::unique_ptr<EdgeRecorder>> Create(const std::string& path, Salt salt);

  void Start(const gpu::SketchVersions& versions);
  // `active_s`: when the exchange began. `request`: null when nothing was remembered.
  void Account(const Profile& profile, const EndUser* end_user, int64_t active_s, const RememberedRequest* request);
  void Look(const CoverageSeen& coverage, int64_t now_ns, std::span<const EdgeRecord> edges);
  // Clusters that profiles forget; none: nothing is written.
  void Forgotten(const std::vector<bool>& clusters);
  // Standing advice was looked through for its renewal.
  void Renewal(const CoverageSeen& coverage, int64_t now_ns);
  // Writes the last frame; tells whether all was written.
  Status End(const CoverageSeen& coverage, int64_t now_ns);

 private:
  EdgeRecorder(OpenFile file, std::string path, Salt salt) : file_(std::move(file)), path_(std::move(path)), salt_(salt) {}
  void Write(const v1::RecordedPart& part);

  OpenFile file_;
  const std::string path_;
  const Salt salt_;
  std::string bytes_;  // reused
};

class EdgeRecording {
 public:
  // Reads and checks the start.
  static Result<std::unique_ptr<EdgeRecording>> Open(const std::string& path, Salt salt);

  // The next part: account, look, renewal, or end (after which nothing may follow).
  Result<v1::RecordedPart> Next();
  const gpu::SketchVersions& versions() const { return versions_; }

 private:
  EdgeRecording(OpenFile file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  Result<v1::RecordedPart> Read();
  Error Bad(const std::string& what) const;

  OpenFile file_;
  const std::string path_;
  gpu::SketchVersions versions_;
  uint64_t frames_ = 0;
  std::string bytes_;  // reused
};

// From parts that EdgeRecording has checked.
AccountId AccountIdOf(const std::string& bytes);
EdgeRecord EdgeOf(const v1::RecordedEdge& edge);
void ApplyTo(const v1::RecordedAccount& account, Profile* profile);
EndUser EndUserOf(const v1::RecordedAccount& account);          // account.of_account is not empty
RememberedRequest RequestOf(const v1::RecordedAccount& account);  // account.request is not empty

}  // namespace stillwatch::pipeline
