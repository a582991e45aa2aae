"""Instances join, leave in order and come back under load: nothing lost, nothing doubled, each under a name of its own."""
import os, shutil, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exact import *


def application(tasks):
    name = "r%d" % (time.time() * 1000 % 1e9)
    return name, {"EXACT_APP": name, "EXACT_IN": name + "-in", "EXACT_OUT": name + "-out"}, tempfile.mkdtemp(prefix="leat-rebalance-"), ["--set", "tasks=%d" % tasks]


def compare(name, seconds=60):
    expected, bad = expect(read(name + "-in"))
    total = sum(map(len, expected.values()))
    found = wait_for_rows(name + "-out", total, seconds)
    wrong = differences(expected, read(name + "-out"))
    dead = sum(map(len, read(name + ".dead-letters").values()))
    return wrong == 0 and dead == bad, "%d of %d rows, %d differ, %d of %d dead letters" % (found, total, wrong, dead, bad)


def ran(state, instance):
    return open(os.path.join(state, instance + ".log")).read().count(" runs (")


def under_load():
    name, env, state, args = application(8)
    a, b, c = (Leat(state, env, instance=i, args=args) for i in "abc")
    a.start()
    wait_for_topic(name + "-in", 8)
    feeder = Feeder(name + "-in", events(60000, 2000, 11, bad_every=100), 30)
    feeder.start()
    time.sleep(3)
    b.start()
    time.sleep(4)
    c.start()
    time.sleep(5)
    shared = [ran(state, i) > 0 for i in "bc"]
    codes = [b.stop()]
    time.sleep(7)
    b.start()
    time.sleep(4)
    codes += [a.stop(), c.stop()]
    feeder.join()
    ok, text = compare(name)
    codes.append(b.stop())
    ok = ok and codes == [0] * 4 and all(shared)
    report("instances join, leave and come back under load", ok, "%s; exit codes %s; took tasks %s" % (text, codes, shared))
    if ok:
        shutil.rmtree(state)
    return ok


def names():
    name, env, state, args = application(4)
    command = [LEAT, "run", PIPELINE, "--brokers", BROKER, "--state", state, "--quiet", *args]
    both = []
    for i in range(2):
        both.append(subprocess.Popen(command, env={**os.environ, **env}, stdout=open(os.path.join(state, "log%d" % i), "w"), stderr=subprocess.STDOUT))
        wait_for_topic(name + "-in", 4)
    host, found, end = os.uname().nodename, [], time.time() + 20
    while time.time() < end and len(found) < 2:
        found = sorted(os.listdir(os.path.join(state, name)))
        time.sleep(0.1)
    alive = [p.poll() is None for p in both]
    for p in both:
        p.terminate()
    codes = [p.wait(20) for p in both]
    ok = found == [host + "-1", host + "-2"] and all(alive) and codes == [0, 0]
    report("a second plain run has a name of its own", ok, "%s, alive %s, exit codes %s" % (found, alive, codes))
    shutil.rmtree(state)
    return ok


def same_name():
    name, env, state, args = application(4)
    first = Leat(state, env, args=args).start()
    wait_for_topic(name + "-in", 4)
    feeder = Feeder(name + "-in", events(3000, 100, 3, bad_every=100), 3)
    feeder.start()
    begin = time.time()
    second = Leat(state, env, args=args, log=os.path.join(state, "second")).start()
    code = second.process.wait(20)
    took, said = time.time() - begin, open(os.path.join(state, "second")).read()
    feeder.join()
    ok, text = compare(name)
    log = open(os.path.join(state, "a.log")).read()
    ok = ok and code == 1 and took < 3 and "already running" in said and first.stop() == 0 and "trying again" not in log
    report("the same name twice: the second is refused, the first goes on", ok, "%s; second ended with %s after %.1f s: %s" % (text, code, took, said.strip()))
    if ok:
        shutil.rmtree(state)
    return ok


sys.exit(0 if all([under_load(), names(), same_name()]) else 1)
