"""Random kill -9 of instances, and of the broker: what is committed equals the reference, row by row. usage: kills.py KILLS INSTANCES [broker]"""
import os, random, shutil, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exact import *


def main():
    kills, instances, with_broker = int(sys.argv[1]), int(sys.argv[2]), "broker" in sys.argv[3:]
    rnd = random.Random(int(os.environ.get("SEED", "1")))
    run = "k%d" % (time.time() * 1000 % 1e9)
    names = {"EXACT_APP": run, "EXACT_IN": run + "-in", "EXACT_OUT": run + "-out"}
    dead = run + ".dead-letters"
    state = tempfile.mkdtemp(prefix="leat-kills-")
    seconds = 2 + kills * 1.2
    rows = list(events(int(seconds * 2500), 3000, 5, bad_every=100))
    os.environ.update(names)
    args = ["--set", "tasks=8"]
    fleet = [Leat(state, names, instance="i%d" % i, args=args).start() for i in range(instances)]
    end = time.time() + 30
    while time.time() < end and run + "-in" not in subprocess.run(["kcat", "-b", BROKER, "-L"], stdout=subprocess.PIPE).stdout.decode():
        time.sleep(0.1)
    feeder = Feeder(run + "-in", rows, seconds)
    feeder.start()
    for i in range(kills):
        time.sleep(rnd.uniform(0.2, 1.8))
        victim = rnd.choice(fleet)
        victim.kill()
        if with_broker and i == kills // 2:
            subprocess.run(["bash", os.path.join(DIR, "..", "broker.sh"), "kill"], check=True)
            time.sleep(0.5)
            for _ in range(5):   # a client that knocks may hold the port for a moment
                if subprocess.run(["bash", os.path.join(DIR, "..", "broker.sh"), "start"], stdout=subprocess.DEVNULL).returncode == 0:
                    break
        victim.start()
    feeder.join()
    expected, bad = expect(read(run + "-in"))
    total = sum(map(len, expected.values()))
    found = wait_for_rows(run + "-out", total, 90)
    time.sleep(0.5)
    got = read(run + "-out")
    wrong = differences(expected, got)
    doubled_or_lost = sum(map(len, read(dead).values())) - bad
    codes = [one.stop() for one in fleet]
    ok = wrong == 0 and doubled_or_lost == 0 and codes == [0] * instances
    report("%d kills of %d instances%s" % (kills, instances, ", one of the broker" if with_broker else ""), ok,
           "%d rows expected, %d found, %d differ; %d dead letters of %d; exit codes %s" % (total, found, wrong, bad + doubled_or_lost, bad, codes))
    if ok:
        shutil.rmtree(state)
    else:
        print("  logs in", state)
    return 0 if ok else 1


sys.exit(main())
