"""A broker with a listener per way of asking who we are. Right settings: the output of exact.yaml to the last row. Wrong ones: the cause by name, ever slower tries, an end at once.
No secret is ever printed."""
import os, shutil, signal, subprocess, sys, tempfile, time

HOST, PORT = os.environ.get("BROKER", "127.0.0.1:19092").rsplit(":", 1)
PORT = int(PORT) + 100
os.environ["BROKER"] = "%s:%d" % (HOST, PORT)
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exact import *

WORK = tempfile.mkdtemp(prefix="leat-secure-")
LISTENERS = {"TLS": PORT + 2, "MUTUAL": PORT + 3, "PLAIN": PORT + 4, "ELSEWHERE": PORT + 5}
PASSWORD, KEY_PASSWORD, WRONG = "correct horse battery", "staple of the key", "hunter number two"
SECRETS = [PASSWORD, KEY_PASSWORD, WRONG]
os.environ["SECURE_KEY_PASSWORD"] = KEY_PASSWORD


def check(name, ok, text):
    report(name, ok, "" if ok else text)


def path(name):
    return os.path.join(WORK, name)


def write(name, text, mode=0o600):
    with open(path(name), "w") as file:
        file.write(text)
    os.chmod(path(name), mode)
    return path(name)


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, cwd=WORK, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]


def authority(name):
    openssl("req", "-x509", *EC, "-nodes", "-days", "2", "-keyout", name + ".key", "-out", name + ".pem", "-subj", "/CN=" + name)


