"""Learning curves."""

import math
from pathlib import Path
from xml.etree import ElementTree

import pytest

from twofold.report import write_curves


def history(epochs: int, *, outlier: float = 0.0) -> list[dict[str, float]]:
    """A history with the lowest validation loss in its last epoch; `outlier` is added to that of the second."""
    losses = [0.1 + 0.6 * math.exp(-epoch / 10) for epoch in range(epochs)]
    return [
        {
            "epoch": epoch + 1,
            "train_loss": loss,
            "val_loss": 1.2 * loss + outlier * (epoch == 1),
            "learning_rate": 1e-3,
            "train_accuracy": 1 - loss / 2,
            "val_accuracy": 0.98 - loss / 2,
        }
        for epoch, loss in enumerate(losses)
    ]


def words(file: Path) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.parse(file).iter() if node.tag.endswith("text")]


@pytest.mark.parametrize("epochs", [1, 2, 50])
def test_lines_are_named_and_the_best_epoch_is_shown(tmp_path: Path, epochs: int) -> None:
    training_run = history(epochs)
    write_curves(training_run, epochs, tmp_path / "curves.svg")
    labels = words(tmp_path / "curves.svg")
    assert labels.count("train") == labels.count("validation") == 2
    assert f"best epoch: {epochs} of {epochs}, validation loss {training_run[-1]['val_loss']:.4f}" in " ".join(labels)


def test_the_same_history_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write_curves(history(9), 9, tmp_path / f"{name}.svg")
    for suffix in (".svg", ".png"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_one_very_high_loss_does_not_flatten_the_others(tmp_path: Path) -> None:
    """The axis of a loss that was 1000 once ends where it would otherwise."""
    write_curves(history(30, outlier=1000.0), 30, tmp_path / "curves.svg")
    assert all(
        float(word) <= 2 for word in words(tmp_path / "curves.svg") if word.replace(".", "").isdigit() and "." in word
    )
