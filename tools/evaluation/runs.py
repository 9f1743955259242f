"""Makes one run: the world recorded by stillgen, replayed by stillwatch under each policy, judged, scored by baselines; or played straight into
detection by play_world, once for each policy, and judged."""
import dataclasses
import json
import logging
import os
import resource
import shutil
import subprocess
import sys
import time

import outcome
from truth import Asked, AskedInProcess, Truth

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ACCOUNT_KEY = "hex:7374696c6c77617463682d6578616d706c65"  # of the policy files


class Failed(Exception):
    """A program stopped with an error: its words and what it said."""


@dataclasses.dataclass(frozen=True)
class Settings:
    split: str
    out: str
    policies: tuple            # names of files in policies/, without .toml
    captures: bool = False     # through packets instead of recorded exchanges
    owners: bool = True        # a directory says who owns which account
    sets: tuple = ()           # KEY=VALUE for stillwatch
    baselines: bool = False
    binaries: str = os.path.join(ROOT, "build", "bin")
    in_process: bool = False   # no file of exchanges, where a job needs none
    sample: int = 1            # of worlds played without a file: one account in so many, with all it asked


def run(words):
    """Returns the processor seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(words)}\n{done.stdout}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def record(job, settings, base):
    """Writes BASE.json and the traffic; returns the traffic's path."""
    scenario = [] if "--mix" in job.world else ["--scenario", job.scenario]
    words = ["--split", settings.split, *scenario, "--seed", str(job.seed), *job.world, "--account-key", ACCOUNT_KEY, "--truth", base + ".json"]
    if settings.captures:
        run([f"{settings.binaries}/stillgen", "capture", *words, "--out", base + ".pcap"])
        return base + ".pcap"
    run([f"{settings.binaries}/stillgen", "record", *words, "--out", base + ".exchanges"])
    if job.rewrite:
        run([sys.executable, f"{HERE}/rewrite.py", job.rewrite, base + ".exchanges", base + ".rewritten", "--seed", str(job.seed), "--truth", base + ".json"])
        os.replace(base + ".rewritten", base + ".exchanges")
    return base + ".exchanges"


def replay(traffic, policy, truth, settings, base):
    """Replays under one policy; returns the folder of its topics, the file of request hits, and processor seconds."""
    folder = f"{base}-{policy}"
    words = [f"{settings.binaries}/stillwatch", "replay", "--config", f"{HERE}/policies/{policy}.toml", "--out", folder]
    words += ["--set", "detect.account_profiles=false"]
    if settings.owners:
        truth.write_directory(base + ".directory")
        words += ["--set", f'detect.directory_file="{base}.directory"']
    if truth.allowed_owners():
        words += ["--set", "policy.allow_owners=[" + ",".join(f'"{o}"' for o in truth.allowed_owners()) + "]"]
    for pair in settings.sets:
        words += ["--set", pair]
    seconds = run(words + ["--request-hits", folder + ".hits", traffic])
    return folder, folder + ".hits", seconds


class Notes(logging.Handler):
    """Keeps what methods say of their bounds."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def baselines_of(path):
    """What tools/evaluation/baselines say of a recording: "baselines" {method: {account: score}}, "baseline_s" {method: processor seconds},
    "baseline_notes" [what a bound left out]."""
    import exchanges
    from baselines import METHODS
    read, scores, seconds, notes = exchanges.read(path), {}, {}, Notes()
    logging.getLogger("baselines").addHandler(notes)
    try:
        for name, method in METHODS.items():
            begin = time.process_time()
            scores[name] = {a: float(s) for a, s in method.scores(read).items()}
            seconds[name] = time.process_time() - begin
    finally:
        logging.getLogger("baselines").removeHandler(notes)
    return {"baselines": scores, "baseline_s": seconds, "baseline_notes": notes.lines}


def of_recording(path, truth):
    """({feature: area under the curve}, accounts at addresses that several owners share), where the reader's libraries are."""
    try:
        import exchanges
        import features
    except ImportError:
        return {}, None
    read = exchanges.read(path)
    campaign_of = {a: row["campaign"] for a, row in truth.accounts.items() if not row.get("allowed")}
    return features.alone(read, campaign_of), features.shared_addresses(read, {a: row["owner"] for a, row in truth.accounts.items()})


