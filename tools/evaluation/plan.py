"""Which runs a preset makes: a world of stillgen's, what is changed in it, and a seed. Protocols of docs/evaluation/README.md.

Presets of large worlds take a size: 1 is what their goals ask for, less is as much of it; variants name the accounts that came out."""
import dataclasses
import itertools

TYPES = ["t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9", "t10", "t11", "t12"]
DISGUISES = ["parameters", "timing", "stack", "age", "address"]
REWRITES = ["shuffle", "vocabulary", "no-parameters", "no-timing"]  # rewrite.py

# A crowd of 30,000 without a campaign, a quarter of them look-alikes: (kind, groups, accounts each). Larger ones have more groups, not larger ones.
CROWD = [("polyglot", 1, 2000), ("agent", 1, 2000), ("byok", 4, 400), ("ci", 1, 400), ("backend", 1, 150), ("classroom", 15, 35), ("course", 6, 100), ("exam", 2, 200),
         ("viral", 1, 420), ("pack", 2, 300), ("library", 6, 20), ("hobby", 1, 200), ("logprob", 1, 40), ("batch", 1, 40), ("harness", 1, 10), ("bench", 2, 30),
         ("mill", 4, 6), ("etl", 6, 6), ("reseller", 1, 10), ("balance", 6, 8), ("study", 2, 6), ("distiller", 1, 6)]


