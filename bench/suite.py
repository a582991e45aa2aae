#!/usr/bin/env python3
"""Everything that `make bench` measures, one case after the other, systems interleaved.  suite.py whole|smoke|list [TEXT]
Broken off and started again it goes on where it was: a case whose line is in the file of results is not run again. FRESH=1 puts that file aside first.
TEXT: only cases whose name holds it. Status 1 when a system did not commit every decision once, or chose other ads than the reference."""
import os
import sys
import time

import lab
import run
import systems
import table

ROWS = ["leat", "kafka_streams", "flink_rocksdb", "flink_heap", "floor", "leat_shared"]
SAME_AD = 0.99
WHOLE = dict(events=4000000, long_events=8000000, rounds=3, seconds=60, drop=20)
SMOKE = dict(events=300000, long_events=0, rounds=1, seconds=15, drop=5)


def drains(size):
    for round in range(1, size["rounds"] + 1):
        for row in ROWS:
            yield "drain/%s/%d" % (row, round), "drain", row, [], dict(events=size["events"])
    if size["long_events"]:
        for row in ROWS:
            yield "long/%s/1" % row, "drain", row, [], dict(events=size["long_events"])
    yield "profile/leat/1", "drain", "leat", ["--profile"], dict(events=size["events"])


def latencies(size, whole):
    times = dict(seconds=size["seconds"], drop=size["drop"])
    for row in ["leat", "kafka_streams", "flink_rocksdb", "flink_heap", "floor"] if whole else ["leat", "floor"]:
        yield "latency-100/%s/1" % row, "latency", row, systems.EXACT_MS[row](100), times
    yield "latency-20/leat/1", "latency", "leat", systems.EXACT_MS["leat"](20), times
    if whole:
        for name, options in systems.LOOSE.items():
            yield "latency-loose/%s/1" % name, "latency", name.removesuffix("_early"), options, times


def restarts(size, whole):
    for row, options in systems.RESTART.items():
        if whole or row == "leat":
            yield "restart/%s/1" % row, "restart", row, options, dict(events=size["events"])


def cases(form):
    whole, size = form == "whole", WHOLE if form == "whole" else SMOKE
    yield from drains(size)
    yield from latencies(size, whole)
    yield from restarts(size, whole)


def faults(results):
    """What makes the figures worthless, one line each."""
    for r in results:
        if "failed" in r:
            yield "%s failed: %s" % (r["case"], r["failed"].strip())
        elif not r.get("exact"):
            yield "%s: not every decision once: %s of %s, %s different, %s missing" % (r["case"], r.get("count"), r.get("decisions"), r.get("distinct"), r.get("missing"))
        elif r.get("same_ad", 1) < SAME_AD and r["row"] != "leat_shared":
            yield "%s: %.2f %% of the ads are the reference's, at least %.0f %% are wanted" % (r["case"], r["same_ad"] * 100, SAME_AD * 100)


def put_aside():
    if os.path.exists(lab.results_path()):
        os.rename(lab.results_path(), lab.results_path() + time.strftime(".%Y%m%d-%H%M%S"))


def warm(size):
    """In the first drains after its start the broker itself takes some seconds of CPU more: these do not count."""
    if lab.broker_pid() and not os.environ.get("BENCH_BROKER_OWN"):
        for row in ("floor", "leat"):
            run.measure("warm/%s" % row, "drain", row, topic="rp-events-%d-200000" % size["events"], events=size["events"])


def show(result):
    words = ["%s %s" % (key, result[key]) for key in ("events_per_s", "events_per_cpu_s", "peak_rss_mb", "first_commit_s", "p50_ms", "p99_ms", "restart_s", "same_ad", "failed") if key in result]
    print("%-28s %s" % (result["case"], ", ".join(words)), flush=True)


def main():
    form, text = (sys.argv[1:] + ["whole", ""][len(sys.argv) - 1:])[:2]
    if form not in ("whole", "smoke", "list"):
        print(__doc__)
        return 2
    wanted = [case for case in cases("whole" if form == "list" else form) if text in case[0]]
    if form == "list":
        print("\n".join(case[0] for case in wanted))
        return 0
    if form == "smoke":
        os.environ["BENCH_RESULTS"] = os.path.join(lab.DATA, "smoke.jsonl")
    if form == "smoke" or os.environ.get("FRESH"):
        put_aside()
    done = {r["case"] for r in lab.results() if "failed" not in r}
    left = [case for case in wanted if case[0] not in done]
    print("%d cases, %d of them are there already" % (len(wanted), len(wanted) - len(left)), flush=True)
    if left:
        lab.broker("start")
    if left and form == "whole":
        warm(WHOLE)
    for name, mode, row, options, more in left:
        more.setdefault("topic", "rp-events-%d-200000" % more.get("events", 0))
        show(run.measure(name, mode, row, options, **more))
    lab.broker("stop")
    if table.main(write=form == "whole"):
        return 1
    wrong = list(faults([r for r in table.newest(lab.results()).values() if not r["case"].startswith(("growth/", "by-hand/"))]))
    print("\n".join(wrong) if wrong else "every system committed every decision once, with the reference's ads")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