def signed(name, names, password=None):
    openssl("req", *EC, *(["-passout", "pass:" + password] if password else ["-nodes"]), "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + name)
    write(name + ".ext", "subjectAltName=%s\n" % names)
    openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out", name + ".pem", "-extfile", name + ".ext")


def broker(verb, properties=None):
    env = {**os.environ, "BROKER_DIR": path("broker")}
    if properties:
        env["BROKER_PROPERTIES"] = properties
    subprocess.run(["bash", "tests/broker.sh", verb], check=True, env=env, stdout=subprocess.DEVNULL)


def start_broker():
    authority("ca")
    authority("stranger")
    signed("broker", "DNS:localhost")
    signed("elsewhere", "DNS:elsewhere")
    signed("leat", "DNS:leat", KEY_PASSWORD)
    for name in ("broker", "elsewhere"):
        write(name + "-all.pem", open(path(name + ".key")).read() + open(path(name + ".pem")).read())
    lines = ["listeners=PLAINTEXT://%s:%d,CONTROLLER://%s:%d" % (HOST, PORT, HOST, PORT + 1) + "".join(",%s://%s:%d" % (name, HOST, port) for name, port in LISTENERS.items()),
             "advertised.listeners=PLAINTEXT://%s:%d" % (HOST, PORT) + "".join(",%s://localhost:%d" % row for row in LISTENERS.items()),
             "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,MUTUAL:SSL,PLAIN:SASL_SSL,ELSEWHERE:SSL",
             "inter.broker.listener.name=PLAINTEXT", "ssl.keystore.type=PEM", "ssl.keystore.location=" + path("broker-all.pem"), "ssl.truststore.type=PEM",
             "ssl.truststore.location=" + path("ca.pem"), "listener.name.elsewhere.ssl.keystore.location=" + path("elsewhere-all.pem"), "listener.name.mutual.ssl.client.auth=required", "listener.name.plain.sasl.enabled.mechanisms=PLAIN",
             'listener.name.plain.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_leat="%s";' % PASSWORD]
    broker("start", write("broker.properties", "\n".join(lines) + "\n"))


def pipeline(name, listener, settings, host="localhost", ca="ca.pem"):
    """exact.yaml with Kafka's settings before it."""
    settings = {"broker.address.family": "v4", "ssl.ca.location": path(ca), **settings}
    text = open(PIPELINE).read()
    return write(name + ".yaml", "kafka:\n  brokers: %s:%d\n  settings: %s\n%s" % (host, LISTENERS.get(listener, PORT), json.dumps(settings), text))


TLS = {"security.protocol": "SSL"}
MUTUAL = {"security.protocol": "SSL", "ssl.certificate.location": path("leat.pem"), "ssl.key.location": path("leat.key"), "ssl.key.password": "${env:SECURE_KEY_PASSWORD}"}
STRANGER = {"security.protocol": "SSL", "ssl.certificate.location": path("stranger.pem"), "ssl.key.location": path("stranger.key")}


def plain(password):
    return {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": "leat", "sasl.password": "${file:%s}" % password}


def start(file, name, *args):
    log = open(path(name + ".log"), "w")
    env = {**os.environ, "EXACT_APP": name, "EXACT_IN": name + "-in", "EXACT_OUT": name + "-out"}
    return subprocess.Popen([LEAT, "run", file, "--state", path("state"), "--instance", "a", "--quiet", *args], env=env, stdout=log, stderr=subprocess.STDOUT)


def said(name):
    return open(path(name + ".log")).read()


def end(process, limit=30):
    begin = time.time()
    process.send_signal(signal.SIGINT)
    try:
        return process.wait(limit), time.time() - begin
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(), limit


def right():
    ways = {"tls": pipeline("tls", "TLS", TLS), "mutual": pipeline("mutual", "MUTUAL", MUTUAL), "plain": pipeline("plain", "PLAIN", plain(path("password")))}
    for seed, (name, file) in enumerate(ways.items()):
        process = start(file, name, "--set", "tasks=2")
        wait_for_topic(name + "-in", 2)
        produce(name + "-in", events(2000, 100, seed))
        want, _ = expect(read(name + "-in"))
        wait_for_rows(name + "-out", sum(map(len, want.values())), 30)
        wrong = differences(want, read(name + "-out"))
        status, _ = end(process)
        check("%s: every row is right" % name, wrong == 0 and status == 0, "%d rows differ, status %d, %s" % (wrong, status, said(name)[-300:]))
    return ways


def refused():
    """(name, file, what must be said)"""
    cases = [("wrong-ca", pipeline("wrong-ca", "TLS", TLS, ca="stranger.pem"), "not signed by a CA of ssl.ca.location"),
             ("wrong-host", pipeline("wrong-host", "ELSEWHERE", TLS), "the broker's certificate is for another host name"),
             ("wrong-address", pipeline("wrong-address", "TLS", TLS, host=HOST), "the broker's certificate does not name this address"),
             ("no-certificate", pipeline("no-certificate", "MUTUAL", TLS), "the broker wants a certificate of ours"),
             ("wrong-certificate", pipeline("wrong-certificate", "MUTUAL", STRANGER), "does not trust our certificate"),
             ("wrong-password", pipeline("wrong-password", "PLAIN", plain(path("wrong"))), "Invalid username or password"),
             ("no-tls", pipeline("no-tls", "TLS", {"security.protocol": "PLAINTEXT"}), "incorrect security.protocol configuration"),
             ("only-tls", pipeline("only-tls", "", TLS, host=HOST), "perhaps the broker does not speak TLS")]
    running = [start(file, name) for name, file, _ in cases]
    limit = time.time() + 30
    while time.time() < limit and any(said(name).count("trying again") < 3 or text not in said(name) for name, _, text in cases):
        time.sleep(0.1)
    for process, (name, _, text) in zip(running, cases):
        words = said(name)
        waits = [int(w.split(" ms")[0]) for w in words.split("trying again in ")[1:4]]
        status, took = end(process)
        check("%s: the cause by name, ever slower tries, an end at once" % name, text in words and waits == [100, 200, 400] and status == 0 and took < 1.5,
               "waits %s, status %d after %.1f s, %s" % (waits, status, took, words[:600]))


def leat(*args):
    done = subprocess.run([LEAT, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def rows_of(topic):
    return subprocess.run(["kcat", "-b", os.environ["BROKER"], "-q", "-C", "-t", topic, "-e", "-o", "beginning", "-f", "%o\n"], check=True, stdout=subprocess.PIPE).stdout.count(b"\n")


def tools(ways):
    for name in ("mutual", "plain"):
        status, out = leat("generate", "--config", ways[name], "--topic-prefix", name + ".", "--rate", "0", "--events", "200", "--users", "20", "--items", "20", "--ads", "5", "--partitions", "1")
        code, rows = leat("tail", name + ".clicks", "--config", ways[name])
        want = rows_of(name + ".clicks")
        check("generate and tail by %s" % name, status == 0 and code == 0 and rows.count("\n") == want > 0, "statuses %d and %d, %d rows, %s%s" % (status, code, want, out[-300:], rows[-300:]))
    write("rows.csv", "user,n\n" + "".join("u%d,%d\n" % (i, i) for i in range(50)))
    write("rows.avsc", '{"type":"record","name":"Row","fields":[{"name":"event_id","type":"string"},{"name":"user_id","type":"string"},{"name":"n","type":"long"}]}')
    write("ids.txt", "1 rows.avsc\n")
    mapping = write("map.yaml", "input: { format: csv, header: true }\ncolumns: { user: string, n: int }\nfields: { user_id: user, n: n }\nto: [ { topic: rows, schema: rows } ]\n")
    status, out = leat("import", path("rows.csv"), "--mapping", mapping, "--schemas", WORK, "--config", ways["plain"])
    check("import by plain", status == 0 and rows_of("rows") == 50, "status %d, %s" % (status, out[-300:]))
    status, out = leat("tail", "rows", "--config", path("wrong-password.yaml"))
    check("tail says why it may not", status == 1 and "Invalid username or password" in out, "status %d, %s" % (status, out[-300:]))
    kcat("-P", "-t", "plain-in", "-p", "0", input=b"{}\n")
    last = len(read("plain-in")[0]) - 1
    os.environ["EXACT_APP"], os.environ["EXACT_IN"] = "plain", "plain-in"
    status, out = leat("skip", ways["plain"], "--topic", "plain-in", "--partition", "0", "--offset", str(last))
    check("skip by plain", status == 0 and "offset %d from now on" % (last + 1) in out, "status %d, %s" % (status, out[-300:]))


def secrets():
    for name, listener, settings in (("plain-debug", "PLAIN", plain(path("password"))), ("mutual-debug", "MUTUAL", MUTUAL), ("wrong-debug", "PLAIN", plain(path("wrong")))):
        file = pipeline(name, listener, {**settings, "debug": "all"})
        for verb in (["tail", "plain-out", "--config"], ["check"], ["graph"]):
            write("%s-%s.log" % (name, verb[0]), leat(*verb, file)[1])
    status, out = leat("tail", "plain-out", "--count", "1", "--config", pipeline("unverified", "TLS", {**TLS, "enable.ssl.certificate.verification": "false"}, ca="stranger.pem"))
    check("asked to verify nothing, nothing is verified", status == 0 and '"value"' in out, "status %d, %s" % (status, out[-300:]))
    logs = {file: open(path(file), errors="replace").read() for file in sorted(os.listdir(WORK)) if file.endswith(".log")}
    shown = [(file, secret) for file, text in logs.items() for secret in SECRETS if secret in text]
    silent = [file for file, text in logs.items() if file.endswith("debug-tail.log") and "ssl://" not in text]
    check("no secret is printed, not even by debug: all", not shown and not silent, "%s, without debug lines: %s" % (shown, silent))


try:
    write("password", PASSWORD + "\n")
    write("wrong", WRONG + "\n")
    start_broker()
    kcat("-P", "-t", "warm", "-X", "transactional.id=warm", input=b"x\n")   # so that nothing waits for the coordinator's first load
    refused()
    tools(right())
    secrets()
finally:
    broker("wipe")
    shutil.rmtree(WORK)
sys.exit(1 if FAILED else 0)
