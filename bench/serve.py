"""The service under load: throughput against offline scoring, overload, latency, hot reloads, and SIGTERM.

    python bench/serve.py BUNDLE IMAGES [--parts throughput overload latency reload sigterm] [--seconds 60]

The server and the clients share the machine: clients are threads of one other process, which send raw bodies and keep their
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Lock, Thread, Timer
from typing import Any

import numpy as np

from twofold.data import iterate_files

PARTS = ("throughput", "latency", "overload", "reload", "sigterm")


@contextmanager
def server(bundle: Path, *flags: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A running service and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "twofold", "serve", f"model={bundle}", "--port", str(port), "--quiet", *flags]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()  # once it is ready
    try:
        yield port, process
    finally:
        process.terminate()
        process.wait()


@dataclass
class Load:
    """What clients saw: statuses, seconds of answers, and labels that differ from those expected."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    wrong: int = 0
    versions: Counter[str] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)

    def note(self, status: str, start: float, answer: dict[str, Any], expected: str | None) -> None:
        with self.lock:
            self.statuses[status] += 1
            self.seconds.setdefault(status, []).append(time.perf_counter() - start)
            self.times.append(time.perf_counter())
            if status == "200":
                self.versions[answer["version"]] += 1
                self.wrong += expected is not None and answer["label"] != expected


