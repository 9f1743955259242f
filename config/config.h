// The typed configuration of one box: plain data, filled by LoadConfig, read by tools/stillwatch, which
// turns it into each folder's own Options. Every field has a row in schema.cc (unit, default, range, hot
// or restart-only); nothing else may fill it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace stillwatch::config {

struct Config {
  struct {
    std::string name;
    std::string state_dir;
  } box;
  struct {
    std::string mode;    // "inline", "mirror", "replay"
    std::string driver;  // "af_xdp", "af_packet", "ethdev"
    std::string a, b;
    int64_t queues, descriptors, mbufs, mtu;
    std::string idle;    // "sleep", "poll"
    bool ignore_checksums;
    bool accept_altered_frames;
    bool link_loss_forwarding;
    int64_t duplicate_window_ms;
  } ports;
  struct {
    int64_t workers;
    int64_t forwarder_ring_frames;
    int64_t exchange_ring_mib;
    std::vector<std::string> cpus;
  } threads;
  struct {
    std::string huge_pages;  // "auto", "off"
    int64_t memory_mib;
    std::string log_level;
  } eal;
  struct {
    int64_t heartbeat_timeout_ms;
    std::string bpffs;
    std::vector<std::string> interest_prefixes;
    std::vector<std::string> interest_ports;
    std::vector<std::string> interest_udp_ports;
    bool overload_bypass;
    bool traffic_control;
    int64_t passed_flows_max;
  } fail_open;
  struct {
    int64_t flows_max, fronts_max, idle_timeout_s, syn_timeout_s;
    int64_t reassembly_mib, reassembly_flow_kib;
    std::vector<std::string> tunnel_classes;
  } flow;
  struct {
    int64_t parsers_max, decoders_max, window_mib, header_kib, decoded_body_mib;
  } http;
  struct {
    std::string keylog_file, keylog_socket;
    std::vector<std::string> keylog_uids;
    int64_t connections_max, buffers_max, secrets_max;
    int64_t secret_wait_s, secret_ttl_s, wait_mib, wait_kib;
  } tls;
  struct {
    int64_t body_kib, body_pool_mib, trusted_hops, response_timeout_s;
    std::string credential_header;
  } llm;
  struct {
    std::string account_key;
    std::string salt;
  } privacy;
  struct {
    std::string gpu;  // "auto", "cuda", "cpu"
    int64_t window_mib, representatives_max, device_mib, bucket_pairs_max;
    std::string rarity_table, embedding_table;
  } sketch;
  struct {
    int64_t profiles_max, evaluate_every_s, end_users_max;
    std::string directory_file, public_cores;
    std::vector<std::string> resellers;
    bool request_sketches, account_profiles;
  } detect;
  struct {
    std::string version;
    std::vector<std::string> allow_owners;
    std::string action_max;  // the ladder's highest rung that may be advised
    bool owner_unknown_lifts, calibrated;
    int64_t step_up_permille, throttle_permille, degrade_permille, block_permille;
    int64_t innocents_permille, throttle_budget_percent;
    int64_t advice_ttl_hours, advice_delay_max_hours;
  } policy;
  struct {
    std::vector<std::string> partners;
    int64_t valid_days;
  } sharing;
  struct {
    bool ndjson;
    std::string dir;
    int64_t rotate_mib;
  } output;
  struct {
    int64_t outbox_mib;
  } store;
  struct {
    int64_t interval_s;
  } snapshot;
  struct {
    bool enabled, consume;
    std::vector<std::string> brokers;
    std::string topic_prefix;
    std::string security_protocol;
    std::string ca_file, certificate_file, key_file;
    std::string sasl_mechanism, sasl_username, sasl_password_file;
  } kafka;
  struct {
    std::string socket;
  } control;
  struct {
    int64_t max_mib;
  } memory;
};

}  // namespace stillwatch::config
