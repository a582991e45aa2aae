"""Topics deleted or made again under a running instance, and between two runs; rows of a table deleted; an input made by somebody else meanwhile. See topics.sh."""
import collections, concurrent.futures, functools, json, os, shutil, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exact import *
from bad_input import topic_tool

YAML = os.path.join(DIR, "topics.yaml")
USERS, ADS = 17, 5


def rows(a, b):
    return [("u%d" % (i % USERS), json.dumps({"id": "e%d" % i, "user": "u%d" % (i % USERS), "ad": "a%d" % (i % ADS), "ts": 1760000000000 + i})) for i in range(a, b)]


def make(topic, partitions=2):
    topic_tool("--create", "--topic", topic, "--partitions", str(partitions))


def delete(topic):
    topic_tool("--delete", "--topic", topic)
    end = time.time() + 10
    while time.time() < end and topic in subprocess.run(["kcat", "-b", BROKER, "-L"], stdout=subprocess.PIPE).stdout.decode():
        time.sleep(0.1)


STARTED = []


def start(name, state, **env):
    leat = Leat(state, {"TOPICS_APP": name, **env}, pipeline=YAML)
    STARTED.append(leat)
    return leat.start()


def told(name, ok, text):
    return report(name, ok, "" if ok else text.replace("\n", " | "))


def new_name():
    NUMBER[0] += 1
    return "t%d-%d" % (time.time() * 1000 % 1e9, NUMBER[0])


NUMBER = [0]


class Scene:
    """An application with 200 events through it."""

    def __init__(self, count=200):
        self.name = new_name()
        self.state = tempfile.mkdtemp(prefix="leat-topics-")
        for kind in ("-in", "-ads", "-out"):
            make(self.name + kind)
        produce(self.name + "-ads", [("a%d" % i, json.dumps({"ad": "a%d" % i, "bid": i})) for i in range(ADS)])
        self.leat = start(self.name, self.state)
        self.feed(0, count)
        wait_for_rows(self.name + "-out", count, 30)

    def feed(self, a, b):
        produce(self.name + "-in", rows(a, b))

    def out(self):
        return [json.loads(value) for found in read(self.name + "-out").values() for _, value in found]

    def log(self):
        return open(self.leat.log).read()

    def halted(self, *words, seconds=40):
        """Has it ended with status 1 and these words in its last line?"""
        end = time.time() + seconds
        while self.leat.alive() and time.time() < end:
            time.sleep(0.1)
        last = self.log().strip().split("\n")[-1]
        return not self.leat.alive() and self.leat.process.returncode == 1 and all(w in last for w in words), "%s: %s" % (self.leat.process.poll(), self.log()[-400:])

    def complete(self, want, seconds=30):
        """Has each event of @want come out once, with each ad's count one higher than before?"""
        wait_for_rows(self.name + "-out", len(want), seconds)
        out = self.out()
        ids, counts = collections.Counter(row["id"] for row in out), collections.defaultdict(list)
        for row in out:
            counts[row["ad"]].append(row["events"])
        steps = all(sorted(c) == list(range(min(c), min(c) + len(c))) for c in counts.values())
        twice, lost = [i for i in ids if ids[i] > 1], set(want) - set(ids)
        return not twice and not lost and steps, "%d out, %d wanted, %d twice, %d lost, counts %s; %s" % (len(out), len(want), len(twice), len(lost), "in steps" if steps else "not in steps", self.log()[-300:] if lost else "")

    def end(self):
        if self.leat.alive():
            self.leat.stop()
        shutil.rmtree(self.state)


def ids(a, b):
    return ["e%d" % i for i in range(a, b)]


# ---- while it runs ----

def changelog_made_again():
    s = Scene()
    delete(s.name + ".changelog")
    make(s.name + ".changelog")
    s.feed(200, 1000)
    told("a changelog made again while running halts", *s.halted(".changelog", "A restart"))   # met again, or while it was away
    out = s.out()
    told("and nothing is committed that the changelog lacks the past of", len(out) == 200, "%d out" % len(out))
    s.leat.args = ["--accept-state-loss"]
    s.leat.start()
    told("--accept-state-loss: every event comes out once", wait_for_rows(s.name + "-out", 1000, 40) == 1000 and len({r["id"] for r in s.out()}) == 1000, "%d out; %s" % (len(s.out()), s.log()[-300:]))
    s.end()


