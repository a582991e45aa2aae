#!/usr/bin/env python3
"""One measured case; a JSON line to the screen and to the file of results.
  run.py drain   SYSTEM [--events N] [--topic NAME] [--case NAME] [option ...]   a backlog, from exec to the last decision, then a clean stop
  run.py latency SYSTEM [--seconds N] [--drop N] [--rate N] [option ...]         events at a rate, each decision's age when a reader has it
  run.py restart SYSTEM [--events N] [option ...]                                kill -9 in the middle of a drain, start again, first new decision
SYSTEM: leat leat_shared kafka_streams flink_rocksdb flink_heap floor. Options are the system's own (name=value). BENCH_DIR holds everything (build/bench-data)."""
import argparse
import atexit
import json
import os
import signal
import subprocess
import threading
import time

import lab
import systems

CASE_SECONDS = int(os.environ.get("CASE_SECONDS", "900"))


class Run:
    """Names and folders of one case; its topics are removed when it is over."""

    def __init__(self, case, events, own_events=False):
        self.id = "%s-%d" % (lab.safe(case), time.time() * 10 % 1e7)
        self.events, self.own_events = (events or self.id + "-events"), own_events
        self.decisions, self.changelog = self.id + "-decisions", self.id + "-changelog"
        self.folder = os.path.join(lab.DATA, "runs", self.id)
        self.state = os.path.join(self.folder, "state")
        self.log = os.path.join(self.folder, "log")
        self.again = False
        os.makedirs(self.state)
        lab.tool("topic", "create", name=self.decisions, partitions=4)
        if own_events:
            lab.tool("topic", "create", name=self.events, partitions=4)
        lab.tool("topic", "create", name=self.changelog, partitions=4, **{"cleanup.policy": "compact"})

    def start(self, system, options):
        command, environment = systems.COMMANDS[system](self, options)
        return lab.Child(command, self.log, environment)

    def leat_changelog(self):
        return self.id + ".changelog"

    def clean(self):
        topics = [self.decisions, self.changelog] + ([self.events] if self.own_events else [])
        lab.tool("topic", "delete", name=",".join(topics))
        lab.remove(self.state)


class Reader:
    """A sink process: what it says while it reads, and its last line."""

    def __init__(self, mode, topic, expect, **options):
        command = [os.path.join(lab.TOOLS, "sink"), mode, "broker=" + lab.BROKER, "topic=" + topic, "expect=%d" % expect] + ["%s=%s" % item for item in options.items()]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        atexit.register(self.process.kill)
        self.said = {}
        self.news = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            with self.news:
                said = json.loads(line)
                self.said[said["at"]] = said
                self.news.notify_all()
        with self.news:
            self.said.setdefault("gone", {})
            self.news.notify_all()

    def wait(self, what, child=None, seconds=CASE_SECONDS):
        """What the sink says at that point; None when it, the system or the time has ended before."""
        until = time.time() + seconds
        with self.news:
            while what not in self.said:
                if "gone" in self.said or time.time() > until or (child and child.ended()):
                    return None
                self.news.wait(0.05)
            return self.said[what]

    def stop(self):
        self.process.kill()
        self.process.wait()


def failed(result, why, child):
    result["failed"] = "%s: %s" % (why, child.last_words() if child else "")
    return result


def finish(result, child, at_all):
    """The clean stop: all state in the store, then the kernel's figures of the whole process."""
    result["cpu_at_last_s"] = round(at_all, 2)
    cpu, peak, seconds = child.end(signal.SIGTERM)
    result.update(cpu_s=round(cpu, 2), user_s=round(child.usage.ru_utime, 2), system_s=round(child.usage.ru_stime, 2), peak_rss_mb=peak, stop_s=round(seconds, 2), exit=child.process.returncode)


