"""What the crash tests share: events, an independent reference of exact.yaml, readers through kcat, and leat processes that can be killed.

The reference knows nothing of leat: per partition, in offset order, drop an event id seen among the user's last 16, then count.
"""
import atexit, json, os, random, signal, subprocess, sys, threading, time

BROKER = os.environ.get("BROKER", "127.0.0.1:19092")
LEAT = os.path.join(os.environ.get("BUILD", "build"), "leat")
DIR = os.path.dirname(os.path.abspath(__file__))
PIPELINE = os.path.join(DIR, "exact.yaml")


def kcat(*args, **kw):
    return subprocess.run(["kcat", "-b", BROKER, "-q", *args], check=True, **kw)


def events(count, users, seed, bad_every=0):
    rnd = random.Random(seed)
    last = None
    for i in range(count):
        if last and rnd.random() < 0.02:
            yield last
            continue
        user = "u%d" % int(users * rnd.random() ** 3)
        if bad_every and i % bad_every == bad_every - 1:
            yield user, rnd.choice(['{"event_id":', "[]", '{"event_id":"x","user":"u","item":1,"type":"NOPE","ts":1}', '{"event_id":"b%d","user":"%s","item":1,"type":"VIEW","ts":0}' % (i, user)])
            continue
        kind = rnd.choices(["VIEW", "CART", "PURCHASE"], [90, 7, 3])[0]
        event = {"event_id": "e%08x-%d" % (rnd.getrandbits(32), i), "user": user, "item": rnd.randrange(1000), "type": kind,
                 "price": None if kind == "VIEW" else rnd.randrange(1, 400) * 0.25, "ts": 1760000000000 + i * 7}
        last = user, json.dumps(event, separators=(",", ":"))
        yield last


def produce(topic, rows):
    text = "".join("%s\t%s\n" % row for row in rows)
    kcat("-P", "-t", topic, "-K", "\t", "-X", "partitioner=murmur2_random", "-X", "acks=all", "-X", "message.timeout.ms=120000", input=text.encode())


def read(topic, committed=True, headers=False):
    """Rows of a topic by partition: [(key, value)], in offset order."""
    out = subprocess.run(["kcat", "-b", BROKER, "-q", "-C", "-t", topic, "-e", "-o", "beginning", "-X", "isolation.level=%s" % ("read_committed" if committed else "read_uncommitted"),
                          "-f", "%p\t%o\t%k\t%h\t%s\n" if headers else "%p\t%o\t%k\t%s\n"], check=True, stdout=subprocess.PIPE).stdout.decode("utf-8", "replace")
    parts = {}
    for line in out.split("\n"):
        if line:
            row = line.split("\t", 4 if headers else 3)
            parts.setdefault(int(row[0]), []).append((int(row[1]), *row[2:]))
    for rows in parts.values():
        rows.sort()
    return {p: [row[1:] for row in rows] for p, rows in parts.items()}


KINDS = ("VIEW", "CART", "PURCHASE")


def good(value):
    try:
        e = json.loads(value)
    except ValueError:
        return None
    if not isinstance(e, dict) or e.get("type") not in KINDS or not isinstance(e.get("ts"), int) or e["ts"] <= 0:
        return None
    return e


def expect(inputs):
    """Expected rows by partition: (key, (event_id, user, events, views, spend)), and the number of bad events."""
    out, bad = {}, 0
    for part, rows in inputs.items():
        users, mine = {}, out.setdefault(part, [])
        for key, value in rows:
            e = good(value)
            if e is None:
                bad += 1
                continue
            u = users.setdefault(key, {"ring": [], "n": 0, "views": 0, "spend": 0.0})
            if e["event_id"] in u["ring"]:
                continue
            u["ring"] = (u["ring"] + [e["event_id"]])[-16:]
            u["n"] += 1
            u["views"] += e["type"] == "VIEW"
            if e["type"] == "PURCHASE":
                u["spend"] += e["price"]
            mine.append((key, (e["event_id"], e["user"], u["n"], u["views"], u["spend"])))
    return out, bad


