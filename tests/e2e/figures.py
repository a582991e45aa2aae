"""Prints how long things take on this machine: start to first committed decision, restart with state, latency of decisions. Nothing is asserted but that all arrive."""
import json, os, shutil, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exact import *


class Reader(threading.Thread):
    """Follows a topic from its end and notes when each committed record was seen."""

    def __init__(self, topic):
        super().__init__(daemon=True)
        self.seen = []
        self.process = subprocess.Popen(["kcat", "-b", BROKER, "-q", "-u", "-C", "-t", topic, "-o", "end", "-X", "isolation.level=read_committed", "-X", "fetch.error.backoff.ms=5",
                                         "-X", "fetch.wait.max.ms=100", "-f", "%s\n"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.start()
        time.sleep(1.5)

    def run(self):
        for line in self.process.stdout:
            self.seen.append((time.time(), line))

    def wait(self, count, seconds):
        end = time.time() + seconds
        while len(self.seen) < count and time.time() < end:
            time.sleep(0.001)
        return len(self.seen) >= count

    def stop(self):
        self.process.terminate()
        self.process.wait()


def application(extra=()):
    name = "f%d" % (time.time() * 1000 % 1e9)
    env = {"EXACT_APP": name, "EXACT_IN": name + "-in", "EXACT_OUT": name + "-out"}
    return name, Leat(tempfile.mkdtemp(prefix="leat-figures-"), env, args=["--set", "tasks=4", "--set", "behind_max=100000", "--set", "commit_ms=100", *extra])


def event(user, number):
    return user, json.dumps({"event_id": "x%d" % number, "user": user, "item": 1, "type": "VIEW", "price": None, "ts": 1760000000000 + number})


def start_until_decision(name, leat, number):
    reader = Reader(name + "-out")
    produce(name + "-in", [event("first", number)])
    begin = time.time()
    leat.start()
    ok = reader.wait(1, 30)
    reader.stop()
    return (reader.seen[0][0] - begin if ok else -1.0)


def starts():
    name, leat = application()
    leat.start()
    wait_for_topic(name + "-in", 4)
    produce(name + "-in", [event("u%d" % i, i) for i in range(100)])
    wait_for_rows(name + "-out", 100, 30)
    times = []
    for i in range(5):
        leat.stop()
        times.append(start_until_decision(name, leat, 1000 + i))
    leat.stop()
    shutil.rmtree(leat.state)
    return sorted(times)


def restarts(users):
    name, leat = application()
    leat.start()
    wait_for_topic(name + "-in", 4)
    produce(name + "-in", (event("u%d" % i, i) for i in range(users)))
    found = wait_for_rows(name + "-out", users, 120)
    times = []
    for i in range(5):
        leat.kill()
        times.append(start_until_decision(name, leat, users + i))
    leat.stop()
    shutil.rmtree(leat.state)
    return found == users, sorted(times)


def latency(emit, commit_ms, rate=2000, seconds=10):
    name, leat = application(["--set", "sinks.decisions.emit=" + emit, "--set", "commit_ms=%d" % commit_ms])
    leat.start()
    wait_for_topic(name + "-out", 4)
    produce(name + "-in", [event("u%d" % i, i) for i in range(100)])
    wait_for_rows(name + "-out", 100, 30)
    reader, floor = Reader(name + "-out"), Reader(name + "-in")
    rows = [event("u%d" % (i % 5000), 1000 + i) for i in range(rate * seconds)]
    source = subprocess.Popen(["kcat", "-b", BROKER, "-q", "-P", "-t", name + "-in", "-K", "\t", "-X", "partitioner=murmur2_random", "-X", "linger.ms=0"], stdin=subprocess.PIPE)
    sent, begin = {}, time.time()
    for i in range(0, len(rows), 4):
        wait = begin + i / rate - time.time()
        if wait > 0:
            time.sleep(wait)
        source.stdin.write("".join("%s\t%s\n" % row for row in rows[i:i + 4]).encode())
        source.stdin.flush()
        now = time.time()
        for k in range(4):
            sent["x%d" % (1000 + i + k)] = now
    source.stdin.close()
    source.wait()
    ok = reader.wait(len(rows), 20)
    reader.stop()
    floor.stop()
    leat.stop()
    shutil.rmtree(leat.state)
    def percentiles(seen):
        took = sorted((at - sent[json.loads(line)["event_id"]]) * 1000 for at, line in seen[2000:])
        return took[len(took) // 2], took[int(len(took) * 0.99)]

    return ok, *percentiles(reader.seen), *percentiles(floor.seen)


def main():
    times = starts()
    report("start to first committed decision", times[0] > 0, "%.2f s (%.2f to %.2f of 5)" % (times[2], times[0], times[-1]))
    ok, times = restarts(int(os.environ.get("USERS", "200000")))
    report("restart after kill -9 with %s users of state to the next committed decision" % os.environ.get("USERS", "200000"), ok and times[0] > 0, "%.2f s (%.2f to %.2f of 5)" % (times[2], times[0], times[-1]))
    for emit, commit_ms in (("early", 100), ("transaction", 100)):
        ok, p50, p99, floor50, floor99 = latency(emit, commit_ms)
        report("latency at 2,000 events/s from producer to reader, %s, commit_ms %d" % (emit, commit_ms), ok, "p50 %.1f ms, p99 %.1f ms (the events themselves, without leat: %.1f ms, %.1f ms)" % (p50, p99, floor50, floor99))


main()
