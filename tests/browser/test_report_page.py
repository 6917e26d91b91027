"""The report in a real browser."""

import base64
import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from browsers import IN_BOTH, grave_faults, without_eval
from pages import report_data

from twofold.decision import Rule
from twofold.decision.bounds import simultaneous_confidence, upper_bound
from twofold.decision.costs import Costs
from twofold.decision.prevalence import change_prevalence
from twofold.decision.units import units_of
from twofold.evaluation.rule_summary import RuleSample
from twofold.report.page import report_page
from twofold.workflows.report import ReportData

Open = Callable[..., Any]
HOSTILE = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>')
CELLS = [[f"#cell-{label}-{column}" for column in range(4)] for label in (0, 1)]


def expected(data: ReportData, rule: Rule, prevalence: float | None = None) -> dict[str, str]:
    """What the explorer has to show for a rule on the scores, by Python."""
    scores = data.thresholds
    assert scores is not None
    sample = RuleSample(scores.labels, scores.probabilities, scores.groups, prevalence, 1.0, scores.familiarity)
    summary = sample.summary(rule)
    return {
        "#missed": f"{summary.rates['missed'].value:.4f}",
        "#called": f"{summary.rates['false_alarms'].value:.4f}",
        "#coverage": f"{summary.coverage.value:.4f}",
        "#error": f"{summary.error.value:.4f}",
        "#cell-0-0": f"{summary.per_1000[0, 0]:.1f}",
        "#cell-0-3": f"{summary.per_1000[0, 2]:.1f}",
        "#cell-1-0": f"{summary.per_1000[1, 0]:.1f}",
        "#cell-1-3": f"{summary.per_1000[1, 2]:.1f}",
    }


def shown(visit: Any, names: Any) -> dict[str, str]:
    return {name: visit.value(name) for name in names}


def command(visit: Any) -> dict[str, float]:
    """The options of the command that the explorer names."""
    words = shlex.split(visit.value("#command"))
    assert words[:2] == ["twofold", "decide"]
    assert words[-1] == "--write"
    return {flag: float(value) for flag, value in zip(words[3:-1:2], words[4:-1:2], strict=True)}


@IN_BOTH
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_page_opens_without_errors_asks_for_nothing_and_is_no_wider_than_the_screen(
    visit: Open, width: int, scheme: str
) -> None:
    page = visit(report_page(report_data()), width, color_scheme=scheme)
    assert page.messages == []
    assert page.requests == []
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.page.evaluate("scheme => matchMedia(`(prefers-color-scheme: ${scheme})`).matches", scheme)


@IN_BOTH
def test_the_policy_of_the_page_stops_nothing_that_the_page_does(visit: Open) -> None:
    page = visit(report_page(report_data()), strict=True)
    page.page.locator("#to-rule").click()
    page.page.locator('button[data-cell="10"]').click()
    assert page.value("#moved") == "The handles are at the rule in use."
    assert page.page.locator("dialog .card").count() > 0
    assert without_eval(page.messages) == []
    assert page.requests == []


@pytest.mark.parametrize(
    "data",
    [
        report_data(),
        report_data(401, rule=Rule(0.3, 0.8)),
        report_data(400, gate=0.1),
        report_data(300, rule=Rule(0.2, 0.6), grouped=True, gate=0.05),
    ],
    ids=["one threshold", "band", "gate", "groups"],
)
def test_the_explorer_starts_with_the_numbers_of_the_tables(visit: Open, data: ReportData) -> None:
    page = visit(report_page(data))
    assert data.thresholds is not None
    numbers = expected(data, data.thresholds.rule)
    assert shown(page, numbers) == numbers
    table = dict(
        zip(("#missed", "#called", "#coverage", "#error"), page.text("#rule-in-use").splitlines()[-4:], strict=True)
    )
    for name, line in table.items():
        assert f"\t{page.value(name)} [" in line


def test_a_matrix_without_gate_has_the_numbers_of_the_explorer(visit: Open) -> None:
    data = report_data()
    page, c = visit(report_page(data)), data.columns[0].block["confusion"]
    assert page.value("#cell-1-0") == f"{1000 * c['fn'] / 400:.1f}"
    assert page.value("#cell-0-3") == f"{1000 * c['fp'] / 400:.1f}"


@IN_BOTH
def test_handles_move_by_keyboard_and_show_what_python_computes(visit: Open) -> None:
    data = report_data(401, gate=0.05)
    page = visit(report_page(data))
    assert data.thresholds is not None
    gate = data.thresholds.rule.gate
    page.page.locator("#low").focus()
    for key, times in (("ArrowRight", 40), ("PageUp", 1), ("ArrowLeft", 7)):
        for _ in range(times):
            page.page.keyboard.press(key)
        threshold = command(page)["--threshold"]
        numbers = expected(data, Rule(threshold, threshold, gate=gate))
        assert shown(page, numbers) == numbers
    assert threshold > 0.5


