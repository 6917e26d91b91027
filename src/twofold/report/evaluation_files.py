"""The files that an evaluation is written to: figures, tables of images and the result as JSON."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from twofold.core.files import open_replacement, write_errors
from twofold.core.json_text import json_text
from twofold.report.comparison_figures import ModelPair, write_comparison_figures
from twofold.report.evaluation_figures import write_figures
from twofold.workflows.evaluate import EvaluationResult
from twofold.workflows.image_decisions import write_decisions, write_differences

_MAX_NAME: Final = 40  # characters of each part of a file name


def write_evaluation(result: EvaluationResult, bundles: Sequence[str], data: str, folder: Path) -> None:
    """Writes figures, predictions.csv and evaluation.json into the folder, which is made where it is missing.

    Of two bundles each figure shows both, the tables are first_predictions.csv and second_predictions.csv, and differences.csv
    lists the images on which they differ. `bundles` and `data` name the figures. Raises TwofoldError where a file cannot be
    written; no file is left half-written.
    """
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    _write_figures(result, bundles, data, folder)
    if result.second is None:
        write_decisions(result.decisions(), folder / "predictions.csv")
    else:
        write_decisions(result.decisions(), folder / "first_predictions.csv")
        write_decisions(result.second_decisions(), folder / "second_predictions.csv")
        write_differences(result.differences, folder / "differences.csv")
    with open_replacement(folder / "evaluation.json") as file:
        file.write(json_text(result.as_json()))


def _write_figures(result: EvaluationResult, bundles: Sequence[str], data: str, folder: Path) -> None:
    prefix = figure_prefix(bundles, data)
    names = [bundle_title(bundle) for bundle in bundles]
    title = f"{' and '.join(names)} on {data_title(data)}"
    column, evaluation = result.leakage.headline(result.evaluation)
    if result.leakage.images:
        title += f", {column}"
    if result.second is None:
        write_figures(evaluation, folder, title=title, prefix=prefix)
    else:
        second = result.second_unseen or result.second
        first_name, second_name = names
        pair = ModelPair((evaluation, second), (first_name, second_name))
        write_comparison_figures(pair, folder, title=title, prefix=prefix)


def figure_prefix(bundles: Sequence[str], data: str) -> str:
    """The beginning of the names of figures.

    >>> figure_prefix(["models/pets.twofold"], "pets/test")
    'pets_on_test_'
    >>> figure_prefix(["a.twofold", "b.twofold"], "lists/new images.csv")
    'a_and_b_on_new-images_'
    """
    names = [_plain(bundle_title(bundle)) for bundle in bundles]
    return f"{'_and_'.join(names)}_on_{_plain(data_title(data))}_"


def bundle_title(path: str) -> str:
    """The name of a bundle in titles.

    >>> bundle_title("models/pets.twofold")
    'pets'
    """
    return Path(path).name.removesuffix(".twofold") or path


def data_title(data: str) -> str:
    """The name of DATA in titles: the last part of its path or address, without what follows a question mark.

    >>> [data_title(data) for data in ("pets/test/", "test.csv", "https://a.org/x.zip?key=1", "hf:ann/pets")]
    ['test', 'test', 'x', 'pets']
    """
    path = PurePosixPath(data.partition("?")[0].replace("\\", "/"))
    return path.stem or data


def _plain(name: str) -> str:
    """The name with a hyphen for each run of characters that not every file system takes."""
    return re.sub(r"[^\w.-]+", "-", name)[:_MAX_NAME].strip("-.") or "data"
