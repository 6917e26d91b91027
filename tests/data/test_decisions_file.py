"""The decisions file: append-only, safe against killed processes and several writers."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from twofold.core.errors import DataError, UsageError
from twofold.data import DecisionsFile, ReviewDecision, read_decisions
from twofold.data.review_decisions import HEADER, DecisionKind, line_of, parse_line

A, B, C = "a" * 64, "b" * 64, "c" * 64


def decision(sha256: str, kind: DecisionKind, value: str = "", time: str = "1") -> ReviewDecision:
    return ReviewDecision(time, sha256, kind, value, "cats/1.jpg", "cats", None, "0123abcd")


def write(path: Path, *decisions: ReviewDecision) -> Path:
    path.write_bytes(HEADER.encode() + b"".join(map(line_of, decisions)))
    return path


def test_the_latest_decision_about_an_image_holds(tmp_path: Path) -> None:
    file = write(tmp_path / "d.csv", decision(A, "exclude"), decision(A, "label", "dogs", "2"), decision(B, "keep"))
    answers = read_decisions(file).answers
    assert (answers[A].kind, answers[A].value, answers[B].kind) == ("label", "dogs", "keep")


def test_undoing_takes_back_the_named_decision_and_leaves_the_earlier_one(tmp_path: Path) -> None:
    rows = decision(A, "exclude"), decision(A, "keep", time="2"), decision(B, "keep", time="3")
    decisions = read_decisions(write(tmp_path / "d.csv", *rows, decision(A, "undo", "2", "4")))
    assert decisions.answers[A].kind == "exclude"
    assert [entry.time for entry in decisions] == ["1", "3"]
    assert decisions.last == rows[2]
    again = read_decisions(write(tmp_path / "d.csv", *rows, *[decision(A, "undo", "2", time) for time in "45"]))
    assert again.answers == decisions.answers


def test_pairs_that_are_no_duplicates_do_not_answer_for_an_image_and_can_be_undone(tmp_path: Path) -> None:
    pair = decision(B, "not-duplicate", A)
    decisions = read_decisions(write(tmp_path / "d.csv", pair))
    assert decisions.distinct == {(A, B)}
    assert decisions.answers == {}
    decisions.add(decision(B, "undo", "1", "2"))
    assert decisions.distinct == frozenset()


@pytest.mark.parametrize("kept", range(1, 60, 7))
def test_a_line_that_was_cut_is_skipped_wherever_it_was_cut(tmp_path: Path, kept: int) -> None:
    file = write(tmp_path / "d.csv", decision(A, "keep"), decision(B, "exclude", time="2"))
    file.write_bytes(file.read_bytes()[:-kept])
    cut = read_decisions(file)
    assert cut.answer(A) is not None
    writer = DecisionsFile(file)
    writer.append([decision(C, "keep", time="3")])
    after = read_decisions(file)
    assert set(after.answers) - {B} == {A, C}  # the new line does not continue the damaged one
    assert after.answers == writer.decisions.answers
    assert (B in after.answers) == (kept <= 2)  # of a whole line only its end is missing
    assert after.damaged == (kept > 2)


@pytest.mark.parametrize("kept", [0, 1, 30, len(HEADER) - 1])
def test_a_header_that_was_cut_is_written_again(tmp_path: Path, kept: int) -> None:
    file = tmp_path / "d.csv"
    file.write_bytes(HEADER.encode()[:kept])
    writer = DecisionsFile(file)
    writer.append([decision(A, "keep")])
    assert (writer.decisions.damaged, set(writer.decisions.answers)) == (0, {A})
    assert file.read_bytes() == HEADER.encode() + line_of(decision(A, "keep"))


def test_any_path_and_class_fits_on_one_line() -> None:
    odd = ReviewDecision("1", A, "label", 'a "b",c', "x\ny\r\t\udce9,.jpg", "é", 7, "0123abcd")
    line = line_of(odd).decode()
    assert line.count("\n") == 1
    read = parse_line(line.rstrip())
    assert read is not None
    assert (read.value, read.path, read.label_before, read.drawn_from) == (odd.value, "x\\ny\\r\\t\\udce9,.jpg", "é", 7)


def test_another_file_is_refused_and_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("path,label\na.jpg,cats\n", encoding="utf-8")
    for use in (read_decisions, DecisionsFile):
        with pytest.raises(DataError, match="is not a decisions file"):
            use(file)
    assert file.read_text(encoding="utf-8") == "path,label\na.jpg,cats\n"
    with pytest.raises(DataError, match="cannot be read"):
        read_decisions(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="There is no folder"):
        DecisionsFile(tmp_path / "none" / "d.csv")


def test_two_writers_in_threads_see_each_other_and_lose_nothing(tmp_path: Path) -> None:
    files = [DecisionsFile(tmp_path / "d.csv") for _ in range(2)]

    def work(number: int) -> None:
        for count in range(40):
            sha256 = f"{number}{count:02}".ljust(64, "0")
            files[number].append([decision(sha256, "keep", time=files[number].now())])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for file in files:
        file.refresh()
        assert len(file.decisions) == 80
    assert read_decisions(tmp_path / "d.csv").damaged == 0


KILLED = """
import os, sys
from pathlib import Path
from twofold.data import DecisionsFile, ReviewDecision
file = DecisionsFile(Path(sys.argv[1]))
for number in range(10**6):
    file.append([ReviewDecision(file.now(), f"{number:064x}", "keep", session=file.session)])
    os.write(1, b"%d\\n" % number)
"""


def test_a_process_that_is_killed_loses_no_decision_that_it_confirmed(tmp_path: Path) -> None:
    file = tmp_path / "d.csv"
    process = subprocess.Popen([sys.executable, "-c", KILLED, file], stdout=subprocess.PIPE)
    assert process.stdout is not None
    confirmed = [int(process.stdout.readline()) for _ in range(30)]
    process.kill()
    confirmed += map(int, process.stdout.read().split())
    process.wait()
    process.stdout.close()
    answers = read_decisions(file).answers
    assert {f"{number:064x}" for number in confirmed} <= set(answers)
