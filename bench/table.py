#!/usr/bin/env python3
"""Prints the tables of the collected results and writes bench/RESULTS.md and bench/results.json."""
import json
import os
import platform
import statistics
import subprocess
import sys

import curves
import lab
import systems

KEYS = ["leat", "kafka_streams", "flink_rocksdb", "flink_heap", "floor"]
ROWS = KEYS + ["leat_shared"]


def newest(results):
    """The last line of each case that did not fail, else its last line."""
    out = {}
    for r in results:
        if "failed" not in r or r["case"] not in out or "failed" in out[r["case"]]:
            out[r["case"]] = r
    return out


def of(results, kind, row):
    return [r for name, r in results.items() if name.startswith("%s/%s/" % (kind, row)) and "failed" not in r]


def median(found, key, digits=0):
    values = [r[key] for r in found if r.get(key) is not None]
    return round(statistics.median(values), digits) if values else None


def text(value, unit=""):
    if value is None:
        return ""
    return ("{:,.0f}" if isinstance(value, (int, float)) and abs(value) >= 1000 else "{:g}").format(value) + unit


def spread(found, key):
    values = sorted(r[key] for r in found if r.get(key) is not None)
    if not values:
        return ""
    return text(statistics.median(values)) + (" (%s to %s)" % (text(values[0]), text(values[-1])) if len(values) > 1 else "")


def steady(results, row):
    """What the second half of a run twice as long costs: starting, warming up and stopping cancel out."""
    short, long = of(results, "drain", row), of(results, "long", row)
    if not short or not long:
        return None, None
    more = median(long, "decisions") - median(short, "decisions")
    cpu, wall = median(long, "cpu_s", 2) - median(short, "cpu_s", 2), median(long, "wall_s", 2) - median(short, "wall_s", 2)
    return (round(more / cpu) if cpu > 0 else None), (round(more / wall) if wall > 0 else None)


def markdown(head, rows):
    if not rows:
        return ""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def drains(results):
    rows = []
    for row in ROWS:
        found = of(results, "drain", row)
        if not found:
            continue
        same = median(found, "same_ad", 5)
        rows.append([systems.TITLES[row], len(found), spread(found, "events_per_s"), spread(found, "events_per_cpu_s"), spread(found, "events_per_cpu_s_at_last"), text(steady(results, row)[0]), text(median(found, "peak_rss_mb")),
                     text(median(found, "first_commit_s", 2)), text(median(found, "stop_s", 2)), text(median(found, "broker_cpu_s", 1)), "yes" if all(r["exact"] for r in found) else "NO", "" if same is None else "%.2f %%" % (same * 100)])
    return markdown(["exactly once, commits each second", "runs", "events/s", "events per CPU s", "without the stop", "steady state", "peak MB", "first commit s", "stop s", "broker CPU s", "exact", "reference's ad"], rows)


def latencies(results):
    titles = {"latency-100": "exactly once, 100 ms", "latency-20": "exactly once, 20 ms", "latency-loose": "at least once, 1 s"}
    rows = []
    for name, r in sorted(results.items()):
        kind, row = (name.split("/") + [""])[:2]
        if kind not in titles or "failed" in r:
            continue
        title = "exactly once, decisions sent early, 1 s" if row == "leat_early" else titles[kind]
        rows.append([systems.TITLES[row.removesuffix("_early")], title, text(r["p50_ms"]), text(r["p99_ms"]), text(r["max_ms"]), text(r["events_p50_ms"]), text(r["events_p99_ms"]), text(r["cores"]), "yes" if r["exact"] else "NO"])
    return markdown(["system", "guarantee", "p50 ms", "p99 ms", "max ms", "the events themselves: p50", "p99", "cores", "all there"], rows)


def restarts(results):
    rows = [[systems.TITLES[r["row"]], text(r.get("restart_s")), text(r.get("count_at_kill")), "yes" if r["exact"] else "NO"] for name, r in sorted(results.items()) if name.startswith("restart/") and "failed" not in r]
    return markdown(["kill -9 in the middle of a drain", "to the first new decision, s", "decisions before", "exact"], rows)