def test_two_handles_leave_a_band_that_the_command_gives(visit: Open) -> None:
    data = report_data(401)
    page = visit(report_page(data))
    page.page.locator("#single").uncheck()
    page.page.locator("#low").focus()
    for _ in range(60):
        page.page.keyboard.press("ArrowLeft")
    options = command(page)
    low, high = Costs(options["--cost-fp"], options["--cost-fn"], options["--cost-unsure"]).band
    assert low < 0.5
    assert high == pytest.approx(0.5)
    numbers = expected(data, Rule(low, high))
    assert shown(page, numbers) == numbers


@IN_BOTH
def test_a_handle_is_dragged_with_the_mouse(visit: Open) -> None:
    data = report_data(401)
    page = visit(report_page(data))
    handle, mouse = page.page.locator("#low"), page.page.mouse
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    middle = box["y"] + box["height"] / 2
    mouse.move(box["x"] + box["width"] / 2, middle)
    mouse.down()
    thresholds = []
    for part in (0.6, 0.7, 0.3):
        mouse.move(box["x"] + part * box["width"], middle, steps=4)
        thresholds.append(command(page)["--threshold"])
        numbers = expected(data, Rule.at(thresholds[-1]))
        assert shown(page, numbers) == numbers
    mouse.up()
    assert thresholds[2] < 0.5 < thresholds[0] < thresholds[1]


def test_the_ends_of_the_axis_are_every_image_and_none(visit: Open) -> None:
    data = report_data()
    page = visit(report_page(data))
    page.page.locator("#low").focus()
    page.page.keyboard.press("Home")
    assert page.value("#cell-0-0") == page.value("#cell-1-0") == "0.0"
    page.page.keyboard.press("End")
    assert page.value("#cell-0-3") == page.value("#cell-1-3") == "0.0"


@pytest.mark.parametrize("grouped", [False, True])
def test_the_band_is_that_of_simultaneous_promises(visit: Open, grouped: bool) -> None:
    data = report_data(600, grouped=grouped)
    page = visit(report_page(data))
    scores = data.thresholds
    assert scores is not None
    units = units_of(scores.labels, scores.probabilities, scores.groups)
    level = simultaneous_confidence(len(units.positives), 0.975)
    page.page.locator("#low").focus()
    for _ in range(4):
        threshold = command(page)["--threshold"]
        bound = upper_bound(int(np.sum(units.positives < threshold)), len(units.positives), level)
        text = f"at most {bound:.4f}" if bound <= 0.2 else "above 0.2: no bound"
        assert page.value("#missed-bound") == text
        for _ in range(30):
            page.page.keyboard.press("ArrowLeft")


def test_another_prevalence_gives_the_numbers_of_decide(visit: Open) -> None:
    data = report_data(401)
    page = visit(report_page(data))
    page.page.locator("#prevalence").fill("0.1")
    scores = data.thresholds
    assert scores is not None
    threshold = float(change_prevalence(np.array([0.5]), 0.1, 0.5)[0])  # 0.5 at the new prevalence
    numbers = expected(data, Rule.at(threshold), 0.1)
    assert shown(page, numbers) == numbers
    assert command(page) == {"--threshold": 0.5, "--prevalence": 0.1}


def test_costs_move_the_handles_to_the_thresholds_of_theory(visit: Open) -> None:
    page = visit(report_page(report_data()))
    page.page.locator("#cost-fp").fill("1")
    page.page.locator("#cost-fn").fill("9")
    page.page.locator("#to-cost").click()
    assert command(page) == {"--threshold": 0.1}
    page.page.locator("#cost-unsure").fill("0.5")
    page.page.locator("#to-cost").click()
    options = command(page)
    assert Costs(options["--cost-fp"], options["--cost-fn"], 1.0).band == pytest.approx(Costs(1, 9, 0.5).band)


@pytest.mark.parametrize(("missed", "called"), [("0.15", ""), ("", "0.15"), ("0.1", "0.1")])
def test_a_promise_moves_the_handles_to_where_it_is_kept(visit: Open, missed: str, called: str) -> None:
    page = visit(report_page(report_data(2_000)))
    page.page.locator("#most-missed").fill(missed)
    page.page.locator("#most-called").fill(called)
    page.page.locator("#to-promise").click()
    assert "Moved" in page.value("#moved") or "unsure" in page.value("#moved")
    assert "Not kept" not in page.value("#promise")
    assert page.value("#promise").count("Kept") == bool(missed) + bool(called)


