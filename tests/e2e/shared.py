"""Shared rows under kill -9: an independent implementation merges every committed delta, owner commit by owner commit, and must come to the published rows, number for number.

Known of leat: the records' layout, the merge rule, how an item's factors begin.
"""
import math, os, shutil, struct, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import exact
from exact import *

exact.PIPELINE = PIPELINE = os.path.join(DIR, "shared.yaml")
TASKS, RANK, GRID, MASK = 4, 8, 1 << 24, (1 << 64) - 1


def records(topic):
    """(key, value) by partition in offset order, committed ones only; whether nothing was deleted before them."""
    out = subprocess.run(["kcat", "-b", BROKER, "-q", "-C", "-t", topic, "-e", "-o", "beginning", "-X", "isolation.level=read_committed", "-f", "%p %o %K %S %k%s\n"], check=True,
                         stdout=subprocess.PIPE).stdout
    parts, at = {}, 0
    while at < len(out):
        head = out[at:at + 100].split(b" ", 4)
        part, offset, key, value = map(int, head[:4])
        at += sum(map(len, head[:4])) + 4
        parts.setdefault(part, []).append((offset, out[at:at + key], out[at + key:at + key + value]))
        at += key + value + 1
    for rows in parts.values():
        rows.sort()
    return {p: [row[1:] for row in rows] for p, rows in parts.items()}, all(rows[0][0] == 0 for rows in parts.values() if rows)


