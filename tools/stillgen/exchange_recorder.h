// From an exchange of the world to the block that the dataplane would emit for it, without packets, bodies
// or JSON: token hashes of the same texts under the same salt. For long runs that no capture could hold.
//
// Equal to what the dataplane makes of a capture of the same world: identity, parameters, counts, token
// hashes, part hashes, ids. Not equal, because no bytes exist: body_hash (here of the texts and
// parameters: equal texts have equal hashes), request_id_hash (0), flow ids, byte counts (of texts alone),
// network delays, and what fingerprints would say of the connection.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/text/tokenizer.h"
#include "dataplane/llm/exchange_builder.h"
#include "tools/stillgen/drive.h"

namespace stillwatch::stillgen {

class ExchangeRecorder {
 public:
  // `account_key`: as privacy.account_key; `salt`: the fleet salt; `partners`: under whose keys instructions are hashed too.
  ExchangeRecorder(const World& world, Salt salt, std::string account_key, std::span<const Salt> partners = {});

  // All but the order key's packet number, which the writer gives. Valid until the next Record.
  dataplane::ExchangeView Record(const Exchanged& exchanged);

 private:
  // What is the same in every exchange of one account.
  struct Identity {
    uint8_t key_id[16] = {};
    uint64_t organisation = 0, agent_family = 0;
    bool known = false;
  };
  // System prompts and earlier turns come again: the tokens of the last text in each slot are kept.
  struct Kept {
    uint64_t hash = 0;
    std::vector<uint32_t> tokens;
  };
  static constexpr size_t kSlots = 1 << 15;

  const Identity& IdentityOf(const Account& account);
  static void Tokenise(const text::TokenHasher& hasher, std::string_view text, std::vector<uint32_t>* out);
  const std::vector<uint32_t>& TokensOf(std::string_view text, uint64_t hash);
  void Append(dataplane::Part part, std::string_view text, uint64_t hash);
  void FillRequest(const Exchanged& exchanged);
  void FillAnswer(const Exchanged& exchanged);

  const World* world_;
  const std::string account_key_;
  const Salt text_salt_, id_salt_, body_salt_, name_salt_;
  const text::TokenHasher hasher_;
  std::vector<text::TokenHasher> partner_hashers_;
  std::vector<uint32_t> partner_tokens_;
  std::vector<Identity> identities_;
  std::vector<Kept> kept_;
  std::array<std::vector<uint32_t>, dataplane::kParts> parts_;
  dataplane::ExchangeBuilder builder_;
};

}  // namespace stillwatch::stillgen
