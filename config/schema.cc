#include "config/schema.h"

#include <algorithm>
#include <array>

namespace stillwatch::config {

namespace {

constexpr std::string_view kModes[] = {"inline", "mirror", "replay"};
constexpr std::string_view kDrivers[] = {"af_xdp", "af_packet", "ethdev"};
constexpr std::string_view kIdle[] = {"sleep", "poll"};
constexpr std::string_view kHugePages[] = {"auto", "off"};
constexpr std::string_view kGpu[] = {"auto", "cuda", "cpu"};
constexpr std::string_view kActions[] = {"observe", "step_up", "throttle", "degrade", "block"};
constexpr std::string_view kProtocols[] = {"plaintext", "ssl", "sasl_ssl"};
constexpr std::string_view kMechanisms[] = {"", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"};
constexpr std::span<const std::string_view> kAny{};
constexpr Reload kHot = Reload::kHot;
constexpr Reload kRestart = Reload::kRestart;

#define FIELD(member) [](Config& config) -> Field { return &config.member; }
#define TEXT(path, member, value, choices, reload, meaning) \
  {path, FIELD(member), value, "", 0, 0, choices, reload, meaning}
#define INT(path, member, value, unit, min, max, reload, meaning) \
  {path, FIELD(member), value, unit, min, max, kAny, reload, meaning}
#define BOOL(path, member, value, reload, meaning) \
  {path, FIELD(member), value, "", 0, 0, kAny, reload, meaning}

const Key kSchema[] = {
    TEXT("box.name", box.name, R"("box-1")", kAny, kRestart,
         "Name of this box in event ids, the audit trail and Kafka keys. Unique in the fleet."),
    TEXT("box.state_dir", box.state_dir, R"("/var/lib/stillwatch")", kAny, kRestart,
         "Outbox, snapshots and confirmed configurations live here."),

    TEXT("ports.mode", ports.mode, R"("replay")", kModes, kRestart,
         "inline: forwards between ports a and b. mirror: listens on a (and b), never sends. replay: captures only."),
    TEXT("ports.driver", ports.driver, R"("af_xdp")", kDrivers, kRestart,
         "af_xdp: kernel interfaces with the fail-open XDP programme. af_packet: interfaces without XDP. "
         "ethdev: a NIC bound to a userspace driver, a and b are PCI addresses."),
    TEXT("ports.a", ports.a, R"("")", kAny, kRestart, "Interface (or PCI address) towards the clients."),
    TEXT("ports.b", ports.b, R"("")", kAny, kRestart, "Interface (or PCI address) towards the servers."),
    INT("ports.queues", ports.queues, "1", "queues a port", 1, 16, kRestart, "Receive queues of each port, as many forwarders: forwarder i polls queue i of both ports. The device must spread by addresses (RSS) and have that many."),
    INT("ports.descriptors", ports.descriptors, "2048", "frames", 64, 32768, kRestart, "Receive and transmit ring size; a power of two."),
    INT("ports.mbufs", ports.mbufs, "16383", "buffers", 1023, 8388607, kRestart, "Packet buffers in all; checked at start against rings and queues."),
    INT("ports.mtu", ports.mtu, "1500", "bytes", 576, 9216, kRestart, "Largest IP packet on both ports; refused when the driver cannot carry it whole."),
    TEXT("ports.idle", ports.idle, R"("sleep")", kIdle, kRestart, "sleep: rest a little after empty polls. poll: never sleep (dedicated cores)."),
    BOOL("ports.ignore_checksums", ports.ignore_checksums, "false", kRestart, "Look at packets whose TCP or IP checksum is wrong (captures taken on the sending host)."),
    BOOL("ports.accept_altered_frames", ports.accept_altered_frames, "false", kRestart, "Inline with ports.driver = \"af_packet\" and without fail_open.traffic_control 802.1ad tags (QinQ) leave as 802.1Q and IPv4 fragments as whole datagrams, and without the process the link is cut. false: run and doctor refuse it. true: it is taken as it is."),
    BOOL("ports.link_loss_forwarding", ports.link_loss_forwarding, "false", kHot, "Inline: when one port loses its link, set the other down until it is back, so that the devices behind both see it."),
    INT("ports.duplicate_window_ms", ports.duplicate_window_ms, "10", "ms", 0, 1000, kRestart, "Mirror: a second copy of a packet that comes within this time of the first, by either port, is not looked at (time to live, MAC addresses and VLAN tags may differ); 0: every copy is looked at. Inline forwards and looks at everything."),

    INT("threads.workers", threads.workers, "1", "threads", 0, 64, kRestart, "Threads that decode; 0: the forwarder decodes too (one core)."),
    INT("threads.forwarder_ring_frames", threads.forwarder_ring_frames, "4096", "frames", 64, 65536, kRestart, "Ring between a forwarder and a worker; a power of two."),
    INT("threads.exchange_ring_mib", threads.exchange_ring_mib, "64", "MiB in all", 1, 4096, kRestart, "Rings between workers and the detection thread."),
    {"threads.cpus", FIELD(threads.cpus), "[]", "", 0, 0, kAny, kRestart, "Processors to pin to: forwarders (one for each of ports.queues), workers, detection, in this order; empty: not pinned."},

    TEXT("eal.huge_pages", eal.huge_pages, R"("auto")", kHugePages, kRestart, "auto: use huge pages when they are there. off: never."),
    INT("eal.memory_mib", eal.memory_mib, "256", "MiB", 64, 65536, kRestart, "Memory given to DPDK."),
    TEXT("eal.log_level", eal.log_level, R"("error")", kAny, kRestart, "DPDK's own log level."),

    INT("fail_open.heartbeat_timeout_ms", fail_open.heartbeat_timeout_ms, "20", "ms", 2, 1000, kHot, "The kernel bypasses the process when its heart has not beaten for so long. 2-5 on isolated cores, 20-50 on shared ones."),
    TEXT("fail_open.bpffs", fail_open.bpffs, R"("/run/stillwatch/bpf")", kAny, kRestart, "Where the bypass programme is pinned; mounted by the daemon when it is not there."),
    {"fail_open.interest_prefixes", FIELD(fail_open.interest_prefixes), "[]", "", 0, 0, kAny, kHot, "Only TCP from or to these prefixes leaves the kernel; empty: all TCP."},
    {"fail_open.interest_ports", FIELD(fail_open.interest_ports), "[]", "", 0, 0, kAny, kHot, "Only TCP from or to these ports leaves the kernel; empty: all ports."},
    {"fail_open.interest_udp_ports", FIELD(fail_open.interest_udp_ports), R"(["443", "2152", "3544", "4754", "4789", "5072", "6081"])", "", 0, 0, kAny, kHot, "UDP from or to these ports leaves the kernel: QUIC's hellos, and the tunnels that are opened (GTP-U, Teredo, GRE, VXLAN, AYIYA, Geneve). Empty: no UDP. Other tunnels (GRE, IP in IP, MPLS, PPPoE, PBB) always do."},
    BOOL("fail_open.overload_bypass", fail_open.overload_bypass, "true", kHot, "When forwarding or looking cannot keep up, the kernel forwards for 10 s (longer when it comes back) and nothing is looked at."),
    BOOL("fail_open.traffic_control", fail_open.traffic_control, "false", kRestart, "Inline with ports.driver = \"af_packet\": the kernel forwards on traffic control when the process is gone, as it does on XDP with af_xdp. Makes a veth pair for each port. false: without the process the link is cut."),
    INT("fail_open.passed_flows_max", fail_open.passed_flows_max, "65536", "flows", 0, 4194304, kRestart, "Connections of no interest that the kernel sends on by itself, at most so many at one time: neither HTTP nor TLS, a long last answer that nobody reads, QUIC behind its hello. Those that were quiet longest come back. 0: all of interest_ports leaves the kernel. None are where flow.tunnel_classes is not empty."),

    INT("flow.flows_max", flow.flows_max, "262144", "flows in all", 1024, 67108864, kRestart, "Flow table size; when full the least recently used flow is given up, counted."),
    INT("flow.fronts_max", flow.fronts_max, "65536", "connections", 0, 16777216, kRestart, "Connections in front of a TLS terminator that are remembered, so that requests behind it can be joined with them where a box sees both sides; 0: they are not joined."),
    INT("flow.idle_timeout_s", flow.idle_timeout_s, "600", "s of traffic time", 1, 86400, kRestart, "An established flow without packets is ended after this."),
    INT("flow.syn_timeout_s", flow.syn_timeout_s, "30", "s of traffic time", 1, 3600, kRestart, "A flow that never carried data is ended after this."),
    INT("flow.reassembly_mib", flow.reassembly_mib, "64", "MiB in all", 1, 65536, kRestart, "Out-of-order TCP bytes that are held."),
    INT("flow.reassembly_flow_kib", flow.reassembly_flow_kib, "1024", "KiB a flow", 16, 65536, kRestart, "Out-of-order bytes of one flow; past it a hole is given up, counted."),

    {"flow.tunnel_classes", FIELD(flow.tunnel_classes), "[]", "", 0, 0, kAny, kRestart, "Networks whose addresses overlap, by VLAN, VXLAN or Geneve VNI, GTP TEID or GRE key: \"vni 5001 5002-5010\" is one network (both directions of its flows), \"vni 5000-5999 each\" one for each id. The first entry that names an id counts. Empty: an address is the same host in every tunnel."},

    INT("http.parsers_max", http.parsers_max, "10000", "flows", 16, 10000000, kRestart, "Flows that hold an HTTP parser at one time."),
    INT("http.decoders_max", http.decoders_max, "2000", "streams", 1, 1000000, kRestart, "Compressed bodies that are decoded at one time."),
    INT("http.window_mib", http.window_mib, "256", "MiB in all", 1, 65536, kRestart, "Windows and tables of br and zstd bodies; one body's window is 8 MiB at most."),
    INT("http.header_kib", http.header_kib, "64", "KiB", 4, 1024, kRestart, "Largest message head; a longer one is passed over, counted, and the next head is searched for."),
    INT("http.decoded_body_mib", http.decoded_body_mib, "64", "MiB", 1, 4096, kRestart, "A body is decoded up to this size; the rest is counted only."),

    TEXT("tls.keylog_file", tls.keylog_file, R"("")", kAny, kRestart, "File of session secrets in the form of SSLKEYLOGFILE, followed as it grows; empty: none. Without file and socket TLS is not decrypted."),
    TEXT("tls.keylog_socket", tls.keylog_socket, R"("")", kAny, kRestart, "Unix socket on which the TLS terminator writes the same lines; empty: none."),
    {"tls.keylog_uids", FIELD(tls.keylog_uids), "[]", "", 0, 0, kAny, kRestart, "User numbers whose programs may write to the socket, beside root and the daemon's own."},
    INT("tls.connections_max", tls.connections_max, "10000", "flows", 16, 10000000, kRestart, "Connections that are read at one time: until their hellos, or to their end where they are decrypted."),
    INT("tls.buffers_max", tls.buffers_max, "1024", "buffers", 4, 1000000, kRestart, "Records and hellos that wait for their last byte at one time, 18 KiB each."),
    INT("tls.secrets_max", tls.secrets_max, "16384", "sessions", 16, 16777216, kRestart, "Sessions whose secrets are held until they are used, by each worker, in locked memory; the oldest makes room."),
    INT("tls.secret_ttl_s", tls.secret_ttl_s, "3600", "s of traffic time", 1, 86400, kRestart, "Secrets that were not used are wiped after this (live; a capture's are kept)."),
    INT("tls.secret_wait_s", tls.secret_wait_s, "10", "s of traffic time", 1, 600, kRestart, "Records wait so long for a secret that is late (live; a capture's secrets are there or never come)."),
    INT("tls.wait_mib", tls.wait_mib, "64", "MiB in all", 1, 65536, kRestart, "Records that wait for their secret."),
    INT("tls.wait_kib", tls.wait_kib, "256", "KiB a flow", 4, 65536, kRestart, "Such records of one flow; past it the flow is given up, counted."),

    INT("llm.body_kib", llm.body_kib, "1024", "KiB", 16, 65536, kRestart, "Of a larger JSON body only the front is parsed; the exchange is marked."),
    INT("llm.body_pool_mib", llm.body_pool_mib, "256", "MiB in all", 4, 65536, kRestart, "Bodies that are held at one time."),
    INT("llm.trusted_hops", llm.trusted_hops, "0", "proxies", 0, 16, kRestart, "How many entries of X-Forwarded-For or Forwarded, from the right, your own proxies wrote, a PROXY header (version 1 or 2) counted as the last one; 0: the packet's source is the client."),
    INT("llm.response_timeout_s", llm.response_timeout_s, "600", "s of traffic time", 1, 3600, kRestart, "An exchange without a response is closed after this."),
    TEXT("llm.credential_header", llm.credential_header, R"("")", kAny, kRestart, "Header that names the account when no API key, JWT or SigV4 is sent."),

    TEXT("privacy.account_key", privacy.account_key, R"("")", kAny, kRestart, "HMAC key that turns credentials into account ids: \"hex:...\" or \"file:PATH\". Same on all boxes of a fleet. Empty is allowed for replay only."),
    TEXT("privacy.salt", privacy.salt, R"("")", kAny, kRestart, "Fleet salt of all sketches: \"hex:...\" (16 digits) or \"file:PATH\". Empty is allowed for replay only."),

    TEXT("sketch.gpu", sketch.gpu, R"("auto")", kGpu, kRestart, "auto: a GPU when one is there, else the CPU twin. cuda: no start without a GPU. cpu: never a GPU."),
    INT("sketch.window_mib", sketch.window_mib, "256", "MiB", 16, 262144, kRestart, "Memory of the similarity window."),
    INT("sketch.representatives_max", sketch.representatives_max, "65536", "vectors", 16, 4194304, kRestart, "Cluster representatives held."),
    INT("sketch.device_mib", sketch.device_mib, "0", "MiB", 0, 1048576, kRestart, "Budget of a GPU's memory, taken once at the start. Window, representatives and about 73 MiB must fit: a smaller budget is refused, and the message says what would fit. 0: what they need, if the GPU has it free."),
    INT("sketch.bucket_pairs_max", sketch.bucket_pairs_max, "32", "entries", 4, 1024, kRestart, "A window bucket more popular than this makes no pairs."),
    TEXT("sketch.rarity_table", sketch.rarity_table, R"("")", kAny, kRestart, "File of token rarity classes; empty: the built-in one."),
    TEXT("sketch.embedding_table", sketch.embedding_table, R"("")", kAny, kRestart, "File of the static embedding; empty: the built-in one."),

    INT("detect.profiles_max", detect.profiles_max, "65536", "accounts", 1024, 16777216, kRestart, "Account profiles held (4 KiB each)."),
    INT("detect.evaluate_every_s", detect.evaluate_every_s, "10", "s of traffic time", 1, 3600, kHot, "How often groups are judged again."),
    TEXT("detect.directory_file", detect.directory_file, R"("")", kAny, kHot, "Account directory, one JSON object a line: {key_id, account, organisation, created, tier, trust} (docs/topics.md, DirectoryEntry); read again at every reload. Empty: accounts are keys and owners are what request headers say."),
    TEXT("detect.public_cores", detect.public_cores, R"("")", kAny, kHot, "File of published prompts, which link nobody (docs/detection.md); read again at every reload. Empty: the shipped one, config/public_cores.txt as it was built in."),
    {"detect.resellers", FIELD(detect.resellers), "[]", "", 0, 0, kAny, kHot, "Owners whose keys many people use: organisations (by name, or the 16 hex digits that profiles show), accounts (as topics name them) or key ids. Each of their end users, as requests name one, is an account of its own (docs/detection.md); audited. With an end and a reason as in policy.allow_owners."},
    INT("detect.end_users_max", detect.end_users_max, "10000", "end users", 1, 1048576, kHot, "Of one reseller; those beyond stay its account's, counted. Each is one of detect.profiles_max."),
    BOOL("detect.request_sketches", detect.request_sketches, "false", kHot, "Write topic request-sketch."),
    BOOL("detect.account_profiles", detect.account_profiles, "true", kHot, "Write topic account-profile."),

    TEXT("policy.version", policy.version, R"("default-1")", kAny, kHot, "Printed in every verdict."),
    {"policy.allow_owners", FIELD(policy.allow_owners), "[]", "", 0, 0, kAny, kHot, "Organisations (by name, or the 16 hex digits that profiles show) or accounts (as topics name them) that are authorised to distil; audited, never advised against. With an end and a reason: \"NAME; until 2027-06-30; REASON\"; after that day of traffic time the owner is like any other."},
    TEXT("policy.action_max", policy.action_max, R"("throttle")", kActions, kHot, "The highest rung of the ladder that is advised."),
    BOOL("policy.owner_unknown_lifts", policy.owner_unknown_lifts, "false", kHot, "Allow advice above step_up although nobody said which accounts belong together."),
    BOOL("policy.calibrated", policy.calibrated, "true", kHot, "Say labels.pooled as often as it was right on development runs (docs/detection.md); false: as evidence adds up, which tools/evaluation/calibrate.py reads. Changes no advice."),
    INT("policy.step_up_permille", policy.step_up_permille, "700", "1/1000", 1, 999, kHot, "Probability of distillation_like from which step-up verification is advised."),
    INT("policy.throttle_permille", policy.throttle_permille, "950", "1/1000", 1, 999, kHot, "Probability from which throttling the group is advised."),
    INT("policy.degrade_permille", policy.degrade_permille, "970", "1/1000", 1, 999, kHot, "Probability from which degrading answers is advised; needs a human."),
    INT("policy.block_permille", policy.block_permille, "990", "1/1000", 1, 999, kHot, "Probability from which blocking is advised; needs a human."),
    INT("policy.innocents_permille", policy.innocents_permille, "10", "1/1000 of the group", 1, 100, kHot, "Nothing above step_up is advised where more of the group may be innocent, by the upper bound."),
    INT("policy.throttle_budget_percent", policy.throttle_budget_percent, "10", "%", 1, 100, kHot, "From throttle on advice names a budget that all accounts of the campaign share: so much of what they used together in the last 24 h when they were first throttled."),
    INT("policy.advice_delay_max_hours", policy.advice_delay_max_hours, "0", "h of traffic time", 0, 168, kHot, "Advice that is new or harsher is told so much later at most, for each account by chance: one that is refused at once tells its operator what gave it away. 0: at once. Milder advice and revocations never wait."),
    INT("policy.advice_ttl_hours", policy.advice_ttl_hours, "72", "h", 1, 720, kHot, "Advice expires after this unless renewed."),

    {"sharing.partners", FIELD(sharing.partners), "[]", "", 0, 0, kAny, kRestart, "Up to four whom campaigns are shared with, each with a key that both sides hold: \"NAME hex:...\" or \"NAME file:PATH\", 16 bytes or more. Every instruction is hashed under each of these keys too; not the fleet's salt, which nobody else may know."},
    INT("sharing.valid_days", sharing.valid_days, "30", "d", 1, 60, kHot, "How long a partner may hold what `stillctl export` tells; at the importing box it is forgotten then."),

    BOOL("output.ndjson", output.ndjson, "true", kRestart, "Write topics as NDJSON files."),
    TEXT("output.dir", output.dir, R"("/var/lib/stillwatch/out")", kAny, kRestart, "Folder of the NDJSON files (replay: --out)."),
    INT("output.rotate_mib", output.rotate_mib, "256", "MiB", 1, 65536, kRestart, "A live file is rotated at this size; replay never rotates."),

    INT("store.outbox_mib", store.outbox_mib, "1024", "MiB", 16, 1048576, kRestart, "Events that wait for Kafka; when full new events are held back and counted."),

    INT("snapshot.interval_s", snapshot.interval_s, "300", "s of traffic time", 0, 86400, kHot, "How often what detection remembers of accounts is written below box.state_dir, encrypted under privacy.account_key and privacy.salt; a crash loses at most so much. 0: never, and a restart remembers campaigns only."),

    BOOL("kafka.enabled", kafka.enabled, "false", kRestart, "Send topics to Kafka."),
    BOOL("kafka.consume", kafka.consume, "false", kRestart, "A live box reads the topics feedback and intel (docs/topics.md), as consumer group stillwatch-BOX; with kafka.enabled or without."),
    {"kafka.brokers", FIELD(kafka.brokers), "[]", "", 0, 0, kAny, kRestart, "host:port of bootstrap brokers."},
    TEXT("kafka.topic_prefix", kafka.topic_prefix, R"("stillwatch.")", kAny, kRestart, "Put before each topic's name."),
    TEXT("kafka.security_protocol", kafka.security_protocol, R"("plaintext")", kProtocols, kRestart, "How to talk to the brokers; ssl with a client certificate is recommended."),
    TEXT("kafka.ca_file", kafka.ca_file, R"("")", kAny, kRestart, "PEM of the authority that signed the brokers' certificates."),
    TEXT("kafka.certificate_file", kafka.certificate_file, R"("")", kAny, kRestart, "PEM of this box's certificate."),
    TEXT("kafka.key_file", kafka.key_file, R"("")", kAny, kRestart, "PEM of its key."),
    TEXT("kafka.sasl_mechanism", kafka.sasl_mechanism, R"("")", kMechanisms, kRestart, "With sasl_ssl; SCRAM needs librdkafka 2.6.1 or newer and is refused below."),
    TEXT("kafka.sasl_username", kafka.sasl_username, R"("")", kAny, kRestart, "User name for SASL."),
    TEXT("kafka.sasl_password_file", kafka.sasl_password_file, R"("")", kAny, kRestart, "File that holds the password, mode 0600."),

    TEXT("control.socket", control.socket, R"("/run/stillwatch/control.sock")", kAny, kRestart, "Unix socket for stillctl; root and the daemon's user may talk to it."),

    INT("memory.max_mib", memory.max_mib, "8192", "MiB", 64, 1048576, kRestart, "The daemon refuses to start when its table of pools adds up to more."),
};

#undef FIELD
#undef TEXT
#undef INT
#undef BOOL

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

std::span<const Key> Schema() { return kSchema; }

const Key* FindKey(std::string_view path) {
  const auto at = std::find_if(std::begin(kSchema), std::end(kSchema),
                               [&](const Key& key) { return key.path == path; });
  return at == std::end(kSchema) ? nullptr : &*at;
}

std::string_view NearestKey(std::string_view path) {
  std::string_view nearest;
  size_t best = 4;  // farther than three edits is no typing error
  for (const Key& key : kSchema) {
    const size_t distance = EditDistance(path, key.path);
    if (distance < best) {
      best = distance;
      nearest = key.path;
    }
  }
  return nearest;
}

std::string Print(const Key& key, const Config& config) {
  const Field field = key.field(const_cast<Config&>(config));
  if (bool* const* flag = std::get_if<bool*>(&field)) return **flag ? "true" : "false";
  if (int64_t* const* number = std::get_if<int64_t*>(&field)) return std::to_string(**number);
  if (std::string* const* text = std::get_if<std::string*>(&field)) return Quote(**text);
  std::string out = "[";
  for (const std::string& item : *std::get<std::vector<std::string>*>(field)) {
    if (out.size() > 1) out += ", ";
    out += Quote(item);
  }
  return out + "]";
}

std::string SchemaMarkdown() {
  std::string out =
      "# Configuration keys\n\n"
      "One TOML file. Any key can be set on a command line with `--set KEY=VALUE`. *hot* keys change at\n"
      "`stillctl reload`; a reload that touches a *restart* key is refused whole and names it.\n"
      "This page is printed from the schema by `stillwatch config-reference`; a test compares them.\n";
  std::string_view section;
  for (const Key& key : kSchema) {
    const std::string_view head = key.path.substr(0, key.path.find('.'));
    if (head != section) {
      section = head;
      out += "\n## [" + std::string(section) + "]\n\n| key | default | range | reload | meaning |\n|---|---|---|---|---|\n";
    }
    std::string range;
    if (key.max != 0) range = std::to_string(key.min) + " to " + std::to_string(key.max);
    if (!key.unit.empty()) range += " " + std::string(key.unit);
    for (const std::string_view choice : key.choices) {
      if (!range.empty()) range += ", ";
      range += "`" + Quote(choice) + "`";
    }
    out += "| `" + std::string(key.path) + "` | `" + std::string(key.default_value) + "` | " + range + " | " +
           (key.reload == Reload::kHot ? "hot" : "restart") + " | " + std::string(key.meaning) + " |\n";
  }
  return out;
}

}  // namespace stillwatch::config
