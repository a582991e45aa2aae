"""An instance is stopped (SIGSTOP) for longer than its session, and for longer than its transaction, at random moments and inside a commit; another takes over.
Awake again it rejoins or ends within 5 s, and nothing of its old transaction is ever visible. usage: zombie.py [ROUNDS]"""
import concurrent.futures, os, random, shutil, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exact import *

SESSION, TRANSACTION = 8, 22   # seconds: over 6, and over 10 with the broker's scan every 10
INSIDE = ("commit.beside", "commit.beside.sealed", "kafka.commit.before_flush", "kafka.commit.before_offsets", "kafka.commit.before_end", "kafka.commit.after_end")


def status_stopped(pid):
    try:
        return open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[0] == "T"
    except OSError:
        return False


def commits_again(log, after):
    """Whether the status lines behind a place in the log show that commits go on."""
    counts = [json.loads(line)["commits"] for line in log[after:].split("\n") if line.startswith('{"events"') and line.endswith("}")]
    return len(counts) > 1 and counts[-1] > counts[0]


def run(index, point, asleep):
    name = "z%d-%d" % (time.time() * 1000 % 1e8, index)
    env = {"EXACT_APP": name, "EXACT_IN": name + "-in", "EXACT_OUT": name + "-out"}
    state = tempfile.mkdtemp(prefix="leat-zombie-")
    args = ["--set", "tasks=4", "--json"]
    rnd = random.Random(index)
    a, b = (Leat(state, env, instance=i, args=args) for i in "ab")
    a.quiet = False
    a.start({"LEAT_CRASH_STOP": "%s:%d" % (point, rnd.randrange(5, 15))} if point else None)
    wait_for_topic(name + "-in", 4)
    feeder = Feeder(name + "-in", list(events(14000, 500, index, bad_every=100)), 10 + asleep)
    feeder.start()
    b.start()
    if point:
        end = time.time() + 20
        while time.time() < end and not status_stopped(a.process.pid):
            time.sleep(0.01)
    else:
        time.sleep(rnd.uniform(2, 4))
        a.kill(signal.SIGSTOP)
    stopped = status_stopped(a.process.pid) or not point
    time.sleep(asleep)
    before = open(a.log).read()
    woken = time.time()
    a.kill(signal.SIGCONT)
    back = None
    while time.time() < woken + 10 and back is None:
        if not a.alive() or " runs (" in open(a.log).read()[len(before):] or commits_again(open(a.log).read(), len(before)):
            back = time.time() - woken
        time.sleep(0.05)
    feeder.join()
    expected, bad = expect(read(name + "-in"))
    total = sum(map(len, expected.values()))
    found = wait_for_rows(name + "-out", total, 60)
    wrong = differences(expected, read(name + "-out"))
    dead = sum(map(len, read(name + ".dead-letters").values()))
    codes = [one.stop() for one in (a, b)]
    ok = wrong == 0 and dead == bad and stopped and back is not None and back <= 5 and codes == [0, 0]
    report("asleep %d s %s" % (asleep, "inside " + point if point else "at a random moment"), ok, "%d of %d rows, %d differ, %d of %d dead letters, %s, exit codes %s" %
           (found, total, wrong, dead, bad, "back after %.1f s" % back if back is not None else "not back", codes))
    if ok:
        shutil.rmtree(state)
    else:
        print("  logs in", state)
    return ok


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    cases = [(p, s) for _ in range(rounds) for s in (SESSION, TRANSACTION) for p in (None, *(INSIDE if rounds > 1 or s == SESSION else INSIDE[-2:]))]
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("SIDE_BY_SIDE", "5"))) as pool:
        return 0 if all(list(pool.map(lambda i: run(i, *cases[i]), range(len(cases))))) else 1


sys.exit(main())
