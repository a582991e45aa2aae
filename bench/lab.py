"""The ground every measurement stands on: folders, the broker, topics, processes whose CPU is read when they have ended, the file of results."""
import atexit
import fcntl
import json
import os
import re
import shutil
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
DATA = os.path.abspath(os.environ.get("BENCH_DIR", os.path.join(BUILD, "bench-data")))
BROKER = os.environ.get("BENCH_BROKER", "127.0.0.1:19392")
TOOLS = os.path.join(BUILD, "bench", "rp1")
PEERS = os.path.join(BUILD, "bench", "peers")
LEAT = os.environ.get("LEAT", os.path.join(BUILD, "leat"))
TICK = os.sysconf("SC_CLK_TCK")


def tool(program, /, *args, **options):
    """The output of one of the tools of bench/rp1."""
    command = [os.path.join(TOOLS, program), *args, "broker=" + BROKER] + ["%s=%s" % item for item in options.items()]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit("%s: %s" % (" ".join(command), done.stderr.strip()))
    return done.stdout


def broker(verb):
    """tests/broker.sh on the bench's own address and folder. BENCH_BROKER with BENCH_BROKER_OWN=1: a broker that is there already and stays."""
    if os.environ.get("BENCH_BROKER_OWN"):
        return
    environment = dict(os.environ, BROKER=BROKER, BROKER_DIR=os.path.join(DATA, "broker"))
    subprocess.run(["bash", os.path.join(ROOT, "tests", "broker.sh"), verb], check=True, env=environment, stdout=subprocess.DEVNULL)


def broker_pid():
    try:
        return int(open(os.path.join(DATA, "broker", "pid")).read())
    except OSError:
        return 0


def cpu_of(pid):
    """User and system seconds of a running process, all threads; 0 when it is gone."""
    try:
        fields = open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


def busy_seconds():
    fields = [int(x) for x in open("/proc/stat").readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK


def cores_in_use(seconds=1.0):
    """How many cores the machine uses before a case begins: what others take."""
    before = busy_seconds()
    time.sleep(seconds)
    return round((busy_seconds() - before) / seconds, 2)


class Child:
    """A system under measurement. Its CPU and peak memory are the kernel's own figures of the ended process (wait4), those of restarts added."""

    def __init__(self, command, log, environment=None):
        self.log = log
        self.started = time.time()
        self.process = subprocess.Popen(command, stdout=open(log, "a"), stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=dict(os.environ, **(environment or {})))
        self.pid = self.process.pid
        self.usage = None
        atexit.register(lambda: self.ended() or self.process.kill())

    def cpu(self):
        return cpu_of(self.pid)

    def ended(self):
        if self.usage is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self._note(status, usage)
        return self.usage is not None

    def _note(self, status, usage):
        self.usage = usage
        self.process.returncode = os.waitstatus_to_exitcode(status)

    def end(self, signal, patience=60):
        """Sends @signal, waits, gives (CPU seconds, peak MB, seconds that ending took)."""
        begin = time.time()
        if not self.ended():
            os.kill(self.pid, signal)
        while not self.ended():
            if time.time() - begin > patience:
                os.kill(self.pid, 9)
                patience = 1e9
            time.sleep(0.002)
        return self.usage.ru_utime + self.usage.ru_stime, self.usage.ru_maxrss // 1024, time.time() - begin

    def last_words(self, lines=8):
        return "".join(open(self.log, errors="replace").readlines()[-lines:])


class Lock:
    """One measurement at a time on this machine's data folder."""

    def __enter__(self):
        os.makedirs(DATA, exist_ok=True)
        self.file = open(os.path.join(DATA, "lock"), "w")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self.file.close()


def events_topic(name, count, users=200000, items=20000, cover=0, reference=True):
    """Makes the topic of events unless it is there whole; gives what check says of it. The reference's choices lie beside."""
    note = os.path.join(DATA, "topics", name + ".json")
    if os.path.exists(note):
        facts = json.load(open(note))
        # The broker's data may have been wiped since.
        if int(tool("topic", "records", name=name)) == facts["events"]:
            return facts
    os.makedirs(os.path.dirname(note), exist_ok=True)
    tool("topic", "delete", name=name)
    time.sleep(1)
    tool("topic", "create", name=name, partitions=4)
    tool("gen", topic=name, count=count, users=users, items=items, cover=cover)
    options = {"reference": reference_file(name)} if reference else {}
    facts = json.loads(tool("check", topic=name, hash=1, **options))
    facts.update(name=name, users_of=users, items_of=items)
    if facts["events"] != count:
        raise SystemExit("%s: %d events made, %d found" % (name, count, facts["events"]))
    json.dump(facts, open(note, "w"))
    return facts


def reference_file(name):
    return os.path.join(DATA, "topics", name + ".reference")


def commit_hash():
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True)
    dirty = subprocess.run(["git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no", "--", "base", "schemas", "state", "stream", "operators", "cli", "Makefile"], capture_output=True, text=True)
    return (done.stdout.strip() or "unknown") + ("-changed" if dirty.stdout.strip() else "")


def results_path():
    return os.environ.get("BENCH_RESULTS", os.path.join(DATA, "results.jsonl"))


def results():
    try:
        return [json.loads(line) for line in open(results_path()) if line.strip()]
    except OSError:
        return []


def keep(result):
    os.makedirs(os.path.dirname(results_path()), exist_ok=True)
    with open(results_path(), "a") as file:
        file.write(json.dumps(result) + "\n")


def remove(path):
    shutil.rmtree(path, ignore_errors=True)


def safe(name):
    return re.sub("[^A-Za-z0-9-]", "-", name)