def profile(results):
    found = [r["profile"] for name, r in results.items() if name.startswith("profile/") and r.get("profile")]
    return "```\n%s\n```\n" % "\n".join(line.rstrip() for line in found[-1]) if found else ""


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
        return (done.stdout or done.stderr).strip().splitlines()[0]
    except (OSError, IndexError):
        return ""


def package(name):
    return first_line("dpkg-query", "-W", "-f", "${Version}", name)


def machine(results):
    model = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    memory = int(open("/proc/meminfo").readline().split()[1]) // 1024 // 1024
    dates = sorted(r["date"] for r in results.values())
    return dict(cpu=model[0] if model else platform.machine(), cores=os.cpu_count(), memory_gb=memory, kernel=platform.release(), compiler=first_line("gcc", "--version"), java=first_line("java", "-version"),
                librdkafka=package("librdkafka1"), rocksdb=package("librocksdb7.8"), kafka="4.1.0", kafka_streams="4.1.0", flink="2.0.1", jvm=" ".join(systems.JVM),
                leat=sorted({r["commit"] for r in results.values()}), date=(dates[0][:10] + " to " + dates[-1][:10] if dates[0][:10] != dates[-1][:10] else dates[0][:10]) if dates else "")


def figures(results):
    out = {}
    for row in ROWS:
        found, late, again = of(results, "drain", row), of(results, "latency-100", row), of(results, "restart", row)
        per_cpu, per_s = steady(results, row)
        out[row] = dict(events_per_s=median(found, "events_per_s"), events_per_cpu_s=median(found, "events_per_cpu_s"), events_per_cpu_s_at_last=median(found, "events_per_cpu_s_at_last"),
                        steady_events_per_cpu_s=per_cpu, steady_events_per_s=per_s, peak_rss_mb=median(found, "peak_rss_mb"), first_commit_s=median(found, "first_commit_s", 2),
                        latency_p50_ms=median(late, "p50_ms", 1), latency_p99_ms=median(late, "p99_ms", 1), restart_s=median(again, "restart_s", 2), runs=len(found), same_ad=median(found, "same_ad", 5))
    other = {name.rsplit("/", 1)[0]: {key: r.get(key) for key in ("p50_ms", "p99_ms", "events_p50_ms", "events_p99_ms", "cores")} for name, r in results.items() if name.startswith("latency-") and "failed" not in r}
    return {**out, "latencies": other, "machine": machine(results), "date": machine(results)["date"]}


def page(results):
    where = machine(results)
    parts = ["# Results", "Written by `make bench` and `make bench-growth` (README.md says how each figure is taken); the same as data: results.json.", "",
             "%s, %d cores, %d GB; Linux %s; %s; %s (%s); librdkafka %s, RocksDB %s; Kafka %s, its broker and the readers on the same cores. leat %s. %s." % (
                 where["cpu"], where["cores"], where["memory_gb"], where["kernel"], where["compiler"], where["java"], where["jvm"], where["librdkafka"], where["rocksdb"], where["kafka"], ", ".join(where["leat"]), where["date"]), ""]
    if len(where["leat"]) > 1:
        parts += ["**Not all rows were measured at the same commit.**", ""]
    sections = [("The reference workload", drains(results)), ("Latency at 2,000 events/s", latencies(results)), ("Restart", restarts(results)), ("Where leat's time goes", profile(results))]
    for title, body in sections + curves.sections(results):
        if body:
            parts += ["## " + title, body]
    return "\n".join(parts)


def main(write=True):
    results = newest(lab.results())
    if not results:
        print("no results in " + lab.results_path())
        return 1
    body = page(results)
    print(body)
    if write:
        here = os.path.dirname(os.path.abspath(__file__))
        open(os.path.join(here, "RESULTS.md"), "w").write(body.rstrip("\n") + "\n")
        json.dump(figures(results), open(os.path.join(here, "results.json"), "w"), indent=1)
        open(os.path.join(here, "results.json"), "a").write("\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main("--print" not in sys.argv))