def drain(run, system, options, facts, result, reference=True):
    expect, broker = facts["decisions"], lab.broker_pid()
    choices = {"reference": lab.reference_file(facts["name"])} if reference and os.path.exists(lab.reference_file(facts["name"])) else {}
    sink = Reader("drain", run.decisions, expect, series=os.path.join(run.folder, "series"), **choices)
    time.sleep(0.5)
    broker_before, busy_before, begin = lab.cpu_of(broker), lab.busy_seconds(), time.time()
    child = run.start(system, options)
    first, middle = sink.wait("first", child), sink.wait("mark", child)
    last = sink.wait("all", child)
    cpu_last, broker_cpu, busy, wall_all = child.cpu(), lab.cpu_of(broker) - broker_before, lab.busy_seconds() - busy_before, time.time() - begin
    if not (first and middle and last):
        child.end(signal.SIGKILL)
        sink.stop()
        return failed(result, "not all decisions came", child)
    finish(result, child, cpu_last)
    end = sink.wait("end") or {}
    sink.stop()
    wall, rest = last["ms"] / 1e3 - begin, expect - middle["count"]
    result.update(
        events=facts["events"], decisions=expect, wall_s=round(wall, 2), events_per_s=round(expect / wall), events_per_cpu_s=round(expect / result["cpu_s"]),
        events_per_cpu_s_at_last=round(expect / max(cpu_last, 0.01)), first_commit_s=round(first["ms"] / 1e3 - begin, 2),
        second_half_events_per_s=round(rest / max(0.001, (last["ms"] - middle["ms"]) / 1e3)), broker_cpu_s=round(broker_cpu, 2),
        count=end.get("count"), distinct=end.get("distinct"), missing=end.get("missing"), unknown=end.get("unknown"), sink_cpu_s=end.get("sink_cpu_s"),
        others_cores=round(max(0, busy - cpu_last - broker_cpu - (end.get("sink_cpu_s") or 0)) / wall_all, 2))
    if "same_ad" in end:
        result["same_ad"] = round(end["same_ad"] / max(1, end["due"]), 5)
    result["exact"] = end.get("count") == end.get("distinct") == expect and not end.get("missing") and not end.get("unknown")
    note_leat(run, system, result, child)
    return result


def note_leat(run, system, result, child):
    if system != "leat":
        return
    words = child.last_words(40)
    commits = [int(line.split(" commits")[0].split()[-1]) for line in words.splitlines() if " commits in " in line]
    if commits:
        result["commits"] = commits[-1]
        result["dirty_keys"] = max(0, int(lab.tool("topic", "records", name=run.leat_changelog())) - commits[-1] * 4)
    if "ns/event" in words:
        lines = words.splitlines()
        result["profile"] = lines[next(i for i, line in enumerate(lines) if "ns/event" in line):]


def latency(run, system, options, result, seconds, drop, rate):
    count = int(seconds * rate)
    child = run.start(system, options)
    time.sleep(float(os.environ.get("WARM_SECONDS", "12" if system in ("kafka_streams", "flink_rocksdb", "flink_heap") else "4")))
    if child.ended():
        return failed(result, "ended before the first event", child)
    after = time.time() * 1000 + drop * 1000
    idle = 5
    sink = Reader("latency", run.decisions, count, after="%.0f" % after, idle=idle)
    plain = Reader("latency", run.events, count, after="%.0f" % after, idle=idle, what="events")
    source = subprocess.Popen([os.path.join(lab.TOOLS, "gen"), "broker=" + lab.BROKER, "topic=" + run.events, "count=%d" % count, "rate=%g" % rate], stdout=subprocess.DEVNULL)
    time.sleep(drop)
    cpu, begin = child.cpu(), time.time()
    source.wait()
    cores = (child.cpu() - cpu) / max(0.001, time.time() - begin)
    end, end_plain = sink.wait("end", seconds=60), plain.wait("end", seconds=60)
    sink.stop()
    plain.stop()
    if not end or not end_plain:
        child.end(signal.SIGKILL)
        return failed(result, "no end of the decisions", child)
    facts = json.loads(lab.tool("check", topic=run.events))
    finish(result, child, child.cpu())
    for key in ("p50_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms", "measured"):
        result[key] = end.get(key)
        result["events_" + key] = end_plain.get(key)
    result.update(cores=round(cores, 3), count=end["count"], distinct=end["distinct"], decisions=facts["decisions"], exact=end["distinct"] == facts["decisions"], rate=rate, seconds=seconds)
    return result


