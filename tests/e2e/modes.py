"""guarantee: at-least-once loses nothing through kills, keeps exact state over a clean restart and none of half a commit; emit: early is seen at once, and what comes twice has the same id."""
import json, os, shutil, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exact import *


def application(tasks, extra, pipeline=PIPELINE):
    name = "m%d" % (time.time() * 1000 % 1e9)
    env = {"EXACT_APP": name, "EXACT_IN": name + "-in", "EXACT_OUT": name + "-out"}
    state = tempfile.mkdtemp(prefix="leat-modes-")
    leat = Leat(state, env, pipeline=pipeline, args=["--set", "tasks=%d" % tasks, *extra]).start()
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


def keys_of(topic):
    """Keys of the topic, with what is not text in them replaced; it has one partition."""
    out = subprocess.run(["kcat", "-b", BROKER, "-q", "-C", "-t", topic, "-e", "-o", "beginning", "-f", "%k\n%o\n"], check=True, stdout=subprocess.PIPE).stdout
    return out.decode("utf-8", "replace").split("\n")[:-1]


def cut_short():
    """Killed while the rows of a commit go out, then right after the next commit: the rows of the first must not count under the task row of the second."""
    users = 20000
    def one_each(turn):
        return [("u%d" % i, json.dumps({"event_id": "%s%d" % (turn, i), "user": "u%d" % i, "item": 1, "type": "VIEW", "price": None, "ts": 1760000000000 + i})) for i in range(users)]
    folder = tempfile.mkdtemp(prefix="leat-modes-")
    pipeline = os.path.join(folder, "cut.yaml")
    with open(PIPELINE) as exact, open(pipeline, "w") as cut:      # without dedupe, which would drop what counts twice
        cut.write("".join(line for line in exact if "use: dedupe" not in line).replace("from: unique", "from: events"))
    for tries in range(5):
        name, state, leat = application(1, ["--set", "guarantee=at-least-once", "--set", "commit_ms=3000"], pipeline)
        wait_for_topic(name + ".changelog", 1)
        watch = subprocess.Popen(["kcat", "-b", BROKER, "-q", "-u", "-C", "-t", name + ".changelog", "-o", "beginning", "-f", "%o\n"], stdout=subprocess.PIPE)
        produce(name + "-in", one_each("a"))
        for _ in range(1000):       # the first commit may be a small one
            watch.stdout.readline()
        leat.kill()
        watch.kill()
        watch.wait()
        keys = keys_of(name + ".changelog")
        torn = not keys[-2].endswith("task")
        if torn or tries == 4:
            break
        shutil.rmtree(state)
    leat.args += ["--set", "commit_ms=1"]
    leat.start({"LEAT_CRASH": "commit.done:1"}).process.wait()
    leat.args += ["--set", "commit_ms=50"]
    leat.start()
    produce(name + "-in", one_each("b"))
    end, second = time.time() + 40, {}
    while time.time() < end and len(second) < users:
        time.sleep(0.5)
        second = {e: n for _, _, e, n, *_ in rows(name + "-out") if e.startswith("b")}
    wrong = sum(n != 2 for n in second.values())
    report("at least once: a commit that was cut short leaves nothing in the state", torn and len(second) == users and not wrong and leat.stop() == 0,
           "%s with %d records in the changelog, %d of %d users, %d counts wrong" % ("cut short" if torn else "never cut short", len(keys) // 2, len(second), users, wrong))
    shutil.rmtree(state)
    shutil.rmtree(folder)


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
cut_short()
early()
sys.exit(1 if FAILED else 0)
