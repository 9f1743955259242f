"""Which runs a preset makes: a world of stillgen's, what is changed in it, and a seed. Protocols of docs/evaluation/README.md."""
import dataclasses
import itertools

TYPES = ["t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9", "t10", "t11", "t12"]
DISGUISES = ["parameters", "timing", "stack", "age", "address"]
REWRITES = ["shuffle", "vocabulary", "no-parameters"]  # rewrite.py


@dataclasses.dataclass(frozen=True)
class Job:
    """`variant` names what differs from the scenario as it is; "" is nothing. `world`: words for stillgen."""
    scenario: str
    seed: int
    variant: str = ""
    world: tuple = ()
    rewrite: str = ""

    @property
    def name(self):
        return "-".join(filter(None, [self.scenario, self.variant.replace(" ", "_").replace(",", "+"), str(self.seed)]))


def jobs(scenarios, seeds, variant="", world=(), rewrite=""):
    return [Job(s, seed, variant, tuple(world), rewrite) for s in scenarios for seed in seeds]


def small(seeds):
    """For tools/test: finds the easy campaigns, flags nobody among all look-alikes of a day."""
    return (jobs(["t1", "t4", "demo"], seeds) + jobs(["t6"], seeds[:1]) +
            jobs(["everyone"], seeds[:1], "24 h", ["--hours", "24"]))


def standard(seeds):
    """Everyone and one campaign of each type, a day each (T6 and T9 as long as the scenario says)."""
    day = ["--hours", "24"]
    short = [f"eval-{t}" for t in TYPES if t not in ("t6", "t9")]
    return jobs(["everyone"] + short, seeds, "24 h", day) + jobs(["eval-t6", "eval-t9"], seeds)


def full(seeds):
    return (jobs(["everyone", "t1", "t4", "demo", "t6", "eval-all"] + [f"eval-{t}" for t in TYPES], seeds) + cover(seeds) + prevalence(seeds) +
            pools(seeds) + evasions(seeds) + without(seeds) + slow(seeds) + exposure(seeds))


def cover(seeds):
    return [job for c in (0, 1, 5, 20, 100) for job in jobs(["eval-t1", "eval-t4"], seeds, f"cover {c}", ["--cover", str(c), "--hours", "72"])]


def prevalence(seeds):
    """1e-4 is reached by reweighting only: 20 campaign accounts among 200,000."""
    return [job for p in (0.1, 0.01, 0.001) for job in jobs(["t1", "t4"], seeds, f"prevalence {p:g}", ["--prevalence", f"{p:g}", "--pool", "20"])]


def pools(seeds):
    return [job for n in (20, 200, 2000) for job in jobs(["t1", "t4", "t6"], seeds, f"pool {n}", ["--pool", str(n)])]


def evasions(seeds):
    """Each alone and in pairs."""
    sets = [c for size in (1, 2) for c in itertools.combinations(DISGUISES, size)]
    return [job for s in sets for job in jobs(["t1", "t4"], seeds, "own " + ",".join(s), ["--disguise", ",".join(s)])]


def without(seeds):
    """What the exchanges lose, or whose they are: shortcuts show here."""
    return jobs(["t1", "t4", "demo"], seeds) + [job for r in REWRITES for job in jobs(["t1", "t4", "demo"], seeds, r, rewrite=r)]


def headline(seeds):
    """T1, T4 and T6 with what is cheap to vary taken away: parameters never sent; hours of each account's own; both of its own."""
    worlds = ["t1", "t4", "t6"]
    return (jobs(worlds, seeds) + jobs(worlds, seeds, "no-parameters", rewrite="no-parameters") + jobs(worlds, seeds, "own timing", ["--disguise", "timing"]) +
            jobs(worlds, seeds, "own parameters,timing", ["--disguise", "parameters,timing"]))


def slow(seeds):
    """2,400 accounts, 16 harvesting requests each, over 44 days."""
    return jobs(["slow"], seeds, "", ["--mix", "chat=3000,backend=8,agent=400,classroom=4x35,t6=1x2400", "--days", "44", "--harvest-a-day", "0.364"])


def exposure(seeds):
    """One campaign of about 100,000 harvesting exchanges."""
    return jobs(["large"], seeds, "", ["--mix", "chat=3000,backend=8,agent=400,byok=2x90,t1=1x1000", "--days", "4", "--harvest-a-day", "26"])


PRESETS = {f.__name__: f for f in (small, standard, full, cover, prevalence, pools, evasions, without, headline, slow, exposure)}
DEFAULT_SEEDS = {"small": "11..12"}