def play(job, policy, settings, base):
    """Plays the world under one policy; returns the folder of its topics and what play_world says of itself."""
    folder = f"{base}-{policy}"
    scenario = [] if "--mix" in job.world else ["--scenario", job.scenario]
    # A job that could be a file is judged as its file would be.
    answers, sample = ([], ["--sample", str(settings.sample)]) if job.in_process else (["--with-answers"], [])
    words = [f"{settings.binaries}/play_world", "--config", f"{HERE}/policies/{policy}.toml", "--account-key", ACCOUNT_KEY, "--out", folder, "--split", settings.split, "--seed", str(job.seed),
             *scenario, *job.world, *answers, "--request-hits", folder + ".hits", *sample, *(["--set", ";".join(settings.sets)] * bool(settings.sets)), *["--owners-unknown"] * (not settings.owners)]
    run(words)
    with open(f"{folder}/played.json") as file:
        return folder, json.load(file)


def measure_in_process(job, settings):
    """As measure; nothing is known of single features, shared addresses and baselines, which are read off a file."""
    base = os.path.join(settings.out, f"{settings.split}-{job.name}")
    result = {**named(job), "played": {}, "features": {}}
    for policy in settings.policies:
        shutil.rmtree(f"{base}-{policy}", ignore_errors=True)
        folder, result["played"][policy] = play(job, policy, settings, base)
        truth = Truth(f"{folder}/truth.json")
        result["played"][policy]["owners"] = len({row["owner"] for row in truth.accounts.values()})
        result["policies"][policy] = outcome.judge(folder, truth, AskedInProcess(f"{folder}/asked.bin", truth), folder + ".hits")
        for leftover in (f"{folder}/asked.bin", f"{folder}/accounts.directory", folder + ".hits"):
            os.remove(leftover)
    return finished(result, truth)


def named(job):
    return {"scenario": job.scenario, "variant": job.variant, "seed": job.seed, "world": list(job.world), "share": job.share, "policies": {}, "baselines": {}}


def finished(result, truth):
    result["totals"] = truth.totals
    result["accounts"] = {a: [outcome.kind_of(row), row["campaign"] or "", row["owner"], row["requests"], row["harvest"], row["api"]]
                          for a, row in truth.accounts.items()}
    return result


def measure(job, settings):
    """The outcome of one job. Leaves nothing but truth and topics in settings.out; traffic is large and made again at will."""
    if job.in_process or settings.in_process and not (job.rewrite or settings.captures or settings.baselines):
        return measure_in_process(job, settings)
    base = os.path.join(settings.out, f"{settings.split}-{job.name}")
    traffic = record(job, settings, base)
    truth = Truth(base + ".json")
    # After a shuffle the order of asking says nothing of what was harvest; a capture would have to be decoded.
    asked = None if settings.captures or job.rewrite == "shuffle" else Asked(traffic, truth)
    result = {**named(job), "detection_s": {}}
    result["features"], shared = ({}, None) if settings.captures else of_recording(traffic, truth)
    for policy in settings.policies:
        shutil.rmtree(f"{base}-{policy}", ignore_errors=True)
        folder, hits, result["detection_s"][policy] = replay(traffic, policy, truth, settings, base)
        result["policies"][policy] = outcome.judge(folder, truth, asked, hits, shared)
        os.remove(hits)
    if settings.baselines and not settings.captures:
        result.update(baselines_of(traffic))
    os.remove(traffic)
    return finished(result, truth)


def score(job, settings):
    """What baselines say of one job, which nobody replays: for their thresholds."""
    if job.in_process:
        raise Failed(f"{job.name}: of a size that is played without a file, which baselines read")
    base = os.path.join(settings.out, f"{settings.split}-{job.name}")
    traffic = record(job, settings, base)
    result = {**named(job), **baselines_of(traffic)}
    os.remove(traffic)
    return finished(result, Truth(base + ".json"))