def test_the_rule_in_use_comes_back(visit: Open) -> None:
    data = report_data(400, rule=Rule(0.25, 0.75))
    page = visit(report_page(data))
    before = page.value("#missed"), page.value("#command")
    page.page.locator("#low").focus()
    page.page.keyboard.press("Home")
    page.page.locator("#prevalence").fill("0.01")
    page.page.locator("#to-rule").click()
    assert (page.value("#missed"), page.value("#command")) == before


@IN_BOTH
def test_every_control_changes_the_text_of_the_page(visit: Open) -> None:
    page = visit(report_page(report_data()))
    controls = page.page.locator("main button, main input, details > summary, header summary")
    count = controls.count()
    assert count > 15
    for number in range(count):
        control, before = controls.nth(number), page.text()
        operate(page, control)
        page.page.wait_for_timeout(20)
        assert page.text() != before, control.evaluate("element => element.outerHTML")
        if page.page.locator("dialog[open]").count():
            with_dialog = page.text()
            page.page.locator("dialog button").click()
            assert page.text() != with_dialog
    assert page.messages == []


def operate(page: Any, control: Any) -> None:
    kind = control.get_attribute("type")
    if kind == "range":
        control.focus()
        page.page.keyboard.press("ArrowRight")
    elif kind == "number":
        control.fill("0.3")
    else:
        control.click()


@IN_BOTH
def test_the_tab_key_reaches_every_control(visit: Open) -> None:
    page = visit(report_page(report_data()))
    wanted = set(page.page.evaluate("[...document.querySelectorAll('main input[id], main button[id]')].map(e => e.id)"))
    assert {"low", "high", "to-rule"} <= wanted
    reached = set()
    for _ in range(80):
        page.page.keyboard.press("Tab")
        reached.add(page.page.evaluate("document.activeElement.id"))
    assert wanted <= reached


@IN_BOTH
def test_a_cell_opens_its_images_worst_first_and_closes_by_keyboard(visit: Open) -> None:
    data = report_data()
    page = visit(report_page(data))
    scored = data.scored[0]
    worst = scored.cell(1, 0)
    button = page.page.locator('button[data-cell="10"]')
    button.focus()
    page.page.keyboard.press("Enter")
    names = page.page.locator("dialog .path").all_inner_texts()
    assert names == [scored.paths[row] for row in worst]
    probabilities = scored.sample.probabilities[worst]
    assert (np.diff(probabilities) >= 0).all()  # the most certain of the missed are those of the lowest probability
    page.page.keyboard.press("Escape")
    assert page.page.locator("dialog[open]").count() == 0
    assert button.evaluate("element => element === document.activeElement")


def test_a_cell_shows_the_evidence_map_of_an_image_on_hover_and_focus(visit: Open) -> None:
    data = report_data()
    scored = data.scored[0]
    key = ("train", scored.paths[int(scored.cell(1, 0)[0])])
    png = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    page = visit(report_page(replace(data, maps={key: png})))
    page.page.locator('button[data-cell="10"]').click()
    cards = page.page.locator("dialog .card")
    maps = page.page.locator("dialog .overlay")
    assert maps.count() == 1
    assert "url(" in maps.evaluate("element => getComputedStyle(element).backgroundImage")
    opacity = "element => getComputedStyle(element).opacity"
    assert maps.evaluate(opacity) == "0"
    cards.first.hover()
    assert maps.evaluate(opacity) == "1"
    page.page.mouse.move(0, 0)
    assert maps.evaluate(opacity) == "0"
    page.page.locator("dialog button").focus()
    page.page.keyboard.press("Tab")
    assert maps.evaluate(opacity) == "1"
    assert page.messages == []


def test_hostile_names_do_nothing(visit: Open) -> None:
    page = visit(report_page(report_data(classes=HOSTILE, name=HOSTILE[1])))
    page.page.locator('button[data-cell="10"]').click()
    assert page.messages == []
    assert HOSTILE[0] in page.text()


def test_a_page_without_scripts_and_on_paper_still_shows_its_numbers(visit: Open) -> None:
    data = report_data()
    page = visit(report_page(data), java_script_enabled=False)
    accuracy = data.columns[0].block["metrics"]["accuracy"]["value"]
    assert f"{accuracy:.4f}" in page.text("#metrics")
    page.page.emulate_media(media="print")
    count = data.columns[0].block["confusion"]["tp"]
    assert f"{count}" in page.text("#matrix")


@IN_BOTH
def test_axe_finds_nothing_serious(visit: Open, pytestconfig: pytest.Config) -> None:
    for scheme in ("light", "dark"):
        page = visit(report_page(report_data()), 390, color_scheme=scheme)
        assert grave_faults(page.page, pytestconfig) == {}
        page.page.locator('button[data-cell="10"]').click()
        assert grave_faults(page.page, pytestconfig) == {}