def crowd(accounts):
    """The mix of a crowd of so many; people who chat are the rest."""
    parts, left = [], accounts
    for kind, groups, each in CROWD:
        grown = groups > 1 or kind in ("viral", "distiller")
        groups, each = (max(1, round(groups * accounts / 30_000)), each) if grown else (1, max(1, round(each * accounts / 30_000)))
        each = min(each, accounts // 20) if grown else each
        parts.append(f"{kind}={groups}x{each}" if groups > 1 or grown else f"{kind}={each}")
        left -= groups * each
    return ",".join([f"chat={left}", *parts])


@dataclasses.dataclass(frozen=True)
class Job:
    """`variant` names what differs from the scenario as it is; "" is nothing. `world`: words for stillgen. `in_process`: played straight into
    detection by play_world, without a file. `share`: of the world that a goal asks for."""
    scenario: str
    seed: int
    variant: str = ""
    world: tuple = ()
    rewrite: str = ""
    in_process: bool = False
    share: float = 1.0

    @property
    def name(self):
        return "-".join(filter(None, [self.scenario, self.variant.replace(" ", "_").replace(",", "+"), str(self.seed)]))


def jobs(scenarios, seeds, variant="", world=(), rewrite=""):
    return [Job(s, seed, variant, tuple(world), rewrite) for s in scenarios for seed in seeds]


def played(scenario, seeds, variant, mix, *world, share=1.0):
    """One world given by its mix, in process, with room for every account."""
    return [Job(scenario, seed, variant, ("--mix", mix, "--exact", "--profiles-max", str(PROFILES_MAX), *world), in_process=True, share=share) for seed in seeds]


PROFILES_MAX = 1 << 19


def small(seeds, _=1):
    """For tools/test: finds the easy campaigns, flags nobody among all look-alikes of a day."""
    return (jobs(["t1", "t4", "demo"], seeds) + jobs(["t6"], seeds[:1]) +
            jobs(["everyone"], seeds[:1], "24 h", ["--hours", "24"]))


def standard(seeds, _=1):
    """Everyone and one campaign of each type, a day each (T6 and T9 as long as the scenario says)."""
    day = ["--hours", "24"]
    short = [f"eval-{t}" for t in TYPES if t not in ("t6", "t9")]
    return jobs(["everyone"] + short, seeds, "24 h", day) + jobs(["eval-t6", "eval-t9"], seeds)


def full(seeds, size=1):
    own = jobs(["everyone", "t1", "t4", "demo", "t6", "eval-all"] + [f"eval-{t}" for t in TYPES], seeds)
    protocols = [job for protocol in (cover, prevalence, pools, evasions, without, headline, slow, exposure, quiet) for job in protocol(seeds, size)]
    protocols += industrial(seeds, min(size, 0.1))  # whole it is some 140 million exchanges
    return list(dict.fromkeys(own + protocols))  # several protocols want a world as it is


def quiet(seeds, size=1):
    """A day of 300,000 accounts without a campaign."""
    accounts = round(300_000 * size)
    return played("quiet", seeds, f"{accounts} accounts", crowd(accounts), "--hours", "24")


def cover(seeds, size=1):
    """About 300 requests an account in three days (below size 1 in one), of which 1 in (1 + cover) harvests; 120 accounts among everyone."""
    pool, days = max(20, round(120 * size)), 3 if size == 1 else 1
    return [job for c in (0, 1, 5, 20, 100) for t in ("eval-t1", "eval-t4")
            for job in jobs([t], seeds, f"cover {c}", ["--cover", str(c), "--harvest-a-day", f"{300 / days / (1 + c):.4g}", "--pool", str(pool), "--days", str(days)])]


def prevalence(seeds, size=1):
    """20 campaign accounts among 2,000 to 200,000, a day."""
    crowds = [n for n in (2_000, 20_000, 200_000) if n <= 200_000 * size]
    return [job for n in crowds for t in ("t1", "t4") for job in played(t, seeds, f"prevalence {20 / n:g}", f"{crowd(n - 20)},{t}=1x20", "--hours", "24")]


def pools(seeds, size=1):
    """One campaign of 20 to 20,000 accounts for a day among four times as many others, at least 2,000."""
    return [job for n in (20, 200, 2_000, 20_000) if n <= 20_000 * size for t in ("t1", "t4")
            for job in played(t, seeds, f"pool {n}", f"{crowd(max(2_000, 4 * n))},{t}=1x{n}", "--hours", "24")]


def evasions(seeds, _=1):
    """Each alone and in pairs."""
    sets = [c for size in (1, 2) for c in itertools.combinations(DISGUISES, size)]
    return [job for s in sets for job in jobs(["t1", "t4"], seeds, "own " + ",".join(s), ["--disguise", ",".join(s)])]


def without(seeds, _=1):
    """What the exchanges lose, or whose they are: shortcuts show here. A shuffle says more where a campaign's accounts are few among others who
    ask as much: "alike"."""
    alike = ["--mix", "chat=2500,polyglot=200,agent=300,backend=20,batch=10,t1=1x40", "--hours", "24", "--harvest-a-day", "8"]
    return (jobs(["t1", "t4", "demo"], seeds) + [job for r in REWRITES for job in jobs(["t1", "t4", "demo"], seeds, r, rewrite=r)] +
            jobs(["alike"], seeds, "", alike) + jobs(["alike"], seeds, "shuffle", alike, "shuffle"))


def headline(seeds, size=1):
    """T1, T4 and (14 days, not below size 1) T6 with what is cheap to vary taken away: parameters never sent; everybody at everybody's hours; both of each account's own."""
    worlds = ["t1", "t4", "t6"] if size == 1 else ["t1", "t4"]
    return (jobs(worlds, seeds) + jobs(worlds, seeds, "no-parameters", rewrite="no-parameters") + jobs(worlds, seeds, "no-timing", rewrite="no-timing") +
            jobs(worlds, seeds, "own parameters,timing", ["--disguise", "parameters,timing"]))


def slow(seeds, size=1):
    """2,400 accounts, 16 harvesting requests each, over 44 days."""
    accounts = round(2_400 * size)
    return played("slow", seeds, f"{accounts} accounts", f"{crowd(round(7_600 * size))},t6=1x{accounts}", "--days", "44", "--harvest-a-day", "0.364")


def exposure(seeds, size=1):
    """One campaign of about 100,000 harvesting exchanges in four days."""
    accounts = round(1_000 * size)
    return played("large", seeds, f"{accounts} accounts", f"{crowd(round(9_000 * size))},t1=1x{accounts}", "--days", "4", "--harvest-a-day", "26")


def industrial(seeds, size=1):
    """28.8 million harvesting exchanges: one campaign of 25,000 accounts, 26 requests each a day for 44 days, among nine times as many others."""
    accounts = round(INDUSTRIAL_POOL * size)
    return played("industrial", seeds, f"{accounts} of {INDUSTRIAL_POOL} accounts", f"{crowd(9 * accounts)},t1=1x{accounts}", "--days", "44", "--harvest-a-day", "26", share=size)


INDUSTRIAL_POOL = 25_000
PRESETS = {f.__name__: f for f in (small, standard, full, cover, prevalence, pools, evasions, without, headline, slow, exposure, quiet, industrial)}
DEFAULT_SEEDS = {"small": "11..12"}
