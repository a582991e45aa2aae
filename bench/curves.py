"""The growth curves as tables with a bar each."""
import statistics

import systems

BAR = 30


def points(results, kind):
    """{(row, value): its runs}, in order of the value."""
    out = {}
    for name, r in results.items():
        part = name.split("/")
        if part[:2] == ["growth", kind] and "failed" not in r:
            out.setdefault((part[2], int(part[3])), []).append(r)
    return dict(sorted(out.items(), key=lambda item: (item[0][0] != "leat", item[0][0], item[0][1])))


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def cost(runs):
    """µs of CPU per event, the clean stop in it."""
    return statistics.median(run["cpu_s"] / run["events"] * 1e6 for run in runs)


def table(head, rows, costs):
    if not rows:
        return ""
    most = max(costs)
    lines = ["| " + " | ".join(head + [""]) + " |", "|" + "---|" * (len(head) + 1)]
    lines += ["| " + " | ".join(row + ["█" * max(1, round(value / max(most, 1e-9) * BAR))]) + " |" for row, value in zip(rows, costs)]
    return "\n".join(lines) + "\n"


def users(results):
    """What the drain that goes on with the mix costs more than the one that ends when every user has been seen."""
    base, costs, rows = points(results, "cover"), [], []
    for (row, value), runs in points(results, "users").items():
        if (row, value) not in base:
            continue
        before = base[(row, value)]
        more = median(runs, "events") - median(before, "events")
        wall = median(runs, "wall_s") - median(before, "wall_s")
        costs.append(max(0, (median(runs, "cpu_s") - median(before, "cpu_s")) / more * 1e6))
        rows.append([systems.TITLES[row], "{:,}".format(value), "%.2f" % costs[-1], "{:,.0f}".format(more / wall) if wall > 0 else "", "{:,.0f}".format(median(runs, "peak_rss_mb"))])
    return table(["system", "users", "µs of CPU per event once all are known", "events/s", "peak MB"], rows, costs)


def plain(results, kind, unit):
    found = points(results, kind)
    costs = [cost(runs) for runs in found.values()]
    rows = [["{:,}".format(value), "%.2f" % c, "{:,.0f}".format(median(runs, "events_per_s")), "{:,.0f}".format(median(runs, "peak_rss_mb"))] for ((_, value), runs), c in zip(found.items(), costs)]
    return table([unit, "µs of CPU per event", "events/s", "peak MB"], rows, costs)


def dirty(results):
    """The same drains as the commit curve. The last column: CPU that each dirty key more cost against the longest interval, whose commits have fewest."""
    found = {value: runs for (_, value), runs in points(results, "commit").items() if all("dirty_keys" in run for run in runs)}
    if len(found) < 2:
        return ""
    rest = found[max(found)]
    lines = ["| commit each ms | commits | dirty keys written | dirty keys per commit | µs of CPU per dirty key more |", "|---|---|---|---|---|"]
    for value, runs in found.items():
        keys, commits = median(runs, "dirty_keys"), median(runs, "commits")
        more = keys - median(rest, "dirty_keys")
        price = "%.2f" % ((median(runs, "cpu_s") - median(rest, "cpu_s")) / more * 1e6) if more > 0 else ""
        lines.append("| {:,} | {:,.0f} | {:,.0f} | {:,.0f} | {} |".format(value, commits, keys, keys / max(1, commits), price))
    return "\n".join(lines) + "\n"


def sections(results):
    return [("Growth: users", users(results)), ("Growth: commit interval", plain(results, "commit", "commit each ms")), ("Growth: cost of a commit against its dirty keys", dirty(results)),
            ("Growth: ads", plain(results, "ads", "ads")), ("Growth: workers", plain(results, "workers", "workers"))]
