#!/usr/bin/env python3
"""Prints the table of `tools/bench gpu` from DIR/before.json, DIR/after.json and, where it is, DIR/peers.json."""
import json
import os
import sys


def load(path):
    return json.load(open(path)) if os.path.exists(path) else None


def better(a, b):
    """The larger of two rates, key by key; anything else from the first run."""
    if isinstance(a, dict):
        return {key: better(a[key], b[key]) for key in a}
    return max(a, b) if isinstance(a, (int, float)) else a


def errors(rmse):
    return "  ".join(f"{rmse[cell]:.3f}" for cell in ("0.2", "0.5", "0.8"))


def print_stages(ours, runs):
    tokens, length = ours["prompt_tokens"] / ours["prompts"], ours["prompt_bytes"] / ours["prompts"]
    print(f"one core, {ours['instruction_set']}; prompts of {tokens:.0f} tokens, {length:.0f} bytes; the better of two runs\n")
    print(f"{'stage':<44}{'prompts/s':>12}{'ns each':>9}{'other run':>11}")
    for key, name in (("tokenise", "tokenise"), ("oph", "OPH-128 and band keys, from token hashes"),
                      ("simhash", "SimHash-512, from token hashes"), ("embedding", "embedding, from token hashes"),
                      ("sketch", "all three, from token hashes"), ("tokenise_oph", "tokenise and OPH-128, from text"),
                      ("fused", "fused: tokenise and all three, from text"),
                      ("window_texts", "window of 1 GiB, probe and insert"),
                      ("top_k_queries", f"top 8 of {ours['top_k_rows']:,} ({ours['top_k_kernel']})"),
                      ("flows", f"flow embedding, 256 records ({ours['flow_kernel']}): flows"),
                      ("account_rows", f"top 8 other accounts of {ours['accounts']:,}: accounts"),
                      ("component_edges", "component step, 2 M nodes: edges"),
                      ("label_edges", "label propagation step: edges")):
        worse = min(run[key] for run in runs) / ours[key]
        print(f"{name:<44}{ours[key]:>12,.0f}{1e9 / ours[key]:>9,.0f}{100 * worse:>9.0f} %")
    print(f"\nwindow: {ours['window_ops'] / 1e6:.1f} M ops/s (32 bands probed and 32 inserted a text, in batches of 4,096;\n"
          f"a batch touches a band's bucket once for both: {ours['window_lines'] / 1e6:.1f} M bucket lines/s)")


def print_roofs(ours):
    roofs, tokens = ours["roofs"], ours["prompt_tokens"] / ours["prompts"]
    if not roofs["vector_ops"]:
        print("\nno roofs: this processor lacks AVX-512 VNNI")
        return
    shingles = tokens - 2
    vectors = 13 * tokens  # hash two multiplies and seven others, carry-save adders about four
    rows = [
        ("OPH-128", f"{shingles:.0f} bins updated, {roofs['bin_updates'] / 1e9:.2f} G/s", roofs["bin_updates"] / shingles, "oph"),
        ("SimHash-512", f"{vectors:.0f} vector operations, {roofs['vector_ops'] / 1e9:.2f} G/s", roofs["vector_ops"] / vectors, "simhash"),
        ("embedding", f"{2 * tokens:.0f} lines out of 8 MiB, {roofs['lines_8mib'] / 1e6:.0f} M/s", roofs["lines_8mib"] / (2 * tokens), "embedding"),
        ("window", f"36 lines read and written out of 1 GiB, {roofs['lines_1gib'] / 1e6:.0f} M/s", roofs["lines_1gib"] / 36, "window_texts"),
        ("top k", f"{ours['top_k_rows'] * 128 / 1e6:.1f} M int8 products, {roofs['int8_pairs'] / 1e9:.0f} G/s",
         roofs["int8_pairs"] / 128 / ours["top_k_rows"], "top_k_queries"),
        ("flow", f"{64 * 32 * 256 / 1e6:.2f} M int8 products", roofs["int8_pairs"] / (64 * 32 * 256), "flows"),
        ("account pairs", f"{ours['accounts'] * 128 / 1e6:.2f} M int8 products", roofs["int8_pairs"] / 128 / ours["accounts"],
         "account_rows"),
        ("components", "a line out of 8 MiB an edge", roofs["lines_8mib"], "component_edges"),
        ("propagation", "two lines out of 8 MiB an edge: label, votes", roofs["lines_8mib"] / 2, "label_edges"),
    ]
    print(f"\nroofs, measured in this run\n{'kernel':<15}{'needs, at the most this core does':<52}{'roof /s':>12}{'reached':>9}")
    for name, needs, roof, key in rows:
        print(f"{name:<15}{needs:<52}{roof:>12,.0f}{100 * ours[key] / roof:>7.0f} %")


def print_peers(ours, peers):
    print("\npeers, same prompts, same core, same run; what they start from was made before their clock started")
    print(f"{'sketch of 128':<52}{'from':<10}{'prompts/s':>11}{'ours is':>9}   RMSE at Jaccard 0.2, 0.5, 0.8")
    print(f"{'ours, OPH-128, 4-bit bins':<52}{'text':<10}{ours['tokenise_oph']:>11,.0f}{'':>9}   {errors(ours['rmse'])}")
    print(f"{'':<52}{'hashes':<10}{ours['oph']:>11,.0f}")
    for row in peers["sketches"]:
        mine = ours["oph"] if row["from"] == "hashes" else ours["tokenise_oph"]
        name = f"{row['library']} {row['call'].replace('digest_matrix_from_', '..')}"
        print(f"{name:<52}{row['from']:<10}{row['per_s']:>11,.0f}{mine / row['per_s']:>7.1f} x   {errors(row['rmse'])}")
    print(f"\n{'probe and insert, 32 bands of 4':<62}{'prompts/s':>11}{'ours is':>9}")
    for row in peers["lsh"]:
        print(f"{row['library'] + ' ' + row['call']:<62}{row['per_s']:>11,.0f}{ours['window_texts'] / row['per_s']:>7.1f} x")
    print(f"\n{'top 8 of ' + format(ours['top_k_rows'], ',') + ', 128 dimensions':<52}{'recall':<10}{'queries/s':>11}{'ours is':>9}")
    print(f"{'ours, int8':<52}{peers['our_recall']:<10.3f}{ours['top_k_queries']:>11,.0f}")
    for row in peers["top_k"]:
        print(f"{'faiss ' + row['call']:<52}{row['recall']:<10.3f}{row['per_s']:>11,.0f}{ours['top_k_queries'] / row['per_s']:>7.1f} x")
    print("\nversions: " + ", ".join(f"{name} {version}" for name, version in peers["versions"].items()))


def main():
    folder = sys.argv[1]
    runs = [load(f"{folder}/{name}.json") for name in ("before", "after")]
    ours = better(*runs)
    ours["rmse"] = runs[0]["rmse"]
    print_stages(ours, runs)
    print_roofs(ours)
    peers = load(f"{folder}/peers.json")
    if peers:
        print_peers(ours, peers)


if __name__ == "__main__":
    main()
