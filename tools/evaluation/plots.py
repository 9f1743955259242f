"""The report's pictures. Needs Debian's python3-matplotlib; without it the report has none and says so."""
import metrics
import summary
from verdicts import POINTS


def bars(axes, names, series, title, log=False):
    width = 0.8 / max(1, len(series))
    for i, (label, values) in enumerate(series):
        axes.bar([x + i * width for x in range(len(names))], values, width, label=label)
    axes.set_xticks([x + 0.4 - width / 2 for x in range(len(names))], names, rotation=60, ha="right", fontsize=8)
    if log:
        axes.set_yscale("symlog", linthresh=1e-4)
    axes.set_title(title)
    axes.legend(fontsize=8)


def draw(results, path):
    """Writes PATH-recall.png, PATH-innocents.png, PATH-variants.png and PATH-calibration.png, as far as there is anything to show, for the first policy; returns their names, or a sentence
    that says why there are none."""
    try:
        import matplotlib
        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return "no plots: python3-matplotlib is missing (tools/install-packages test installs it; run with /usr/bin/python3)"
    policy = summary.policies(results)[0]
    written = []

    def save(figure, name):
        figure.tight_layout()
        figure.savefig(f"{path}-{name}.png", dpi=100, metadata={"Software": None})
        pyplot.close(figure)
        written.append(f"{path}-{name}.png")

    types = summary.types(results)
    if types:
        figure, axes = pyplot.subplots(figsize=(8, 4))
        bars(axes, [t.upper() for t in types], [(p.replace("_", "-"), [metrics.share(summary.recall_cells(results, policy, p, lambda c: c["type"] == t)) or 0 for t in types]) for p in POINTS],
             f"account recall by campaign type, policy {policy}")
        axes.set_ylim(0, 1.02)
        save(figure, "recall")
    kinds = [k for k in summary.kinds(results) if not k.endswith("(allow-listed)")]
    figure, axes = pyplot.subplots(figsize=(8, 4))
    bars(axes, kinds, [(p.replace("_", "-"), [metrics.share(summary.benign_cells(results, policy, p, k)) or 0 for k in kinds]) for p in POINTS], f"share of innocent accounts flagged, policy {policy}", log=True)
    axes.axhline(1e-3, color="black", linewidth=0.8, linestyle=":")
    save(figure, "innocents")
    sections = {key: runs for key, runs in summary.sections(results).items() if key[1] and summary.campaigns(runs, policy)}
    if len(sections) > 2:
        scenarios = list(dict.fromkeys(s for s, _ in sections))
        names = list(dict.fromkeys(v for _, v in sections))
        figure, axes = pyplot.subplots(figsize=(8, 4))
        bars(axes, names, [(s, [metrics.share(summary.recall_cells(sections.get((s, v), []), policy)) or 0 for v in names]) for s in scenarios], f"account recall at step-up by variant, policy {policy}")
        axes.set_ylim(0, 1.02)
        save(figure, "variants")
    bins = metrics.calibration(summary.calibration_pairs(results, policy))
    if bins:
        figure, axes = pyplot.subplots(figsize=(4.5, 4.5))
        axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
        axes.scatter([b[3] for b in bins], [b[4] for b in bins], [10 + 60 * b[2] / max(x[2] for x in bins) for b in bins])
        axes.set_xlabel("said (distillation_like)")
        axes.set_ylabel("share of campaign accounts")
        axes.set_title("calibration, accounts listed")
        save(figure, "calibration")
    return written
