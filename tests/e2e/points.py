"""Every named crash point, at its first, seventh and a late hit: killed there, started again, compared with the reference. usage: points.py [NAME ...]
Prints which points were reached; a point that the code names and no run reaches fails the test."""
import concurrent.futures, os, re, shutil, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exact import *

SOURCE = os.path.join(DIR, "..", "..")
ELSEWHERE = {"embedded.": "tests/stream/embedded_kill_test.c"}  # killed at by tests of their own, which must name them
SHARED = "shared."   # exact.yaml has no shared tables: reached by the tests that have


def named_points():
    names = set()
    for folder in ("stream", "state"):
        for name in os.listdir(os.path.join(SOURCE, folder)):
            if name.endswith((".c", ".cc")):
                names |= set(re.findall(r'leat_crashpoint\("([a-z_.]+)"\)', open(os.path.join(SOURCE, folder, name)).read()))
    for start, path in ELSEWHERE.items():
        text = open(os.path.join(SOURCE, path)).read()
        theirs = {n for n in names if n.startswith(start)}
        assert all('"%s:' % n in text for n in theirs), "%s must be killed at each of %s" % (path, sorted(theirs))
        names -= theirs
    return sorted(n for n in names if not n.startswith(SHARED))


class Case:
    """One application of its own: input written, instances driven, output compared."""

    def __init__(self, index, count, tasks):
        self.run = "p%d-%d" % (time.time() * 1000 % 1e8, index)
        self.env = {"EXACT_APP": self.run, "EXACT_IN": self.run + "-in", "EXACT_OUT": self.run + "-out"}
        self.state = tempfile.mkdtemp(prefix="leat-points-")
        self.rows = list(events(count, 400, index, bad_every=100))
        self.tasks = tasks
        self.seen = os.path.join(self.state, "seen")

    def leat(self, instance="a"):
        return Leat(self.state, {**self.env, "LEAT_CRASH_LOG": self.seen}, instance=instance, args=["--set", "tasks=%d" % self.tasks, "--set", "behind_max=500", "--set", "commit_ms=20"])

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


def one_after_another(case, first, points, feeder):
    """Killed at each point in turn, started at once with the next; what a kill leaves undone is what the next start restores."""
    unreached = []
    for name, hit in points:
        first.kill()
        first.start({"LEAT_CRASH": "%s:%d" % (name, hit)})
        if not wait_until(lambda: not first.alive() or not feeder.is_alive(), 8) or first.alive():
            unreached.append("%s:%d" % (name, hit))
    return unreached, [first]


def moving(case, first, points, feeder):
    """Another instance comes, so that tasks are given up: one hit for each."""
    unreached, second = [], case.leat("b")
    for name, hit in points:
        first.kill()
        first.start({"LEAT_CRASH": "%s:%d" % (name, hit)})
        time.sleep(1.5)
        second.start()
        if not wait_until(lambda: not first.alive(), 20):
            unreached.append("%s:%d" % (name, hit))
        if (name, hit) != points[-1]:
            second.kill()
            time.sleep(7)   # longer than the session: what it had is given back
    return unreached, [first, second]


def stopped(process):
    return open("/proc/%d/stat" % process.pid).read().rsplit(")", 1)[1].split()[0] in "TZ"


def asleep(case, first, points, feeder):
    """Stopped inside a commit until its session and its transaction have timed out: what it does then is recovery."""
    unreached = []
    for name, hit in points:
        first.kill()
        first.start({"LEAT_CRASH": "%s:%d" % (name, hit), "LEAT_CRASH_STOP": "kafka.commit.before_end:10"})
        wait_until(lambda: stopped(first.process), 60)
        time.sleep(float(os.environ.get("ZOMBIE_SECONDS", "12")))
        first.kill(signal.SIGCONT)
        if not wait_until(lambda: not first.alive(), 20):
            unreached.append("%s:%d" % (name, hit))
        elif first.process.returncode != -signal.SIGKILL:   # what a crash point dies of
            unreached.append("%s:%d, it ended with status %d: %s" % (name, hit, first.process.returncode, open(first.log).read()[-400:]))
    return unreached, [first]


def run_points(index, drive, points):
    seconds = {one_after_another: 3.5, moving: 14, asleep: 26}[drive] * len(points)
    case = Case(index, int(seconds * 1500), 16 if drive is moving else 2)
    first = case.leat().start()
    wait_for_topic(case.run + "-in", case.tasks)
    feeder = Feeder(case.run + "-in", case.rows, seconds, 20)
    feeder.start()
    unreached, fleet = drive(case, first, points, feeder)
    for one in fleet:
        if unreached and one.process and one.alive():
            one.kill()   # else it would die there later, when nobody starts it again
        if not one.process or not one.alive():
            one.start()
    feeder.join()
    return case.finish(fleet, " ".join("%s:%d" % p for p in points) + (" (not reached so often: %s)" % " ".join(unreached) if unreached else ""))


def groups(names, hits):
    """(how to drive it, points): those that need the same company one after the other in one application."""
    rebalance = [(n, h) for n in names if n.startswith("rebalance.") for h in sorted({min(h, 8) for h in hits})]
    recover = [(n, 1) for n in names if n.startswith("recover.")]
    plain = [(n, h) for h in hits for n in names if not n.startswith(("rebalance.", "recover."))]
    out = [(asleep, [p]) for p in recover] + [(moving, rebalance[i:i + 2]) for i in range(0, len(rebalance), 2)]
    return out + [(one_after_another, plain[i:i + 6]) for i in range(0, len(plain), 6)]


def main():
    wanted = sys.argv[1:] or named_points()
    todo = groups(wanted, [int(x) for x in os.environ.get("HITS", "1,7,30").split(",")])
    failed, seen = 0, set()
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("SIDE_BY_SIDE", "8"))) as pool:
        for ok, names in pool.map(lambda i: run_points(i, *todo[i]), range(len(todo))):
            failed += not ok
            seen |= names
    missing = [n for n in wanted if n not in seen]
    report("every named point was reached", not missing, " ".join(missing) if missing else "%d points" % len(wanted))
    return 1 if failed or missing else 0


if __name__ == "__main__":
    sys.exit(main())