def mix(z):
    z = (z + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
    return z ^ z >> 31


def single(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def beginning(item, numbers):
    seed = ((item + 0x517CC1B727220A95) * 64) & MASK
    start = [single(single((mix(seed + k & MASK) >> 40) / GRID - 0.5) * single(0.1)) for k in range(RANK)]
    return [round(x * GRID) for x in start] + [0] * (numbers - RANK)


def factor(curvatures):
    steep = [h for h in curvatures if h > 0]
    if len(steep) < 2:
        return 1.0
    everything = apart = 0.0
    for h in steep:
        everything += h
        apart += -math.expm1(-h)
    return min(-math.expm1(-everything) / apart, 1.0)


def parse(deltas):
    """Per sender its deltas (sequence, key, curvature, numbers); and whether sequences rise, so that none comes twice."""
    senders, rising = {}, True
    for key, value in deltas:
        sender, _, sequence, curvature = struct.unpack_from("<IIQd", value)
        mine = senders.setdefault(sender, [])
        rising &= not mine or mine[-1][0] < sequence
        mine.append((sequence, key, curvature, struct.unpack_from("<%dq" % ((len(value) - 24) // 8), value, 24)))
    return senders, rising


class Owner:
    """Merges what an owner says it has included, and compares."""

    def __init__(self, deltas):
        self.senders, self.rising = parse(deltas)
        self.taken = dict.fromkeys(self.senders, 0)
        self.rows, self.commits, self.merged, self.several, self.wrong = {}, 0, 0, 0, 0

    def commit(self, published, included):
        gathered = {}
        for sender, mine in sorted(self.senders.items()):
            while self.taken[sender] < len(mine) and mine[self.taken[sender]][0] <= included[sender]:
                _, key, curvature, numbers = mine[self.taken[sender]]
                row = gathered.setdefault(key, {})
                before = row.get(sender, (0.0, [0] * len(numbers)))
                row[sender] = (before[0] + curvature, [a + b for a, b in zip(before[1], numbers)])
                self.taken[sender] += 1
        for key, row in gathered.items():
            base = self.rows.get(key)
            length = len(next(iter(row.values()))[1])
            if base is None:
                base = beginning(struct.unpack("<q", key[4:])[0], length)
            by = factor([row[s][0] for s in sorted(row)])
            sums = [sum(column) for column in zip(*(row[s][1] for s in sorted(row)))]
            self.rows[key] = [a + (d if by == 1 else round(float(d) * by)) for a, d in zip(base, sums)]
            self.several += len(row) > 1
        self.commits += 1
        self.merged += len(gathered)
        got = {key: list(struct.unpack("<%dq" % (len(value) // 8), value)) for key, value in published}
        wrong = [key for key in set(got) | set(gathered) if got.get(key) != self.rows.get(key) or key not in gathered]
        if wrong and not self.wrong:
            print("  commit %d, first wrong row %s: %s, expected %s" % (self.commits, wrong[0].hex(), got.get(wrong[0]), self.rows.get(wrong[0])))
        self.wrong += len(wrong)

    def follow(self, rows):
        published = []
        for key, value in rows:
            if key != bytes(4):
                published.append((key, value))
                continue
            self.commit(published, struct.unpack("<%dq" % (len(value) // 8), value))
            published = []
        return not published


def settle(run, seconds):
    """Until every delta is included, or time is over."""
    end = time.time() + seconds
    while True:
        deltas, whole = records(run + ".deltas")
        shared, all_there = records(run + ".shared")
        owners = {p: Owner(deltas[p]) for p in deltas}
        closed = all([owner.follow(shared.get(p, [])) for p, owner in owners.items()])
        left = sum(len(mine) - owner.taken[s] for owner in owners.values() for s, mine in owner.senders.items())
        if left == 0 or time.time() > end:
            return owners, left, closed and whole and all_there
        time.sleep(0.5)


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    rnd = random.Random(int(os.environ.get("SEED", "1")))
    run = "s%d" % (time.time() * 1000 % 1e9)
    names = {"EXACT_APP": run, "EXACT_IN": run + "-in", "EXACT_OUT": run + "-out"}
    state = tempfile.mkdtemp(prefix="leat-shared-")
    fleet = [Leat(state, names, instance="i%d" % i, pipeline=PIPELINE, args=["--set", "tasks=%d" % TASKS]).start() for i in range(2)]
    if not wait_for_topic(run + "-in", TASKS):
        report("shared rows", False, "the input topic was not made")
        for one in fleet:
            one.kill()
        return 1
    seconds = 3 + kills * 4
    rows = [(user, body.replace('"item":', '"item":%s' % ("" if i % 10 else "7,\"was\":"))) for i, (user, body) in enumerate(events(int(seconds * 500), 500, 5))]
    feeder = Feeder(run + "-in", rows, seconds, 50)
    feeder.start()
    crashed = 0
    for i in range(kills):
        time.sleep(rnd.uniform(0.5, 1.8))
        victim = fleet[i % 2]
        victim.kill()
        point = ("shared.prepared:3", "shared.refreshed:3", None)[i % 3]
        victim.start({"LEAT_CRASH": point} if point else None)
        if point:
            end = time.time() + 10
            while victim.alive() and time.time() < end:
                time.sleep(0.02)
            crashed += not victim.alive()
            if victim.alive():
                print("  %s was not reached" % point)
            victim.kill()
            victim.start()
    feeder.join()
    fed = sum(map(len, read(run + "-in").values()))
    found = wait_for_rows(run + "-out", fed, 40)
    owners, left, whole = settle(run, 20)
    codes = [one.stop() for one in fleet]
    wrong, commits = sum(o.wrong for o in owners.values()), sum(o.commits for o in owners.values())
    merged, several = sum(o.merged for o in owners.values()), sum(o.several for o in owners.values())
    ok = wrong == 0 and left == 0 and whole and found == fed and crashed == kills - kills // 3 and codes == [0, 0] and merged > 1000 and several > 0 and all(o.rising for o in owners.values())
    report("shared rows after %d kills of 2 instances" % kills, ok, "%d more died at a named point; %d of %d events; %d owner commits merged %d rows, %d from several senders; %d rows differ, %d deltas are not included; logs whole: %s; exit codes %s"
           % (crashed, found, fed, commits, merged, several, wrong, left, whole, codes))
    if ok:
        shutil.rmtree(state)
    else:
        print("  logs in", state)
    return 0 if ok else 1


sys.exit(main())