def changelog_deleted():
    s = Scene()
    delete(s.name + ".changelog")
    s.feed(200, 400)
    told("a changelog deleted while running halts", *s.halted(".changelog is gone", "restart"))
    s.leat.start()
    told("and its restart is refused with the way out", *s.halted("changelog", "--accept-state-loss"))
    s.end()


def rekey_topic_made_again():
    s = Scene()
    delete(s.name + ".byad")
    make(s.name + ".byad")
    s.feed(200, 1000)
    told("a re-keyed topic made again while running halts", *s.halted(".byad", "deleted", "--accept-state-loss"))
    s.leat.args = ["--accept-state-loss"]
    s.leat.start()
    told("--accept-state-loss: what was not yet sent through it comes out, once, with counts as they were", *s.complete(ids(0, 1000)))
    s.end()


def input_made_again():
    s = Scene()
    delete(s.name + "-in")
    make(s.name + "-in")
    s.feed(200, 1000)
    told("an input made again while running halts, however many records it has by then", *s.halted("-in", "deleted", "--accept-state-loss"))
    s.leat.args = ["--accept-state-loss"]
    s.leat.start()
    told("--accept-state-loss: all of the new input comes out, once, with counts as they were", *s.complete(ids(0, 1000)))
    s.end()


def output_deleted():
    s = Scene()
    delete(s.name + "-out")
    s.feed(200, 400)
    told("an output deleted while running halts", *s.halted("-out", "is gone: a restart makes it again"))
    s.leat.start()
    wait_for_topic(s.name + "-out", 2)
    told("a restart makes it again, and what it had not written comes out once", *s.complete(ids(200, 400)))
    s.end()


def dead_letters_deleted():
    s = Scene()
    delete(s.name + ".dead-letters")
    produce(s.name + "-in", [("u1", "{")])
    s.feed(200, 400)
    told("dead letters deleted while running: the next bad event halts it", *s.halted(".dead-letters", "is gone: a restart makes it again"))
    s.leat.start()
    wait_for_topic(s.name + ".dead-letters", 2)
    told("a restart makes them again, and the good events come out", *s.complete(ids(0, 400)))
    end, dead = time.time() + 10, []
    while time.time() < end and len(dead) != 1:
        dead = [value for found in read(s.name + ".dead-letters").values() for _, value in found]
    told("and the bad one is a dead letter, once", dead == ["{"], str(dead))
    s.end()


def partitions_added(kind, *words):
    s = Scene()
    topic_tool("--alter", "--topic", s.name + kind, "--partitions", "4")
    since = time.time()
    told("partitions added to %s while running: halts with the remedy" % kind[1:], *s.halted("partitions", "keys would move between tasks", *words))
    told("partitions added to %s: within 15 s" % kind[1:], time.time() - since < 15, "%.1f s" % (time.time() - since))
    told("partitions added to %s: nothing is lost or twice" % kind[1:], *s.complete(ids(0, 200)))
    s.leat.start()
    end = time.time() + 20
    while s.leat.alive() and time.time() < end:
        time.sleep(0.1)
    told("partitions added to %s: and its restart is refused" % kind[1:], not s.leat.alive() and s.leat.process.returncode == 2, s.log()[-300:])
    s.end()


def tasks_deleted():
    s = Scene()
    delete(s.name + ".tasks")
    told("the topic of tasks deleted while running halts", *s.halted(".tasks is gone: a restart makes it again"))
    s.leat.start()
    s.feed(200, 400)
    told("a restart makes it again, nothing is lost or twice", *s.complete(ids(0, 400)))
    s.end()


def stop_without_tasks():
    s = Scene()
    delete(s.name + ".tasks")
    since = time.time()
    status = s.leat.stop()
    seen = ".tasks is gone" in s.log()   # the tool that deletes may take so long
    told("a stop without the topic of tasks ends as ever", status == seen and time.time() - since < 6, "status %d after %.1f s: %s" % (status, time.time() - since, s.log()[-300:]))
    s.end()


# ---- between two runs ----

def between(kind, *words):
    s = Scene()
    s.leat.stop()
    delete(s.name + kind)
    s.leat.start()
    if words:
        told("deleted between two runs: %s: refused with the way out" % kind[1:], *s.halted(*words))
    else:
        wait_for_topic(s.name + kind, 2)
        s.feed(200, 400)
        told("deleted between two runs: %s: made again, nothing lost or twice" % kind[1:], *s.complete(ids(0 if kind != "-out" else 200, 400)))
    s.end()


