"""guarantee: at-least-once loses nothing through kills and keeps exact state over a clean restart; emit: early is seen at once, and what comes twice has the same id."""
import os, shutil, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exact import *


def application(tasks, extra):
    name = "m%d" % (time.time() * 1000 % 1e9)
    env = {"EXACT_APP": name, "EXACT_IN": name + "-in", "EXACT_OUT": name + "-out"}
    state = tempfile.mkdtemp(prefix="leat-modes-")
    leat = Leat(state, env, args=["--set", "tasks=%d" % tasks, *extra]).start()
    wait_for_topic(name + "-in", tasks)
    return name, state, leat


def rows(topic, **kw):
    out = []
    for part, found in sorted(read(topic, **kw).items()):
        for key, value in found:
            d = json.loads(value)
            out.append((part, key, d["event_id"], d["events"], d["count_view"], d["spend"]))
    return out


def wanted(name):
    expected, bad = expect(read(name + "-in"))
    return [(part, key, *[v for i, v in enumerate(value) if i != 1]) for part, found in sorted(expected.items()) for key, value in found], bad


def killed(name, leat, count, kills):
    feeder = Feeder(name + "-in", events(count, 500, 21, bad_every=100), 2 + 1.5 * kills)
    feeder.start()
    for _ in range(kills):
        time.sleep(1.4)
        leat.kill()
        leat.start()
    feeder.join()


def at_least_once():
    name, state, leat = application(4, ["--set", "guarantee=at-least-once", "--set", "behind_max=500"])
    produce(name + "-in", events(2000, 200, 20))
    first, _ = wanted(name)
    wait_for_rows(name + "-out", len(first), 30)
    codes = [leat.stop()]
    leat.start()
    produce(name + "-in", events(2000, 200, 22))
    want, _ = wanted(name)
    wait_for_rows(name + "-out", len(want), 30)
    got = rows(name + "-out")
    report("at least once: a clean restart repeats nothing and keeps counts exact", sorted(got) == sorted(want) and codes == [0], "%d of %d rows, exit codes %s" % (len(got), len(want), codes))
    killed(name, leat, 8000, 5)
    want, _ = wanted(name)
    ids = {(p, k, e) for p, k, e, *_ in want}
    end = time.time() + 40
    while time.time() < end and ids - {(p, k, e) for p, k, e, *_ in rows(name + "-out")}:
        time.sleep(0.5)
    got = rows(name + "-out")
    lost = ids - {(p, k, e) for p, k, e, *_ in got}
    report("at least once: kills lose nothing and may repeat", not lost and leat.stop() == 0, "%d lost of %d, %d repeated" % (len(lost), len(ids), len(got) - len(want)))
    shutil.rmtree(state)


def early():
    name, state, leat = application(4, ["--set", "sinks.decisions.emit=early", "--set", "commit_ms=3000"])
    produce(name + "-in", events(200, 50, 30))
    wait_for_rows(name + "-out", 1, 20)
    time.sleep(3.5)
    begin = time.time()
    produce(name + "-in", events(200, 50, 31))
    want, _ = wanted(name)
    found = 0
    while time.time() < begin + 10 and found < len(want):
        found = sum(map(len, read(name + "-out").values()))
    took = time.time() - begin
    report("early: seen before the commit", found == len(want) and took < 2.5, "%d of %d after %.1f s with a commit every 3 s" % (found, len(want), took))
    killed(name, leat, 6000, 4)
    want, _ = wanted(name)
    end = time.time() + 40
    while time.time() < end and set(want) - set(rows(name + "-out")):
        time.sleep(0.5)
    got = rows(name + "-out")
    report("early: through kills every decision comes, and one that comes twice is the same, id and all", set(got) == set(want) and leat.stop() == 0,
           "%d wanted, %d missing, %d that differ, %d repeated" % (len(want), len(set(want) - set(got)), len(set(got) - set(want)), len(got) - len(set(got))))
    shutil.rmtree(state)


at_least_once()
early()
sys.exit(1 if FAILED else 0)
