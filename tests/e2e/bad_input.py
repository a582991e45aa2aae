"""Every kind of message that cannot be used, one in a hundred among good ones: in the dead-letter topic exactly once, whole, with the reason; see bad_input.sh."""
import collections, http.server, json, os, re, shutil, struct, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exact import *

BAD = os.path.join(DIR, "bad.yaml")
SCHEMA = open(os.path.join(DIR, "bad.avsc")).read()
NOW = int(time.time() * 1000)


# ---- Avro, by hand ----

def number(n):
    n, out = (n << 1) ^ (n >> 63), b""
    while n >= 128:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def text(s):
    s = s if isinstance(s, bytes) else s.encode()
    return number(len(s)) + s


def parts(event_id, who, ts=None):
    return {"event_id": text(event_id), "user": text(who), "type": number(0), "known": b"\1", "price": number(1) + struct.pack("<d", 2.5),
            "tags": number(2) + text("a") + text("bc") + number(0), "ts": number(NOW - 60000 if ts is None else ts)}


def avro(event_id, who, schema=1, stamp=None, **other):
    return b"\0" + struct.pack(">i", schema) + b"".join({**parts(event_id, who, stamp), **other}.values())


LIST = '{"type":"record","name":"Event","fields":[{"name":"deep","type":{"type":"record","name":"Node","fields":[{"name":"next","type":["null","Node"]}]}},%s]}' % SCHEMA[SCHEMA.index('"fields": [') + 11:SCHEMA.rindex("]")]
NULLS = '{"type":"record","name":"Event","fields":[{"name":"nulls","type":{"type":"array","items":"null"}},%s]}' % SCHEMA[SCHEMA.index('"fields": [') + 11:SCHEMA.rindex("]")]
SCHEMAS = {1: SCHEMA, 2: SCHEMA.replace('"user"', '"visitor"'), 3: LIST, 4: NULLS, 5: '{"type":"record","name":"Event","fields":[]}'}


def bad_avro(i):
    """(reason, value) of every kind; None is a null value."""
    e, u = "bad%d" % i, "u%d" % (i % 7)
    good = avro(e, u)
    body = lambda schema, front: b"\0" + struct.pack(">i", schema) + front + b"".join(parts(e, u).values())
    return [("null_value", None), ("bad_magic", b"\1" + good[1:]), ("short_header", good[:4]), ("unknown_schema", avro(e, u, 99)), ("schema_incompatible", avro(e, u, 2)), ("schema_incompatible", avro(e, u, 5)),
            ("avro_truncated", good[:-1]), ("avro_trailing_bytes", good + b"x"), ("avro_length", avro(e, u, user=number(1 << 20) + b"abc")), ("avro_negative_count", avro(e, u, user=number(-3) + b"abc")),
            ("avro_varint", avro(e, u, ts=b"\xff" * 10 + b"\1")), ("avro_enum", avro(e, u, type=number(2))), ("avro_bool", avro(e, u, known=b"\7")), ("avro_union", avro(e, u, price=number(2))),
            ("avro_utf8", avro(e, u, user=text(b"\xff\xfe"))), ("avro_depth", body(3, number(1) * 100 + number(0))), ("avro_elements", body(4, number(200000) + number(0))),
            ("bad_time", avro(e, u, stamp=0)), ("bad_time", avro(e, u, stamp=-5)), ("bad_time", avro(e, u, stamp=NOW + 7200000)), ("too_large", avro(e, u, user=text("x" * (1 << 20))))]


# ---- a registry that can be up, down or wrong ----

class Registry:
    def __init__(self):
        self.mode, self.asked = "up", 0
        registry = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                registry.asked += 1
                schema = SCHEMAS.get(int(self.path.rsplit("/", 1)[1])) if "/ids/" in self.path else None
                status, body = (200, json.dumps({"schema": schema})) if schema else (404, '{"error_code":40403,"message":"Schema not found"}')
                if registry.mode != "up":
                    status, body = {"down": (503, "busy"), "html": (200, "<html>hello</html>"), "other": (200, '{"answer":42}'), "cut": (200, '{"schema": "{')}[registry.mode]
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


# ---- Kafka, with bytes ----

