"""Records of reports without a training: scores drawn with a fixed seed."""

from html.parser import HTMLParser

import numpy as np

from twofold.decision import Rule
from twofold.evaluation import evaluate
from twofold.evaluation.rule_summary import RuleSample
from twofold.workflows.report import Column, Pair, ReportData, SkippedFile, ThresholdScores
from twofold.workflows.report_images import ScoredImages

HALF = Rule.at(0.5)
RECORD = {
    "twofold": "0.1.0",
    "created": "2026-11-29T12:00:00+00:00",
    "command": ["twofold", "train", "pets"],
    "seed": 0,
    "versions": {"numpy": "2.0"},
    "backbone": {"name": "tiny", "dtype": "f32", "preprocessing": {"size": 16, "crop_mode": "squash"}},
    "files": {"scores.csv": "0" * 64},
    "sha256": "1" * 64,
    "C": 1.0,
}


def report_data(
    images: int = 400,
    *,
    classes: tuple[str, str] = ("cats", "dogs"),
    rule: Rule = HALF,
    name: str = "pets.twofold",
    grouped: bool = False,
    gate: float | None = None,
) -> ReportData:
    """A report of images of two classes, some of them wrong."""
    random = np.random.default_rng(images)
    labels = (np.arange(images) % 2).astype(np.int8)
    probabilities = 1 / (1 + np.exp(-random.normal(4.0 * labels - 2.0, 1.4)))
    groups = np.arange(images) // 3 if grouped else None
    familiarity = random.random(images)
    rule = rule if gate is None else Rule(rule.low, rule.high, gate={"level": gate})
    evaluation = evaluate(labels, probabilities, rule, classes=classes, groups=groups, familiarity=familiarity)
    paths = tuple(f"{classes[label]}/{number}.jpg" for number, label in enumerate(labels.tolist()))
    summary = RuleSample(labels, probabilities, groups, familiarity=familiarity).summary(rule)
    return ReportData(
        name,
        classes,
        (Column("train (out-of-fold)", evaluation.as_json()),),
        (ScoredImages("train (out-of-fold)", evaluation.sample, rule, paths, familiarity),),
        ThresholdScores("out-of-fold", labels, probabilities, groups, familiarity, 0.5, summary),
        {
            "audit": {
                "label_issues": [{"path": paths[0], "label": classes[0], "p_label_error": 0.9}],
                "shortcuts": [
                    {
                        "feature": "bytes",
                        "auc": {"value": 0.9, "low": 0.8, "high": 0.95},
                        "quantiles": {classes[0]: list(range(21)), classes[1]: list(range(10, 31))},
                        "fractions": {},
                    }
                ],
            },
            "notes": [{"code": "shortcut", "text": "Choose with `positive`."}, {"code": "other", "text": "A note."}],
            "seconds": {"total": 1.0},
        },
        {**RECORD, "classes": sorted(classes), "positive": classes[1], "rule": rule.as_json()},
        pairs=(Pair(("train", paths[0]), ("train", paths[2]), "near"),),
        files=(SkippedFile("cats/broken.jpg", "skipped", "truncated"),),
    )


class _Texts(HTMLParser):
    """The text of each table cell, and every attribute that may be an address."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.addresses: list[str] = []
        self.elements: list[str] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href", "action", "srcset", "data")]
        if tag in ("td", "th"):
            self._open = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            self.cells[-1] += data


def parse(page: str) -> _Texts:
    """The parsed page."""
    texts = _Texts()
    texts.feed(page)
    return texts
