// JA3 and JA3S (Salesforce, 2017) and JA4 of TLS clients (FoxIO, technical_details/JA4.md; that method alone of the
// JA4 family is under BSD-3-Clause). GREASE is left out of all but JA3S. Hashes go through contexts and arrays that
// are made once: nothing is allocated afterwards. One thread.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "dataplane/tls/hello.h"

struct evp_md_ctx_st;
struct evp_md_st;

namespace stillwatch::dataplane {

// A fingerprint as text; empty where there is none.
struct Fingerprint {
  char text[40] = {};
  std::string_view view() const { return text; }
};

class Fingerprinter {
 public:
  Fingerprinter();
  ~Fingerprinter();

  // 32 hexadecimal digits: MD5 of version, ciphers, extensions, groups, point formats.
  Fingerprint Ja3(const ClientHello& hello);
  // The same of version, cipher, extensions.
  Fingerprint Ja3s(const ServerHello& hello);
  // As in t13d1516h2_8daaf6152771_e5627efa2ab1.
  // `transport`: 't' for TCP, 'q' for QUIC.
  Fingerprint Ja4(const ClientHello& hello, char transport = 't');

 private:
  void Begin(const evp_md_st* digest);
  void Put(std::string_view text);
  void PutDecimals(const U16List& list);
  void PutExtensionTypes(Bytes extensions, bool with_grease);
  void PutHex(const std::vector<uint16_t>& list);
  void FinishHex(size_t digits, char* to);

  evp_md_ctx_st* const context_;
  std::vector<uint16_t> sorted_;
};

}  // namespace stillwatch::dataplane