# ---- a table ----

def table():
    s = Scene()
    n = [200]

    def bids():
        """What events find in the table now, by ad."""
        a, n[0] = n[0], n[0] + ADS
        s.feed(a, n[0])
        wait_for_rows(s.name + "-out", n[0], 20)
        return {r["ad"]: r["bid"] for r in s.out() if r["id"] in ids(a, n[0])}

    def settles(want):
        end, got = time.time() + 15, None
        while time.time() < end and got != want:
            got = bids()
        return got == want, "%s, wanted %s" % (got, want)

    whole = {"a%d" % i: i for i in range(ADS)}
    told("table: its rows are found", *settles(whole))
    kcat("-P", "-t", s.name + "-ads", "-Z", "-K", "\t", "-X", "partitioner=murmur2_random", input=b"a1\t\n")
    told("table: a deleted row is found no more", *settles({**whole, "a1": None}))
    produce(s.name + "-ads", [("a2", "{"), ("a2", json.dumps({"ad": "a2", "bid": "much"}))])
    home = [p for p, found in read(s.name + "-ads").items() if any(key == "a3" for key, _ in found)][0]   # there is no order between partitions
    kcat("-P", "-t", s.name + "-ads", "-p", str(home), input=json.dumps({"ad": "a3", "bid": 33}).encode())
    told("table: what cannot be read changes nothing, a record without a key counts by its body", *settles({**whole, "a1": None, "a3": 33}))
    s.leat.kill()
    s.leat.start()
    told("table: a restart finds the same", *settles({**whole, "a1": None, "a3": 33}))
    delete(s.name + "-ads")
    make(s.name + "-ads")
    told("table: its topic made again while running halts", *s.halted("table 'ads'", "a restart reads what it has now"))
    s.leat.start()
    told("table: a restart reads what it has now", *settles({ad: None for ad in whole}))
    told("table: through all of it no event is lost or comes twice", *s.complete(ids(0, n[0])))
    s.end()


# ---- somebody else makes the input at the same moment ----

def input_made_meanwhile():
    name = new_name()
    state = tempfile.mkdtemp(prefix="leat-topics-")
    events = os.path.join(state, "events")
    with open(events, "w") as out:
        out.write("".join("%s\t%s\n" % row for row in rows(0, 300)))
    race = "kcat -b %s -q -P -t %s-in -K '\t' -X partitioner=murmur2_random -X acks=all < %s" % (BROKER, name, events)
    leat = start(name, state, LD_PRELOAD=os.environ["TOPIC_RACE_SO"], TOPIC_RACE=race)
    wait_for_topic(name + "-out", 4)
    found = wait_for_rows(name + "-out", 300, 30) if leat.alive() else 0
    got = read(name + "-in")
    told("an input made meanwhile with other partitions is counted again: every event comes out", found == 300 and max(got) > 1, "%d of 300 from partitions %s; %s" % (found, sorted(got), open(leat.log).read()[-300:]))
    leat.stop()
    shutil.rmtree(state)


# ---- all of it ----

def run(test):
    try:
        test()
    except Exception as e:  # one broken test must not hide the others
        told(getattr(test, "__name__", str(test)), False, repr(e))


TESTS = [changelog_made_again, changelog_deleted, rekey_topic_made_again, input_made_again, output_deleted, dead_letters_deleted, table, input_made_meanwhile, tasks_deleted, stop_without_tasks,
         *[functools.partial(partitions_added, kind) for kind in ("-in", ".tasks")],
         *[functools.partial(between, *a) for a in ((".byad", "deleted", "--accept-state-loss"), ("-in", "deleted", "--accept-state-loss"), (".tasks",), (".dead-letters",), ("-out",))]]
if __name__ == "__main__":
    with concurrent.futures.ThreadPoolExecutor(4) as pool:   # they wait most of the time
        list(pool.map(run, [test for test in TESTS if not sys.argv[1:] or getattr(test, "func", test).__name__ in sys.argv[1:]]))
    for leat in STARTED:   # of a test that broke
        if leat.alive():
            leat.kill()
        shutil.rmtree(leat.state, ignore_errors=True)
    sys.exit(1 if FAILED else 0)
