"""Flags, help pages and messages: options are named once, and every face names them in its own way."""

import inspect
from dataclasses import is_dataclass

import pytest

from twofold.cli import audit, decide, evaluate, fetch, label, main, predict, review, train, watch
from twofold.cli.flags import COMMAND_PARAMETERS, with_flags

COMMANDS = {
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "decide": decide,
    "audit": audit,
    "review": review,
    "label": label,
    "fetch": fetch,
    "watch": watch,
}


def test_every_option_of_a_command_is_known_to_messages() -> None:
    parameters = [each for command in COMMANDS.values() for each in inspect.signature(command).parameters.values()]
    records = {each.name for each in parameters if is_dataclass(each.annotation)}
    arguments = {"bundle", "bundle_and_data", "paths", "new", "pool", "source", "context"}
    assert {each.name for each in parameters} - records - arguments == set(COMMAND_PARAMETERS)


def test_words_in_backticks_that_are_no_options_stay_as_they_are() -> None:
    assert with_flags("`classes_` and `a b` and `size`") == "`classes_` and `a b` and --size"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("columns", [80, 120])
def test_help_fits_the_terminal(
    command: str, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main([command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[0].startswith(f"Usage: twofold {command} [OPTIONS] ")


def test_help_of_train_has_its_panels_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    panels = [line for line in capsys.readouterr().out.splitlines() if line.endswith(":") and not line.startswith(" ")]
    training = "Fine-tuning and training from scratch:"
    assert panels == ["Arguments:", "Data:", "Output:", "Decision:", "Network:", training, "Runtime:"]


def test_no_command_shows_the_help_page_and_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Commands:\n  train" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lr", "3"], "There is no option --lr (did you mean '--learning-rate'?). See 'twofold train --help'."),
        (["--bs", "3"], "There is no option --bs (did you mean '--batch-size'?). See 'twofold train --help'."),
        (["--xyzzy"], "There is no option --xyzzy. See 'twofold train --help'."),
        (["--epochs", "z"], "--epochs must be an integer, got 'z'. See 'twofold train --help'."),
        (["--threshold", "z"], "--threshold must be a number, got 'z'. See 'twofold train --help'."),
        (
            ["--mode", "finetuned"],
            "--mode must be frozen, finetune or scratch, got 'finetuned' (did you mean 'finetune'?). See 'twofold train --help'.",
        ),
        (["again"], "Unknown argument: again. See 'twofold train --help'."),
        (["--force=3"], "Option '--force' does not take a value."),
        (["--batch-size", "1", "--mode", "scratch"], "--batch-size must be at least 2, got 1."),
        (["--recipe", "modern"], "--recipe needs --mode scratch."),
    ],
)
def test_wrong_usage_is_said_in_plain_words(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "data", "--out", "b.twofold", *words]) == 2
    assert capsys.readouterr().err == f"twofold: {message}\n"
