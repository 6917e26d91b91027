"""A run into parts gives each path one row, whatever ends it in between."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import part_predictors
import pytest
from part_predictors import part_bytes, predict_paths, rows, write_list

from twofold.bundle.storage import load_bundle
from twofold.cli import main
from twofold.core.errors import DataError, UsageError
from twofold.workflows.predict import Predictor
from twofold.workflows.scale.part_files import is_whole
from twofold.workflows.scale.prediction_rows import PredictionFormat

NAMES = [f"{number:05}.jpg" for number in range(20 * 512 - 100)]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_rows_are_those_of_the_predictor_to_the_bit(
    bundle: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(next((drawn / "bars").iterdir()).read_bytes()[:100])
    files = [*sorted((drawn / "bars").iterdir()), tmp_path / "gone.jpg", damaged]
    listed = write_list(tmp_path / "images.txt", [*map(str, files), str(files[0])])
    arguments = ["predict", str(bundle), str(listed), "--out", str(tmp_path / "out"), "--engine", "local"]
    assert main(arguments) == 0
    assert "22 images in 1 part" in capsys.readouterr().out
    with Predictor(load_bundle(bundle)) as predictor:
        expected = {prediction.path: prediction for prediction in predictor.predict(files)}
    found = rows(tmp_path / "out")
    assert [row["path"] for row in found] == sorted(map(str, files))
    for row in found:
        prediction = expected[row["path"]]
        assert row.pop("model") == load_bundle(bundle).record["sha256"]
        assert row == {name: getattr(prediction, name) for name in row}
    assert {"missing", "truncated"} <= {row["reason"] for row in found}
    assert main(arguments) == 0
    assert "1 of them before" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_that_is_killed_at_any_moment_ends_as_one_that_is_not(tmp_path: Path) -> None:
    listed, processes = write_list(tmp_path / "images.txt", NAMES), tmp_path / "processes"
    predict_paths([listed], tmp_path / "whole", processes)
    command = [sys.executable, part_predictors.__file__, str(listed), str(tmp_path / "out"), str(processes), "0.05"]
    generator = random.Random(0)
    for round_number in range(6):
        run = subprocess.Popen(command)
        time.sleep(generator.uniform(0.3, 2.2))
        workers = [int(file.name) for file in processes.iterdir() if alive(int(file.name))]
        if round_number % 3 == 2 and workers:  # the worker alone: the run goes on
            os.kill(workers[0], 9)
            time.sleep(0.5)
        run.kill()
        run.wait()
        deadline = time.monotonic() + 5
        while any(alive(int(file.name)) for file in processes.iterdir()):
            assert time.monotonic() < deadline, "a worker was left behind"
            time.sleep(0.05)
    subprocess.run(command, check=True)
    assert part_bytes(tmp_path / "out") == part_bytes(tmp_path / "whole")
    assert [row["path"] for row in rows(tmp_path / "out")] == [str(tmp_path / name) for name in NAMES]


def test_an_image_at_which_workers_end_twice_is_one_row_and_others_are_answered(tmp_path: Path) -> None:
    names = [*NAMES[:600], "00010-killer.jpg", "00020-killer.jpg", "00030-once.jpg"]
    result = predict_paths([write_list(tmp_path / "images.txt", names)], tmp_path / "out", tmp_path / "processes")
    found = rows(tmp_path / "out")
    assert [row["path"] for row in found] == sorted(str(tmp_path / name) for name in names)
    assert [Path(row["path"]).name for row in found if row["reason"] == "crashed"] == names[600:602]
    assert all(row["label"] for row in found if row["reason"] is None)
    assert result.reasons == {None: 601, "crashed": 2}
    assert [note.code for note in result.notes] == ["drawn"]


def test_ctrl_c_while_the_worker_starts_ends_both_without_a_word(bundle: Path, drawn: Path, tmp_path: Path) -> None:
    words = ["predict", str(bundle), str(drawn), "--out", str(tmp_path / "out"), "--engine", "local"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    run = subprocess.Popen(
        [sys.executable, "-m", "twofold", *words], stderr=subprocess.PIPE, env=environment, start_new_session=True
    )
    started = Path(f"/proc/{run.pid}/task/{run.pid}/children")
    while not (worker := next(filter(is_worker, started.read_text(encoding="ascii").split()), None)):
        time.sleep(0.001)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does
    assert run.communicate() == (None, b"")
    assert run.returncode in (130, -signal.SIGINT)
    assert not alive(int(worker))


def is_worker(process: str) -> bool:
    return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()


@pytest.mark.slow
def test_images_that_all_end_the_worker_are_an_error(tmp_path: Path) -> None:
    listed = write_list(tmp_path / "images.txt", [f"killer-{number}.jpg" for number in range(20)])
    with pytest.raises(Exception, match="8 images in a row ended the worker process"):
        predict_paths([listed], tmp_path / "out", tmp_path / "processes")


def test_a_damaged_part_is_done_anew(tmp_path: Path) -> None:
    listed = write_list(tmp_path / "images.txt", NAMES[:1100])
    predict_paths([listed], tmp_path / "out", tmp_path / "processes")
    whole = part_bytes(tmp_path / "out")
    first, second, third = sorted((tmp_path / "out" / "parts").iterdir())
    first.write_bytes(first.read_bytes()[:-20])
    second.write_bytes(third.read_bytes())
    result = predict_paths([listed], tmp_path / "out", tmp_path / "processes")
    assert result.finished_before == 1
    assert part_bytes(tmp_path / "out") == whole


def test_a_part_with_any_changed_bit_is_done_anew(tmp_path: Path) -> None:
    names = [f"{'0' * 64}/{name}" for name in NAMES[:300]]  # zeros, as where the checksum goes
    listed = write_list(tmp_path / "images.txt", names)
    predict_paths([listed], tmp_path / "out", tmp_path / "processes")
    (file,) = (tmp_path / "out" / "parts").iterdir()
    data, digest, generator = file.read_bytes(), file.stem.removeprefix("part-"), random.Random(0)
    assert is_whole(file.parent, digest, len(names), PredictionFormat())
    for _ in range(1000):
        changed = bytearray(data)
        changed[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        file.write_bytes(changed)
        assert not is_whole(file.parent, digest, len(names), PredictionFormat())
    predict_paths([listed], tmp_path / "out", tmp_path / "processes")
    assert file.read_bytes() == data


def test_further_paths_become_further_parts_and_paths_that_are_gone_stay(tmp_path: Path) -> None:
    listed = write_list(tmp_path / "images.txt", NAMES[:600])
    predict_paths([listed], tmp_path / "out", tmp_path / "processes")
    before = part_bytes(tmp_path / "out")
    write_list(listed, ["00000-a.jpg", *NAMES[5:600], "b.jpg"])
    result = predict_paths([listed], tmp_path / "out", tmp_path / "processes")
    assert (result.images, result.parts, result.finished_before) == (602, 3, 2)
    assert before.items() < part_bytes(tmp_path / "out").items()
    expected = sorted(str(tmp_path / name) for name in [*NAMES[:600], "00000-a.jpg", "b.jpg"])
    assert [row["path"] for row in rows(tmp_path / "out")] == expected


def test_another_bundle_and_files_of_others_are_refused(tmp_path: Path) -> None:
    listed = write_list(tmp_path / "images.txt", NAMES[:10])
    predict_paths([listed], tmp_path / "out", tmp_path / "processes")
    with pytest.raises(UsageError, match="holds the parts of another bundle"):
        predict_paths([listed], tmp_path / "out", tmp_path / "processes", model="b" * 64)
    with pytest.raises(UsageError, match="holds files that are not of a run"):
        predict_paths([listed], tmp_path, tmp_path / "processes")
    (tmp_path / "out" / "parts" / "part-0.parquet").touch()
    with pytest.raises(DataError, match="of no part of its plan"):
        predict_paths([listed], tmp_path / "out", tmp_path / "processes")


def test_a_folder_that_another_run_is_writing_to_is_refused(tmp_path: Path) -> None:
    listed, processes = write_list(tmp_path / "images.txt", NAMES), tmp_path / "processes"
    processes.mkdir()
    command = [sys.executable, part_predictors.__file__, str(listed), str(tmp_path / "out"), str(processes), "1"]
    run = subprocess.Popen(command)
    try:
        while not any(processes.iterdir()):
            time.sleep(0.05)
        with pytest.raises(UsageError, match=f"is being written by the process {run.pid}"):
            predict_paths([listed], tmp_path / "out", processes)
    finally:
        run.kill()
        run.wait()


def test_a_disk_that_is_full_is_one_sentence_and_nothing_finished_is_lost(tmp_path: Path) -> None:
    listed = write_list(tmp_path / "images.txt", NAMES[:1100])
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)); "
        "from twofold.core.errors import TwofoldError; from part_predictors import *\n"
        f"try: predict_paths([Path({str(listed)!r})], Path({str(tmp_path / 'out')!r}), Path({str(tmp_path / 'numbers')!r}))\n"
        "except TwofoldError as error: print(error)"
    )
    predict_paths([listed], tmp_path / "whole", tmp_path / "processes")
    largest = max(map(len, part_bytes(tmp_path / "whole").values()))
    program = program.replace("30_000", str(largest - 1))
    (tmp_path / "out").mkdir()
    for name in ("plan-1.txt", "run.json"):  # larger than the limit
        (tmp_path / "out" / name).write_bytes((tmp_path / "whole" / name).read_bytes())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert "cannot be written (File too large): make room" in done.stdout, done
    assert not [file for file in (tmp_path / "out" / "parts").iterdir() if file.name.startswith(".")]
    predict_paths([listed], tmp_path / "out", tmp_path / "processes")
    assert part_bytes(tmp_path / "out") == part_bytes(tmp_path / "whole")
