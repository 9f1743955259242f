#!/usr/bin/env python3
"""Runs Suricata and tshark over a capture on one core; prints CPU seconds, requests seen and peak memory. What they need for
the first frame alone is their set-up, and counted apart.

Suricata: HTTP only, EVE output of HTTP transactions with request and response bodies in base64, no rules: the
nearest to "decode every exchange and keep its content". tshark: the fields that `stillwatch inspect --layer http`
prints, two-pass off.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

SURICATA_YAML = """%YAML 1.1
---
vars:
  address-groups: {{HOME_NET: "any", EXTERNAL_NET: "any"}}
  port-groups: {{HTTP_PORTS: "80"}}
default-log-dir: {logs}
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types:
        - http:
            extended: yes
        - alert:
            payload: yes
            http-body: yes
app-layer:
  protocols:
    http:
      enabled: yes
      libhtp:
        default-config:
          request-body-limit: 100kb
          response-body-limit: 100kb
stream:
  memcap: 1gb
  checksum-validation: no
  reassembly: {{memcap: 1gb, depth: 0}}
flow: {{memcap: 512mb}}
max-pending-packets: 4096
"""
PCAP_HEADER_BYTES, RECORD_HEADER_BYTES = 24, 16  # make_capture's: little-endian
RULE = ('alert http any any -> any any (msg:"exchange"; flow:established,to_client; '
        'http.stat_code; content:"200"; sid:1; rev:1;)\n')


def measured(command, core, **options):
    process = subprocess.Popen(command, preexec_fn=lambda: os.sched_setaffinity(0, {core}), **options)
    _, status, usage = os.wait4(process.pid, 0)
    return status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def suricata(capture, core):
    with tempfile.TemporaryDirectory() as logs:
        with open(f"{logs}/suricata.yaml", "w") as file:
            file.write(SURICATA_YAML.format(logs=logs))
        with open(f"{logs}/exchange.rules", "w") as file:
            file.write(RULE)
        with open(f"{logs}/out", "w") as out:
            status, cpu, peak = measured(
                ["suricata", "-c", f"{logs}/suricata.yaml", "-S", f"{logs}/exchange.rules", "-r", capture,
                 "-l", logs, "--runmode", "single"], core, stdout=out, stderr=out)
        if status != 0:
            sys.stderr.write(open(f"{logs}/out").read())
            return None
        seen = sum(1 for line in open(f"{logs}/eve.json") if '"event_type":"alert"' in line)
        version = subprocess.run(["suricata", "-V"], capture_output=True, text=True).stdout.strip()
        return {"name": version, "cpu_s": cpu, "requests": seen, "peak_bytes": peak}


def tshark(capture, core):
    with tempfile.NamedTemporaryFile("w+") as out:
        status, cpu, peak = measured(
            ["tshark", "-r", capture, "-Y", "http.request", "-T", "fields", "-e", "ip.src", "-e", "tcp.srcport", "-e",
             "http.request.method", "-e", "http.host", "-e", "http.request.uri", "-e", "http.file_data"],
            core, stdout=out, stderr=subprocess.DEVNULL)
        if status != 0:
            return None
        out.seek(0)
        seen = sum(1 for _ in out)
    version = subprocess.run(["tshark", "-v"], capture_output=True, text=True).stdout.splitlines()[0]
    return {"name": version, "cpu_s": cpu, "requests": seen, "peak_bytes": peak}


def beside_setup(peer, capture, first_frame, core):
    setup, whole = peer(first_frame, core), peer(capture, core)
    if setup is None or whole is None:
        return None
    return {**whole, "setup_s": setup["cpu_s"], "cpu_s": whole["cpu_s"] - setup["cpu_s"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("capture")
    args = parser.parse_args()
    with tempfile.NamedTemporaryFile(suffix=".pcap") as first, open(args.capture, "rb") as capture:
        headers = capture.read(PCAP_HEADER_BYTES + RECORD_HEADER_BYTES)
        first.write(headers + capture.read(int.from_bytes(headers[-8:-4], "little")))
        first.flush()
        print(json.dumps({peer.__name__: beside_setup(peer, args.capture, first.name, args.core) for peer in (suricata, tshark)}))


if __name__ == "__main__":
    main()
