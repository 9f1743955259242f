#include "dataplane/tls/tls_connection.h"

#include <algorithm>
#include <cstring>

#include "base/clock.h"
#include "base/mutant.h"
#include "dataplane/flow/tls_records.h"
#include "dataplane/tls/key_schedule.h"

namespace stillwatch::dataplane {

namespace {

constexpr uint8_t kChangeCipherSpec = 20, kAlert = 21, kHandshake = 22, kApplicationData = 23;
constexpr uint8_t kCloseNotify = 0, kUserCanceled = 90;
constexpr size_t kHeader = kTlsRecordHeader;
constexpr int64_t kTryEveryNs = kNsPerSecond;
// Records under a key that is not known, before those of the next key: 0-RTT, or a handshake without its secret.
constexpr uint32_t kSkipsMax = 1'024;

}  // namespace

void TlsConnection::CloseSide(Side* s) {
  if (s->block != nullptr) core_->buffers.Give(s->block);
  s->block = nullptr;
  s->handshake.Clear(&core_->buffers);
  s->opened = s->keyed = false;
  s->stage = Stage::kOver;
}

void TlsConnection::Release() {
  for (Side& s : side_) CloseSide(&s);
  DropWaiting();
  if (keys_ != nullptr) core_->keys->Give(keys_);
  keys_ = nullptr;
}

void TlsConnection::DropWaiting() {
  while (wait_first_ != nullptr) {
    Segment* const next = wait_first_->next;
    core_->waiting->Give(wait_first_);
    wait_first_ = next;
  }
  wait_last_ = nullptr;
  wait_segments_ = 0;
}

// ---- what comes in

size_t TlsConnection::Feed(const StreamContext& at, bool from_client, Bytes data, TlsSink* sink) {
  at_ = &at;
  sink_ = sink;
  const int side = from_client ? 0 : 1;
  if (waiting()) {
    const Outcome drained = Drain();
    if (drained == Outcome::kStopped) return 0;
    if (drained == Outcome::kBlocked) {
      if (!side_[side].gap_waits) Keep(side, data);
      return data.size();
    }
  }
  const size_t used = Read(side, data);
  if (used == data.size() || outcome_ == Outcome::kStopped) return used;
  Keep(side, data.subspan(used));
  return data.size();
}

void TlsConnection::Gap(const StreamContext& at, bool from_client, TlsSink* sink) {
  at_ = &at;
  sink_ = sink;
  Side& s = side_[from_client ? 0 : 1];
  if (s.stage == Stage::kOver) return;
  if (waiting()) {
    s.gap_waits = true;
    return;
  }
  if (MutantIs("tls.gap_ignored")) return;
  const bool in_hello = s.stage == Stage::kClear && suite_ == nullptr;
  Fail(from_client ? 0 : 1, in_hello ? TlsCounter::kHelloLost : TlsCounter::kGap);
}

void TlsConnection::End(const StreamContext& at, bool from_client, TlsSink* sink) {
  at_ = &at;
  sink_ = sink;
  Side& s = side_[from_client ? 0 : 1];
  if (waiting()) {
    s.end_waits = true;
    return;
  }
  TellEnd(from_client ? 0 : 1, false);
  CloseSide(&s);
}

bool TlsConnection::Retry(const StreamContext& at, bool last, TlsSink* sink) {
  at_ = &at;
  sink_ = sink;
  if (!waiting()) return true;
  const Outcome drained = Drain();
  if (drained == Outcome::kStopped) return false;
  if (drained == Outcome::kGoOn) return true;
  next_try_ns_ = std::min(at.time_ns + kTryEveryNs, wait_since_ns_ + core_->options.secret_wait_ns);
  if (last || at.time_ns >= wait_since_ns_ + core_->options.secret_wait_ns) GiveUp(TlsCounter::kSecretNever);
  return true;
}

// ---- records that wait for their secret

void TlsConnection::Keep(int side, Bytes data) {
  if (core_->options.secret_wait_ns == 0) return GiveUp(TlsCounter::kSecretNever);
  if (!waiting()) {
    waited_ = true;
    wait_since_ns_ = at_->time_ns;
    next_try_ns_ = at_->time_ns + std::min(kTryEveryNs, core_->options.secret_wait_ns);
  }
  while (!data.empty()) {
    Segment* segment = wait_last_;
    if (segment == nullptr || segment->mark != static_cast<uint32_t>(side) || segment->size == Segment::kBytes) {
      const bool over = uint64_t{wait_segments_ + 1} * sizeof(Segment) > core_->options.wait_flow_bytes_max;
      segment = over ? nullptr : core_->waiting->Take();
      if (segment == nullptr) return GiveUp(TlsCounter::kWaitFull);
      segment->next = nullptr;
      segment->offset = 0;  // bytes of it that were read
      segment->size = 0;
      segment->mark = static_cast<uint32_t>(side);
      (wait_last_ != nullptr ? wait_last_->next : wait_first_) = segment;
      wait_last_ = segment;
      ++wait_segments_;
    }
    const size_t take = std::min<size_t>(data.size(), Segment::kBytes - segment->size);
    std::memcpy(segment->data + segment->size, data.data(), take);
    segment->size += static_cast<uint32_t>(take);
    data = data.subspan(take);
  }
}

TlsConnection::Outcome TlsConnection::Drain() {
  while (wait_first_ != nullptr) {
    // Off the list meanwhile: reading may give up all that waits.
    Segment* const segment = wait_first_;
    wait_first_ = segment->next;
    if (wait_first_ == nullptr) wait_last_ = nullptr;
    --wait_segments_;
    segment->offset += Read(static_cast<int>(segment->mark), segment->bytes().subspan(segment->offset));
    if (segment->offset < segment->size) {
      segment->next = wait_first_;
      wait_first_ = segment;
      if (wait_last_ == nullptr) wait_last_ = segment;
      ++wait_segments_;
      return outcome_;
    }
    core_->waiting->Give(segment);
  }
  for (int side = 0; side < 2; ++side) {
    Side& s = side_[side];
    if (s.gap_waits && s.stage != Stage::kOver) Fail(side, TlsCounter::kGap);
    if (s.end_waits) {
      TellEnd(side, false);
      CloseSide(&s);
    }
    s.gap_waits = s.end_waits = false;
  }
  return Outcome::kGoOn;
}

// ---- ends

void TlsConnection::TellEnd(int side, bool lost) {
  if (side_[side].end_told) return;
  side_[side].end_told = true;
  sink_->OnTlsEnd(side == 0, lost);
}

void TlsConnection::Fail(int side, TlsCounter why) {
  Count(why);
  CloseSide(&side_[side]);
  if (keys_ != nullptr) Wipe(&keys_->direction[side], sizeof(RecordKeys));
  TellEnd(side, true);
}

void TlsConnection::GiveUp(TlsCounter why) {
  Count(why);
  DropWaiting();
  for (int side = 0; side < 2; ++side) {
    CloseSide(&side_[side]);
    TellEnd(side, true);
  }
  if (keys_ != nullptr) core_->keys->Give(keys_);
  keys_ = nullptr;
}

// ---- records

// Returns how many bytes were consumed; fewer than given with the reason in outcome_.
size_t TlsConnection::Read(int side, Bytes data) {
  Side& s = side_[side];
  outcome_ = Outcome::kGoOn;
  size_t used = 0;
  if (s.opened) {  // data begins with the record's last byte
    if (HandOn(side) == Outcome::kStopped) return 0;
    used = std::min<size_t>(1, data.size());
  }
  if (side == 0 && !records_seen_ && s.header_bytes == 0 && !data.empty()) {
    records_seen_ = true;
    if (BeginsSsl2Hello(data)) {
      ClientHello hello;
      ParseSsl2Hello(data, &hello);
      TellClientHello(hello);
      // What follows may be TLS; nothing more is learnt from it.
      for (Side& each : side_) CloseSide(&each);
    }
  }
  while (used < data.size()) {
    if (s.stage == Stage::kOver) return data.size();
    if (s.header_bytes < kHeader) {
      const size_t take = std::min(data.size() - used, kHeader - s.header_bytes);
      std::memcpy(s.header + s.header_bytes, data.data() + used, take);
      s.header_bytes = static_cast<uint8_t>(s.header_bytes + take);
      used += take;
      if (s.header_bytes < kHeader) break;
      s.left = LoadBe16(s.header + 3);
      s.gathered = 0;
      if (!BeginsTlsRecord(Bytes(s.header, kHeader))) {
        Fail(side, TlsCounter::kRecordMalformed);
        continue;
      }
      if (s.left == 0) {
        // Only application data may be empty, and only in clear or TLS 1.2's CBC; there is nothing to open.
        s.header_bytes = 0;
        continue;
      }
    }
    const bool passes = suite_ != nullptr && suite_->tls13 && s.stage == Stage::kProtected &&
                        s.header[0] != kApplicationData;  // ChangeCipherSpec and alerts in clear
    if (s.stage == Stage::kClear || passes) {
      used += ReadClear(side, data.subspan(used));
      continue;
    }
    if (!s.keyed && !Key(side)) {
      if (s.stage == Stage::kOver) continue;
      outcome_ = Outcome::kBlocked;
      return used;
    }
    const Bytes rest = data.subspan(used);
    Bytes fragment = rest.first(std::min<size_t>(rest.size(), s.left));
    if (s.gathered != 0 || fragment.size() < s.left) {
      if (s.block == nullptr) s.block = static_cast<uint8_t*>(core_->buffers.Take());
      if (s.block == nullptr) {
        Fail(side, TlsCounter::kBuffersEmpty);
        continue;
      }
      std::memcpy(s.block + s.gathered, fragment.data(), fragment.size());
      s.gathered += static_cast<uint32_t>(fragment.size());
    }
    used += fragment.size();
    s.left -= static_cast<uint32_t>(fragment.size());
    if (s.left != 0) break;
    if (s.gathered != 0) fragment = Bytes(s.block, s.gathered);
    if (OpenRecord(side, fragment) == Outcome::kStopped) return used - 1;
  }
  return used;
}

void TlsConnection::FinishRecord(Side* s) {
  s->opened = false;
  s->header_bytes = 0;
  s->gathered = 0;
  if (s->block != nullptr) core_->buffers.Give(s->block);
  s->block = nullptr;
}

// A piece of a record that is not protected.
size_t TlsConnection::ReadClear(int side, Bytes data) {
  Side& s = side_[side];
  const Bytes piece = data.first(std::min<size_t>(data.size(), s.left));
  s.left -= static_cast<uint32_t>(piece.size());
  const bool ends = s.left == 0;
  if (ends) s.header_bytes = 0;
  const bool in_clear = s.stage == Stage::kClear;
  switch (s.header[0]) {
    case kHandshake:
      if (in_clear) ReadHandshake(side, piece);
      break;
    case kChangeCipherSpec:
      if (in_clear && ends) ChangeCipher(side);
      break;
    case kApplicationData:
      // 0-RTT before the ServerHello; else content whose handshake was not seen.
      if (side == 0 && early_data_ && suite_ == nullptr) {
        if (ends) Count(TlsCounter::kEarlyDataSkipped);
      } else {
        Fail(side, suite_ == nullptr ? TlsCounter::kHelloLost : TlsCounter::kRecordMalformed);
      }
      break;
    default: break;
  }
  return piece.size();
}

void TlsConnection::ChangeCipher(int side) {
  Side& s = side_[side];
  if (suite_ != nullptr && !suite_->tls13) {
    s.stage = Stage::kProtected;
    s.keyed = false;
    s.encrypt_then_mac = encrypt_then_mac_;
  } else if (suite_ == nullptr && !core_->decrypts() && !early_data_ && side == 1 && !retried_) {
    CloseSide(&s);
  }
}

TlsConnection::Outcome TlsConnection::OpenRecord(int side, Bytes fragment) {
  Side& s = side_[side];
  const Suite& suite = MutantIs("tls.suite_at_once") ? *suite_ : *s.suite;
  const int opened =
      core_->ciphers.Open(suite, s.encrypt_then_mac, keys_->direction[side], s.sequence, s.header, fragment, core_->plain.data());
  if (opened < 0) {
    FinishRecord(&s);
    if (s.skips_left != 0) {
      --s.skips_left;
      Count(TlsCounter::kEarlyDataSkipped);
    } else {
      Fail(side, TlsCounter::kBadTag);
    }
    return Outcome::kGoOn;
  }
  ++s.sequence;
  s.skips_left = 0;
  Count(TlsCounter::kRecordsOpened);
  if (!decrypted_) {
    decrypted_ = true;
    Count(TlsCounter::kDecrypted);
    if (waited_) Count(TlsCounter::kSecretLate);
  }
  size_t size = static_cast<size_t>(opened);
  uint8_t type = s.header[0];
  if (suite.tls13) {
    while (size != 0 && core_->plain[size - 1] == 0 && !MutantIs("tls.padding_kept")) --size;
    if (size == 0) {
      FinishRecord(&s);
      Fail(side, TlsCounter::kRecordMalformed);
      return Outcome::kGoOn;
    }
    type = core_->plain[--size];
  }
  const Bytes content(core_->plain.data(), size);
  if (type == kApplicationData) {
    Count(TlsCounter::kContentBytes, size);
    if (core_->observer != nullptr && size != 0) core_->observer->OnTlsContent(*at_, side == 0, content);
    s.opened = true;
    s.content_at = 0;
    s.content_end = static_cast<uint32_t>(size);
    return HandOn(side);
  }
  FinishRecord(&s);
  if (type == kHandshake) {
    ReadHandshake(side, content);
  } else if (type == kAlert && size == 2) {
    const bool closes = content[1] == kCloseNotify || content[0] == 2 || (suite.tls13 && content[1] != kUserCanceled);
    if (closes) {
      CloseSide(&s);
      TellEnd(side, false);
    }
  } else if (type == kChangeCipherSpec) {
    ChangeCipher(side);
  }
  return Outcome::kGoOn;
}

// Hands on what is left of the opened record's content.
TlsConnection::Outcome TlsConnection::HandOn(int side) {
  Side& s = side_[side];
  while (s.content_at < s.content_end) {
    const Bytes left(core_->plain.data() + s.content_at, s.content_end - s.content_at);
    const size_t took = sink_->OnTlsContent(side == 0, left);
    s.content_at += static_cast<uint32_t>(took);
    if (took < left.size()) {
      outcome_ = Outcome::kStopped;
      return Outcome::kStopped;
    }
  }
  FinishRecord(&s);
  return Outcome::kGoOn;
}

// ---- keys

bool TlsConnection::TakeMaster() {
  if (keys_->master_known) return true;
  keys_->master_known = core_->secrets->Take(client_random_, SecretLabel::kMaster, keys_->master) != 0;
  return keys_->master_known;
}

bool TlsConnection::TakeTrafficSecret(int side) {
  Side& s = side_[side];
  const SecretLabel traffic = side == 0 ? SecretLabel::kClientTraffic : SecretLabel::kServerTraffic;
  const SecretLabel handshake = side == 0 ? SecretLabel::kClientHandshake : SecretLabel::kServerHandshake;
  uint8_t* const secret = keys_->direction[side].secret;
  SecretStore& secrets = *core_->secrets;
  if (s.traffic) return secrets.Take(client_random_, traffic, secret) != 0;
  if (secrets.Take(client_random_, handshake, secret) != 0) return true;
  // Logged in order: when the later one is there the earlier one will not come. Its records are passed over.
  if (secrets.Take(client_random_, traffic, secret) == 0) return false;
  s.traffic = true;
  s.skips_left = kSkipsMax;
  return true;
}

// Makes the keys for what this direction sends next; false when the secret is not there.
bool TlsConnection::Key(int side) {
  Side& s = side_[side];
  if (keys_ == nullptr) {
    keys_ = core_->keys->Take();
    if (keys_ == nullptr) {
      GiveUp(TlsCounter::kConnectionsEmpty);
      return false;
    }
  }
  if (suite_->tls13) {
    if (!TakeTrafficSecret(side)) return false;
    DeriveTls13Keys(*suite_, &keys_->direction[side]);
  } else {
    if (!TakeMaster()) return false;
    DeriveTls12Keys(*suite_, keys_->master, client_random_, server_random_, side == 0, &keys_->direction[side]);
  }
  s.suite = suite_;
  s.sequence = 0;
  s.keyed = true;
  Count(TlsCounter::kKeyed);
  return true;
}

// ---- handshake

void TlsConnection::ReadHandshake(int side, Bytes data) {
  Side& s = side_[side];
  // What stands behind a hello that turns protection on, in its record, is nobody's.
  const Stage stage = s.stage;
  while (!data.empty() && s.stage == stage) {
    switch (s.handshake.Next(&data, &core_->buffers)) {
      case HandshakeReader::Result::kMore: break;
      case HandshakeReader::Result::kMessage: OnHandshake(side, s.handshake.type(), s.handshake.body()); break;
      case HandshakeReader::Result::kTooLarge: return Fail(side, TlsCounter::kHelloTooLarge);
      case HandshakeReader::Result::kNoBuffer: return Fail(side, TlsCounter::kBuffersEmpty);
    }
  }
}

void TlsConnection::OnHandshake(int side, uint8_t type, Bytes body) {
  Side& s = side_[side];
  const bool traffic_13 = suite_ != nullptr && suite_->tls13 && s.stage == Stage::kProtected;
  switch (static_cast<HandshakeType>(type)) {
    case HandshakeType::kClientHello:
      if (side == 0 && !traffic_13) OnClientHello(body);
      break;
    case HandshakeType::kServerHello:
      if (side == 1 && !traffic_13) OnServerHello(body);
      break;
    case HandshakeType::kFinished:
      if (!traffic_13 || s.traffic) break;
      s.traffic = true;
      s.keyed = false;
      break;
    case HandshakeType::kKeyUpdate:
      if (!traffic_13 || !s.traffic || MutantIs("tls.key_update_ignored")) break;
      Count(TlsCounter::kKeyUpdates);
      UpdateTls13Keys(*suite_, &keys_->direction[side]);
      s.sequence = 0;
      break;
  }
}

void TlsConnection::TellClientHello(const ClientHello& hello) {
  Count(hello.ssl2 ? TlsCounter::kSsl2Hellos : TlsCounter::kClientHellos);
  if (hello.malformed) Count(TlsCounter::kHelloMalformed);
  if (hello.ech) Count(TlsCounter::kEch);
  if (hello.early_data) Count(TlsCounter::kEarlyData);
  const Fingerprint ja4 = core_->fingerprinter.Ja4(hello);
  if (!hello.ssl2) ja4_hash_ = core_->HashJa4(ja4.view());
  if (core_->observer == nullptr) return;
  core_->observer->OnClientHello(*at_, hello, core_->fingerprinter.Ja3(hello).view(), ja4.view());
}

void TlsConnection::OnClientHello(Bytes body) {
  ClientHello hello;
  if (!ParseClientHello(body, &hello)) {
    Count(TlsCounter::kHelloMalformed);
    for (Side& s : side_) CloseSide(&s);
    return;
  }
  if (side_[0].stage == Stage::kProtected) Count(TlsCounter::kRenegotiations);
  hello_seen_ = true;
  early_data_ = hello.early_data;
  std::memcpy(client_random_, hello.random.data(), sizeof client_random_);
  if (keys_ != nullptr) keys_->master_known = false;
  TellClientHello(hello);
}

void TlsConnection::OnServerHello(Bytes body) {
  ServerHello hello;
  if (!ParseServerHello(body, &hello)) {
    Count(TlsCounter::kHelloMalformed);
    for (Side& s : side_) CloseSide(&s);
    return;
  }
  Count(TlsCounter::kServerHellos);
  if (hello.malformed) Count(TlsCounter::kHelloMalformed);
  if (core_->observer != nullptr) {
    core_->observer->OnServerHello(*at_, hello, core_->fingerprinter.Ja3s(hello).view());
  }
  if (hello.retry) {
    retried_ = true;
    return;
  }
  std::memcpy(server_random_, hello.random.data(), sizeof server_random_);
  const Suite* const suite = FindSuite(hello.cipher);
  const bool known = suite != nullptr && hello.compression == 0 &&
                     hello.version_chosen == (suite->tls13 ? kTls13 : kTls12);
  if (!core_->decrypts() || !known || !hello_seen_) {
    if (core_->decrypts()) Count(hello_seen_ ? TlsCounter::kSuiteRefused : TlsCounter::kHelloLost);
    for (int side = 0; side < 2; ++side) {
      CloseSide(&side_[side]);
      if (decrypted_) TellEnd(side, true);
    }
    return;
  }
  suite_ = suite;
  encrypt_then_mac_ = hello.encrypt_then_mac;
  if (!suite->tls13) return;
  for (Side& s : side_) {
    s.stage = Stage::kProtected;
    s.keyed = s.traffic = false;
  }
  if (early_data_) side_[0].skips_left = kSkipsMax;
}

}  // namespace stillwatch::dataplane
