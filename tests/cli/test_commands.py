"""The command line: what goes to stdout, what is written, and the exit codes."""

import csv
import io
import json
import os
import shutil
from contextlib import redirect_stdout
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import draw, draw_folder
from PIL import Image
from rights import ordinary_rights

from twofold.cli import main
from twofold.core.privacy import public_address
from twofold.embedding import Engine, Probes, Runtime
from twofold.learning.run_folder import RunFolder
from twofold.networks import Backbone


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
        assert set(block) >= {"threshold", "confusion", "metrics", "per_class", "borderline"}
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
    command += ["--batch-size", "16", "--dtype", "f32", "--quiet"]
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
    with (out / "history.csv").open(encoding="utf-8", newline="") as file:  # what the best trial learned is the network
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
    out, new = tmp_path / "figures", unlike_folder(tmp_path / "new", 20)
    command = ["evaluate", str(bundle), str(new), "--out", str(out), "--json"]
    assert main([*command, "--require", "recall:rings>=0.9"]) == 0
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
    assert main([*command, "--require", "recall:rings.low>=0.99"]) == 3
    assert "recall:rings.low>=0.99 is not met, it is 0.8389" in capsys.readouterr().err  # Wilson's interval of 20 of 20
    assert main(["evaluate", str(bundle), str(drawn), "--require", "accuracy>=0.1"]) == 3
    assert "accuracy>=0.1 is not met: all test images were trained on" in capsys.readouterr().err


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
    assert "21 images" in capsys.readouterr().out
    with out.open(encoding="utf-8", newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    assert labels == ["rings"] * 20 + ["bars"]
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    draw("bars", 1).save(os.fsdecode(name))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(name), encoding="utf-8"))
    assert main(["predict", str(bundle), "-"]) == 0
    assert "caf\\udce9.png,bars" in capsys.readouterr().out