def differences(expected, got, show=3):
    """Number of rows that differ, position by position, per partition."""
    count = 0
    for part in sorted(set(expected) | set(got)):
        a, b = expected.get(part, []), []
        for key, value in got.get(part, []):
            d = json.loads(value)
            b.append((key, (d["event_id"], d["user"], d["events"], d["count_view"], d["spend"])))
        for i in range(max(len(a), len(b))):
            x, y = a[i] if i < len(a) else None, b[i] if i < len(b) else None
            if x != y:
                count += 1
                if count <= show:
                    print("  partition %d row %d: expected %s, got %s" % (part, i, x, y))
    return count


class Leat:
    """A leat process that can be killed, stopped, awakened."""

    def __init__(self, state, env=None, instance="a", pipeline=PIPELINE, log=None, args=()):
        self.state, self.instance, self.pipeline, self.args = state, instance, pipeline, list(args)
        self.env = {**os.environ, **(env or {})}
        self.log = log or os.path.join(state, instance + ".log")
        os.makedirs(state, exist_ok=True)
        self.process, self.quiet = None, True

    def start(self, extra=None):
        self.process = subprocess.Popen([LEAT, "run", self.pipeline, "--brokers", BROKER, "--state", self.state, "--instance", self.instance, *(["--quiet"] if self.quiet else []), *self.args],
                                        env={**self.env, **(extra or {})}, stdout=open(self.log, "a"), stderr=subprocess.STDOUT)
        atexit.register(self.process.kill)   # also when the test fails
        return self

    def kill(self, sig=signal.SIGKILL):
        self.process.send_signal(sig)
        if sig == signal.SIGKILL:
            self.process.wait()

    def stop(self, timeout=30):
        self.process.terminate()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return -1

    def alive(self):
        return self.process.poll() is None


class Feeder(threading.Thread):
    """Writes rows to a topic over some seconds, so that there is always something to be killed in."""

    def __init__(self, topic, rows, seconds, chunk=200):
        super().__init__(daemon=True)
        self.topic, self.rows, self.seconds, self.chunk = topic, list(rows), seconds, chunk

    def run(self):
        proc, start, i = None, time.time(), 0
        while i < len(self.rows):
            if not proc:
                proc = subprocess.Popen(["kcat", "-b", BROKER, "-q", "-P", "-t", self.topic, "-K", "\t", "-X", "partitioner=murmur2_random", "-X", "acks=all", "-X", "linger.ms=5",
                                         "-X", "message.timeout.ms=120000"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
            try:
                proc.stdin.write("".join("%s\t%s\n" % row for row in self.rows[i:i + self.chunk]).encode())
                proc.stdin.flush()
            except BrokenPipeError:  # kcat gives up when its broker is gone; what it had sent may come twice, which the reference sees too
                proc.wait()
                proc = None
                time.sleep(0.2)
                continue
            i += self.chunk
            time.sleep(max(0.0, start + self.seconds * i / len(self.rows) - time.time()))
        proc.stdin.close()
        proc.wait()


def wait_for_rows(topic, count, seconds):
    """Until so many committed rows are there, or time is over; the number found."""
    end, found = time.time() + seconds, 0
    while time.time() < end:
        try:
            found = sum(map(len, read(topic).values()))
        except subprocess.CalledProcessError:   # the topic is still to be made
            found = 0
        if found >= count:
            break
        time.sleep(0.3)
    return found


def wait_for_topic(topic, partitions, seconds=60):
    """Until the topic is there with so many partitions; whether it is."""
    end = time.time() + seconds
    while time.time() < end:
        out = subprocess.run(["kcat", "-b", BROKER, "-L"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()   # of all topics: asked for one, the broker would make it
        if '"%s" with %d partitions' % (topic, partitions) in out:
            return True
        time.sleep(0.1)
    return False


FAILED = []


def report(name, ok, text=""):
    print("%s %s%s" % ("ok" if ok else "not ok", name, ": " + text if text else ""))
    if not ok:
        FAILED.append(name)
    sys.stdout.flush()
    return ok
