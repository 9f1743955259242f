#include "tools/stillgen/prose.h"

#include "tools/stillgen/phrase.h"

namespace stillwatch::stillgen {
namespace {

constexpr std::string_view kNouns =
    "[account|answer|approach|argument|balance|battery|bridge|budget|cable|canal|case|chapter|circuit|claim|"
    "clinic|column|contract|copy|customer|cycle|delivery|design|device|district|document|engine|error|estimate|"
    "evidence|example|factor|family|farm|field|figure|filter|folder|forest|formula|frame|garden|glacier|group|"
    "harbour|history|index|input|island|journal|kernel|kitchen|label|ladder|layer|ledger|lesson|letter|library|"
    "limit|list|machine|manual|margin|market|measure|method|mirror|model|module|motor|museum|network|number|"
    "object|offer|office|orchard|order|panel|parcel|pattern|payment|phase|pipeline|planet|plant|policy|portrait|"
    "price|process|product|profile|project|proof|protein|query|queue|railway|range|record|refund|region|"
    "report|request|result|river|route|routine|sample|schedule|schema|season|sensor|series|server|shipment|"
    "signal|solution|source|station|storage|story|street|student|suffix|summary|supplier|surface|switch|table|"
    "target|teacher|tenant|theory|ticket|timer|token|tower|town|trade|train|valley|value|vector|vessel|village|"
    "voyage|warehouse|weather|window|winter|workshop]";
constexpr std::string_view kAdjectives =
    "[amber|ancient|annual|basic|brief|broad|calm|central|clear|cold|common|compact|complex|dense|direct|dry|early|"
    "eastern|empty|exact|external|faint|fast|final|flat|formal|fresh|frequent|gradual|heavy|hidden|honest|"
    "hourly|internal|joint|large|late|light|linear|local|loose|main|manual|minor|modern|narrow|native|neutral|"
    "northern|obvious|open|original|partial|plain|portable|previous|private|public|quiet|rapid|rare|raw|recent|"
    "regular|remote|rough|round|safe|second|shared|short|simple|slow|small|smooth|spare|stable|steady|strict|"
    "strong|subtle|sudden|thin|typical|uneven|upper|usual|vague|warm|weak|wide|young]";
constexpr std::string_view kVerbs =
    "[accepts|adds|adjusts|affects|allows|applies|avoids|becomes|blocks|carries|changes|checks|closes|combines|"
    "compares|confirms|connects|contains|covers|crosses|decides|defines|delays|depends on|describes|divides|"
    "drops|exceeds|explains|extends|feeds|fills|follows|forms|gains|guides|handles|holds|improves|includes|"
    "joins|keeps|leads to|leaves|limits|links|lowers|marks|matches|meets|misses|moves|needs|offers|opens|passes|"
    "precedes|prevents|produces|protects|raises|reaches|reads|reduces|refines|rejects|removes|repeats|replaces|"
    "returns|reveals|saves|separates|serves|shapes|shows|slows|starts|stores|supports|takes|tracks|turns into|"
    "updates|uses|weighs|yields]";
constexpr std::string_view kPatterns[] = {
    "The A N V the N[| of the A N].",
    "[Because|Since|While|Although] the N V a A N, the N V the N.",
    "[First|Then|Next|After that|Finally], the A N V the N.",
    "[In practice|In general|As a rule|In this case|By contrast], the N V [a|the] A N[| and the N V the N].",
    "A A N [rarely|often|usually|seldom|always] V the N.",
    "It [helps|pays|is worth trying] to compare the N with the A N[| before the N V the N].",
    "The N is [12|15|24|30|36|48|60|75|90|120|144|250|360|480] and the A N is [3|4|5|6|7|8|9|16|18].",
    "So the N V [2|3|4|5|6|8|10|12|20|25|40|50] times the A N.",
    "[One|Another|A third] reason is that the A N V the N.",
    "Note that the N and the A N [differ|agree|overlap|change] when the N V the N.",
    "If the N V the A N, [check|repeat|record|compare|skip] the N.",
    "Between the N and the N there is a A N that V the N.",
    "Most people who see the A N expect that the N V the N.",
    "This gives a A N, which V the N[| of the N].",
};

std::string Instance(std::string_view pattern, Rng& rng) {
  std::string out, form = Expand(pattern, rng);
  for (size_t i = 0; i < form.size(); ++i) {
    const bool alone = (i == 0 || form[i - 1] == ' ') &&
                       (i + 1 == form.size() || form[i + 1] == ' ' || form[i + 1] == '.' || form[i + 1] == ',');
    if (alone && form[i] == 'N') out += Expand(kNouns, rng);
    else if (alone && form[i] == 'V') out += Expand(kVerbs, rng);
    else if (alone && form[i] == 'A' && i != 0) out += Expand(kAdjectives, rng);
    else out.push_back(form[i]);
  }
  return out;
}

// "a early" -> "an early". (The first A of a pattern is its article and stays.)
std::string WithArticles(std::string text) {
  for (size_t i = 0; i + 2 < text.size(); ++i) {
    const bool article = (text[i] == 'a' || text[i] == 'A') && text[i + 1] == ' ' && (i == 0 || text[i - 1] == ' ');
    if (article && std::string_view("aeiou").find(text[i + 2]) != std::string_view::npos) text.insert(i + 1, "n");
  }
  return text;
}

}  // namespace

Prose::Prose(Rng rng) {
  for (int i = 0; i < 6000; ++i) {
    const auto pattern = kPatterns[rng.Below(std::size(kPatterns))];
    sentences_.push_back(WithArticles(Instance(pattern, rng)));
  }
}

std::string_view Prose::Sentence(Rng& rng) const { return sentences_[rng.Below(sentences_.size())]; }

std::string Prose::Text(Rng& rng, size_t bytes) const {
  std::string out;
  out.reserve(bytes + 160);
  while (out.size() < bytes) {
    if (!out.empty()) {
      const uint64_t draw = rng.Below(16);
      out.append(draw == 0 ? "\n\n" : draw == 1 ? "\n- " : " ");
    }
    out.append(Sentence(rng));
  }
  return out;
}

std::string Prose::Word(Rng& rng) { return Expand(kNouns, rng); }

std::string Prose::Name(Rng& rng) {
  return Expand("[Ada|Amir|Ana|Ben|Bo|Carla|Chen|Dara|Dora|Eli|Emre|Farah|Gita|Hana|Ivo|Jonas|Kai|Lena|Lior|Mara|"
                "Mina|Nadia|Noor|Olga|Omar|Pia|Ravi|Rosa|Sami|Tess|Uma|Vera|Wei|Yara|Zoe] "
                "[Abbas|Baker|Castro|Diaz|Eriksen|Fischer|Gupta|Haddad|Ito|Jansen|Kovacs|Lopez|Moreau|Novak|Okafor|"
                "Petrov|Quist|Rossi|Sato|Tanaka|Usman|Varga|Weber|Xu|Young|Ziegler]", rng);
}

std::string Prose::Product(Rng& rng) {
  std::string name = Expand("[Al|Bre|Cor|Del|El|Fen|Gal|Hal|Iso|Jun|Kor|Lum|Mer|Nor|Or|Pel|Quin|Ros|Sol|Tor|Ul|Ver|Wen|"
                            "Zen][do|ga|ka|li|ma|no|ra|si|ta|vi][ra|x|n|s|lo|tek|mar|dan|ris] ", rng);
  return name + std::to_string(rng.Range(10, 99) * 10);
}

std::string Prose::Subject(Rng& rng) {
  return Expand("[introductory|applied|intermediate|advanced|everyday|classical|modern|experimental] "
                "[algebra|geometry|probability|statistics|mechanics|optics|thermodynamics|organic chemistry|genetics|"
                "ecology|microbiology|contract law|labour economics|game theory|monetary policy|urban planning|"
                "compiler design|database tuning|network routing|embedded programming|number theory|graph algorithms|"
                "music theory|art history|linguistics|phonetics|archaeology|climatology|oceanography|nutrition|"
                "epidemiology|accounting|logistics|supply planning|robotics|control systems|signal processing|"
                "materials science|soil science|astronomy|crystallography|rhetoric|ethics|logic|pedagogy]", rng);
}

}  // namespace stillwatch::stillgen
