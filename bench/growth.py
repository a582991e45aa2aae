#!/usr/bin/env python3
"""How leat's cost grows: users, commit interval, ads, workers.  growth.py [SHORT] [users|commit|ads|workers ...]
The word `short` runs all curves at small sizes in minutes. Goes on where it was broken off, like suite.py; each point is one drain, POINTS=3 takes that many.
USERS, COMMITS, ADS, WORKERS (lists of numbers), EVENTS (after every user has been seen once) and PEERS=kafka_streams,flink_rocksdb (the largest users point, beside leat) may be set."""
import os
import sys

import lab
import run
import suite
import table

SHORT = dict(users=[10000, 50000], commit=[10, 100, 1000], ads=[256, 1000], workers=[1, 2], events=200000)
WHOLE = dict(users=[10000, 200000, 1000000, 10000000], commit=[10, 20, 50, 100, 200, 500, 1000, 2000, 5000], ads=[256, 1000, 4000, 10000], workers=[1, 2], events=4000000)
# The largest number of users does not fit: 512 MB for every system, so that the knee shows.
MEMORY = {"leat": ["memory=512MB"], "kafka_streams": ["cache_mb=256", "block_cache_mb=256"], "flink_rocksdb": ["managed=512m"], "flink_heap": []}


def numbers(name, otherwise):
    return [int(word) for word in os.environ[name].replace(",", " ").split()] if name in os.environ else otherwise


def users(size, events):
    """Each user once, and in a second drain the workload's own mix after that: what the second costs more is the price of an event when all the state there can be is there."""
    counts = numbers("USERS", size["users"])
    for count in counts:
        rows = ["leat"] + (os.environ.get("PEERS", "kafka_streams,flink_rocksdb").split(",") if count == max(counts) and count >= 1000000 else [])
        for row in rows:
            yield "growth/cover/%s/%d" % (row, count), row, MEMORY[row], dict(topic="rp-cover-%d" % count, events=count, users=count, cover=1, reference=False)
            yield "growth/users/%s/%d" % (row, count), row, MEMORY[row], dict(topic="rp-users-%d-%d" % (count, events), events=count + events, users=count, cover=1, reference=False)


def plain(size, events, name, values, row_options):
    for value in values:
        yield "growth/%s/leat/%d" % (name, value), "leat", row_options(value), dict(topic="rp-growth-%d" % events, events=events, reference=False)


def points(size, kinds):
    events = numbers("EVENTS", [size["events"]])[0]
    every = {
        "users": lambda: users(size, events),
        "commit": lambda: plain(size, events, "commit", numbers("COMMITS", size["commit"]), lambda ms: ["commit_ms=%d" % ms]),
        "ads": lambda: plain(size, events, "ads", numbers("ADS", size["ads"]), lambda ads: ["operators.target.with.demo_ads=%d" % ads]),
        "workers": lambda: plain(size, events, "workers", numbers("WORKERS", size["workers"]), lambda count: ["workers=%d" % count]),
    }
    for kind in kinds:
        yield from every[kind]()


def main():
    words = sys.argv[1:]
    short = "short" in words
    kinds = [word for word in words if word != "short"] or ["users", "commit", "ads", "workers"]
    if short:
        os.environ["BENCH_RESULTS"] = os.path.join(lab.DATA, "growth-short.jsonl")
    if os.environ.get("FRESH"):
        suite.put_aside()
    done = {r["case"] for r in lab.results() if "failed" not in r}
    lab.broker("start")
    for name, row, options, more in points(SHORT if short else WHOLE, kinds):
        for number in range(1, int(os.environ.get("POINTS", "1")) + 1):
            case = "%s/%d" % (name, number)
            if case not in done:
                suite.show(run.measure(case, "drain", row, options, **more))
    lab.broker("stop")
    return table.main(write=not short)


if __name__ == "__main__":
    raise SystemExit(main())
