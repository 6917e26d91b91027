"""The command line: what goes to stdout, what is written, and the exit codes."""

import csv
import io
import json
import os
import re
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


def figure_names(prefix: str) -> set[str]:
    names = ("confusion", "precision_recall", "reliability", "roc", "scores", "net_benefit", "cost_curve")
    return {f"{prefix}{name}{suffix}" for name in names for suffix in (".svg", ".png")}


def one_line(text: str) -> str:
    """The text without its line breaks, which depend on the length of paths."""
    return " ".join(text.split())


def test_train_prints_the_numbers_and_writes_the_bundle(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "drawn.twofold"
    assert main(["train", str(drawn), "--out", str(out), "--positive", "bars"]) == 0
    output = capsys.readouterr()
    assert "40 files, 40 used: 20 bars, 20 rings (positive: bars)" in output.out
    assert "confusion matrix" in output.out
    assert output.err == ""
    record = json.loads((out / "bundle.json").read_text(encoding="utf-8"))
    assert record["command"] == ["twofold", "train", str(drawn), "--out", str(out), "--positive", "bars"]


def test_a_promise_is_kept_by_the_bundle_or_refused_before_it_is_written(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "drawn.twofold"
    command = ["train", str(drawn), "--out", str(out), "--positive", "bars", "--quiet"]
    assert main([*command, "--promise", "recall>=0.99"]) == 1
    error = one_line(capsys.readouterr().err)
    assert "recall>=0.99 cannot be promised at 95% confidence with " in error
    assert "it takes 299 of which none fails" in error
    assert not out.exists()
    assert main([*command, "--promise", "recall>=0.8", "--promise", "fpr<=0.2", "--confidence", "0.9"]) == 0
    output = one_line(capsys.readouterr().out)
    assert "Promised at 90% confidence" in output
    assert re.search(r"recall>=0.8: 0 of \d+ positives missed, \d allowed fpr<=0.2: 0 of", output)
    policy = json.loads((out / "bundle.json").read_text(encoding="utf-8"))["rule"]["policy"]
    assert policy["parameters"] == {
        "promise": ["recall>=0.8", "fpr<=0.2"],
        "confidence": 0.9,
        "abstain": False,
        "simultaneous": False,
    }
    other = draw_folder(tmp_path / "other", 10, start=70)
    assert main(["evaluate", str(out), str(other), "--quiet"]) == 0
    assert re.search(r"recall>=0.8 \(\w+ is positive\): 1.0000, kept; 0 of \d+ pos", one_line(capsys.readouterr().out))
    assert main(["evaluate", str(out), str(other), "--quiet", "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)["promises"]
    assert [(check["promise"], check["verdict"]) for check in checks] == [("recall>=0.8", "kept"), ("fpr<=0.2", "kept")]


def test_unsure_images_have_no_label_and_a_reason(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "drawn.twofold"
    command = ["train", str(drawn), "--out", str(out), "--positive", "bars", "--quiet"]
    assert main([*command, "--cost-fp", "1", "--cost-fn", "1", "--cost-unsure", "0.001"]) == 0
    output = one_line(capsys.readouterr().out)
    assert "Cost per 1,000 images: " in output
    assert "unsure between 0.0010 and 0.9990" in output
    assert "error among decided" in output
    main(["predict", str(out), str(drawn), "--quiet"])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    unsure = [row for row in rows if 0.001 <= float(row["probability"]) < 0.999]
    assert unsure
    assert all((row["label"], row["reason"]) == ("", "unsure") for row in unsure)
    assert main(["evaluate", str(out), str(drawn), "--quiet", "--require", "coverage>=0.99"]) == 3
    assert "coverage>=0.99 is not met" in capsys.readouterr().err
    other = draw_folder(tmp_path / "other", 10, start=70)
    assert main(["evaluate", str(out), str(other), "--quiet", "--require", "cost<=1000", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert 0 < result["cost"]["per_1000"]["value"] < 1.001
    assert result["cost"]["always"] == {"bars": 500, "rings": 500}
    assert main(["evaluate", str(out), str(other), "--quiet", "--require", "cost<=0.0001"]) == 3
    captured = capsys.readouterr()
    assert "Cost per 1,000 images: " in captured.out
    assert "cost<=0.0001 is not met" in captured.err


def test_a_cost_is_required_of_a_bundle_that_was_trained_for_costs(
    bundle: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(bundle), str(drawn), "--quiet", "--require", "cost<=12"]) == 2
    error = one_line(capsys.readouterr().err)
    assert "'cost<=12': the rule of this bundle was chosen by the policy 'accuracy', which has no costs" in error


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


def test_figures_of_out_of_fold_scores_and_of_the_test_set_are_drawn(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, figures = draw_folder(tmp_path / "other", 3, start=60), tmp_path / "figures"
    command = ["train", str(drawn), "--test", str(other), "--out", str(tmp_path / "b.twofold")]
    assert main([*command, "--figures", str(figures)]) == 0
    assert f"figures to {figures}" in one_line(capsys.readouterr().out)
    names = figure_names("") | figure_names("test_")
    assert {path.name for path in figures.iterdir()} == names
    assert "out-of-fold" in (figures / "confusion.svg").read_text(encoding="utf-8")


def test_a_file_instead_of_a_folder_for_figures_is_a_usage_error_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    command = ["train", str(tmp_path / "no-such-folder"), "--out", str(tmp_path / "b.twofold")]
    assert main([*command, "--figures", str(tmp_path / "mine.txt")]) == 2
    assert "--figures must be a folder" in capsys.readouterr().err


def test_hyper_parameter_search_is_printed_drawn_and_in_the_bundle(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, figures = tmp_path / "b.twofold", tmp_path / "figures"
    command = ["train", str(drawn), "--out", str(out), "--mode", "scratch", "--size", "48", "--epochs", "2"]
    command += ["--batch-size", "16", "--dtype", "f32", "--quiet"]
    assert main([*command, "--tune", "2", "--figures", str(figures)]) == 0
    output = capsys.readouterr()
    assert "the recipe" in output.out
    assert "learning rate" in output.out
    assert output.err == ""
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


def test_an_existing_bundle_is_a_usage_error_before_any_work(
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
    assert {path.name for path in out.iterdir()} == {"evaluation.json", "report.html"} | figure_names("")
    assert main([*command, "--require", "recall:rings.low>=0.99"]) == 3
    assert (
        "recall:rings.low>=0.99 is not met: the value is 0.8389" in capsys.readouterr().err
    )  # Wilson's interval of 20 of 20
    assert main(["evaluate", str(bundle), str(drawn), "--require", "accuracy>=0.1"]) == 3
    assert "accuracy>=0.1 is not met: all test images duplicate training images" in capsys.readouterr().err


def test_evaluate_compares_two_bundles_on_the_same_images(
    bundle: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures"
    assert main(["evaluate", str(bundle), str(bundle), str(drawn), "--json", "--out", str(out)]) == 0
    assert {path.name for path in out.glob("*.*g")} == figure_names("first_") | figure_names("second_")
    assert f"second: {bundle.name}" in (out / "second_roc.svg").read_text(encoding="utf-8")
    comparison = json.loads(capsys.readouterr().out)["comparison"]
    assert comparison["differences"]["accuracy"]["value"] == 0
    assert comparison["p_value"] == 1.0


def test_an_unfamiliar_image_has_no_label_unless_every_image_is_to_be_answered(
    bundle: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (80, 80), "red").save(tmp_path / "red.png")
    words = [str(tmp_path / "red.png"), str(drawn / "bars" / "bars-000.png")]
    assert main(["predict", str(bundle), *words]) == 0
    captured = capsys.readouterr()
    (red, bars) = csv.DictReader(io.StringIO(captured.out))
    assert list(red) == ["path", "label", "probability", "familiarity", "logit", "reason"]
    assert (red["label"], red["reason"], bars["label"]) == ("", "unfamiliar", "bars")
    assert captured.err == "twofold: no prediction for 1 of 2 files (1 unfamiliar).\n"
    assert main(["predict", str(bundle), *words, "--always-answer"]) == 0
    captured = capsys.readouterr()
    (answered, _) = csv.DictReader(io.StringIO(captured.out))
    assert answered["label"] in ("bars", "rings")
    assert answered == {**red, "label": answered["label"], "reason": ""}
    assert captured.err == ""


def test_without_a_gate_every_image_is_answered_and_has_a_familiarity(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (80, 80), "red").save(tmp_path / "red.png")
    bundle = tmp_path / "open.twofold"
    assert main(["train", str(drawn), "--out", str(bundle), "--no-gate", "--effort", "fast", "--json"]) == 0
    assert "few-images-for-gate" not in capsys.readouterr().out
    assert main(["predict", str(bundle), str(tmp_path / "red.png")]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["label"] in ("bars", "rings")
    assert 0 < float(row["familiarity"]) < 1


def test_evaluate_counts_unfamiliar_images_as_undecided(
    bundle: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("bars", "rings"):
        (tmp_path / "test" / name).mkdir(parents=True)
        for number in range(8):
            draw(name, 200 + number).save(tmp_path / "test" / name / f"{number}.png")
        Image.new("RGB", (80, 80), "red" if name == "bars" else "blue").save(tmp_path / "test" / name / "flat.png")
    assert main(["evaluate", str(bundle), str(tmp_path / "test"), "--json"]) == 0
    decided = json.loads(capsys.readouterr().out)["decided"]
    assert decided["unfamiliar"]["value"] == pytest.approx(2 / 18)
    assert decided["coverage"]["value"] == pytest.approx(16 / 18)
    assert main(["evaluate", str(bundle), str(tmp_path / "test")]) == 0
    assert "images unlike the training images are unfamiliar" in capsys.readouterr().out


def test_predict_keeps_the_order_and_gives_reasons(
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


def test_predict_replaces_nothing_but_predictions(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, answers = tmp_path / "a.png", tmp_path / "answers.csv"
    draw("bars", 1).save(path)
    before = path.read_bytes()
    assert main(["predict", str(bundle), str(path), "--out", str(path)]) == 2
    assert "is not a table of predictions" in capsys.readouterr().err
    assert path.read_bytes() == before
    for words in ([], ["--force"]):
        assert main(["predict", str(bundle), str(path), "--out", str(answers), *words]) == 0
    assert len(table(answers)) == 1
    assert main(["predict", str(bundle), str(path), "--out", str(path), "--force"]) == 2


def test_predict_and_audit_replace_a_file_only_with_force(
    bundle: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, answers, file_report = tmp_path / "a.png", tmp_path / "answers.csv", tmp_path / "files.csv"
    draw("bars", 1).save(image)
    answers.write_text("path,label,probability,familiarity,logit,reason\n")
    file_report.write_text("path,label,status,reason\n")
    (tmp_path / "link.csv").symlink_to(answers)
    predict, audit = ["predict", str(bundle), str(image)], ["audit", str(drawn), "--quick"]
    for words, out in ((predict, answers), (predict, tmp_path / "link.csv"), (audit, file_report)):
        before = out.read_bytes()
        assert main([*words, "--out", str(out)]) == 2
        assert "exists already; replace it with --force" in capsys.readouterr().err
        assert out.read_bytes() == before
        assert main([*words, "--out", str(out), "--force"]) == 0
        assert len(table(out)) == (1 if words is predict else 40)
    (tmp_path / "empty.csv").touch()
    assert main([*predict, "--out", str(tmp_path / "empty.csv")]) == 0
    assert main([*predict, "--out", "/dev/null"]) == 0


def test_predict_counts_files_without_a_prediction(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw("bars", 1).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"text")
    missing = [f"none-{number}.png" for number in range(600)]
    words = ["predict", str(bundle)]
    assert main([*words, str(tmp_path), *missing[:2]]) == 0
    assert capsys.readouterr().err == "twofold: no prediction for 3 of 4 files (2 missing, 1 not-an-image).\n"
    assert main([*words, str(tmp_path / "a.png")]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(missing)))
    assert main([*words, "-"]) == 1
    output = capsys.readouterr()
    assert len(list(csv.DictReader(io.StringIO(output.out)))) == 600
    assert output.err == "twofold: no prediction for 600 of 600 files (600 missing).\n"
    for more in (["--json"], ["--out", str(tmp_path / "out.csv")], ["--quiet"]):
        assert main([*words, "none.png", *more]) == 1
        assert "no prediction for 1 of 1 file (1 missing)" in capsys.readouterr().err
    assert len(table(tmp_path / "out.csv")) == 1


@pytest.mark.parametrize(
    ("address", "advice"),
    [
        ("s3://bucket/1.jpg", "download it with the client of its store"),
        ("gs://bucket/1.jpg", "download it with the client of its store"),
        ("abfss://box@store.net/1.jpg", "download it with the client of its store"),
        ("https://host.org/1.jpg", "download the image"),
        ("hf:owner/name", "fetch the archive that holds it"),
        ("kaggle:owner/name", "fetch the archive that holds it"),
        ("file:///data/1.jpg", "give the path alone, /data/1.jpg"),
    ],
)
def test_predict_takes_no_addresses(
    address: str,
    advice: str,
    bundle: Path,
    drawn: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["predict", str(bundle), str(drawn), address]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert f"not addresses, got {public_address(address)}: " in output.err
    assert advice in output.err
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{address}\n" * 5))
    assert main(["predict", str(bundle), "-"]) == 2
    assert f"{', '.join([public_address(address)] * 3)} and 2 more: " in capsys.readouterr().err


def test_credentials_of_an_address_are_not_shown_in_errors(
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
        output = capsys.readouterr().err
        assert output.count("://") == 2
        assert "secret" not in output


def test_evaluate_on_more_classes_suggests_the_classes_of_the_model(
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
    assert "the model has 'bars' and 'rings'; rename" in capsys.readouterr().err


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


def test_a_name_that_is_not_utf8_is_predicted_and_printed(
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
        output = stream.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]  # io.BytesIO
        if "--json" in words:
            output = json.loads(output)[0]["path"]
        assert shown is None or shown in output
    assert "猫.png,bars" in (tmp_path / "a.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "output"),
    [
        (["predict", "no.twofold", "x.jpg"], 1, "no.twofold does not exist"),
        (["predict"], 2, "Missing argument"),
        (["trian", "x"], 2, "train"),
        (["train", "no-such-folder", "--out", "b.twofold"], 1, "no-such-folder"),
        (["train", ".", "--out", "b.twofold", "--threshold", "2"], 2, "--threshold"),
        (["train", ".", "--out", "b.twofold", "--folds", "1"], 2, "--folds"),
        (["train", ".", "--out", "b.twofold", "--seed", "4294967296"], 2, "--seed must be in [0, 4294967295]"),
        (["train", ".", "--out", "b.twofold", "--nonsense"], 2, "--nonsense"),
        (["train", ".", "--out", "b.twofold", "--optimize", "recall"], 2, "optimize"),
        (["train", ".", "--out", "b.twofold", "--promise", "recal>=0.9"], 2, "did you mean 'recall'"),
        (
            ["train", ".", "--out", "b.twofold", "--promise", "recall>=0.9", "--threshold", "0.2"],
            2,
            "in one way: give --thr",
        ),
        (["train", ".", "--out", "b.twofold", "--cost-fp", "1"], 2, "give --cost-fn, too"),
        (["train", ".", "--out", "b.twofold", "--cost-fp", "-1", "--cost-fn", "2"], 2, "--cost-fp must be above 0"),
        (["train", ".", "--out", "b.twofold", "--abstain"], 2, "--abstain needs a --promise"),
        (["train", "ftp://example.org/a.zip", "--out", "b.twofold"], 2, "https://"),
        (["train", "kaggle:cats", "--out", "b.twofold"], 2, "kaggle:OWNER/NAME"),
        (["audit", "no-such-folder"], 1, "There is no no-such-folder"),
        (["audit", "no-such-folder", "--out", "no-folder/files.csv"], 2, "There is no folder no-folder"),
        (["audit", "no-such-folder", "--out", "."], 2, "is a folder"),
        (["fetch", "no-such.zip", "--out", "new"], 1, "no-such.zip"),
        (["fetch", "no-such.zip", "--out", "no-folder/new"], 2, "There is no folder no-folder"),
    ],
)
def test_an_error_is_one_sentence_on_stderr(
    words: list[str],
    code: int,
    output: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == code
    shown = capsys.readouterr()
    assert output in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_requirement_with_a_mistyped_name_is_refused_before_any_work(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(bundle), "no-such-folder", "--require", "recal>=0.9"]) == 2
    assert "recall" in capsys.readouterr().err


# A folder with every fault that an audit reports.


def unlike(pattern: str, number: int) -> Image.Image:
    """A drawing with random patches, so that no two are near duplicates, as stripes may be."""
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
    """Drawings that are no duplicates, and among them: duplicates, an image with both labels, a wrong label, and a text file."""
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
    """A zip of two images that duplicate some of `messy`, one of them smaller, and a new one; without classes."""
    folder = tmp_path_factory.mktemp("elsewhere")
    unlike("bars", 5).save(folder / "the same.png")
    unlike("rings", 6).resize((48, 48)).save(folder / "smaller.png")
    unlike("rings", 900).save(folder / "new.png")
    return Path(shutil.make_archive(str(folder), "zip", folder))


@pytest.fixture(scope="module")
def audit_result(messy: Path, elsewhere: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The result of `audit --json`, and the file report."""
    folder = tmp_path_factory.mktemp("audit")
    out, output = folder / "files.csv", io.StringIO()
    words = ["audit", str(messy), "--against", str(elsewhere), "--out", str(out), "--json"]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output):
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        assert main(words) == 0
    return json.loads(output.getvalue()), out


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_audit_as_json_has_the_blocks_of_the_plan(audit_result: tuple[dict[str, Any], Path], messy: Path) -> None:
    result, _ = audit_result
    blocks = {"data", "statuses", "reasons", "duplicates", "against", "label_issues", "label_errors_expected", "notes"}
    assert set(result) >= blocks
    assert result["data"]["counts"] == {"bars": 22, "rings": 22}  # without the two that have both labels
    assert sum(result["statuses"].values()) == result["data"]["files"] == 48
    assert result["statuses"]["skipped"] == result["data"]["skipped"] == 4
    assert result["reasons"] == {
        "conflict": 2,
        "duplicate": 2,
        "junk": 1,
        "near-duplicate": 1,
        "not-an-image": 1,
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
    assert {note["code"] for note in result["notes"]} >= {"duplicates", "conflicts", "label-issues", "files-skipped"}


def test_audit_finds_images_that_duplicate_other_images(
    audit_result: tuple[dict[str, Any], Path], elsewhere: Path
) -> None:
    against = {(Path(leak["path"]).name, leak["duplicate_of"], leak["kind"]) for leak in audit_result[0]["against"]}
    assert against == {
        ("bars-005.png", f"{elsewhere}/the same.png", "exact"),
        ("rings-006.png", f"{elsewhere}/smaller.png", "near"),
    }


def test_the_file_report_has_a_row_for_every_file(audit_result: tuple[dict[str, Any], Path], messy: Path) -> None:
    rows = {str(Path(row["path"]).relative_to(messy)): row for row in table(audit_result[1])}
    assert set(rows) == {str(path.relative_to(messy)) for path in messy.rglob("*") if path.is_file()}
    statuses = {name: (row["status"], row["reason"]) for name, row in rows.items()}
    assert statuses["bars/bars-000.png"] == ("used", "")
    assert statuses["bars/z bytes.png"] == ("flagged", "duplicate")
    assert statuses["rings/z larger.jpg"] == ("flagged", "near-duplicate")
    assert statuses["bars/z both.png"] == statuses["rings/z both.png"] == ("skipped", "conflict")
    assert statuses["rings/z wrong.png"] == ("flagged", "possible-label-error")
    assert statuses["rings/z text.jpg"] == ("skipped", "not-an-image")
    assert statuses[".DS_Store"] == ("skipped", "junk")
    assert rows["bars/z bytes.png"]["duplicate_of"] == str(messy / "bars/bars-000.png")
    assert rows["bars/z bytes.png"]["group"] == rows["bars/bars-000.png"]["group"]
    assert float(rows["rings/z wrong.png"]["p_label_error"]) > 0.5 > float(rows["rings/rings-000.png"]["p_label_error"])
    assert rows["rings/z both.png"]["p_label_error"] == rows["rings/z text.jpg"]["p_label_error"] == ""


def test_a_quick_audit_finds_duplicates_and_judges_no_label(messy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(messy), "--quick", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["label_issues"], result["label_errors_expected"]) == ([], None)
    assert {Path(copy["path"]).name for copy in result["duplicates"]} >= {"z bytes.png", "z pixels.png", "z larger.jpg"}
    assert "against" not in result


def test_audit_prints_a_summary(messy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "files.csv"
    out.write_text("path,label,status,reason\n")  # the ledger of a former audit is replaced
    assert main(["audit", str(messy), "--quick", "--out", str(out), "--force"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("48 files: ")
    assert "4 skipped; 22 bars, 22 rings\n" in output
    assert f"same bytes {messy}/bars/z bytes.png = {messy}/bars/bars-000.png" in one_line(output)
    assert f"{messy}/rings/z both.png = {messy}/bars/z both.png (other label)" in one_line(output)
    assert output.endswith(f"\nWrote {out}\n")
    assert len(table(out)) == 48


def test_audit_replaces_nothing_but_a_file_report(
    tmp_path: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("image.png", "list.csv", "scores.csv"):
        (tmp_path / name).write_text("path,label\n")
        assert main(["audit", str(drawn), "--out", str(tmp_path / name)]) == 2
        assert "is not a file report" in capsys.readouterr().err
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


# Test images that duplicate training images.


@pytest.fixture
def leaking(drawn: Path, tmp_path: Path) -> Path:
    """Twelve new images, and three that duplicate some of `drawn`: the same file, encoded again, and larger as JPEG."""
    folder = unlike_folder(tmp_path / "leaking", 6)
    shutil.copy(drawn / "bars/bars-000.png", folder / "bars/as it is.png")
    draw("bars", 1).save(folder / "bars/saved anew.png", compress_level=1)
    draw("rings", 2).resize((150, 150)).save(folder / "rings/larger.jpg", quality=90)
    return folder


def check_leakage(result: dict[str, Any]) -> None:
    """The block "leakage" has the leaked images, and the evaluation without them."""
    kinds = {Path(leak["path"]).name: (leak["duplicate_of"], leak["kind"]) for leak in result["leakage"]["images"]}
    assert kinds["as it is.png"] == ("bars/bars-000.png", "exact")
    assert kinds["saved anew.png"] == ("bars/bars-001.png", "pixels")
    assert kinds["larger.jpg"][1] == "near"
    assert len(kinds) == 3
    assert sum(result["confusion"].values()) == 15
    assert sum(result["leakage"]["test_unseen"]["confusion"].values()) == 12
    assert set(result["leakage"]["test_unseen"]["metrics"]) == set(result["metrics"])


def test_train_warns_first_of_test_images_that_duplicate_training_images(
    drawn: Path, leaking: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "b.twofold"
    assert main(["train", str(drawn), "--test", str(leaking), "--out", str(out)]) == 0
    output = capsys.readouterr().out
    assert one_line(output).startswith("WARNING: 3 test images duplicate training images (")
    assert output.index("test (unseen)  ") < output.index("  test (inflated)\n")
    result = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    check_leakage(result["test"])
    assert result["notes"][0]["code"] == "leakage"


def test_evaluate_warns_first_of_test_images_that_duplicate_training_images(
    bundle: Path, drawn: Path, leaking: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(bundle), str(leaking)]) == 0
    output = capsys.readouterr().out
    assert one_line(output).startswith("WARNING: 3 test images duplicate training images (")
    assert output.index("test (unseen)  ") < output.index("  test (inflated)\n")
    assert main(["evaluate", str(bundle), str(leaking), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    check_leakage(result)
    assert result["notes"][0]["code"] == "leakage"


def test_notes_on_the_test_set_name_it(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other, out = unlike_folder(tmp_path / "other", 6), tmp_path / "b.twofold"
    first = sorted((other / "bars").iterdir())[0]
    shutil.copy(first, first.with_name("again.png"))
    assert main(["train", str(drawn), "--test", str(other), "--out", str(out)]) == 0
    for words in ([], ["evaluate", str(out), str(other)]):
        assert not words or main(words) == 0
        output = one_line(capsys.readouterr().out)
        assert output.count("note: Test set: ") == 1
        assert "note: Test set: Duplicates of other images: 1 exact. All of them are evaluated." in output


def test_two_bundles_are_compared_without_training_images_of_either(
    bundle: Path, drawn: Path, leaking: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second was trained on one more of the test images."""
    folder, other = tmp_path / "data", tmp_path / "other.twofold"
    shutil.copytree(drawn, folder)
    seen = next(path for path in sorted((leaking / "bars").iterdir()) if path.stem.startswith("bars-"))
    shutil.copy(seen, folder / "bars" / "seen.png")
    assert main(["train", str(folder), "--out", str(other), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(bundle), str(other), str(leaking)]) == 0
    output = capsys.readouterr().out
    assert one_line(output).startswith("WARNING: 4 test images duplicate training images (")
    assert 'use the columns "first (unseen)" and "second (unseen)".' in one_line(output)
    assert "first (unseen)" in output
    assert "second minus first, on the unseen images" in output
    assert main(["evaluate", str(bundle), str(other), str(leaking), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    for each in (result, result["second"]):
        assert sum(each["confusion"].values()) == 15
        assert sum(each["leakage"]["test_unseen"]["confusion"].values()) == 11
    assert result["comparison"]["images"] == 11


def test_two_bundles_are_compared_on_images_that_both_could_read(
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
    assert "valid-for-one-bundle" in {note["code"] for note in result["notes"]}


def test_where_all_test_images_duplicate_training_images_none_is_unseen(
    bundle: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(bundle), str(drawn), "--json"]) == 0
    leakage = json.loads(capsys.readouterr().out)["leakage"]
    assert (len(leakage["images"]), leakage["test_unseen"]) == (40, None)


def test_new_test_images_give_no_warning(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = unlike_folder(tmp_path / "other", 6)
    assert main(["evaluate", str(bundle), str(other), "--json"]) == 0
    assert "leakage" not in json.loads(capsys.readouterr().out)


def test_an_image_with_both_labels_is_skipped(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "data", tmp_path / "b.twofold"
    shutil.copytree(drawn, folder)
    draw("rings", 300).save(folder / "bars" / "both.png")
    draw("rings", 300).save(folder / "rings" / "both.png", compress_level=1)
    assert main(["train", str(folder), "--out", str(out)]) == 0
    output = capsys.readouterr().out
    assert "train: 42 files, 40 used, 2 skipped: 20 bars, 20 rings" in output
    assert f"note: Skipped 2 files with conflicting labels, such as {folder}/bars/both.png." in one_line(output)
    reasons = {row["path"]: (row["status"], row["reason"]) for row in table(out / "files.csv")}
    both = [f"{label}/both.png" for label in ("bars", "rings")]
    assert [reasons[path] for path in both] == [("skipped", "conflict")] * 2
    assert not {row["path"] for row in table(out / "scores.csv")} & set(both)


# Images in archives.


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A zip of a train and a test part."""
    for part, count, start in (("train", 12, 0), ("test", 3, 60)):
        draw_folder(tmp_path / "pets" / part, count, start)
    return Path(shutil.make_archive(str(tmp_path / "pets"), "zip", tmp_path / "pets"))


def test_training_on_a_frozen_network_leaves_an_interrupted_training_run(drawn: Path, tmp_path: Path) -> None:
    RunFolder(tmp_path / "b.learning").start("key")
    (tmp_path / "b.learning" / "last.ckpt").touch()
    assert main(["train", str(drawn), "--out", str(tmp_path / "b.twofold"), "--quiet"]) == 0
    assert (tmp_path / "b.learning" / "last.ckpt").exists()
    assert RunFolder(tmp_path / "b.learning").resumable


def test_images_in_an_archive_are_used_in_place(pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_a_table_may_list_images_in_an_archive(pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{label}/{label}-{number:03}.png" for label in ("bars", "rings") for number in (0, 1)]
    rows = [f"pets.zip/train/{name},{name.partition('/')[0]}\n" for name in names]
    (tmp_path / "list.csv").write_text("path,label\n" + "".join(rows))
    assert main(["audit", str(tmp_path / "list.csv"), "--quick", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["counts"] == {"bars": 2, "rings": 2}
    (tmp_path / "list.csv").write_text("path,label\n" + "".join(rows) + "pets.zip/train/bars/none.png,bars\n")
    assert main(["audit", str(tmp_path / "list.csv"), "--quick"]) == 1
    assert "line 6: " in capsys.readouterr().err


def test_fetch_unpacks_a_zip_and_prints_the_next_commands(
    pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new"
    assert main(["fetch", str(pets), "--out", str(out)]) == 0
    output = capsys.readouterr().out
    assert f"Wrote {out}: 30 files " in one_line(output)
    assert f"  twofold train {out}/train --out NAME.twofold\n  twofold evaluate NAME.twofold {out}/test\n" in output
    for path in (tmp_path / "pets").rglob("*.png"):
        assert (out / path.relative_to(tmp_path / "pets")).read_bytes() == path.read_bytes()
    assert main(["fetch", str(pets), "--out", str(out)]) == 2
    assert "exists; give a new folder" in capsys.readouterr().err


def test_fetch_checks_the_hash(pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


@pytest.mark.parametrize(
    ("kind", "name"), [("folder", "bars"), ("nested", "rings"), ("empty beside it", "bars"), ("list", "rings")]
)
def test_a_batch_of_one_class_gives_its_recall_and_accuracy(
    kind: str, name: str, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = one_class(tmp_path, kind, name), tmp_path / "out"
    assert main(["evaluate", str(bundle), str(data), "--json", "--out", str(out)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["data"]["counts"] == {"bars": 6, "rings": 6, "rings" if name == "bars" else "bars": 0}
    assert result["metrics"]["accuracy"]["value"] == result["per_class"][name]["recall"] == 1
    assert result["per_class"][name]["intervals"]["recall"]["low"] > 0.5
    defined = {metric for metric, interval in result["metrics"].items() if interval["value"] is not None}
    assert defined == {"accuracy", "recall" if name == "rings" else "specificity"}
    assert (out / "confusion.svg").is_file()
    assert main(["evaluate", str(bundle), str(data), "--require", f"recall:{name}>=0.9"]) == 0
    output = capsys.readouterr().out
    assert "average precision (rings)  undefined" in output
    assert "nan" not in output
    for metric in ("roc_auc", f"precision:{name}", "recall:" + ("bars" if name == "rings" else "rings")):
        assert main(["evaluate", str(bundle), str(data), "--require", f"{metric}>=0"]) == 3
        assert (
            f"{metric}>=0 is not met: the value is undefined, because there are no images of" in capsys.readouterr().err
        )
    assert main(["evaluate", str(bundle), str(bundle), str(data)]) == 0
    assert "nan" not in capsys.readouterr().out


def test_train_takes_a_test_set_of_one_class(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = one_class(tmp_path, "folder", "bars"), tmp_path / "b.twofold"
    words = ["train", str(drawn), "--test", str(data), "--out", str(out), "--figures", str(tmp_path / "figures")]
    assert main(words) == 0
    output = capsys.readouterr().out
    assert "test: 6 files, 6 used: 6 bars, 0 rings" in output
    assert "nan" not in output
    test = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))["test"]
    assert test["per_class"]["bars"]["recall"] == 1
    assert test["per_class"]["rings"]["recall"] is None
    assert "| recall of bars |" in (out / "README.md").read_text(encoding="utf-8")


def test_images_of_other_classes_are_an_error(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_a_per_class_requirement_needs_a_class_where_the_alphabet_chose_the_positive_one(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for metric in ("recall", "precision.low", "f1", "specificity", "average-precision"):
        assert main(["evaluate", str(bundle), str(tmp_path / "none"), "--require", f"{metric}>=0.98"]) == 2
        assert "'rings' is positive by alphabetical order only: write" in capsys.readouterr().err
    assert main(["evaluate", str(bundle), str(tmp_path / "none"), "--require", "recall:ring>=0.9"]) == 2
    assert "did you mean 'rings'" in capsys.readouterr().err


def test_a_requirement_is_about_its_class(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(missing_bars(tmp_path / "data"))
    assert main(["evaluate", str(bundle), data, "--require", "recall:rings>=0.98"]) == 0
    assert main(["evaluate", str(bundle), data, "--require", "recall:bars>=0.98"]) == 3
    assert "recall:bars>=0.98 is not met: the value is 0.5000." in capsys.readouterr().err
    assert main(["evaluate", str(bundle), data, "--require", "recall:bars.low>=0.3"]) == 3
    assert main(["evaluate", str(bundle), data, "--positive", "bars", "--require", "recall>=0.98"]) == 3
    assert main(["evaluate", str(bundle), data, "--positive", "rings", "--require", "recall>=0.98"]) == 0


def test_positive_changes_the_metrics_of_evaluate_and_no_decision(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(missing_bars(tmp_path / "data"))
    plain, bars, rings = (
        json.loads(printed_by(main, ["evaluate", str(bundle), data, "--json", *more], capsys))
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
    text = printed_by(main, ["evaluate", str(bundle), data, "--positive", "bars"], capsys)
    assert "recall (bars)" in text
    assert "average precision (bars)" in text
    assert "(rings)" not in text
    assert main(["evaluate", str(bundle), data, "--positive", "bar"]) == 2


def printed_by(run: Any, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(words) == 0
    return capsys.readouterr().out


def test_a_positive_class_chosen_by_the_alphabet_is_noted(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    note = "'rings' is the positive class, because it is second in alphabetical order"
    words = ["train", str(drawn), "--quiet", "--force", "--out", str(tmp_path / "b.twofold")]
    assert note in printed_by(main, words, capsys)
    assert "is the positive class" not in printed_by(main, [*words, "--positive", "rings"], capsys)
    data = str(unlike_folder(tmp_path / "new", 6))
    words = ["evaluate", str(tmp_path / "b.twofold"), data, "--require", "recall>=0.9"]
    assert "is the positive class" not in printed_by(main, words, capsys)
