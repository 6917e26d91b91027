from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from twofold.decision import Rule
from twofold.evaluation import METRICS, Evaluation, evaluate
from twofold.evaluation.notebook_view import evaluation_html, result_html


class Texts(HTMLParser):
    """The cells of all tables, and the texts of everything."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.in_cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.in_cell = False

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.in_cell:
            self.rows[-1][-1] += data


def evaluation(n: int = 200, classes: tuple[str, str] = ("cats", "dogs"), groups: bool = False) -> Evaluation:
    labels = (np.arange(n) % 2).astype(np.int8)
    scores = np.random.default_rng(0).standard_normal(n) + 2 * (labels - 0.5)
    columns = labels, 1 / (1 + np.exp(-2 * scores)), Rule(0.4, 0.6)
    return evaluate(*columns, classes=classes, groups=np.arange(n) // 4 if groups else None)


def figures(html: str) -> list[ElementTree.Element]:
    parts = html.split("<svg")[1:]
    return [ElementTree.fromstring("<svg" + part.partition("</svg>")[0] + "</svg>") for part in parts]


def test_every_metric_and_the_confusion_matrix_are_those_of_the_evaluation() -> None:
    shown = evaluation(groups=True)
    page = Texts(evaluation_html(shown))
    values = {row[0]: row[1:] for row in page.rows}
    c = shown.confusion
    assert values["cats"] == [str(c.tn), str(c.fp), shown.per_class["cats"].recall.text()]
    assert values["dogs"] == [str(c.fn), str(c.tp), shown.per_class["dogs"].recall.text()]
    assert values["ROC AUC"] == [shown.metrics["roc_auc"].text()]
    assert values["recall (dogs)"] == [shown.metrics["recall"].text()]
    assert values["unsure"] == [shown.undecided["unsure"].text()]
    texts = [cell for row in page.rows for cell in row]
    for name in set(METRICS) - {"calibration_slope", "calibration_intercept"}:
        assert shown.metrics[name].text() in texts
    assert "200 images in 50 groups; positive class: dogs; threshold 0.5000" in page.texts


def test_the_figures_are_drawn_within_their_frame() -> None:
    roc, scores = figures(evaluation_html(evaluation()))
    line = next(element for element in roc if element.tag == "polyline").attrib["points"]
    points = np.array([[float(number) for number in point.split(",")] for point in line.split()])
    assert (np.diff(points[:, 0]) >= 0).all()
    assert (np.diff(points[:, 1]) <= 0).all()  # upwards
    width, height = float(roc.attrib["width"]), float(roc.attrib["height"])
    assert points.min() >= 0
    assert (points <= [width, height]).all()
    bars = [element.attrib for element in scores if element.tag == "rect"]
    assert bars
    for bar in bars:
        x, y, wide, high = (float(bar[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= x < x + wide <= width
        assert 0 <= y < y + high <= height


def test_the_scores_say_whose_bars_go_up_and_down_and_long_names_are_cut() -> None:
    scores = figures(evaluation_html(evaluation(classes=("cats", "dogs " * 20))))[1]
    texts = ["".join(element.itertext()) for element in scores if element.tag == "text"]
    assert "■ dogs dogs dogs do…, upwards" in texts
    assert "■ cats, downwards" in texts
    assert "probability of dogs dogs dogs do…" in texts


def test_many_images_give_a_page_of_bounded_size() -> None:
    assert len(evaluation_html(evaluation(20_000))) < 40_000


def test_names_are_escaped_also_in_figures() -> None:
    name = "<script>alert('&')</script>\udcff\x1b"
    html = evaluation_html(evaluation(classes=("cats", name)))
    page = Texts(html)
    assert "script" not in page.tags
    assert "<script>alert('&')</script>\\udcff\\x1b" in [row[0] for row in page.rows]
    assert len(figures(html)) == 2  # still XML
    html.encode("utf-8")
    assert "<b>" not in result_html({"<b>": evaluation()}, ["a <i>note</i>"]).replace("<b>Confusion", "").replace(
        "<b>Metrics", ""
    )
    assert "a &lt;i&gt;note&lt;/i&gt;" in result_html({"x": evaluation()}, ["a <i>note</i>"])


def test_one_class_has_no_curve_and_what_is_not_defined_is_called_so() -> None:
    one_class = evaluate(np.ones(3, np.int8), np.array([0.2, 0.6, 1.0]), Rule.at(0.5), classes=("cats", "dogs"))
    html = evaluation_html(one_class)
    assert len(figures(html)) == 1
    assert ["ROC AUC", "undefined"] in Texts(html).rows


def test_an_evaluation_shows_itself() -> None:
    shown = evaluation()
    assert shown._repr_html_() == evaluation_html(shown)


def test_an_evaluation_has_a_row_for_each_image_in_pandas() -> None:
    pytest.importorskip("pandas")
    shown = evaluation(groups=True)
    table = shown.to_pandas()
    assert list(table.columns) == ["label", "decision", "probability", "familiarity", "group"]
    decided = table[table.decision != "unsure"]
    assert len(decided) == round(shown.decided["coverage"].value * 200)
    assert (decided.decision != decided.label).mean() == pytest.approx(shown.decided["error"].value)
    assert table.familiarity.isna().all()
    assert table.group.nunique() == 50
