"""Every named crash point, at its first, seventh and a late hit: killed there, started again, compared with the reference. usage: points.py [NAME ...]
Prints which points were reached; a point that the code names and no run reaches fails the test."""
import os, re, shutil, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exact import *

SOURCE = os.path.join(DIR, "..", "..")
ELSEWHERE = ("embedded.", "shared.")  # reached by tests of their own


def named_points():
    names = set()
    for folder in ("stream", "state"):
        for name in os.listdir(os.path.join(SOURCE, folder)):
            if name.endswith((".c", ".cc")):
                names |= set(re.findall(r'leat_crashpoint\("([a-z_.]+)"\)', open(os.path.join(SOURCE, folder, name)).read()))
    return sorted(n for n in names if not n.startswith(ELSEWHERE))


class Case:
    """One application of its own: input written, instances driven, output compared."""

    def __init__(self, index, count=6000):
        self.run = "p%d-%d" % (time.time() * 1000 % 1e8, index)
        self.env = {"EXACT_APP": self.run, "EXACT_IN": self.run + "-in", "EXACT_OUT": self.run + "-out"}
        self.state = tempfile.mkdtemp(prefix="leat-points-")
        self.rows = list(events(count, 400, index, bad_every=100))
        self.seen = os.path.join(self.state, "seen")

    def leat(self, instance="a"):
        return Leat(self.state, {**self.env, "LEAT_CRASH_LOG": self.seen}, instance=instance, args=["--set", "tasks=2", "--set", "behind_max=500", "--set", "commit_ms=20"])

    def finish(self, fleet, name):
        expected, bad = expect(read(self.run + "-in"))
        total = sum(map(len, expected.values()))
        found = wait_for_rows(self.run + "-out", total, 40)
        wrong = differences(expected, read(self.run + "-out"))
        dead = sum(map(len, read(self.run + ".dead-letters").values()))
        for one in fleet:
            one.stop()
        ok = wrong == 0 and dead == bad
        report(name, ok, "%d of %d rows, %d differ, %d of %d dead letters" % (found, total, wrong, dead, bad))
        names = set(open(self.seen).read().split()) if os.path.exists(self.seen) else set()
        if ok:
            shutil.rmtree(self.state)
        else:
            print("  logs in", self.state)
        return ok, names


def wait_until(test, seconds=20):
    end = time.time() + seconds
    while time.time() < end and not test():
        time.sleep(0.02)
    return test()


def topic_there(topic):
    return topic in subprocess.run(["kcat", "-b", BROKER, "-L", "-t", topic], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode() and \
        "with 2 partitions" in subprocess.run(["kcat", "-b", BROKER, "-L", "-t", topic], stdout=subprocess.PIPE).stdout.decode()


def run_point(index, name, hit):
    case = Case(index)
    first = case.leat().start()
    wait_until(lambda: topic_there(case.run + "-in"))
    fleet = [first]
    feeder = Feeder(case.run + "-in", case.rows, 2.5)
    feeder.start()
    if name.startswith("rebalance."):  # tasks must move: a second instance comes
        time.sleep(0.7)
        first.kill()
        first.start({"LEAT_CRASH": "%s:%d" % (name, hit)})
        time.sleep(1.0)
        fleet.append(case.leat("b").start())
    elif name.startswith("restore."):  # killed with a tail to replay, and again while it is replayed
        time.sleep(1.0)
        first.kill()
        first.start({"LEAT_CRASH": "%s:%d" % (name, hit)})
    elif name.startswith("recover."):  # stopped until its transaction has timed out or its member is gone: what it does then is recovery
        first.kill()
        first.start({"LEAT_CRASH": "%s:%d" % (name, hit)})
        time.sleep(1.0)
        first.kill(signal.SIGSTOP)
        time.sleep(float(os.environ.get("ZOMBIE_SECONDS", "14")))
        first.kill(signal.SIGCONT)
    else:
        first.kill()
        first.start({"LEAT_CRASH": "%s:%d" % (name, hit)})
    fired = wait_until(lambda: not first.alive(), 12)
    if not first.alive():
        first.start()
    feeder.join()
    ok, names = case.finish(fleet, "%s hit %d%s" % (name, hit, "" if fired else " (not reached so often)"))
    return ok, names


def main():
    wanted = sys.argv[1:] or named_points()
    hits = [int(x) for x in os.environ.get("HITS", "1,7,40").split(",")]
    failed, seen = 0, set()
    for i, name in enumerate(wanted):
        for hit in hits:
            ok, names = run_point(i * 10 + hit, name, hit)
            failed += not ok
            seen |= names
    missing = [n for n in wanted if n not in seen]
    report("every named point was reached", not missing, " ".join(missing) if missing else "%d points" % len(wanted))
    return 1 if failed or missing else 0


if __name__ == "__main__":
    sys.exit(main())
