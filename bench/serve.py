"""The service under load: throughput against offline scoring, overload, latency, hot reloads, and SIGTERM.

    python bench/serve.py BUNDLE IMAGES [--parts throughput overload latency reload sigterm] [--seconds 60]

The server and the clients share the machine. Clients send raw bodies, in the thread of one other process, and keep their
connections. Throughput is compared in turns with `Predictor.predict` on the same bytes, in a process of its own.
"""

import argparse
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread, Timer

import numpy as np
from load_client import Load, closed_load, drive, open_load, request_bytes

from twofold.data import iterate_files

PARTS = ("throughput", "latency", "overload", "reload", "sigterm")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def server(bundle: Path, *flags: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A running service and its port."""
    port = free_port()
    words = [sys.executable, "-m", "twofold", "serve", f"model={bundle}", "--port", str(port), "--quiet", *flags]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()  # once it is ready
    try:
        yield port, process
    finally:
        process.terminate()
        process.wait()


OFFLINE = """
import sys, time
from pathlib import Path
from twofold.bundle.storage import load_bundle
from twofold.workflows.predict import Predictor
images = [Path(line).read_bytes() for line in sys.stdin.read().splitlines()]
with Predictor(load_bundle(sys.argv[1])) as predictor:
    predictor.warm()
    predictor.predict(images[:32])
    start = time.perf_counter()
    predictor.predict(images)
    print(len(images) / (time.perf_counter() - start))
"""


def throughput(bundle: Path, files: list[Path], requests: list[bytes], rounds: int) -> None:
    """Images per second of 32 clients and of offline scoring, in turns."""
    names, ratios = "\n".join(map(str, files)), []
    with server(bundle) as (port, _):
        drive(closed_load(port, requests, 32, lambda number: number >= 64))
        for _ in range(rounds):
            words = [sys.executable, "-c", OFFLINE, str(bundle)]
            offline = float(subprocess.run(words, input=names, capture_output=True, text=True, check=True).stdout)
            start = time.perf_counter()
            load = drive(closed_load(port, requests, 32, lambda number: number >= len(requests)))
            served = load.statuses["200"] / (time.perf_counter() - start)
            ratios.append(served / offline)
            print(f"served {served:.1f}, offline {offline:.1f} images a second: {ratios[-1]:.3f}", flush=True)
    print(f"throughput: median {np.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")


def capacity(port: int, requests: list[bytes], seconds: float = 8) -> float:
    """Answers per second of 32 clients."""
    end = time.perf_counter() + seconds
    load = drive(closed_load(port, requests, 32, lambda number: time.perf_counter() > end))
    return load.statuses["200"] / seconds


def latency(bundle: Path, requests: list[bytes], seconds: float) -> None:
    """The 99th percentile at 70% load, evenly and at random times, over the service time: that of one client alone."""
    with server(bundle) as (port, _):
        capacity(port, requests, 3)
        for evenly in (True, False):
            alone = drive(closed_load(port, requests, 1, lambda number: number >= 200)).seconds["200"]
            rate = 0.7 * capacity(port, requests)
            load = drive(open_load(port, requests, rate, seconds, evenly=evenly))
            p50, p99 = 1000 * np.quantile(load.seconds["200"], (0.5, 0.99))
            service, late = 1000 * float(np.median(alone)), 1000 * np.quantile(load.late, 0.99)
            print(f"{rate:.0f} requests a second, {'evenly' if evenly else 'at random times'}: {dict(load.statuses)}")
            print(f"p50 {p50:.1f} ms, p99 {p99:.1f} ms; service time {service:.1f} ms: {p99 / service:.2f}", end="; ")
            print(f"the client was up to {late:.1f} ms late (p99)", flush=True)


def memory(process: "subprocess.Popen[str]") -> float:
    """Resident memory in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1000


def overload(bundle: Path, requests: list[bytes], seconds: float) -> None:
    """Ten times as many requests as are answered: memory, refusals, answers, and the latency afterwards."""
    with server(bundle) as (port, process):
        before = capacity(port, requests)
        memories, done = [memory(process)], Event()

        def watch() -> None:
            while not done.wait(1):
                memories.append(memory(process))

        watcher = Thread(target=watch)
        watcher.start()
        load = drive(open_load(port, requests, 10 * before, seconds))
        done.set()
        watcher.join()
        time.sleep(2)
        later = drive(closed_load(port, requests, 1, lambda number: number >= 50)).seconds["200"]
        most = (before + capacity(port, requests)) / 2
        answered, refused = load.statuses["200"] / seconds, 1000 * np.array(load.seconds.get("429", [0]))
        print(f"capacity {most:.1f}, answered {answered:.1f} a second ({answered / most:.2f}); {dict(load.statuses)}")
        print(
            f"memory {memories[0]:.0f} MB before, {memories[len(memories) // 4]:.0f} to {max(memories):.0f} MB under load"
        )
        print(f"refused within {np.median(refused):.1f} ms (median), {np.quantile(refused, 0.99):.1f} ms (p99)")
        print(f"the client was up to {1000 * np.quantile(load.late, 0.99):.1f} ms late (p99)")
        print(f"2 seconds later: {1000 * float(np.median(later)):.1f} ms", flush=True)


def reload(bundle: Path, other: Path, images: list[bytes], count: int) -> None:
    """Two bundles take turns at one path, under load: each answer must be that of the version that it names."""
    from twofold.bundle.storage import load_bundle
    from twofold.workflows.predict import Predictor

    expected = {}
    for path in (bundle, other):
        loaded = load_bundle(path)
        logits = [round(each.logit or 0, 9) for each in Predictor(loaded).predict(images)]
        expected[str(loaded.record["sha256"])[:16]] = logits

    def check(number: int, body: bytes) -> str:
        answer = json.loads(body)
        same = round(answer["logit"], 9) == expected[answer["version"]][number % len(images)]
        return "200" if same else "mixed up"

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model.twofold"
        shutil.copytree(bundle, place)
        with server(place) as (port, process):
            done, loads, memories = Event(), list[Load](), list[float]()

            def ask() -> None:
                requests = [request_bytes(image) for image in images]
                loads.append(drive(closed_load(port, requests, 4, lambda number: done.is_set(), check)))

            client = Thread(target=ask)
            client.start()
            start, seen = time.perf_counter(), 0
            for number in range(count):
                copy = Path(folder) / f"next-{number}"
                shutil.copytree((other, bundle)[number % 2], copy)
                old = Path(folder) / f"old-{number}"
                place.rename(old)
                copy.rename(place)
                shutil.rmtree(old)
                seen += wait_for(port, list(expected)[(number + 1) % 2])
                if number % max(1, count // 10) == 0:
                    memories.append(memory(process))
            done.set()
            client.join()
            print(f"{seen} of {count} reloads in {time.perf_counter() - start:.0f} s: {dict(loads[0].statuses)}")
            print(f"memory {', '.join(f'{each:.0f}' for each in memories)} MB", flush=True)


def wait_for(port: int, version: str) -> bool:
    end = time.perf_counter() + 60
    while time.perf_counter() < end:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/models/model")
        if json.loads(connection.getresponse().read())["version"] == version:
            return True
        time.sleep(0.1)
    return False


def sigterm(bundle: Path, requests: list[bytes], rounds: int) -> None:
    """SIGTERM under load: every request that a client could send gets its answer, or its connection is refused."""
    statuses: Counter[str] = Counter()
    for _ in range(rounds):
        with server(bundle) as (port, process):
            timer = Timer(2, process.send_signal, [signal.SIGTERM])
            timer.start()
            load = drive(closed_load(port, requests, 8, lambda _, process=process: process.poll() is not None))
            statuses += load.statuses
            timer.join()
    print(f"{rounds} rounds of SIGTERM: {dict(statuses)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--other", type=Path, help="a second bundle, for reloads")
    parser.add_argument("--parts", nargs="*", default=[part for part in PARTS if part != "reload"], choices=PARTS)
    parser.add_argument("--count", type=int, default=400, help="images")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reloads", type=int, default=1000)
    arguments = parser.parse_args()
    files = list(iterate_files([arguments.images]))[: arguments.count]
    images = [file.read_bytes() for file in files]
    requests = [request_bytes(image) for image in images]
    if "throughput" in arguments.parts:
        throughput(arguments.bundle, files, requests, arguments.rounds)
    if "latency" in arguments.parts:
        latency(arguments.bundle, requests, arguments.seconds)
    if "overload" in arguments.parts:
        overload(arguments.bundle, requests, arguments.seconds)
    if "reload" in arguments.parts:
        reload(arguments.bundle, arguments.other, images[:50], arguments.reloads)
    if "sigterm" in arguments.parts:
        sigterm(arguments.bundle, requests, arguments.rounds)


if __name__ == "__main__":
    main()
