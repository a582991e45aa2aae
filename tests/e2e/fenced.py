"""Somebody else joins under the name of a member that runs: the broker fences that one off. It joins again, twice, and goes on where the last commit was."""
import os, shutil, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exact import *


def usurp(name, seconds):
    """A consumer under the static name of worker 0 of instance a, for a while."""
    other = subprocess.Popen(["kcat", "-b", BROKER, "-q", "-G", name, "-X", "group.instance.id=a-0", "-X", "partition.assignment.strategy=cooperative-sticky", name + ".tasks"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        other.wait(seconds)
    except subprocess.TimeoutExpired:
        other.kill()
        other.wait()


def main():
    name = "fenced%d" % (time.time() * 1000 % 1e8)
    state = tempfile.mkdtemp(prefix="leat-fenced-")
    one = Leat(state, {"EXACT_APP": name, "EXACT_IN": name + "-in", "EXACT_OUT": name + "-out"}, instance="a", args=["--set", "tasks=4"])
    one.start()
    wait_for_topic(name + "-in", 4)
    feeder = Feeder(name + "-in", list(events(12000, 500, 7, bad_every=100)), 15)
    feeder.start()
    wait_for_rows(name + "-out", 1000, 30)
    for _ in range(2):
        usurp(name, 3)
        before = sum(map(len, read(name + "-out").values()))
        wait_for_rows(name + "-out", before + 100, 30)
    feeder.join()
    expected, bad = expect(read(name + "-in"))
    total = sum(map(len, expected.values()))
    found = wait_for_rows(name + "-out", total, 60)
    wrong = differences(expected, read(name + "-out"))
    dead = sum(map(len, read(name + ".dead-letters").values()))
    code = one.stop()
    rejoined = open(one.log).read().count("joining again")
    ok = wrong == 0 and dead == bad and code == 0 and rejoined >= 1
    report("a member whose name was taken joins again", ok, "%d of %d rows, %d differ, %d of %d dead letters, joined again %d times, exit code %s" % (found, total, wrong, dead, bad, rejoined, code))
    if ok:
        shutil.rmtree(state)
    else:
        print("  logs in", state)
    return 0 if ok else 1


sys.exit(main())
