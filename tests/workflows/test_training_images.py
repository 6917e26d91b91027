"""Training images of a bundle: where they are, and its scores by content."""

import csv
import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from twofold.bundle.storage import load_bundle
from twofold.core.errors import DataError
from twofold.core.options import TrainingOptions
from twofold.embedding import Runtime
from twofold.workflows.save import save
from twofold.workflows.train import train
from twofold.workflows.training_images import (
    find_training_data,
    leaked_training_paths,
    training_data_options,
    training_scores,
)


def test_scores_are_known_by_the_hash_of_the_bytes(bundle: Path, drawn: Path) -> None:
    scores = training_scores(load_bundle(bundle))
    rows = list(csv.DictReader((bundle / "scores.csv").read_text(encoding="utf-8").splitlines()))
    assert len(scores) == len(rows) == 40
    for row in rows:
        score = scores[hashlib.sha256((drawn / row["path"]).read_bytes()).hexdigest()]
        assert (score.label, score.logit, score.fold) == (row["label"], float(row["logit"]), int(row["fold"]))


@pytest.mark.parametrize("command", [[], ["twofold", "train"], ["twofold", "train", "--out", "x", "y"], ["fetch"]])
def test_a_command_that_names_no_data_is_one_sentence(bundle: Path, command: list[str]) -> None:
    loaded = load_bundle(bundle)
    with pytest.raises(DataError, match="are not at hand: give them with `data`"):
        find_training_data(replace(loaded, record={**loaded.record, "command": command}))


def test_data_is_where_the_command_says(bundle: Path, drawn: Path) -> None:
    loaded = load_bundle(bundle)
    record = {**loaded.record, "command": ["twofold", "train", str(drawn), "--test", "other"]}
    assert find_training_data(replace(loaded, record=record)) == drawn
    options = {"data": {"classes": ["a", "b"], "label_pattern": None}}
    known = training_data_options(replace(loaded, record={**record, "options": options}))
    assert known.classes == ("a", "b")


def test_leaked_training_images_are_those_of_the_test_set(drawn: Path, runtime: Runtime, tmp_path: Path) -> None:
    test = tmp_path / "test"
    for name in ("bars/bars-003.png", "rings/rings-004.png"):
        (test / name).parent.mkdir(parents=True)
        shutil.copy(drawn / name, test / name)
    path = tmp_path / "leaky.twofold"
    save(train(drawn, TrainingOptions(), runtime, test=test), path)
    assert leaked_training_paths(load_bundle(path)) == {"bars/bars-003.png", "rings/rings-004.png"}
