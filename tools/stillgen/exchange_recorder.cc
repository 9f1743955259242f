#include "tools/stillgen/exchange_recorder.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/text/stream_hash.h"
#include "tools/stillgen/truth.h"

namespace stillwatch::stillgen {
namespace {

using dataplane::ExchangeHeader;
using dataplane::Part;

constexpr uint64_t kOdd = 0x9e3779b97f4a7c15ull;
uint64_t Combine(uint64_t state, uint64_t value) { return Mix64(state * kOdd + value); }

class Gather final : public text::TokenSink {
 public:
  explicit Gather(std::vector<uint32_t>* out) : out_(out) {}
  void Append(std::span<const uint32_t> hashes) override { out_->insert(out_->end(), hashes.begin(), hashes.end()); }

 private:
  std::vector<uint32_t>* out_;
};

// Numbers of the dataplane's roles, as the prefix chain has them.
uint64_t RoleNumber(Message::Role role) {
  switch (role) {
    case Message::Role::kUser: return 1;
    case Message::Role::kAssistant: return 2;
    case Message::Role::kTool: return 3;
  }
  return 4;
}

dataplane::Api ApiOf(Api api, bool stream) {
  switch (api) {
    case Api::kChat: return dataplane::Api::kChat;
    case Api::kResponses: return dataplane::Api::kResponses;
    case Api::kMessages: return dataplane::Api::kMessages;
    case Api::kGemini: return stream ? dataplane::Api::kStreamGenerateContent : dataplane::Api::kGenerateContent;
  }
  return dataplane::Api::kUnknown;
}

dataplane::Dialect DialectOf(Api api) {
  return api == Api::kMessages ? dataplane::Dialect::kAnthropic : api == Api::kGemini ? dataplane::Dialect::kGemini : dataplane::Dialect::kOpenAi;
}

}  // namespace

ExchangeRecorder::ExchangeRecorder(const World& world, Salt salt, std::string account_key, std::span<const Salt> partners)
    : world_(&world), account_key_(std::move(account_key)), text_salt_(DeriveSalt(salt, "text")), id_salt_(DeriveSalt(salt, "id")),
      body_salt_(DeriveSalt(salt, "body")), name_salt_(DeriveSalt(salt, "name")), hasher_(salt), identities_(world.accounts.size()),
      kept_(kSlots) {
  for (const Salt partner : partners) partner_hashers_.emplace_back(partner);
}

const ExchangeRecorder::Identity& ExchangeRecorder::IdentityOf(const Account& account) {
  Identity& identity = identities_[account.index];
  if (identity.known) return identity;
  identity.known = true;
  std::string key;
  CHECK(ParseHex(KeyId(account_key_, account.client.key), &key) && key.size() == sizeof identity.key_id);
  std::memcpy(identity.key_id, key.data(), sizeof identity.key_id);
  const bool sends = account.client.api == Api::kChat || account.client.api == Api::kResponses;
  if (sends && !account.client.organisation.empty()) identity.organisation = KeyedHash64(account.client.organisation, name_salt_);
  const std::string_view agent = account.client.agent;
  identity.agent_family = KeyedHash64(agent.substr(0, agent.find_first_of("/ ")), name_salt_);
  return identity;
}

void ExchangeRecorder::Tokenise(const text::TokenHasher& hasher, std::string_view text, std::vector<uint32_t>* out) {
  Gather gather(out);
  text::Tokenizer tokenizer(hasher);
  tokenizer.Feed(text, &gather);
  tokenizer.Finish(&gather);
}

const std::vector<uint32_t>& ExchangeRecorder::TokensOf(std::string_view text, uint64_t hash) {
  Kept& kept = kept_[hash % kSlots];
  if (kept.hash != hash) {
    kept.hash = hash;
    kept.tokens.clear();
    Tokenise(hasher_, text, &kept.tokens);
  }
  return kept.tokens;
}

void ExchangeRecorder::Append(Part part, std::string_view text, uint64_t hash) {
  const size_t p = static_cast<size_t>(part);
  if (part == Part::kSystem || part == Part::kTail) {
    const auto& tokens = TokensOf(text, hash);
    parts_[p].insert(parts_[p].end(), tokens.begin(), tokens.end());
  } else {  // seldom comes again: not worth a place
    Tokenise(hasher_, text, &parts_[p]);
  }
  uint64_t& whole = builder_.header().part_hash[p];
  whole = whole == 0 ? hash : Combine(whole, hash);
}

void ExchangeRecorder::FillRequest(const Exchanged& e) {
  const Prompt& prompt = *e.prompt;
  ExchangeHeader& h = builder_.header();
  uint64_t chain = 1;
  if (!prompt.system.empty()) {
    const uint64_t hash = KeyedHash64(prompt.system, text_salt_);
    Append(Part::kSystem, prompt.system, hash);
    chain = Combine(chain, hash);
    h.request_bytes += prompt.system.size();
    // The chat dialect sends it as a message.
    if (e.account->client.api == Api::kChat) ++h.turns;
  }
  size_t instruction = prompt.messages.size();
  for (size_t m = prompt.messages.size(); m > 0 && instruction == prompt.messages.size(); --m) {
    if (prompt.messages[m - 1].role == Message::Role::kUser && !prompt.messages[m - 1].text.empty()) instruction = m - 1;
  }
  for (size_t m = 0; m < prompt.messages.size(); ++m) {
    const Message& message = prompt.messages[m];
    chain = Combine(chain, RoleNumber(message.role));
    ++h.turns;
    h.request_bytes += message.text.size();
    if (!message.text.empty()) {
      const uint64_t hash = KeyedHash64(message.text, text_salt_);
      chain = Combine(chain, hash);
      Append(m == instruction ? Part::kInstruction : Part::kTail, message.text, hash);
      for (size_t i = 0; m == instruction && i < partner_hashers_.size(); ++i) Tokenise(partner_hashers_[i], message.text, &partner_tokens_);
    }
    for (const ToolCall& call : message.calls) {
      chain = Combine(chain, KeyedHash64(call.arguments, text_salt_));
      if (!call.id.empty() && e.account->client.api != Api::kGemini) builder_.AddIdReturned(KeyedHash64(call.id, id_salt_));
    }
    if (!message.call_id.empty() && e.account->client.api != Api::kGemini) builder_.AddIdReturned(KeyedHash64(message.call_id, id_salt_));
    builder_.AddPrefixChain(chain);
    const size_t said = parts_[static_cast<size_t>(Part::kTail)].size() + parts_[static_cast<size_t>(Part::kInstruction)].size();
    if (h.prefix_deep_from == 0 && m + 1 >= dataplane::kPrefixTurnsMin && m < dataplane::kPrefixChainMax && said >= dataplane::kPrefixTokensMin) {
      h.prefix_deep_from = static_cast<uint16_t>(m + 1);
    }
  }
  if (!prompt.previous_response_id.empty() && e.account->client.api == Api::kResponses) {
    builder_.AddIdReturned(KeyedHash64(prompt.previous_response_id, id_salt_));
  }
  const Parameters& p = prompt.parameters;
  const auto flag = [&](bool on, uint32_t bit) { h.flags |= on ? bit : 0u; };
  flag(p.stream, dataplane::kStreamed);
  flag(!prompt.tools.empty(), dataplane::kToolsDeclared);
  flag(p.json_output, dataplane::kResponseFormat);
  flag(p.top_logprobs >= 0, dataplane::kLogprobs);
  flag(p.temperature_milli >= 0, dataplane::kHasTemperature);
  flag(p.top_p_milli >= 0, dataplane::kHasTopP);
  flag(p.max_tokens >= 0 || e.account->client.api == Api::kMessages, dataplane::kHasMaxTokens);
  flag(p.seed >= 0, dataplane::kHasSeed);
  flag(!p.reasoning_effort.empty(), dataplane::kReasoningAsked);
  h.temperature_milli = std::max(p.temperature_milli, 0);
  if (e.account->client.api == Api::kMessages) h.temperature_milli = std::min(h.temperature_milli, 1000);
  h.top_p_milli = std::max(p.top_p_milli, 0);
  h.max_tokens = p.max_tokens >= 0 ? static_cast<uint32_t>(p.max_tokens) : e.account->client.api == Api::kMessages ? 1024 : 0;
  h.tools = static_cast<uint16_t>(prompt.tools.size());
  if (!p.logit_bias.empty() && e.account->client.api == Api::kChat) {
    std::vector<uint64_t> ids;
    for (const auto& [token, bias] : p.logit_bias) ids.push_back(static_cast<uint64_t>(token));
    std::sort(ids.begin(), ids.end());
    h.logit_bias_count = static_cast<uint16_t>(ids.size());
    h.logit_bias_hash = KeyedHash64(Bytes(reinterpret_cast<const uint8_t*>(ids.data()), 8 * ids.size()), id_salt_);
  }
  if (!prompt.end_user.empty() && e.account->client.api != Api::kGemini) h.end_user_id = KeyedHash64(prompt.end_user, name_salt_);
  uint64_t body = Combine(chain, body_salt_.value);
  for (int value : {h.temperature_milli, h.top_p_milli, static_cast<int>(h.max_tokens), static_cast<int>(h.tools), static_cast<int>(h.api)}) {
    body = Combine(body, static_cast<uint64_t>(value));
  }
  h.body_hash = Combine(body, h.logit_bias_hash);
  builder_.SetModel(prompt.model);
}

void ExchangeRecorder::FillAnswer(const Exchanged& e) {
  const Answer& answer = *e.answer;
  ExchangeHeader& h = builder_.header();
  h.status = static_cast<uint16_t>(answer.status);
  if (answer.status != 200) {
    h.flags |= dataplane::kRateLimited;
    return;
  }
  h.flags |= dataplane::kHasUsage;
  h.tokens_in = static_cast<uint32_t>(answer.tokens_in);
  h.tokens_out = static_cast<uint32_t>(answer.tokens_out + answer.reasoning_tokens);
  h.finish = answer.finish == Finish::kStop     ? dataplane::FinishReason::kStop
             : answer.finish == Finish::kLength ? dataplane::FinishReason::kLength
                                                : dataplane::FinishReason::kToolUse;
  builder_.AddIdIssued(KeyedHash64(answer.id, id_salt_));
  const std::string& all = answer.text;
  for (const ToolCall& call : answer.calls) {
    if (e.account->client.api != Api::kGemini) builder_.AddIdIssued(KeyedHash64(call.id, id_salt_));
  }
  h.response_bytes = all.size();
  if (!all.empty()) {
    text::StreamHash hash(text_salt_);
    hash.Update(all);
    Append(Part::kOutput, all, 0);
    h.part_hash[static_cast<size_t>(Part::kOutput)] = hash.Digest();
  }
}

dataplane::ExchangeView ExchangeRecorder::Record(const Exchanged& e) {
  builder_.Reset();
  for (auto& part : parts_) part.clear();
  partner_tokens_.clear();
  ExchangeHeader& h = builder_.header();
  const Account& account = *e.account;
  const Identity& identity = IdentityOf(account);
  const int64_t start = world_->options.start_unix_ns;
  h.flow_id = Mix64(account.index * kOdd + 1);
  h.order.flow_hash = h.flow_id;
  h.request_start_ns = h.request_end_ns = start + e.asked_ns;
  h.first_token_ns = start + e.first_token_ns;
  h.response_end_ns = start + e.answered_ns;
  h.flags = dataplane::kRequestSeen | dataplane::kResponseSeen | dataplane::kRequestComplete | dataplane::kResponseComplete | dataplane::kHasKey;
  h.dialect = DialectOf(account.client.api);
  h.api = ApiOf(account.client.api, e.prompt->parameters.stream);
  std::memcpy(h.key_id, identity.key_id, sizeof h.key_id);
  h.organisation_id = identity.organisation;
  h.agent_family_hash = identity.agent_family;
  const Address& address = account.addresses[e.serial % account.addresses.size()];
  h.client.length = address.v6 ? 16 : 4;
  std::memcpy(h.client.bytes, address.bytes, h.client.length);
  FillRequest(e);
  FillAnswer(e);
  for (size_t p = 0; p < dataplane::kParts; ++p) builder_.SetTokens(static_cast<Part>(p), parts_[p]);
  // An instruction that had to be cut has its places no more: none here is so long.
  const size_t kept = h.part_tokens[static_cast<size_t>(Part::kInstruction)] * partner_hashers_.size();
  if (kept == partner_tokens_.size()) builder_.SetPartnerTokens(static_cast<uint32_t>(partner_hashers_.size()), partner_tokens_);
  return builder_.Finish();
}

}  // namespace stillwatch::stillgen
