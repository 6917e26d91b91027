"""The command line: what goes to stdout, what is written, and the exit codes."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
from drawings import draw, draw_folder

from twofold.cli import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_train_prints_the_numbers_and_writes_the_bundle(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "drawn.twofold"
    assert main(["train", str(drawn), "--out", str(out), "--positive", "bars"]) == 0
    said = capsys.readouterr()
    assert "40 files, 40 used: 20 bars, 20 rings (positive: bars)" in said.out
    assert "confusion matrix" in said.out
    assert said.err == ""
    record = json.loads((out / "bundle.json").read_text(encoding="utf-8"))
    assert record["command"] == ["twofold", "train", str(drawn), "--out", str(out), "--positive", "bars"]


def test_train_as_json_has_the_blocks_of_the_plan(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = draw_folder(tmp_path / "other", 3, start=60)
    command = ["train", str(drawn), "--test", str(other), "--out", str(tmp_path / "b.twofold"), "--json"]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["data"]["counts"] == {"bars": 20, "rings": 20}
    assert result["test"]["data"]["used"] == 6
    for block in (result["cross_validation"], result["test"]):
        assert set(block) >= {"threshold", "confusion", "metrics", "per_class", "hesitant"}
        assert set(block["metrics"]["accuracy"]) == {"value", "low", "high"}
    assert result["seconds"]["total"] >= result["seconds"]["embed"]


def test_figures_of_the_honest_scores_and_of_the_test_are_drawn(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, figures = draw_folder(tmp_path / "other", 3, start=60), tmp_path / "figures"
    command = ["train", str(drawn), "--test", str(other), "--out", str(tmp_path / "b.twofold")]
    assert main([*command, "--figures", str(figures)]) == 0
    assert f"figures into {figures}" in capsys.readouterr().out
    names = {"confusion.svg", "precision_recall.svg", "reliability.svg", "roc.svg", "scores.svg"}
    assert {path.name for path in figures.iterdir()} == names | {f"test_{name}" for name in names}
    assert "Confusion matrix, out-of-fold" in (figures / "confusion.svg").read_text(encoding="utf-8")


def test_a_folder_for_figures_that_is_none_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    command = ["train", str(tmp_path / "no-such-folder"), "--out", str(tmp_path / "b.twofold")]
    assert main([*command, "--figures", str(tmp_path / "mine.txt")]) == 2
    assert "--figures takes a folder" in capsys.readouterr().err


def test_what_was_tuned_is_printed_drawn_and_in_the_bundle(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, figures = tmp_path / "b.twofold", tmp_path / "figures"
    command = ["train", str(drawn), "--out", str(out), "--mode", "scratch", "--size", "48", "--epochs", "2"]
    command += ["--batch-size", "16", "--precision", "f32", "--quiet"]
    assert main([*command, "--tune", "2", "--figures", str(figures)]) == 0
    said = capsys.readouterr()
    assert "the recipe as it is" in said.out
    assert "2 settings" in said.out
    assert said.err == ""
    assert {"curves.svg", "tuning.svg"} <= {path.name for path in figures.iterdir()}
    tuning = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))["learning"]["tuning"]
    with (out / "tuning.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["1", "2"]
    assert float(rows[0]["learning_rate"]) == tuning["trials"][0]["settings"]["learning_rate"] == 1e-3
    assert rows[0]["val_loss"] == f"{tuning['trials'][0]['loss']:.6g}"
    assert "batch_size" not in rows[0]  # which was given
    assert not list(tmp_path.glob("b.learning/**/*.ckpt"))
    with (out / "learning.csv").open(
        encoding="utf-8", newline=""
    ) as file:  # what the best trial learned is the network
        lowest = min(float(row["val_loss"]) for row in csv.DictReader(file))
    assert lowest == pytest.approx(min(trial["loss"] for trial in tuning["trials"]), rel=1e-4)


def test_an_existing_bundle_is_refused_before_any_work(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(tmp_path / "no-such-folder"), "--out", str(bundle)]) == 2
    assert "--force" in capsys.readouterr().err


def test_evaluate_gives_json_figures_and_meets_or_misses_requirements(
    bundle: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures"
    command = ["evaluate", str(bundle), str(drawn), "--out", str(out), "--json"]
    assert main([*command, "--require", "recall>=0.9"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["confusion"] == {"tn": 20, "fp": 0, "fn": 0, "tp": 20}
    assert json.loads((out / "evaluation.json").read_text(encoding="utf-8"))["confusion"] == result["confusion"]
    assert {path.name for path in out.iterdir()} == {
        "confusion.svg",
        "evaluation.json",
        "precision_recall.svg",
        "reliability.svg",
        "roc.svg",
        "scores.svg",
    }
    assert main([*command, "--require", "recall.low>=0.99"]) == 3
    assert "recall.low>=0.99 is not met, it is 0.8389" in capsys.readouterr().err  # Wilson's interval of 20 of 20


def test_evaluate_compares_two_bundles_on_the_same_pictures(
    bundle: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(bundle), str(bundle), str(drawn), "--json"]) == 0
    comparison = json.loads(capsys.readouterr().out)["comparison"]
    assert comparison["differences"]["accuracy"]["value"] == 0
    assert comparison["p_value"] == 1.0


def test_predict_answers_in_the_order_given_and_says_why_not(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / name for name in ("z.png", "broken.jpg", "a.png")]
    draw("rings", 70).save(paths[0])
    paths[1].write_bytes(b"\xff\xd8\xff")
    draw("bars", 70).save(paths[2])
    missing = tmp_path / "missing.jpg"
    assert main(["predict", str(bundle), *map(str, [*paths, missing])]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["path"] for row in rows] == list(map(str, [*paths, missing]))
    assert [row["label"] for row in rows] == ["rings", "", "bars", ""]
    assert rows[3]["reason"] == "missing"
    assert rows[1]["reason"]
    assert rows[1]["probability"] == ""
    assert float(rows[0]["probability"]) > 0.5 > float(rows[2]["probability"])


def test_predict_reads_paths_from_stdin_and_writes_a_file(
    bundle: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{drawn / 'rings'}\n{drawn / 'bars' / 'bars-001.png'}\n"))
    out = tmp_path / "scores.csv"
    assert main(["predict", str(bundle), "-", "--out", str(out)]) == 0
    assert "21 pictures" in capsys.readouterr().out
    with out.open(encoding="utf-8", newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    assert labels == ["rings"] * 20 + ["bars"]


def test_predict_never_writes_over_a_picture_that_it_is_asked_about(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.png"
    draw("bars", 1).save(path)
    before = path.read_bytes()
    assert main(["predict", str(bundle), str(tmp_path), "--out", str(path)]) == 2
    assert "is one of the pictures" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_name_that_is_not_utf8_is_answered_and_printed(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    draw("bars", 1).save(os.fsdecode(name))
    assert main(["predict", str(bundle), str(tmp_path)]) == 0
    assert "caf\\udce9.png,bars" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["predict", "no.twofold", "x.jpg"], 1, "not there"),
        (["predict"], 2, "Missing argument"),
        (["trian", "x"], 2, "train"),
        (["train", "no-such-folder", "--out", "b.twofold"], 1, "no-such-folder"),
        (["train", ".", "--out", "b.twofold", "--threshold", "2"], 2, "--threshold"),
        (["train", ".", "--out", "b.twofold", "--folds", "1"], 2, "--folds"),
        (["train", ".", "--out", "b.twofold", "--nonsense"], 2, "--nonsense"),
        (["train", ".", "--out", "b.twofold", "--optimize", "recall"], 2, "optimize"),
    ],
)
def test_what_is_wrong_is_one_sentence_on_stderr(
    words: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == code
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_requirement_with_a_mistyped_name_is_refused_before_any_work(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(bundle), "no-such-folder", "--require", "recal>=0.9"]) == 2
    assert "recall" in capsys.readouterr().err
