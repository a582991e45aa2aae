"""Writes of the local store fail or are cut short from the n-th on; see disk.sh."""
import concurrent.futures, json, os, shutil, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exact import *

REASONS = {"enospc": "No space left", "eio": "Input/output error", "sync": "Input/output error"}


def last_status(log):
    rows = [line for line in open(log).read().split("\n") if line.startswith('{"events"') and line.endswith("}")]
    return json.loads(rows[-1]) if rows else {}


def run(index, mode, at):
    name = "d%d-%d" % (time.time() * 1000 % 1e8, index)
    env = {"EXACT_APP": name, "EXACT_IN": name + "-in", "EXACT_OUT": name + "-out"}
    state = tempfile.mkdtemp(prefix="leat-disk-")
    leat = Leat(state, env, args=["--set", "tasks=2", "--set", "behind_max=200", "--set", "commit_ms=50", "--json"])
    log, said, began = leat.log, "", None
    leat.quiet = False
    leat.start({"LD_PRELOAD": os.environ["FAULTY_DISK_SO"], "FAULTY_DISK": state + "/" + name, "FAULTY_MODE": mode, "FAULTY_AT": str(at)})
    feeder = None
    end = time.time() + 25
    while time.time() < end:
        if not feeder and wait_for_topic(name + "-in", 2, 1):
            feeder = Feeder(name + "-in", events(12000, 400, index, bad_every=100), 8)
            feeder.start()
        said = open(log).read()
        if not leat.alive() or "cannot be written" in said or (mode == "short" and feeder and not feeder.is_alive()):
            break
        time.sleep(0.1)
    if mode == "short":
        seen, how = leat.alive() and "cannot be written" not in said, "went on"
    elif leat.alive():
        time.sleep(2.5)
        failed = last_status(log).get("tasks_failed", 0)
        seen, how = failed >= 1 and REASONS[mode] in said, "%d tasks failed" % failed
    else:
        seen, how = leat.process.returncode == 1 and REASONS[mode] in said, "ended with %s" % leat.process.returncode
    if leat.alive():
        leat.stop()
    if not feeder:
        feeder = Feeder(name + "-in", events(6000, 400, index, bad_every=100), 1)
        leat.start()
        wait_for_topic(name + "-in", 2)
        feeder.start()
    else:
        leat.start()
    feeder.join()
    expected, bad = expect(read(name + "-in"))
    total = sum(map(len, expected.values()))
    found = wait_for_rows(name + "-out", total, 40)
    wrong, dead = differences(expected, read(name + "-out")), sum(map(len, read(name + ".dead-letters").values()))
    code = leat.stop()
    ok = seen and wrong == 0 and dead == bad and code == 0
    report("%s from write %d on" % (mode, at), ok, "%s; %d of %d rows, %d differ, %d of %d dead letters, exit code %s" % (how, found, total, wrong, dead, bad, code))
    if ok:
        shutil.rmtree(state)
    else:
        print("  logs in", state)
    return ok


cases = [(mode, at) for mode in ("enospc", "eio") for at in (1, 20, 60, 120)] + [("sync", 1), ("sync", 12), ("short", 5)]
with concurrent.futures.ThreadPoolExecutor(6) as pool:
    sys.exit(0 if all(list(pool.map(lambda i: run(i, *cases[i]), range(len(cases))))) else 1)