def test_predict_never_writes_over_anything_but_answers(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, answers = tmp_path / "a.png", tmp_path / "answers.csv"
    draw("bars", 1).save(path)
    before = path.read_bytes()
    assert main(["predict", str(bundle), str(path), "--out", str(path)]) == 2
    assert "is no table of predictions" in capsys.readouterr().err
    assert path.read_bytes() == before
    for words in ([], ["--force"]):
        assert main(["predict", str(bundle), str(path), "--out", str(answers), *words]) == 0
    assert len(table(answers)) == 1
    assert main(["predict", str(bundle), str(path), "--out", str(path), "--force"]) == 2


def test_predict_and_audit_replace_a_file_only_when_told_to(
    bundle: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, answers, file_report = tmp_path / "a.png", tmp_path / "answers.csv", tmp_path / "files.csv"
    draw("bars", 1).save(image)
    answers.write_text("path,label,probability,logit,reason\n")
    file_report.write_text("path,label,fate,reason\n")
    (tmp_path / "link.csv").symlink_to(answers)
    predict, audit = ["predict", str(bundle), str(image)], ["audit", str(drawn), "--quick"]
    for words, out in ((predict, answers), (predict, tmp_path / "link.csv"), (audit, file_report)):
        before = out.read_bytes()
        assert main([*words, "--out", str(out)]) == 2
        assert "exists already; pass --force" in capsys.readouterr().err
        assert out.read_bytes() == before
        assert main([*words, "--out", str(out), "--force"]) == 0
        assert len(table(out)) == (1 if words is predict else 40)
    (tmp_path / "empty.csv").touch()
    assert main([*predict, "--out", str(tmp_path / "empty.csv")]) == 0
    assert main([*predict, "--out", "/dev/null"]) == 0


def test_predict_tells_how_many_files_have_no_answer(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw("bars", 1).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"text")
    missing = [f"none-{number}.png" for number in range(600)]
    words = ["predict", str(bundle)]
    assert main([*words, str(tmp_path), *missing[:2]]) == 0
    assert capsys.readouterr().err == "twofold: 3 of 4 files have no prediction (2 missing, 1 not-a-picture).\n"
    assert main([*words, str(tmp_path / "a.png")]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(missing)))
    assert main([*words, "-"]) == 1
    said = capsys.readouterr()
    assert len(list(csv.DictReader(io.StringIO(said.out)))) == 600
    assert said.err == "twofold: 600 of 600 files have no prediction (600 missing).\n"
    for more in (["--json"], ["--out", str(tmp_path / "out.csv")], ["--quiet"]):
        assert main([*words, "none.png", *more]) == 1
        assert "1 of 1 files have no prediction (1 missing)" in capsys.readouterr().err
    assert len(table(tmp_path / "out.csv")) == 1


@pytest.mark.parametrize(
    ("address", "advice"),
    [
        ("s3://bucket/1.jpg", "copy it to this machine"),
        ("gs://bucket/1.jpg", "copy it to this machine"),
        ("abfss://box@store.net/1.jpg", "copy it to this machine"),
        ("https://host.org/1.jpg", "download the image"),
        ("hf:owner/name", "twofold fetch"),
        ("kaggle:owner/name", "twofold fetch"),
        ("file:///data/1.jpg", "give the path alone, /data/1.jpg"),
    ],
)
def test_predict_refuses_addresses_as_they_are_given(
    address: str,
    advice: str,
    bundle: Path,
    drawn: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["predict", str(bundle), str(drawn), address]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"no addresses, got {public_address(address)}: " in said.err
    assert advice in said.err
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{address}\n" * 5))
    assert main(["predict", str(bundle), "-"]) == 2
    assert f"{', '.join([public_address(address)] * 3)} and 2 more: " in capsys.readouterr().err


def test_what_opens_an_address_is_not_shown_where_it_is_refused(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for address in (
        "https://ann:secret@host/1.jpg",
        "https://host/1.jpg?X-Amz-Signature=secret",
        "s3://ann:secret@b/1",
    ):
        assert main(["predict", str(bundle), address]) == 2
        (tmp_path / "list.csv").write_text(f"path,label\n{address},cat\n")
        assert main(["audit", str(tmp_path / "list.csv")]) == 1
        said = capsys.readouterr().err
        assert said.count("://") == 2
        assert "secret" not in said


def test_evaluate_on_more_classes_advises_those_of_the_model(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_folder(tmp_path / "more", 2, start=80)
    for name, count in (("boxes", 9), ("dots", 5)):
        shutil.copytree(tmp_path / "more" / "bars", tmp_path / "more" / name)
        for number in range(count):
            draw("bars", 90 + number).save(tmp_path / "more" / name / f"{number}.png")
    command = ["evaluate", str(bundle), str(tmp_path / "more")]
    assert main(command) == 1
    assert "choose two, as in --classes bars rings." in capsys.readouterr().err
    assert main([*command, "--classes", "bars", "rings"]) == 0
    shutil.rmtree(tmp_path / "more" / "rings")
    assert main(command) == 1
    assert "the model knows 'bars' and 'rings'; rename" in capsys.readouterr().err


def test_a_split_of_a_table_is_data_everywhere(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        (path, path.parent.name, "test" if path.stem.endswith(("5", "9")) else "train") for path in drawn.rglob("*.png")
    ]
    file, out = tmp_path / "list.csv", tmp_path / "b.twofold"
    file.write_text("path,label,split\n" + "".join(f"{path},{label},{split}\n" for path, label, split in rows))
    assert main(["train", str(file), "--out", str(out)]) == 1
    assert f"train on {file}/train and evaluate on {file}/test" in capsys.readouterr().err
    assert main(["train", f"{file}/train", "--test", f"{file}/test", "--out", str(out), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["data"]["used"], result["test"]["data"]["used"]) == (32, 8)
    assert main(["evaluate", str(out), f"{file}/test", "--json"]) == 0
    assert sum(json.loads(capsys.readouterr().out)["confusion"].values()) == 8
    assert main(["audit", f"{file}/train", "--quick", "--against", f"{file}/test", "--json"]) == 0
    assert {leak["kind"] for leak in json.loads(capsys.readouterr().out)["against"]} <= {"near"}


def test_a_name_that_is_not_utf8_is_answered_and_printed(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    draw("bars", 1).save(os.fsdecode(name))
    assert main(["predict", str(bundle), str(tmp_path)]) == 0
    assert "caf\\udce9.png,bars" in capsys.readouterr().out


def test_a_terminal_that_lacks_letters_shows_their_numbers_and_json_is_ascii(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "猫.png"
    draw("bars", 1).save(path)
    out = ["--out", str(tmp_path / "a.csv")]
    for words, shown in ((out, None), ([], "\\u732b.png,bars"), (["--json"], "猫.png")):
        stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr("sys.stdout", stream)
        assert main(["predict", str(bundle), str(path), *words]) == 0
        stream.flush()
        said = stream.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]  # io.BytesIO
        if "--json" in words:
            said = json.loads(said)[0]["path"]
        assert shown is None or shown in said
    assert "猫.png,bars" in (tmp_path / "a.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["predict", "no.twofold", "x.jpg"], 1, "not there"),
        (["predict"], 2, "Missing argument"),
        (["trian", "x"], 2, "train"),
        (["train", "no-such-folder", "--out", "b.twofold"], 1, "no-such-folder"),
        (["train", ".", "--out", "b.twofold", "--threshold", "2"], 2, "--threshold"),
        (["train", ".", "--out", "b.twofold", "--folds", "1"], 2, "--folds"),
        (["train", ".", "--out", "b.twofold", "--seed", "4294967296"], 2, "--seed must lie between 0 and 4294967295"),
        (["train", ".", "--out", "b.twofold", "--nonsense"], 2, "--nonsense"),
        (["train", ".", "--out", "b.twofold", "--optimize", "recall"], 2, "optimize"),
        (["train", "ftp://example.org/a.zip", "--out", "b.twofold"], 2, "https://"),
        (["train", "kaggle:cats", "--out", "b.twofold"], 2, "kaggle:OWNER/NAME"),
        (["audit", "no-such-folder"], 1, "There is no no-such-folder"),
        (["audit", "no-such-folder", "--out", "no-folder/files.csv"], 2, "There is no folder no-folder"),
        (["audit", "no-such-folder", "--out", "."], 2, "is a folder"),
        (["fetch", "no-such.zip", "--out", "new"], 1, "no-such.zip"),
        (["fetch", "no-such.zip", "--out", "no-folder/new"], 2, "There is no folder no-folder"),
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


# A folder with every fault that an audit tells, and what it found there.


def unlike(pattern: str, number: int) -> Image.Image:
    """A drawing with patches of its own, so that no two are alike, as stripes may be."""
    random = np.random.default_rng([9, sum(pattern.encode()), number])
    patches = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((64, 64))
    return Image.blend(draw(pattern, number), patches, 0.5)


def unlike_folder(folder: Path, count: int, start: int = 0) -> Path:
    """`folder` with `count` such drawings of each label."""
    for label in ("bars", "rings"):
        (folder / label).mkdir(parents=True)
        for number in range(start, start + count):
            unlike(label, number).save(folder / label / f"{label}-{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Among drawings that are unlike: copies, one with both labels, one with the wrong label, and a file that is none."""
    folder = unlike_folder(tmp_path_factory.mktemp("messy") / "data", 20)
    bars, rings = folder / "bars", folder / "rings"
    shutil.copy(bars / "bars-000.png", bars / "z bytes.png")
    unlike("bars", 1).save(bars / "z pixels.png", compress_level=1)
    unlike("rings", 2).resize((150, 150)).save(rings / "z larger.jpg", quality=90)
    for label in (bars, rings):
        unlike("rings", 300).save(label / "z both.png")
    unlike("bars", 301).save(rings / "z wrong.png")
    (rings / "z text.jpg").write_text("Dear diary,")
    (folder / ".DS_Store").write_bytes(b"\0")
    return folder


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of two pictures that `messy` has too, one of them smaller, and a new one; no classes in it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    unlike("bars", 5).save(folder / "the same.png")
    unlike("rings", 6).resize((48, 48)).save(folder / "smaller.png")
    unlike("rings", 900).save(folder / "new.png")
    return Path(shutil.make_archive(str(folder), "zip", folder))


@pytest.fixture(scope="module")
def found(messy: Path, elsewhere: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What `audit --json` says of it, and the ledger that it wrote."""
    folder = tmp_path_factory.mktemp("audit")
    out, said = folder / "files.csv", io.StringIO()
    words = ["audit", str(messy), "--against", str(elsewhere), "--out", str(out), "--json"]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        assert main(words) == 0
    return json.loads(said.getvalue()), out


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_audit_as_json_has_the_blocks_of_the_plan(found: tuple[dict[str, Any], Path], messy: Path) -> None:
    result, _ = found
    blocks = {"data", "statuses", "reasons", "duplicates", "against", "label_issues", "label_errors_expected", "notes"}
    assert set(result) >= blocks
    assert result["data"]["counts"] == {"bars": 22, "rings": 22}  # without the two that have both labels
    assert sum(result["statuses"].values()) == result["data"]["images"] == 48
    assert result["statuses"]["skipped"] == result["data"]["skipped"] == 4
    assert result["reasons"] == {
        "conflict": 2,
        "duplicate": 2,
        "junk": 1,
        "near-duplicate": 1,
        "not-a-picture": 1,
        "possible-label-error": 1,
    }
    duplicates = {
        (Path(copy["path"]).name, Path(copy["duplicate_of"]).name, copy["kind"], copy["labels_agree"])
        for copy in result["duplicates"]
    }
    assert duplicates == {
        ("z bytes.png", "bars-000.png", "exact", True),
        ("z pixels.png", "bars-001.png", "pixels", True),
        ("z larger.jpg", "rings-002.png", "near", True),
        ("z both.png", "z both.png", "exact", False),
    }
    assert set(result["label_errors_expected"]) == {"value", "low", "high"}
    (issue,) = result["label_issues"]
    assert (issue["path"], issue["label"]) == (str(messy / "rings/z wrong.png"), "rings")
    assert issue["p_label_error"] > 0.5
    assert {note["code"] for note in result["notes"]} >= {"duplicates", "conflicts", "label_issues", "files-refused"}


def test_audit_finds_pictures_that_are_elsewhere_too(found: tuple[dict[str, Any], Path], elsewhere: Path) -> None:
    against = {(Path(leak["path"]).name, leak["duplicate_of"], leak["kind"]) for leak in found[0]["against"]}
    assert against == {
        ("bars-005.png", f"{elsewhere}/the same.png", "exact"),
        ("rings-006.png", f"{elsewhere}/smaller.png", "near"),
    }


def test_the_ledger_of_an_audit_has_a_row_for_every_file(found: tuple[dict[str, Any], Path], messy: Path) -> None:
    rows = {str(Path(row["path"]).relative_to(messy)): row for row in table(found[1])}
    assert set(rows) == {str(path.relative_to(messy)) for path in messy.rglob("*") if path.is_file()}
    statuses = {name: (row["status"], row["reason"]) for name, row in rows.items()}
    assert statuses["bars/bars-000.png"] == ("used", "")
    assert statuses["bars/z bytes.png"] == ("flagged", "duplicate")
    assert statuses["rings/z larger.jpg"] == ("flagged", "near-duplicate")
    assert statuses["bars/z both.png"] == statuses["rings/z both.png"] == ("skipped", "conflict")
    assert statuses["rings/z wrong.png"] == ("flagged", "possible-label-error")
    assert statuses["rings/z text.jpg"] == ("skipped", "not-a-picture")
    assert statuses[".DS_Store"] == ("skipped", "junk")
    assert rows["bars/z bytes.png"]["duplicate_of"] == str(messy / "bars/bars-000.png")
    assert rows["bars/z bytes.png"]["group"] == rows["bars/bars-000.png"]["group"]
    assert float(rows["rings/z wrong.png"]["p_label_error"]) > 0.5 > float(rows["rings/rings-000.png"]["p_label_error"])
    assert rows["rings/z both.png"]["p_label_error"] == rows["rings/z text.jpg"]["p_label_error"] == ""


def test_a_quick_audit_finds_copies_and_judges_no_label(messy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(messy), "--quick", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["label_issues"], result["label_errors_expected"]) == ([], None)
    assert {Path(copy["path"]).name for copy in result["duplicates"]} >= {"z bytes.png", "z pixels.png", "z larger.jpg"}
    assert "against" not in result


def test_audit_tells_people_what_is_wrong(messy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "files.csv"
    out.write_text("path,label,fate,reason\n")  # the ledger of a former audit is replaced
    assert main(["audit", str(messy), "--quick", "--out", str(out), "--force"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("48 files: ")
    assert "4 skipped; 22 bars, 22 rings\n" in said
    assert f"same bytes    {messy}/bars/z bytes.png = {messy}/bars/bars-000.png\n" in said
    assert f"{messy}/rings/z both.png = {messy}/bars/z both.png, under the other label\n" in said
    assert said.endswith(f"\nWrote {out}\n")
    assert len(table(out)) == 48


def test_audit_never_writes_over_anything_but_a_ledger(
    tmp_path: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("picture.png", "list.csv", "scores.csv"):
        (tmp_path / name).write_text("path,label\n")
        assert main(["audit", str(drawn), "--out", str(tmp_path / name)]) == 2
        assert "is no file report" in capsys.readouterr().err
        assert (tmp_path / name).read_text() == "path,label\n"


def test_a_closed_folder_stops_an_audit_only_where_it_may_be_a_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = draw_folder(tmp_path / "data", 3), tmp_path / "files.csv"
    (folder / "closed").mkdir(mode=0)
    words = ["audit", str(folder), "--quick", "--out", str(out)]
    with ordinary_rights():
        assert main(words) == 1
        assert "closed cannot be listed" in capsys.readouterr().err
        assert main([*words, "--classes", "bars", "rings"]) == 0
        assert main([*words, "--classes", "bars", "closed", "--force"]) == 1
    assert [(row["status"], row["reason"]) for row in table(out)].count(("skipped", "unreadable")) == 1


# Test pictures that the model was trained on.


@pytest.fixture
def leaking(drawn: Path, tmp_path: Path) -> Path:
    """Twelve new pictures, and three that are in `drawn`: one as it is, one saved anew, one larger and as JPEG."""
    folder = unlike_folder(tmp_path / "leaking", 6)
    shutil.copy(drawn / "bars/bars-000.png", folder / "bars/as it is.png")
    draw("bars", 1).save(folder / "bars/saved anew.png", compress_level=1)
    draw("rings", 2).resize((150, 150)).save(folder / "rings/larger.jpg", quality=90)
    return folder


def check_leaks(result: dict[str, Any]) -> None:
    """The block of the test says which pictures were trained on, and what the others give."""
    kinds = {Path(leak["path"]).name: (leak["duplicate_of"], leak["kind"]) for leak in result["leakage"]["images"]}
    assert kinds["as it is.png"] == ("bars/bars-000.png", "exact")
    assert kinds["saved anew.png"] == ("bars/bars-001.png", "pixels")
    assert kinds["larger.jpg"][1] == "near"
    assert len(kinds) == 3
    assert sum(result["confusion"].values()) == 15
    assert sum(result["leakage"]["test_unseen"]["confusion"].values()) == 12
    assert set(result["leakage"]["test_unseen"]["metrics"]) == set(result["metrics"])


def test_train_says_first_that_test_pictures_were_trained_on(
    drawn: Path, leaking: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "b.twofold"
    assert main(["train", str(drawn), "--test", str(leaking), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("WARNING: 3 test images duplicate training images (")
    assert said.index("test (unseen)  ") < said.index("  test (inflated)\n")
    result = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    check_leaks(result["test"])
    assert result["notes"][0]["code"] == "leakage"


def test_evaluate_says_first_that_test_pictures_were_trained_on(
    bundle: Path, drawn: Path, leaking: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(bundle), str(leaking)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("WARNING: 3 test images duplicate training images (")
    assert said.index("test (unseen)  ") < said.index("  test (inflated)\n")
    assert main(["evaluate", str(bundle), str(leaking), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    check_leaks(result)
    assert result["notes"][0]["code"] == "leakage"


def test_notes_say_which_pictures_they_are_about(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, out = unlike_folder(tmp_path / "other", 6), tmp_path / "b.twofold"
    first = sorted((other / "bars").iterdir())[0]
    shutil.copy(first, first.with_name("again.png"))
    assert main(["train", str(drawn), "--test", str(other), "--out", str(out)]) == 0
    for words in ([], ["evaluate", str(out), str(other)]):
        assert not words or main(words) == 0
        notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: Test pictures: ")]
        assert notes == ["note: Test set: Duplicates of other images: 1 exact. Each counts."]


def test_two_bundles_are_compared_without_what_either_was_trained_on(
    bundle: Path, drawn: Path, leaking: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second was trained on one of the other test pictures, too."""
    folder, other = tmp_path / "data", tmp_path / "other.twofold"
    shutil.copytree(drawn, folder)
    seen = next(path for path in sorted((leaking / "bars").iterdir()) if path.stem.startswith("bars-"))
    shutil.copy(seen, folder / "bars" / "seen.png")
    assert main(["train", str(folder), "--out", str(other), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(bundle), str(other), str(leaking)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("WARNING: 4 test images duplicate training images (")
    assert "first (unseen)" in said
    assert "second minus first, on test (unseen)" in said
    assert main(["evaluate", str(bundle), str(other), str(leaking), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    for each in (result, result["second"]):
        assert sum(each["confusion"].values()) == 15
        assert sum(each["leakage"]["test_unseen"]["confusion"].values()) == 11
    assert result["comparison"]["images"] == 11


def test_two_bundles_are_compared_on_the_pictures_that_both_could_read(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = unlike_folder(tmp_path / "other", 6)
    gone, engines = sorted(folder.rglob("*.png"))[0], []

    def engine(runtime: Runtime, backbone: Backbone, probes: Probes | None = None) -> Engine:
        engines.append(backbone)
        if len(engines) == 2:
            gone.unlink()
        return made(runtime, backbone, probes)

    made = Runtime.engine
    monkeypatch.setattr(Runtime, "engine", engine)
    assert main(["evaluate", str(bundle), str(bundle), str(folder), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert sum(result["confusion"].values()) == sum(result["second"]["confusion"].values()) == 11
    assert result["comparison"]["images"] == 11
    assert "not-for-both" in {note["code"] for note in result["notes"]}


def test_where_all_test_pictures_were_trained_on_there_are_no_others(
    bundle: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(bundle), str(drawn), "--json"]) == 0
    leakage = json.loads(capsys.readouterr().out)["leakage"]
    assert (len(leakage["images"]), leakage["test_unseen"]) == (40, None)


def test_new_test_pictures_are_not_warned_of(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = unlike_folder(tmp_path / "other", 6)
    assert main(["evaluate", str(bundle), str(other), "--json"]) == 0
    assert "leakage" not in json.loads(capsys.readouterr().out)


def test_a_picture_with_both_labels_is_kept_out_of_the_fit(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "data", tmp_path / "b.twofold"
    shutil.copytree(drawn, folder)
    draw("rings", 300).save(folder / "bars" / "both.png")
    draw("rings", 300).save(folder / "rings" / "both.png", compress_level=1)
    assert main(["train", str(folder), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "train: 42 files, 40 used, 2 skipped: 20 bars, 20 rings" in said
    assert f"note: Skipped 2 files with conflicting labels, such as {folder}/bars/both.png." in said
    reasons = {row["path"]: (row["status"], row["reason"]) for row in table(out / "files.csv")}
    both = [f"{label}/both.png" for label in ("bars", "rings")]
    assert [reasons[path] for path in both] == [("skipped", "conflict")] * 2
    assert not {row["path"] for row in table(out / "scores.csv")} & set(both)


# Pictures in archives.


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A zip of a train and a test part."""
    for part, count, start in (("train", 12, 0), ("test", 3, 60)):
        draw_folder(tmp_path / "pets" / part, count, start)
    return Path(shutil.make_archive(str(tmp_path / "pets"), "zip", tmp_path / "pets"))


def test_training_on_a_frozen_network_leaves_learning_that_was_begun(drawn: Path, tmp_path: Path) -> None:
    RunFolder(tmp_path / "b.learning").begin("key")
    (tmp_path / "b.learning" / "last.ckpt").touch()
    assert main(["train", str(drawn), "--out", str(tmp_path / "b.twofold"), "--quiet"]) == 0
    assert (tmp_path / "b.learning" / "last.ckpt").exists()
    assert RunFolder(tmp_path / "b.learning").begun


def test_pictures_in_an_archive_are_trained_on_and_answered_for_in_place(
    pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, scores = tmp_path / "b.twofold", tmp_path / "scores.csv"
    assert main(["train", f"{pets}/train", "--test", f"{pets}/test", "--out", str(out)]) == 0
    assert main(["evaluate", str(out), f"{pets}/test", "--require", "accuracy>=0.9"]) == 0
    assert main(["predict", str(out), f"{pets}/test", str(pets), "--out", str(scores)]) == 0
    rows = table(scores)
    assert [row["path"] for row in rows[:2]] == [f"{pets}/test/bars/bars-060.png", f"{pets}/test/bars/bars-061.png"]
    assert len(rows) == 6 + 30
    assert {row["label"] for row in rows if "/rings/" in row["path"]} == {"rings"}
    capsys.readouterr()
    assert main(["predict", str(out), str(pets), "--out", str(pets)]) == 2  # it would take the archive's place


def test_a_table_may_name_pictures_inside_an_archive(
    pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{label}/{label}-{number:03}.png" for label in ("bars", "rings") for number in (0, 1)]
    rows = [f"pets.zip/train/{name},{name.partition('/')[0]}\n" for name in names]
    (tmp_path / "list.csv").write_text("path,label\n" + "".join(rows))
    assert main(["audit", str(tmp_path / "list.csv"), "--quick", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["counts"] == {"bars": 2, "rings": 2}
    (tmp_path / "list.csv").write_text("path,label\n" + "".join(rows) + "pets.zip/train/bars/none.png,bars\n")
    assert main(["audit", str(tmp_path / "list.csv"), "--quick"]) == 1
    assert "line 6: " in capsys.readouterr().err


def test_fetch_unpacks_a_zip_and_says_what_to_type_next(
    pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new"
    assert main(["fetch", str(pets), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"Wrote {out}: 30 files\n" in said
    assert f"  twofold train {out}/train --out NAME.twofold\n  twofold evaluate NAME.twofold {out}/test\n" in said
    for path in (tmp_path / "pets").rglob("*.png"):
        assert (out / path.relative_to(tmp_path / "pets")).read_bytes() == path.read_bytes()
    assert main(["fetch", str(pets), "--out", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_fetch_checks_the_hash_that_was_given(pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hashed = sha256(pets.read_bytes()).hexdigest()
    words = ["fetch", str(pets), "--out", str(tmp_path / "new"), "--json", "--sha256"]
    assert main([*words, "0" * 64]) == 1
    assert hashed in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert main([*words, hashed.upper()]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["files"], result["sha256"], len(result["next"])) == (30, hashed, 2)


# One class, and metrics of one class.


def one_class(folder: Path, kind: str, name: str) -> Path:
    """Six new images of a class: as a folder, beside an empty one, a list, or with the class in their names."""
    other = unlike_folder(folder / "all", 6)
    if kind == "folder":
        shutil.rmtree(other / ("bars" if name == "rings" else "rings"))
    elif kind == "nested":
        shutil.rmtree(other / ("bars" if name == "rings" else "rings"))
        for day in ("monday", "tuesday"):
            (other / name / day).mkdir()
        for number, path in enumerate(sorted((other / name).glob("*.png"))):
            path.rename(other / name / ("monday", "tuesday")[number % 2] / path.name)
    elif kind == "empty beside it":
        for path in (other / ("bars" if name == "rings" else "rings")).iterdir():
            path.unlink()
    elif kind == "list":
        rows = [f"{path.relative_to(folder)},{name}" for path in sorted((other / name).iterdir())]
        (folder / "list.csv").write_text("\n".join(["path,label", *rows, ""]), encoding="utf-8")
        return folder / "list.csv"
    return other


@pytest.mark.parametrize("name", ["bars", "rings"])
@pytest.mark.parametrize("kind", ["folder", "nested", "empty beside it", "list"])
def test_a_batch_of_one_class_gives_its_recall_and_accuracy(
    kind: str, name: str, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = one_class(tmp_path, kind, name), tmp_path / "out"
    assert main(["evaluate", str(bundle), str(data), "--json", "--out", str(out)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["data"]["counts"] == {"bars": 6, "rings": 6, "rings" if name == "bars" else "bars": 0}
    assert result["metrics"]["accuracy"]["value"] == result["per_class"][name]["recall"] == 1
    assert result["per_class"][name]["intervals"]["recall"]["low"] > 0.5
    defined = {metric for metric, told in result["metrics"].items() if told["value"] is not None}
    assert defined == {"accuracy", "recall" if name == "rings" else "specificity"}
    assert (out / "confusion.svg").is_file()
    assert main(["evaluate", str(bundle), str(data), "--require", f"recall:{name}>=0.9"]) == 0
    said = capsys.readouterr().out
    assert "average precision (rings)  undefined" in said
    assert "nan" not in said
    for metric in ("roc_auc", f"precision:{name}", "recall:" + ("bars" if name == "rings" else "rings")):
        assert main(["evaluate", str(bundle), str(data), "--require", f"{metric}>=0"]) == 3
        assert f"{metric}>=0 is not met: it is undefined, because there are no images of" in capsys.readouterr().err
    assert main(["evaluate", str(bundle), str(bundle), str(data)]) == 0
    assert "nan" not in capsys.readouterr().out


def test_a_test_of_one_class_is_told_in_training_too(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = one_class(tmp_path, "folder", "bars"), tmp_path / "b.twofold"
    words = ["train", str(drawn), "--test", str(data), "--out", str(out), "--figures", str(tmp_path / "figures")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "test: 6 files, 6 used: 6 bars, 0 rings" in said
    assert "nan" not in said
    test = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))["test"]
    assert test["per_class"]["bars"]["recall"] == 1
    assert test["per_class"]["rings"]["recall"] is None
    assert "| recall of bars |" in (out / "README.md").read_text(encoding="utf-8")


def test_images_of_other_classes_are_refused_as_before(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = one_class(tmp_path, "folder", "bars")
    (data / "bars").rename(data / "stripes")
    assert main(["evaluate", str(bundle), str(data)]) == 1
    assert "stripes" in capsys.readouterr().err
    shutil.rmtree(data / "stripes")
    (data / "bars").mkdir()
    assert main(["evaluate", str(bundle), str(data)]) == 1


def missing_bars(folder: Path) -> Path:
    """Twelve rings, and twelve bars of which half look like rings: the bars are the class that is missed."""
    other = unlike_folder(folder, 18)
    for path in sorted((other / "bars").iterdir())[:12]:
        path.unlink()
    for path in sorted((other / "rings").iterdir())[:6]:
        path.rename(other / "bars" / path.name)
    return other


def test_a_requirement_of_a_class_that_nobody_chose_is_refused_before_any_work(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for metric in ("recall", "precision.low", "f1", "specificity", "average-precision"):
        assert main(["evaluate", str(bundle), str(tmp_path / "none"), "--require", f"{metric}>=0.98"]) == 2
        assert "'rings' is positive by alphabetical order alone: write" in capsys.readouterr().err
    assert main(["evaluate", str(bundle), str(tmp_path / "none"), "--require", "recall:ring>=0.9"]) == 2
    assert "did you mean 'rings'" in capsys.readouterr().err


def test_a_gate_is_about_the_class_that_it_names(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(missing_bars(tmp_path / "data"))
    assert main(["evaluate", str(bundle), data, "--require", "recall:rings>=0.98"]) == 0
    assert main(["evaluate", str(bundle), data, "--require", "recall:bars>=0.98"]) == 3
    assert "recall:bars>=0.98 is not met, it is 0.5000." in capsys.readouterr().err
    assert main(["evaluate", str(bundle), data, "--require", "recall:bars.low>=0.3"]) == 3
    assert main(["evaluate", str(bundle), data, "--positive", "bars", "--require", "recall>=0.98"]) == 3
    assert main(["evaluate", str(bundle), data, "--positive", "rings", "--require", "recall>=0.98"]) == 0


def test_evaluate_speaks_of_the_class_that_is_asked_for_and_answers_as_before(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(missing_bars(tmp_path / "data"))
    plain, bars, rings = (
        json.loads(said_by(main, ["evaluate", str(bundle), data, "--json", *more], capsys))
        for more in ([], ["--positive", "bars"], ["--positive", "rings"])
    )
    assert plain["metrics"] == rings["metrics"]
    assert (plain["data"]["positive"], bars["data"]["positive"]) == ("rings", "bars")
    assert bars["metrics"]["recall"] == plain["metrics"]["specificity"]
    assert bars["metrics"]["recall"]["value"] == 0.5
    cells = plain["confusion"]
    assert bars["confusion"] == {"tn": cells["tp"], "fp": cells["fn"], "fn": cells["fp"], "tp": cells["tn"]}
    codes = [{note["code"] for note in result["notes"]} for result in (plain, bars, rings)]
    assert ["positive-by-alphabet" in code for code in codes] == [True, False, False]
    text = said_by(main, ["evaluate", str(bundle), data, "--positive", "bars"], capsys)
    assert "recall (bars)" in text
    assert "average precision (bars)" in text
    assert "(rings)" not in text
    assert main(["evaluate", str(bundle), data, "--positive", "bar"]) == 2


def said_by(run: Any, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(words) == 0
    return capsys.readouterr().out


def test_that_the_alphabet_chose_the_positive_class_is_noted(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "'rings' is the positive class, because it is second in alphabetical order"
    words = ["train", str(drawn), "--quiet", "--force", "--out", str(tmp_path / "b.twofold")]
    assert told in said_by(main, words, capsys)
    assert "counts as the positive class" not in said_by(main, [*words, "--positive", "rings"], capsys)
    data = str(unlike_folder(tmp_path / "new", 6))
    words = ["evaluate", str(tmp_path / "b.twofold"), data, "--require", "recall>=0.9"]
    assert "counts as the positive class" not in said_by(main, words, capsys)
