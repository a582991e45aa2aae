"""Bytes of a store's table files are flipped; see damage.sh."""
import glob, json, os, shutil, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exact import *

GIVEN_UP = "its state was found damaged 4 times"


def last_status(log):
    rows = [line for line in open(log).read().split("\n") if line.startswith('{"events"') and line.endswith("}")]
    return json.loads(rows[-1]) if rows else {}


def wait_for(what, seconds):
    end = time.time() + seconds
    while time.time() < end and not what():
        time.sleep(0.02)
    return what()


class Run:
    """Two tasks with small stores that are flushed often; task 0's is the one to be damaged."""

    def __init__(self, name, seconds=8):
        self.name = "g%d-%s" % (time.time() * 1000 % 1e8, name)
        self.state = tempfile.mkdtemp(prefix="leat-damage-")
        env = {"EXACT_APP": self.name, "EXACT_IN": self.name + "-in", "EXACT_OUT": self.name + "-out"}
        self.leat = Leat(self.state, env, args=["--set", "tasks=2", "--set", "behind_max=200", "--set", "commit_ms=50", "--json"])
        self.leat.quiet = False
        self.flipped = set()
        self.leat.start()
        wait_for_topic(self.name + "-in", 2)
        self.feeder = Feeder(self.name + "-in", events(1500 * seconds, 400, 7), seconds)
        self.feeder.start()

    def stores(self, suffix):
        return glob.glob("%s/%s/a/%s" % (self.state, self.name, suffix))

    def flip(self):
        """One byte of the first block of each of task 0's files that was not met before; how many."""
        count = 0
        for path in self.stores("0/*.sst"):
            try:
                with open(path, "r+b") as file:
                    key = path, os.fstat(file.fileno()).st_ino
                    file.seek(100)
                    byte = file.read(1)
                    if key in self.flipped or not byte:
                        continue
                    file.seek(100)
                    file.write(bytes([byte[0] ^ 0x10]))
                    self.flipped.add(key)
                    count += 1
            except FileNotFoundError:
                pass
        return count

    def said(self, text):
        return text in open(self.leat.log).read()

    def set_aside(self):
        return len(self.stores("0.corrupt-*"))

    def finish(self, name, seen, how):
        self.feeder.join()
        expected, _ = expect(read(self.name + "-in"))
        total = sum(map(len, expected.values()))
        found = wait_for_rows(self.name + "-out", total, 60)
        wrong = differences(expected, read(self.name + "-out"))
        code, others = self.leat.stop(), len(self.stores("1.corrupt-*"))
        ok = seen and wrong == 0 and code == 0 and others == 0
        report(name, ok, "%s; %d of %d rows, %d differ, %d of the other task set aside, exit code %s" % (how, found, total, wrong, others, code))
        if ok:
            shutil.rmtree(self.state)
        else:
            print("  logs in", self.state)


def while_it_runs():
    run = Run("run")
    seen = wait_for(lambda: run.flip() < 0 or run.set_aside() > 0, 20)
    run.finish("damage while a task runs", seen and run.leat.alive(), "%d set aside" % run.set_aside())


def between_two_runs():
    run = Run("start")
    wait_for(lambda: len(run.stores("0/*.sst")) > 5, 20)   # the first one holds the owner only
    run.leat.kill()
    flipped = run.flip()
    run.leat.start()
    seen = wait_for(lambda: run.set_aside() > 0, 20)
    run.finish("damage seen after a start", seen, "%d files damaged, %d set aside" % (flipped, run.set_aside()))


def again_and_again():
    run = Run("often", 30)   # what is no longer written to is no longer read either
    gave_up = wait_for(lambda: run.flip() < 0 or run.said(GIVEN_UP), 60)
    other = wait_for(lambda: last_status(run.leat.log).get("tasks_failed") == 1 and last_status(run.leat.log)["tasks_running"] == 1, 5)
    seen = gave_up and other and run.leat.alive() and run.set_aside() == 4
    run.leat.kill()
    run.leat.start()
    run.finish("damage again and again", seen, "%d set aside, %s" % (run.set_aside(), "given up" if gave_up else "not given up"))


for case in (while_it_runs, between_two_runs, again_and_again):
    case()
sys.exit(1 if FAILED else 0)