def put(topic, values, key=b"k", headers=(), folder="/tmp"):
    """Messages from files, so that any bytes are possible; None: null."""
    extra = [*[x for h in headers for x in ("-H", h)], "-X", "partitioner=murmur2_random", "-X", "acks=all", "-X", "message.max.bytes=8000000"]
    for value in values:
        if not value:   # a file cannot be null, and an empty one is not sent
            kcat("-P", "-t", topic, *(["-Z"] if value is None else []), "-K", "\t", *extra, input=(key or b"") + b"\t\n")
    values = [value for value in values if value]
    with tempfile.TemporaryDirectory(dir=folder) as work:
        names = []
        for i, value in enumerate(values):
            names.append(os.path.join(work, "%06d" % i))
            with open(names[-1], "wb") as out:
                out.write(value)
        for at in range(0, len(names), 500):
            kcat("-P", "-t", topic, *(["-k", key.decode()] if key is not None else []), *extra, *names[at:at + 500])


def take(topic):
    """[(partition, offset, key, headers, value)] with bytes; null is None. Nothing from a topic that is still to be made."""
    if b"Unknown topic" in kcat("-L", "-t", topic, stdout=subprocess.PIPE).stdout:
        return []
    data = kcat("-C", "-t", topic, "-e", "-o", "beginning", "-X", "isolation.level=read_committed", "-X", "fetch.message.max.bytes=8000000", "-f", "%p %o %K %S %h\n%k%s\n", stdout=subprocess.PIPE).stdout
    out, at = [], 0
    while at < len(data):
        end = data.index(b"\n", at)
        p, o, k, s, h = data[at:end].split(b" ", 4)
        k, s, at = int(k), int(s), end + 1
        key = data[at:at + k] if k >= 0 else None
        at += max(k, 0)
        value = data[at:at + s] if s >= 0 else None
        at += max(s, 0) + 1
        out.append((int(p), int(o), key, dict(x.split("=", 1) for x in h.decode("utf-8", "replace").split(",") if "=" in x), value))
    return out


def wait_for(topic, count, seconds=40):
    end = time.time() + seconds
    while time.time() < end:
        rows = take(topic)
        if len(rows) >= count:
            break
        time.sleep(0.5)
    return rows


class Application:
    def __init__(self, registry=None, pipeline=BAD, args=(), env=None):
        self.name = "b%d" % (time.time() * 1000 % 1e9)
        self.state = tempfile.mkdtemp(prefix="leat-bad-")
        self.env = {"BAD_APP": self.name, "BAD_SCHEMA": os.path.join(DIR, "bad.avsc"), "BAD_REGISTRY": registry.url if registry else "http://127.0.0.1:9", **(env or {})}
        self.leat = Leat(self.state, self.env, pipeline=pipeline, args=["--set", "tasks=2", "--json", *args])
        self.leat.quiet = False

    def start(self):
        self.leat.start()
        wait_for_topic(self.name + "-in", 2)
        return self

    def log(self):
        return open(self.leat.log).read()

    def counted(self):
        rows = [line for line in self.log().split("\n") if line.startswith('{"events"') and line.endswith("}")]
        return json.loads(rows[-1])["bad"] if rows else -1

    def wait_log(self, words, seconds=15):
        end = time.time() + seconds
        while time.time() < end and words not in self.log():
            time.sleep(0.1)
        return words in self.log()

    def end(self):
        code = self.leat.stop() if self.leat.alive() else self.leat.process.returncode
        shutil.rmtree(self.state)
        return code


def settings(topic, **values):
    kafka_tool("org.apache.kafka.tools.TopicCommand" if not values else "kafka.admin.ConfigCommand", "--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", ",".join("%s=%s" % (k.replace("_", "."), v) for k, v in values.items()))


