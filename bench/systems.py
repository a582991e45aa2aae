"""The systems side by side: how each is started, and what its own experts would set for a drain, for latency and for a restart."""
import os

from lab import BROKER, LEAT, PEERS, ROOT, TOOLS

JVM = os.environ.get("JVM", "-Xmx4g -XX:+UseG1GC").split()
# Flink's serializers look into java.base.
OPEN = ["--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.lang=ALL-UNNAMED"]
QUIET = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"]


def leat(run, options):
    """Options with a dot or of the pipeline's own go to --set; words that begin with -- are passed on."""
    plain = [word for word in options if word.startswith("--")]
    command = [LEAT, "run", os.path.join(ROOT, "pipelines", "rp1.yaml"), "--brokers", BROKER, "--state", run.state, "--quiet", *plain, "--set", "pipeline=" + run.id]
    for word in options:
        if word not in plain:
            command += ["--set", word]
    return command, {"RP1_IN": run.events, "RP1_OUT": run.decisions}


def program(run):
    return ["broker=" + BROKER, "app=" + run.id, "in=" + run.events, "out=" + run.decisions, "dir=" + run.state]


def java(name, main, flags=()):
    folder = os.path.join(PEERS, name)
    return ["java", *JVM, *flags, *QUIET, "-cp", "%s/classes:%s/libs/*" % (folder, folder), main]


def kafka_streams(run, options):
    return java("kafka-streams", "rp1.Ks") + program(run) + list(options), {}


def flink(backend):
    def command(run, options):
        again = ["restore=auto"] if run.again else []
        return java("flink", "rp1.Fl", OPEN) + program(run) + ["backend=" + backend, *options, *again], {}
    return command


def floor(run, options):
    return [os.path.join(TOOLS, "floor"), *program(run), "changelog=" + run.changelog, *options], {}


COMMANDS = {
    "leat": leat,
    "kafka_streams": kafka_streams,
    "flink_rocksdb": flink("rocksdb"),
    "flink_heap": flink("hashmap"),
    "floor": floor,
}
TITLES = {
    "leat": "leat",
    "leat_shared": "leat, RP1+: durable shared items",
    "kafka_streams": "Kafka Streams 4.1.0, RocksDB",
    "flink_rocksdb": "Flink 2.0.1, RocksDB",
    "flink_heap": "Flink 2.0.1, heap",
    "floor": "floor (by hand)",
}
# Rows of the tables that are another system with other options.
VARIANTS = {"leat_shared": ("leat", ["operators.factors.with.items=shared"])}

# What a system needs to commit each N ms exactly once with little waiting elsewhere.
EXACT_MS = {
    "leat": lambda ms: ["commit_ms=%d" % ms],
    "kafka_streams": lambda ms: ["commit_ms=%d" % ms, "linger_ms=5"],
    "flink_rocksdb": lambda ms: ["commit_ms=%d" % ms, "linger_ms=5", "buffer_ms=1"],
    "flink_heap": lambda ms: ["commit_ms=%d" % ms, "linger_ms=5", "buffer_ms=1"],
    "floor": lambda ms: ["commit_ms=%d" % ms, "linger_ms=1"],
}
# Decisions visible before they are safe; state and positions each second.
LOOSE = {
    "leat": ["guarantee=at-least-once", "commit_ms=1000"],
    "leat_early": ["sinks.decisions.emit=early", "commit_ms=1000"],
    "kafka_streams": ["guarantee=at_least_once", "commit_ms=1000", "linger_ms=1"],
    "flink_rocksdb": ["guarantee=at_least_once", "commit_ms=1000", "linger_ms=1", "buffer_ms=1"],
    "floor": ["mode=loose", "commit_ms=1000", "linger_ms=1"],
}
# The quickest restart each has on one machine. The floor has no restore.
RESTART = {
    "leat": [],
    "kafka_streams": ["instance=one"],
    "flink_rocksdb": [],
    "flink_heap": [],
}