def series(run):
    return [tuple(map(float, line.split())) for line in open(os.path.join(run.folder, "series")) if line.endswith("\n")]


def wait_until_quiet(run, seconds=0.5, most=5.0):
    """What had committed before the kill must not be taken for a decision made after it."""
    until = time.time() + most
    while time.time() < until:
        rows = series(run)
        if rows and time.time() * 1000 - rows[-1][0] > seconds * 1000:
            return
        time.sleep(0.02)


def restart(run, system, options, facts, result):
    expect = facts["decisions"]
    sink = Reader("drain", run.decisions, expect, mark=expect // 2, series=os.path.join(run.folder, "series"), idle=8)
    time.sleep(0.5)
    child = run.start(system, options)
    middle = sink.wait("mark", child)
    if not middle:
        child.end(signal.SIGKILL)
        sink.stop()
        return failed(result, "never came to the middle", child)
    child.end(signal.SIGKILL)
    wait_until_quiet(run)
    before = series(run)[-1][1]
    run.again = True
    begin = time.time()
    child = run.start(system, options)
    end = sink.wait("end", child)
    sink.stop()
    if not end:
        child.end(signal.SIGKILL)
        return failed(result, "never came to the end after the kill", child)
    finish(result, child, child.cpu())
    after = [row for row in series(run) if row[0] >= begin * 1000 and row[1] > before]
    result.update(count_at_kill=int(before), restart_s=round((after[0][0] / 1000 - begin), 2) if after else None, count=end["count"], distinct=end["distinct"], decisions=expect,
                  exact=end["count"] == end["distinct"] == expect)
    return result


def measure(case, mode, row, options=(), topic="rp-events", events=4000000, users=200000, cover=0, reference=True, seconds=60, drop=20, rate=2000):
    """Runs one case under the lock and keeps its line."""
    system, more = systems.VARIANTS.get(row, (row, []))
    options = [*more, *options]
    result = dict(case=case, mode=mode, row=row, options=options, commit=lab.commit_hash(), date=time.strftime("%Y-%m-%d %H:%M:%S"))
    with lab.Lock():
        lab.broker("start")
        facts = lab.events_topic(topic, events, users=users, cover=cover, reference=reference) if mode != "latency" else None
        run = Run(case, None if mode == "latency" else topic, own_events=mode == "latency")
        result["cores_in_use_before"] = lab.cores_in_use()
        if mode == "drain":
            drain(run, system, options, facts, result, reference)
        elif mode == "latency":
            latency(run, system, options, result, seconds, drop, rate)
        else:
            restart(run, system, options, facts, result)
        run.clean()
        lab.keep(result)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["drain", "latency", "restart"])
    parser.add_argument("system", choices=[*systems.COMMANDS, *systems.VARIANTS])
    parser.add_argument("--case")
    parser.add_argument("--topic")
    parser.add_argument("--events", type=int, default=4000000)
    parser.add_argument("--users", type=int, default=200000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--drop", type=int, default=20)
    parser.add_argument("--rate", type=float, default=2000)
    args, options = parser.parse_known_args()
    topic = args.topic or "rp-events-%d-%d" % (args.events, args.users)
    result = measure(args.case or "by-hand/%s/%s" % (args.mode, args.system), args.mode, args.system, options, topic=topic, events=args.events, users=args.users, seconds=args.seconds, drop=args.drop, rate=args.rate)
    print(json.dumps(result))
    return 1 if "failed" in result else 0


if __name__ == "__main__":
    raise SystemExit(main())
