#include "tests/ptx/decode.h"

#include <cstdlib>

#include "tests/ptx/ops.h"

namespace stillwatch::ptx {
namespace {

// An operand as written: one row or several, perhaps an address.
struct Operand {
  std::vector<uint32_t> rows;
  bool inverted = false;
  bool address = false;
  int64_t offset = 0;
};

class Decoder {
 public:
  explicit Decoder(const EntryText& entry) : entry_(entry), kernel_(std::make_unique<Kernel>()) {}
  std::unique_ptr<Kernel> Run();

 private:
  struct Scope {
    std::map<std::string, uint32_t> rows;
    std::map<std::string, uint32_t> ranges;  // prefix -> count
  };

  void Refuse(uint32_t line, const std::string& what) {
    if (kernel_->refusal.empty()) kernel_->refusal = "line " + std::to_string(line) + ": " + what;
  }
  bool Parameters();
  bool Directive(const std::string& text);
  bool Decoded(const std::string& text, Instruction* in);
  bool Operation(Instruction* in);
  bool Memory(Instruction* in);
  bool Warpwide(Instruction* in);
  bool Moves(Instruction* in);
  bool Arithmetic(Instruction* in);

  bool Has(const std::string& modifier);  // takes it away
  bool TakeType(Type* type);
  uint32_t NewRow() { return kernel_->rows++; }
  uint32_t Constant(uint64_t value);
  bool Register(const std::string& name, uint32_t* row);
  bool Value(const std::string& text, uint32_t* row);
  bool ParseOperand(const std::string& text, Operand* operand);
  bool Take(Instruction* in, size_t destinations, size_t sources);
  bool Take(Instruction* in, size_t destinations, size_t sources, Action action) {
    in->action = action;
    return action != nullptr && Take(in, destinations, sources);
  }