def drive(
    port: int,
    images: list[bytes],
    clients: int,
    stop: Callable[[int], bool],
    *,
    expected: list[str | None] | None = None,
    rate: float | None = None,
) -> Load:
    """Requests by so many clients until `stop` (number of the request); at `rate` per second in all, else as fast as they can."""
    load, numbers, random = Load(), iter(range(10**9)), np.random.default_rng(0)
    begin = time.perf_counter()
    arrivals = None if rate is None else begin + np.cumsum(random.exponential(1 / rate, 100_000))

    def run() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            with load.lock:
                number = next(numbers)
            if stop(number):
                return
            start = time.perf_counter()
            if arrivals is not None:  # latency counts from the arrival, not from when a client is free
                start = float(arrivals[number])
                time.sleep(max(0.0, start - time.perf_counter()))
            row = number % len(images)
            try:
                connection.request("POST", "/predict", images[row], {"content-type": "image/jpeg"})
                response = connection.getresponse()
                answer = json.loads(response.read())
                load.note(str(response.status), start, answer, None if expected is None else expected[row])
            except (OSError, ValueError) as error:
                load.note(type(error).__name__, start, {}, None)
                connection.close()

    threads = [Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return load


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


def throughput(bundle: Path, files: list[Path], images: list[bytes], rounds: int) -> None:
    """Images per second of 32 clients and of offline scoring, in turns."""
    names, ratios = "\n".join(map(str, files)), []
    with server(bundle) as (port, _):
        drive(port, images, 32, lambda number: number >= 64)
        for _ in range(rounds):
            words = [sys.executable, "-c", OFFLINE, str(bundle)]
            offline = float(subprocess.run(words, input=names, capture_output=True, text=True, check=True).stdout)
            start = time.perf_counter()
            load = drive(port, images, 32, lambda number: number >= len(images))
            served = load.statuses["200"] / (time.perf_counter() - start)
            ratios.append(served / offline)
            print(f"served {served:.1f}, offline {offline:.1f} images a second: {ratios[-1]:.3f}", flush=True)
    print(f"throughput: median {np.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")


def capacity(port: int, images: list[bytes], seconds: float = 8) -> float:
    """Answers per second of 16 clients."""
    end = time.perf_counter() + seconds
    load = drive(port, images, 16, lambda number: time.perf_counter() > end)
    return load.statuses["200"] / seconds


def latency(bundle: Path, images: list[bytes], seconds: float) -> None:
    """The 99th percentile at 70% load, and the service time: of one client alone, between two measurements of capacity."""
    with server(bundle) as (port, _):
        capacity(port, images, 3)
        alone = drive(port, images, 1, lambda number: number >= 200).seconds["200"]
        most = capacity(port, images)
        end = time.perf_counter() + seconds
        load = drive(port, images, 64, lambda number: time.perf_counter() > end, rate=0.7 * most)
        values, service = np.array(load.seconds["200"]), float(np.median(alone))
        p50, p99 = np.quantile(values, (0.5, 0.99))
        print(f"latency at {0.7 * most:.0f} requests a second, of {most:.0f}: {dict(load.statuses)}")
        print(
            f"p50 {1000 * p50:.1f} ms, p99 {1000 * p99:.1f} ms; service time {1000 * service:.1f} ms: {p99 / service:.2f}"
        )


def memory(process: "subprocess.Popen[str]") -> float:
    """Resident memory in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1000


def overload(bundle: Path, images: list[bytes], seconds: float) -> None:
    """Ten times as many requests as are answered: memory, refusals, answers, and the latency afterwards."""
    with server(bundle) as (port, process):
        most = capacity(port, images)
        memories, end = [memory(process)], time.perf_counter() + seconds
        done = Event()

        def watch() -> None:
            while not done.wait(1):
                memories.append(memory(process))

        watcher = Thread(target=watch)
        watcher.start()
        load = drive(port, images, 256, lambda number: time.perf_counter() > end, rate=10 * most)
        done.set()
        watcher.join()
        time.sleep(2)
        after = drive(port, images, 1, lambda number: number >= 50).seconds["200"]
        answered, refused = load.statuses["200"] / seconds, np.array(load.seconds.get("429", [0]))
        print(
            f"overload: capacity {most:.1f}, answered {answered:.1f} a second ({answered / most:.2f}); {dict(load.statuses)}"
        )
        print(
            f"memory {memories[0]:.0f} MB before, {memories[len(memories) // 4]:.0f} to {max(memories):.0f} MB under load"
        )
        print(
            f"refused within {1000 * np.median(refused):.1f} ms (median), {1000 * np.quantile(refused, 0.99):.1f} ms (p99)"
        )
        print(f"2 seconds later: {1000 * float(np.median(after)):.1f} ms")


def reload(bundle: Path, other: Path, images: list[bytes], count: int) -> None:
    """Two bundles take turns at one path, under load: each answer must be that of the version that it names."""
    from twofold.bundle.storage import load_bundle
    from twofold.workflows.predict import Predictor

    expected = {}
    for path in (bundle, other):
        loaded = load_bundle(path)
        logits = [round(each.logit or 0, 9) for each in Predictor(loaded).predict(images)]
        expected[str(loaded.record["sha256"])[:16]] = logits
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model.twofold"
        shutil.copytree(bundle, place)
        with server(place) as (port, process):
            done, mixed, answers = Event(), 0, 0
            failures: Counter[str] = Counter()

            def ask() -> None:
                nonlocal mixed, answers
                connection = HTTPConnection("127.0.0.1", port, timeout=60)
                number = 0
                while not done.is_set():
                    number = (number + 1) % len(images)
                    try:
                        connection.request("POST", "/predict", images[number], {"content-type": "image/jpeg"})
                        response = connection.getresponse()
                        answer = json.loads(response.read())
                    except (OSError, ValueError) as error:
                        failures[type(error).__name__] += 1
                        connection.close()
                        continue
                    if response.status != 200:
                        failures[str(response.status)] += 1
                        continue
                    answers += 1
                    mixed += round(answer["logit"], 9) != expected[answer["version"]][number]

            threads = [Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            before, start, seen = memory(process), time.perf_counter(), 0
            for number in range(count):
                copy = Path(folder) / f"next-{number}"
                shutil.copytree((other, bundle)[number % 2], copy)
                old = Path(folder) / f"old-{number}"
                place.rename(old)
                copy.rename(place)
                shutil.rmtree(old)
                want = list(expected)[(number + 1) % 2]
                seen += wait_for(port, want)
            done.set()
            for thread in threads:
                thread.join()
            seconds = time.perf_counter() - start
            print(
                f"reload: {seen} of {count} in {seconds:.0f} s, {answers} answers, {mixed} mixed up, lost {dict(failures)}"
            )
            print(f"memory {before:.0f} MB before, {memory(process):.0f} MB after")


def wait_for(port: int, version: str) -> bool:
    end = time.perf_counter() + 60
    while time.perf_counter() < end:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/models/model")
        if json.loads(connection.getresponse().read())["version"] == version:
            return True
        time.sleep(0.1)
    return False


def sigterm(bundle: Path, images: list[bytes], rounds: int) -> None:
    """SIGTERM under load: every request that a client could send gets its answer, or its connection is refused."""
    statuses: Counter[str] = Counter()
    for _ in range(rounds):
        with server(bundle) as (port, process):
            timer = Timer(2, process.send_signal, [signal.SIGTERM])
            timer.start()
            statuses += drive(port, images, 8, lambda _, process=process: process.poll() is not None).statuses
            timer.join()
    print(f"sigterm: {dict(statuses)} in {rounds} rounds")


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
    if "throughput" in arguments.parts:
        throughput(arguments.bundle, files, images, arguments.rounds)
    if "latency" in arguments.parts:
        latency(arguments.bundle, images, arguments.seconds)
    if "overload" in arguments.parts:
        overload(arguments.bundle, images, arguments.seconds)
    if "reload" in arguments.parts:
        reload(arguments.bundle, arguments.other, images[:50], arguments.reloads)
    if "sigterm" in arguments.parts:
        sigterm(arguments.bundle, images, arguments.rounds)


if __name__ == "__main__":
    main()