def kafka_tool(name, *args):
    libs = os.environ.get("BROKER_LIBS", os.path.join(DIR, "..", "..", "build", "kafka-libs")) + "-" + os.environ.get("KAFKA_VERSION", "4.1.0")
    return subprocess.run(["java", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", libs + "/*", name, "--bootstrap-server", BROKER, *args], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode()


# ---- every reason, Avro ----

def every_reason_avro():
    registry = Registry()
    app = Application(registry).start()
    settings(app.name + "-in", max_message_bytes=4000000)
    bad = [x for i in range(3) for x in bad_avro(i)]
    headers = ["trace=abc", "tenant=shop"]
    good = [avro("e%d" % i, "u%d" % (i % 7)) for i in range(len(bad) * 100)]
    step = len(good) // 3
    for i in range(3):
        put(app.name + "-in", good[i * step:(i + 1) * step], b"user")
        put(app.name + "-in", [v for r, v in bad[i::3]], b"user", headers)
    put(app.name + "-in", [avro("nokey", "u")], None, headers)
    put(app.name + "-in", [avro("longkey", "u")], b"k" * 2000, headers)
    put(app.name + "-in", [avro("manyheaders", "u")], b"user", ["h%d=v" % i for i in range(65)])
    wanted = collections.Counter((r, b"user", v if r != "too_large" else v[:1024]) for r, v in bad)
    wanted[("null_key", None, avro("nokey", "u"))] += 1
    wanted[("too_large", b"k" * 2000, avro("longkey", "u"))] += 1
    wanted[("too_large", b"user", avro("manyheaders", "u"))] += 1
    dead = wait_for(app.name + ".dead-letters", sum(wanted.values()))
    out = wait_for(app.name + "-out", len(good))
    time.sleep(1.2)
    got = collections.Counter((d[3].get("leat.reason"), d[2], d[4]) for d in dead)
    short = lambda c: [(k[0], len(k[2] or b""), n) for k, n in c.items()][:6]
    report("avro: every reason once in the dead letters, key and bytes as they were", got == wanted, "%d dead letters of %d; missing %s, more than wanted %s" % (len(dead), sum(wanted.values()), short(wanted - got), short(got - wanted)))
    inputs = {(p, o): (k, h, v) for p, o, k, h, v in take(app.name + "-in")}
    wrong = 0
    for p, o, k, h, v in dead:
        at = inputs.get((int(h.get("leat.partition", -1)), int(h.get("leat.offset", -1))))
        same = at and at[0] == k and all(h.get(name) == value for name, value in list(at[1].items())[:64])
        wrong += not (same and h.get("leat.topic") == app.name + "-in" and h.get("leat.application") == app.name and h.get("leat.stage") and h.get("leat.timestamp"))
    report("avro: a dead letter keeps its headers and says where it was", wrong == 0, "%d of %d are wrong" % (wrong, len(dead)))
    report("avro: the good ones come through", sorted(json.loads(v)["event_id"] for _, _, _, _, v in out) == sorted("e%d" % i for i in range(len(good))), "%d of %d" % (len(out), len(good)))
    report("avro: the counter agrees", app.counted() == sum(wanted.values()), "%d counted" % app.counted())
    return app.end()


# ---- the registry ----

def registry_down():
    registry = Registry()
    registry.mode = "down"
    app = Application(registry).start()
    put(app.name + "-in", [avro("e%d" % i, "u") for i in range(20)], b"user")
    said = app.wait_log("waits for schema")
    for mode in ("html", "other", "cut"):
        registry.mode = mode
        time.sleep(1.5)
    quiet = take(app.name + ".dead-letters") == [] and take(app.name + "-out") == [] and app.leat.alive()
    asked = registry.asked
    registry.mode = "up"
    out = wait_for(app.name + "-out", 20, 20)
    report("registry down or talking nonsense: the input waits, nothing is a dead letter, and goes on when it is back", said and quiet and asked < 60 and len(out) == 20 and take(app.name + ".dead-letters") == [],
           "said %s, quiet %s, asked %d times, then %d of 20" % (said, quiet, asked, len(out)))
    return app.end()


# ---- JSON, policies, sizes ----

def exact_application(extra=(), env=None):
    app = Application(pipeline=PIPELINE, args=extra, env=env)
    app.env.update({"EXACT_APP": app.name, "EXACT_IN": app.name + "-in", "EXACT_OUT": app.name + "-out"})
    app.leat.env.update(app.env)
    return app


def json_event(i, **other):
    return json.dumps({"event_id": "e%d" % i, "user": "u", "item": 1, "type": "VIEW", "price": None, "ts": NOW - 60000 + i, **other}).encode()


def every_reason_json():
    app = exact_application().start()
    settings(app.name + "-in", max_message_bytes=4000000)
    noise = os.urandom(1010000)   # does not compress: over a producer's usual million, below our own limit
    bad = [("null_value", None), ("json_syntax", b'{"event_id":'), ("json_syntax", b""), ("json_syntax", b"\xff\xfe"), ("json_type", b"[]"), ("json_type", b'{"event_id":"x"}'), ("json_type", json_event(1, type="NOPE")),
           ("json_type", json_event(1, price="much")), ("json_type", json_event(1, ts=1.5)), ("too_large", b"[" * 100 + b"]" * 100), ("bad_time", json_event(1, ts=0)), ("bad_time", json_event(1, ts=NOW + 7200000)),
           ("too_large", json_event(1, user="x" * (1 << 20))), ("json_syntax", noise)]
    put(app.name + "-in", [json_event(i) for i in range(500)], b"user")
    put(app.name + "-in", [v for r, v in bad], b"user")
    headers = [x for i in range(100) for x in ("-H", "h%d=%s" % (i, "v" * 4000))]
    large = ("-P", "-t", app.name + "-in", "-K", "\t", "-X", "partitioner=murmur2_random", "-X", "message.max.bytes=8000000")
    kcat(*large, input=b"a" * 3000000 + b"\t" + json_event(1))
    kcat(*large, *headers, input=b"user\t" + json_event(2))
    bad += [("too_large", json_event(1)), ("too_large", json_event(2))]
    put(app.name + "-in", [json_event(i) for i in range(500, 1000)], b"user")
    dead = wait_for(app.name + ".dead-letters", len(bad))
    out = wait_for(app.name + "-out", 1000, 20)
    wanted = collections.Counter((r, v if len(v or b"") <= 1 << 20 else v[:1024]) for r, v in bad)
    got = collections.Counter((d[3].get("leat.reason"), d[4]) for d in dead)
    short = lambda c: [(k[0], (k[1] or b"")[:30], len(k[1] or b"")) for k in c][:6]
    report("json: every reason once in the dead letters", wanted == got, "%d of %d; missing %s, more than wanted %s" % (len(dead), len(bad), short(wanted - got), short(got - wanted)))
    key = [(k, v) for _, _, k, h, v in dead if h.get("leat.key_bytes") == "3000000"]
    many = [(sum(name.startswith("h") for name in h), v) for _, _, k, h, v in dead if h.get("leat.headers") == "100"]
    report("json: a key of 3 MB and 100 headers of 4 kB are cut, and said", key == [(b"a" * 1024, json_event(1))] and len(many) == 1 and 20 < many[0][0] < 64 and many[0][1] == json_event(2), "%s %s" % ([(len(k), v) for k, v in key], many))
    report("json: the good ones come through", len(out) == 1000, "%d of 1000" % len(out))
    return app.end()


def policies():
    app = exact_application(["--set", "sources.events.on_bad=skip"]).start()
    put(app.name + "-in", [json_event(i) if i % 10 else b"{" for i in range(100)], b"user")
    out = wait_for(app.name + "-out", 90)
    time.sleep(1.2)
    report("on_bad: skip: counted and left out", len(out) == 90 and app.counted() == 10 and take(app.name + ".dead-letters") == [], "%d of 90, %d counted" % (len(out), app.counted()))
    app.end()
    app = exact_application(["--set", "sources.events.on_bad=halt"]).start()
    put(app.name + "-in", [json_event(i) if i != 50 else b"{" for i in range(100)], b"user")
    end = time.time() + 15
    while app.leat.alive() and time.time() < end:
        time.sleep(0.1)
    out, partition = take(app.name + "-out"), take(app.name + "-in")[0][0]
    command = re.search("leat skip .*", app.log())
    words = "--brokers %s" % BROKER, "--set sources.events.on_bad=halt", "--topic %s-in --partition %d --offset 50" % (app.name, partition)
    said = command and all(w in command[0] for w in words)
    report("on_bad: halt: stops with the command that goes on, and what was before is committed", said and len(out) == 50 and not app.leat.alive() and app.leat.process.returncode == 1, "%d of 50 out; %s" % (len(out), app.log()[-300:]))
    pasted = subprocess.run(os.path.dirname(LEAT) + "/" + (command or ["leat"])[0], shell=True, env=app.leat.env, capture_output=True, text=True)
    report("that command, pasted at once, waits until the group has let go", pasted.returncode == 0 and "waiting up to" in pasted.stderr, "%d: %s%s" % (pasted.returncode, pasted.stdout, pasted.stderr))
    app.leat.start()
    out = wait_for(app.name + "-out", 99)
    report("and the rest comes", len(out) == 99, "%d of 99" % len(out))
    return app.end()


def throughput():
    """A backlog with and without one bad message in a hundred; printed, and asserted loosely because others use the machine too."""
    took = {}
    for share in (0, 1, 0, 1, 0, 1):
        app = exact_application(["--until-end"])
        app.leat.start()
        app.leat.process.wait(30)
        rows = [json_event(i) if not share or i % 100 else b"{" for i in range(150000)]
        kcat("-P", "-t", app.name + "-in", "-X", "partitioner=murmur2_random", "-K", "\t", input=b"".join(b"u%d\t%s\n" % (i % 1000, row) for i, row in enumerate(rows)))
        begin = time.time()
        app.leat.start()
        app.leat.process.wait(60)
        took[share] = min(took.get(share, 1e9), time.time() - begin)
        app.end()
    loss = 100 * (took[1] / took[0] - 1)
    report("one in a hundred bad costs little time", loss < 50, "%.2f s without, %.2f s with: %.0f %% more for 150,000 events" % (took[0], took[1], loss))


# ---- topics that change under our feet ----

def refused(app, words, name):
    app.leat.start()
    end = time.time() + 20
    while app.leat.alive() and time.time() < end:
        time.sleep(0.05)
    report(name, not app.leat.alive() and app.leat.process.returncode in (1, 2) and all(w in app.log() for w in words), "ended with %s: %s" % (app.leat.process.poll(), app.log()[-400:]))


def topic_tool(*args):
    kafka_tool("org.apache.kafka.tools.TopicCommand", *args)


def prepared(count=200, extra=()):
    app = exact_application(extra).start()
    put(app.name + "-in", [json_event(i) for i in range(count)], b"user")
    wait_for(app.name + "-out", count)
    app.leat.stop()
    return app


def partitions_added():
    app = prepared()
    topic_tool("--alter", "--topic", app.name + "-in", "--partitions", "3")
    refused(app, ["partitions", "2"], "partitions added to an input: refused with the remedy")
    return app.end()


def records_deleted():
    app = prepared()
    partition = take(app.name + "-in")[0][0]
    put(app.name + "-in", [json_event(i) for i in range(200, 400)], b"user")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as plan:
        plan.write(json.dumps({"version": 1, "partitions": [{"topic": app.name + "-in", "partition": partition, "offset": 300}]}))
        plan.flush()
        kafka_tool("org.apache.kafka.tools.DeleteRecordsCommand", "--offset-json-file", plan.name)
    refused(app, ["100 events are lost", "on_gap: earliest"], "records gone before they were read: stops and says how many")
    app.leat.args += ["--set", "sources.events.on_gap=earliest"]
    app.leat.start()
    out = wait_for(app.name + "-out", 300)
    report("on_gap: earliest: goes on and says how many", len(out) == 300 and "100 events are gone" in app.log(), "%d of 300" % len(out))
    return app.end()


def changelog_deleted():
    app = prepared()
    topic_tool("--delete", "--topic", app.name + ".changelog")
    time.sleep(1)
    refused(app, ["changelog", "--accept-state-loss"], "the changelog is gone: refused, and the way out is named")
    app.leat.args += ["--accept-state-loss"]
    app.leat.start()
    put(app.name + "-in", [json_event(i) for i in range(200, 300)], b"user")
    out = wait_for(app.name + "-out", 300, 20)
    report("--accept-state-loss goes on", len(out) == 300, "%d of 300; %s" % (len(out), app.log()[-300:] if len(out) != 300 else ""))
    return app.end()


def main():
    for test in [f for name, f in globals().items() if name in (sys.argv[1:] or TESTS)]:
        try:
            test()
        except Exception as e:  # one broken test must not hide the others
            report(test.__name__, False, repr(e))
    return 0 if not FAILED else 1


TESTS = ("every_reason_avro", "registry_down", "every_reason_json", "policies", "throughput", "partitions_added", "records_deleted", "changelog_deleted")
if __name__ == "__main__":
    sys.exit(main())
