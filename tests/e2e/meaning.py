"""State keeps its meaning on Kafka as it does embedded, from the local store and from the changelog; see meaning.sh."""
import json, os, shutil, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exact import *

HEAD = """pipeline: %(name)s
commit_ms: 50
memory: 64MB
behind_max: 100000
sources: { in: { topic: %(name)s-in, format: json, time: ts, fields: "user:string device:string type:string ts:int" } }
operators:
"""
PEOPLE = "  - { id: people, use: profile, from: in, with: { type: type, types: [%s], margin: %s } }\n"
GADGETS = "  - { id: gadgets, use: sessionize, from: people, with: { key: device }, as: { session_events: devices } }\n"
SINK = """sinks: { out: { from: %s, topic: %%(name)s-out, format: json, record: "user:string events:int? count_view:int? count_cart:int? devices:int?" } }\n"""
WHOLE = HEAD + PEOPLE % ("VIEW, CART", 1) + GADGETS + SINK % "gadgets.events"
WITHOUT = HEAD + PEOPLE % ("VIEW, CART", 0.5) + SINK % "people"
CHANGED = HEAD + PEOPLE % ("CART, VIEW", 1) + GADGETS + SINK % "gadgets.events"


class Shop:
    """One application whose pipeline changes between its starts."""

    def __init__(self):
        self.name, self.sent = "meaning%d" % (time.time() * 1000 % 1e9), 0
        self.state = tempfile.mkdtemp(prefix="leat-meaning-")
        self.path = os.path.join(self.state, "p.yaml")
        self.leat = Leat(os.path.join(self.state, "tasks"), pipeline=self.path, args=["--set", "tasks=1"])
        self.leat.quiet = False

    def start(self, text):
        with open(self.path, "w") as out:
            out.write(text % {"name": self.name})
        open(self.leat.log, "w").close()
        self.leat.start()
        return self

    def log(self):
        return open(self.leat.log).read()

    def runs(self, seconds=30):
        end = time.time() + seconds
        while time.time() < end and self.leat.alive() and "task 0 runs" not in self.log():
            time.sleep(0.05)
        return "task 0 runs" in self.log()

    def send(self, count):
        wait_for_topic(self.name + "-in", 1)
        produce(self.name + "-in", [("u%d" % (i % 3), json.dumps({"user": "u%d" % (i % 3), "device": "d%d" % (i % 3), "type": "VIEW" if i // 3 % 2 else "CART", "ts": 1600000000000 + i}))
                                    for i in range(self.sent, self.sent + count)])
        self.sent += count
        wait_for_rows(self.name + "-out", self.sent, 30)

    def last(self):
        """Of each user the newest row."""
        return {row["user"]: row for _, value in read(self.name + "-out").get(0, []) for row in [json.loads(value)]}

    def refused(self, text, name):
        self.start(text)
        end = time.time() + 30
        while self.leat.alive() and time.time() < end:
            time.sleep(0.05)
        lines = [line for line in self.log().split("\n") if line.startswith("leat: operator 'people': the state of task 0 was made with 'types' [VIEW, CART], now it is [CART, VIEW]")]
        ok = not self.leat.alive() and self.leat.process.returncode == 1 and len(lines) == 1
        report(name, ok, "" if ok else "ended with %s: %s" % (self.leat.process.poll(), self.log()[-600:]))
        if self.leat.alive():
            self.leat.stop()


def wanted(events, devices):
    return {"u%d" % u: {"user": "u%d" % u, "events": events, "count_view": events // 2, "count_cart": events - events // 2, "devices": devices} for u in range(3)}


def forget(shop):
    shutil.rmtree(shop.leat.state)
    os.makedirs(shop.leat.state)


def main():
    shop = Shop()
    shop.start(WHOLE).send(300)
    shop.leat.kill()   # the rows are in the changelog only
    ran = shop.start(WITHOUT).runs()
    stopped = shop.leat.stop()
    shop.start(WHOLE).send(300)
    report("restored under a pipeline that has not the operator, its rows are there when it comes back", ran and stopped == 0 and shop.last() == wanted(200, 200), "%s %s %s" % (ran, stopped, shop.last()))
    report("it stops", shop.leat.stop() == 0)
    shop.refused(CHANGED, "counters that change places are refused from the local store")
    forget(shop)
    shop.refused(CHANGED, "and from the changelog")
    shop.start(WITHOUT).send(300)
    report("taken out, with a free option changed: the others keep their rows", shop.last() == wanted(300, None) and shop.leat.stop() == 0, str(shop.last()))
    forget(shop)
    shop.start(WHOLE).send(300)
    report("put back, from the changelog, it goes on as it was", shop.last() == wanted(400, 300) and shop.leat.stop() == 0, str(shop.last()))
    shutil.rmtree(shop.state)
    return 0 if not FAILED else 1


if __name__ == "__main__":
    sys.exit(main())
