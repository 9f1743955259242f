#!/usr/bin/env python3
"""Prints the bench table from DIR/ours.json, DIR/peers.json and DIR/long.json, where they are."""
import json
import os
import sys


def load(path):
    return json.load(open(path)) if os.path.exists(path) else None


def main():
    folder = sys.argv[1]
    ours, peers, longer = (load(f"{folder}/{name}.json") for name in ("ours", "peers", "long"))
    print(f"capture: {ours['requests']:,} requests, {ours['frames']:,} frames, {ours['frame_bytes']:,} bytes; one core\n")
    print(f"{'through':<34}{'set-up s':>10}{'CPU s':>8}{'requests/s':>12}{'Gbit/s':>8}{'ns/packet':>11}{'peak MiB':>10}")
    for row in ours["passes"]:
        cpu = row["cpu_s"]
        print(f"{row['name']:<34}{row['setup_s']:>10.3f}{cpu:>8.3f}{row['exchanges'] and row['exchanges'] / cpu or 0:>12,.0f}"
              f"{ours['frame_bytes'] * 8 / cpu / 1e9:>8.2f}{cpu * 1e9 / ours['frames']:>11.0f}"
              f"{row['peak_bytes'] / 2**20:>10.0f}")
    print("\nshare of time by stage (difference of passes, of the whole path)")
    whole, before = ours["passes"][-1]["cpu_s"], 0.0
    for row in ours["passes"]:
        print(f"  {row['adds']:<40}{100 * (row['cpu_s'] - before) / whole:>6.1f} %")
        before = row["cpu_s"]
    if longer:
        print(f"\nten times longer: {longer['requests']:,} requests")
        short = {row["key"]: row for row in ours["passes"]}
        for row in longer["passes"]:
            print(f"  {row['name']:<32}{row['exchanges'] / row['cpu_s']:>12,.0f} requests/s, peak {row['peak_bytes'] / 2**20:.0f} MiB "
                  f"(short: {short[row['key']]['peak_bytes'] / 2**20:.0f} MiB)")
    if peers:
        rate = {row["key"]: row["exchanges"] / row["cpu_s"] for row in ours["passes"] if row["exchanges"]}
        print("\npeers on the same file, same core, same run")
        for name in ("suricata", "tshark"):
            peer = peers[name]
            if peer is None:
                print(f"  {name}: did not run")
                continue
            theirs = peer["requests"] / peer["cpu_s"]
            print(f"  {peer['name']}: {peer['requests']:,} requests, {theirs:,.0f} requests/s after {peer['setup_s']:.2f} s of set-up, peak "
                  f"{peer['peak_bytes'] / 2**20:.0f} MiB; to exchange we are {rate['exchange'] / theirs:.1f} x, "
                  f"through sketches {rate['sketches'] / theirs:.1f} x")


if __name__ == "__main__":
    main()