  const EntryText& entry_;
  std::unique_ptr<Kernel> kernel_;
  std::vector<Scope> scopes_{1};
  std::map<std::string, uint32_t> symbols_;  // shared variables -> offset
  std::map<std::string, Parameter> parameters_;
  std::map<std::string, uint32_t> labels_;
  std::map<uint64_t, uint32_t> constant_rows_;
  std::vector<std::pair<uint32_t, std::string>> branches_;  // instruction, label
  // The instruction at work.
  std::string base_;
  std::vector<std::string> modifiers_;
  std::vector<Operand> operands_;
};

bool TypeOf(const std::string& word, Type* type) {
  if (word == "pred") {
    *type = {'p', 1};
    return true;
  }
  if (word.size() < 2 || (word[0] != 'u' && word[0] != 's' && word[0] != 'b')) return false;
  const std::string bits = word.substr(1);
  if (bits != "8" && bits != "16" && bits != "32" && bits != "64") return false;
  *type = {word[0], static_cast<uint32_t>(std::atoi(bits.c_str()))};
  return true;
}

bool Decoder::Has(const std::string& modifier) {
  for (size_t i = 0; i < modifiers_.size(); ++i) {
    if (modifiers_[i] != modifier) continue;
    modifiers_.erase(modifiers_.begin() + static_cast<ptrdiff_t>(i));
    return true;
  }
  return false;
}

bool Decoder::TakeType(Type* type) {
  for (size_t i = 0; i < modifiers_.size(); ++i) {
    if (!TypeOf(modifiers_[i], type)) continue;
    modifiers_.erase(modifiers_.begin() + static_cast<ptrdiff_t>(i));
    return true;
  }
  return false;
}

uint32_t Decoder::Constant(uint64_t value) {
  const auto [found, added] = constant_rows_.try_emplace(value, 0);
  if (added) {
    found->second = NewRow();
    kernel_->constants[found->second] = value;
  }
  return found->second;
}

bool Decoder::Register(const std::string& name, uint32_t* row) {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    if (const auto found = scope->rows.find(name); found != scope->rows.end()) {
      *row = found->second;
      return true;
    }
    const size_t digits = name.find_last_not_of("0123456789") + 1;
    const auto range = scope->ranges.find(name.substr(0, digits));
    if (range == scope->ranges.end() || digits == name.size()) continue;
    if (std::strtoull(name.c_str() + digits, nullptr, 10) >= range->second) continue;
    *row = scope->rows[name] = NewRow();
    return true;
  }
  static const char* const kSpecials[] = {"%tid.x",    "%tid.y",    "%ntid.x",
                                          "%ntid.y",   "%ctaid.x",  "%ctaid.y",
                                          "%nctaid.x", "%nctaid.y", "%laneid"};
  for (const char* special : kSpecials) {
    if (name != special) continue;
    const auto [found, added] = kernel_->specials.try_emplace(name, 0);
    if (added) found->second = NewRow();
    *row = found->second;
    return true;
  }
  return false;
}

// A register, a number, or the address of a shared variable or a parameter.
bool Decoder::Value(const std::string& text, uint32_t* row) {
  if (text.empty()) return false;
  if (Register(text, row)) return true;
  if (text[0] == '%') return false;
  if (const auto symbol = symbols_.find(text); symbol != symbols_.end()) {
    *row = Constant(symbol->second);
    return true;
  }
  if (const auto found = parameters_.find(text); found != parameters_.end()) {
    *row = Constant(found->second.offset);  // its address, for ld.param
    return true;
  }
  char* end = nullptr;
  const bool negative = text[0] == '-';
  const uint64_t value = negative ? static_cast<uint64_t>(std::strtoll(text.c_str(), &end, 0))
                                  : std::strtoull(text.c_str(), &end, 0);
  if (*end != 0 && std::string(end) != "U") return false;
  *row = Constant(value);
  return true;
}

bool Decoder::ParseOperand(const std::string& text, Operand* operand) {
  std::string inner = text;
  if (text.size() > 2 && (text[0] == '{' || text[0] == '['))
    inner = Trimmed(text.substr(1, text.size() - 2));
  if (text[0] == '[') {
    operand->address = true;
    const size_t plus = inner.find_first_of("+", 1);
    if (plus != std::string::npos) {
      operand->offset = std::strtoll(inner.c_str() + plus + 1, nullptr, 0);
      inner = Trimmed(inner.substr(0, plus));
    }
  }
  if (text[0] == '!') {
    operand->inverted = true;
    inner = Trimmed(text.substr(1));
  }
  const char by = text[0] == '{' ? ',' : '|';
  for (const std::string& part : Split(inner, by)) {
    uint32_t row = 0;
    if (part == "_") {
      row = NewRow();  // a result that nobody wants
    } else if (!Value(part, &row)) {
      return false;
    }
    operand->rows.push_back(row);
  }
  return true;
}

// The operands, in order, as rows written and rows read. An address brings its offset along.
bool Decoder::Take(Instruction* in, size_t destinations, size_t sources) {
  if (operands_.size() != destinations + sources || !modifiers_.empty()) return false;
  for (size_t i = 0; i < operands_.size(); ++i) {
    const Operand& operand = operands_[i];
    if (operand.address) in->offset = operand.offset;
    for (const uint32_t row : operand.rows) {
      (i < destinations ? in->to : in->from).push_back(row);
      if (i >= destinations) in->from_not.push_back(operand.inverted);
    }
  }
  return true;
}

bool Decoder::Memory(Instruction* in) {
  const bool store = base_ == "st", atomic = base_ == "atom" || base_ == "red";
  in->space = Has("global")                         ? Space::kGlobal
              : Has("shared") || Has("shared::cta") ? Space::kShared
              : Has("param")                        ? Space::kParam
                                                    : Space::kGeneric;
  for (const char* hint : {"nc", "relaxed", "gpu", "cta", "volatile"}) Has(hint);
  const bool vector = Has("v2") || Has("v4");
  if (atomic) {
    for (size_t i = 0; i < modifiers_.size() && in->code == 0; ++i) {
      const uint8_t code = AtomicCode(modifiers_[i]);
      if (code == kNoCode) continue;
      in->code = code;
      modifiers_.erase(modifiers_.begin() + static_cast<ptrdiff_t>(i));
      break;
    }
  }
  Type type;
  if (!TakeType(&type) || type.kind == 'p') return false;
  in->width = static_cast<uint8_t>(type.bits / 8);
  in->sign = type.kind == 's';
  if (atomic) {
    if (in->space == Space::kParam || type.bits < 32) return false;
    const size_t results = base_ == "atom" ? 1 : 0;
    return Take(in, results, in->code == 7 ? 3 : 2, Atomic);
  }
  if (!vector && operands_.size() == 2 && operands_[store ? 1 : 0].rows.size() != 1) return false;
  if (store) return in->space != Space::kParam && Take(in, 0, 2, Store);
  return Take(in, 1, 1, in->space == Space::kParam ? LoadParameter : Load);
}

bool Decoder::Warpwide(Instruction* in) {
  if (base_ == "bar" || base_ == "barrier") {
    Has("cta");
    if (Has("warp")) {
      if (!Has("sync") || operands_.size() != 1) return false;
      in->kind = Kind::kGathered;
      in->members = operands_[0].rows[0];
      return Take(in, 0, 1, WarpBarrier);
    }
    if (base_ == "barrier" && !Has("aligned")) return false;
    in->kind = Kind::kBlockBarrier;
    uint32_t zero = Constant(0);
    const auto is_zero = [&](size_t i) { return operands_[i].rows[0] == zero; };
    if (Has("sync")) return operands_.size() == 1 && is_zero(0) && Take(in, 0, 1);
    if (!Has("red") || operands_.size() != 3 || !is_zero(1)) return false;
    in->reduce = Has("or")     ? Reduce::kOr
                 : Has("and")  ? Reduce::kAnd
                 : Has("popc") ? Reduce::kPopc
                               : Reduce::kNone;
    Type type;
    return in->reduce != Reduce::kNone && TakeType(&type) && Take(in, 1, 2);
  }
  in->kind = Kind::kGathered;
  if (base_ == "mma") {
    static const char* const kWords[] = {"sync", "aligned", "m16n8k32", "row", "col"};
    for (const char* word : kWords) {
      if (!Has(word)) return false;
    }
    in->whole_warp = true;
    return Has("s32") && Has("s8") && Has("s8") && Has("s32") && Take(in, 1, 3, MmaS8) &&
           in->to.size() == 4 && in->from.size() == 10;
  }
  Type type;
  if (!Has("sync") || !TakeType(&type) || operands_.empty()) return false;
  in->members = operands_.back().rows[0];
  if (base_ == "vote") {
    in->code = Has("ballot") ? 0 : Has("any") ? 1 : Has("all") ? 2 : kNoCode;
    return in->code != kNoCode && Take(in, 1, 2, Ballot);
  }
  if (modifiers_.size() != 1 || type.bits != 32) return false;
  in->code = ShuffleCode(modifiers_[0]);
  modifiers_.clear();
  return in->code != kNoCode && Take(in, 1, 4, Shuffle);
}

bool Decoder::Moves(Instruction* in) {
  Type to, from;
  if (base_ == "mov") {
    if (!TakeType(&to)) return false;
    in->width = static_cast<uint8_t>(to.kind == 'p' ? 1 : to.bits / 8);
    return Take(in, 1, 1, Move);
  }
  if (base_ == "cvta") {
    const bool take = Has("to"), shared = Has("shared");
    if (!shared && !Has("global")) return false;
    in->width = 8;
    return TakeType(&to) && Take(in, 1, 1, !shared ? Move : take ? TakeShared : AddShared);
  }
  if (!TakeType(&to) || !TakeType(&from)) return false;  // cvt
  in->code = static_cast<uint8_t>(to.bits / 8);
  in->width = static_cast<uint8_t>(from.bits / 8);
  in->sign = from.kind == 's';
  return Take(in, 1, 1, Convert);
}

bool Decoder::Arithmetic(Instruction* in) {
  std::string name = base_;
  for (const char* part : {"lo", "hi", "wide"}) {
    if ((base_ == "mul" || base_ == "mad") && Has(part)) name += std::string(".") + part;
  }
  if (base_ == "shf") {
    for (const char* part : {"l", "r", "wrap", "clamp"}) {
      if (Has(part)) name += std::string(".") + part;
    }
  }
  if (base_ == "setp") {
    if (modifiers_.empty()) return false;
    in->code = CompareCode(modifiers_[0]);
    if (in->code == kNoCode) return false;
    modifiers_.erase(modifiers_.begin());
    for (const char* combine : {"and", "or", "xor"}) {
      if (Has(combine)) in->combine = static_cast<uint8_t>(combine[0]);
    }
  }
  if (base_ == "lop3" && Has("lut")) return false;  // never written so
  if (base_ == "rem") in->code = 1;
  if (base_ == "popc" || base_ == "clz" || base_ == "brev") Has("approx");
  Type type;
  if (!TakeType(&type)) return false;
  if (base_ == "dp4a") {
    Type other;
    if (!TakeType(&other)) return false;
    name += std::string(".") + type.kind + "32." + other.kind + "32";
  }
  const size_t sources = operands_.size() - 1;
  static const std::map<std::string, size_t> kSources = {
      {"neg", 1},  {"abs", 1}, {"not", 1}, {"popc", 1}, {"clz", 1},  {"brev", 1}, {"mad", 3},
      {"selp", 3}, {"bfe", 3}, {"bfi", 4}, {"prmt", 3}, {"lop3", 4}, {"shf", 3},  {"dp4a", 3}};
  const auto known = kSources.find(base_);
  const size_t expected = base_ == "setp"           ? (in->combine != 0 ? 3 : 2)
                          : known == kSources.end() ? 2
                                                    : known->second;
  return sources == expected && Take(in, 1, sources, IntegerAction(name, type));
}

bool Decoder::Operation(Instruction* in) {
  if (base_ == "ret" || base_ == "exit") {
    in->kind = Kind::kExit;
    return operands_.empty() && modifiers_.empty();
  }
  if (base_ == "ld" || base_ == "st" || base_ == "atom" || base_ == "red") return Memory(in);
  if (base_ == "bar" || base_ == "barrier" || base_ == "shfl" || base_ == "vote" ||
      base_ == "mma") {
    return Warpwide(in);
  }
  if (base_ == "mov" || base_ == "cvt" || base_ == "cvta") return Moves(in);
  return !operands_.empty() && Arithmetic(in);
}

bool Decoder::Decoded(const std::string& text, Instruction* in) {
  std::string rest = text;
  if (rest[0] == '@') {
    const size_t space = rest.find(' ');
    if (space == std::string::npos) return false;
    in->guard_not = rest[1] == '!';
    if (!Register(rest.substr(in->guard_not ? 2 : 1, space - (in->guard_not ? 2 : 1)), &in->guard))
      return false;
    rest = Trimmed(rest.substr(space));
  }
  const size_t space = rest.find(' ');
  modifiers_ = Split(rest.substr(0, space), '.');
  base_ = modifiers_[0];
  modifiers_.erase(modifiers_.begin());
  const std::string words = space == std::string::npos ? "" : Trimmed(rest.substr(space));
  if (base_ == "bra") {
    Has("uni");
    in->kind = Kind::kBranch;
    branches_.push_back({static_cast<uint32_t>(kernel_->code.size()), words});
    return modifiers_.empty();
  }
  operands_.clear();
  if (!words.empty()) {
    for (const std::string& word : Split(words, ',')) {
      if (word.empty() || !ParseOperand(word, &operands_.emplace_back())) return false;
    }
  }
  return Operation(in);
}

bool Decoder::Directive(const std::string& text) {
  const std::vector<std::string> words = Split(text, ' ');
  if (words[0] == ".pragma" || words[0] == ".loc") return true;
  if (words[0] == ".reg" && words.size() >= 3) {
    const size_t type_end = text.find(' ', text.find('.', 1));  // behind ".reg .b32"
    for (const std::string& name : Split(Trimmed(text.substr(type_end)), ',')) {
      const size_t less = name.find('<');
      if (less == std::string::npos) {
        scopes_.back().rows[name] = NewRow();
      } else {
        scopes_.back().ranges[name.substr(0, less)] =
            static_cast<uint32_t>(std::strtoul(name.c_str() + less + 1, nullptr, 10));
      }
    }
    return true;
  }
  if (words[0] == ".shared" && words.size() == 5 && words[1] == ".align" && words[3] == ".b8") {
    const uint32_t align = static_cast<uint32_t>(std::atoi(words[2].c_str()));
    const size_t bracket = words[4].find('[');
    if (align == 0 || bracket == std::string::npos) return false;
    uint32_t& end = kernel_->shared_bytes;
    end = (end + align - 1) / align * align;
    symbols_[words[4].substr(0, bracket)] = end;
    end += static_cast<uint32_t>(std::atoi(words[4].c_str() + bracket + 1));
    return true;
  }
  return false;
}

bool Decoder::Parameters() {
  for (const std::string& text : entry_.parameters) {
    std::string name;
    uint32_t bytes = 0, align = 0, many = 1;
    for (const std::string& word : Split(text, ' ')) {
      Type type;
      if (word.empty() || word == ".param" || word == ".ptr" || word == ".global" ||
          word == ".align")
        continue;
      if (word[0] == '.' && TypeOf(word.substr(1), &type)) {
        bytes = type.bits / 8;
      } else if (std::isdigit(static_cast<unsigned char>(word[0]))) {
        align = static_cast<uint32_t>(std::atoi(word.c_str()));
      } else {
        const size_t bracket = word.find('[');
        name = word.substr(0, bracket);
        if (bracket != std::string::npos)
          many = static_cast<uint32_t>(std::atoi(word.c_str() + bracket + 1));
      }
    }
    if (name.empty() || bytes == 0) return false;
    if (text.find(".ptr") != std::string::npos || align < bytes) align = bytes;
    uint32_t& end = kernel_->parameter_bytes;
    end = (end + align - 1) / align * align;
    parameters_[name] = {end, bytes * many};
    kernel_->parameters.push_back({end, bytes * many});
    end += bytes * many;
  }
  return true;
}

std::unique_ptr<Kernel> Decoder::Run() {
  kernel_->name = entry_.name;
  if (!Parameters()) Refuse(0, "parameters");
  for (const Statement& directive : entry_.directives) {
    const size_t at = directive.text.find(".maxntid");
    if (at != std::string::npos)
      kernel_->threads_max = static_cast<uint32_t>(std::atoi(directive.text.c_str() + at + 8));
  }
  for (const Statement& statement : entry_.body) {
    if (statement.text == "{") {
      scopes_.emplace_back();
    } else if (statement.text == "}") {
      if (scopes_.size() > 1) scopes_.pop_back();
    } else if (statement.text.ends_with(':')) {
      labels_[statement.text.substr(0, statement.text.size() - 1)] =
          static_cast<uint32_t>(kernel_->code.size());
    } else if (statement.text[0] == '.') {
      if (!Directive(statement.text)) Refuse(statement.line, statement.text);
    } else {
      Instruction in;
      in.line = statement.line;
      in.text = statement.text;
      if (!Decoded(statement.text, &in)) Refuse(statement.line, statement.text);
      kernel_->code.push_back(std::move(in));
    }
  }
  // Running off the end is an exit.
  Instruction end;
  end.kind = Kind::kExit;
  kernel_->code.push_back(end);
  for (const auto& [at, label] : branches_) {
    const auto found = labels_.find(label);
    if (found == labels_.end()) {
      Refuse(kernel_->code[at].line, "no label " + label);
    } else {
      kernel_->code[at].target = found->second;
    }
  }
  return std::move(kernel_);
}

}  // namespace

std::unique_ptr<Kernel> Decode(const EntryText& entry) { return Decoder(entry).Run(); }

}  // namespace stillwatch::ptx
