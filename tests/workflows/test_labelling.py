import shutil
from pathlib import Path

import pytest
from drawings import draw
from pools import CLASSES, IMAGES, OPTIONS, answer_next, draw_pool, embed, open_labelling, truth

from twofold.core.errors import DataError, UsageError
from twofold.core.options import DataOptions, TrainingOptions
from twofold.data import list_labelled_files
from twofold.embedding import Runtime
from twofold.workflows.label import FIRST_IMAGES, LabelAnswer
from twofold.workflows.label_file import LabelFile
from twofold.workflows.labelling import MIN_POOL, SKIP, Labelling, LabelPool
from twofold.workflows.train import train


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory, runtime: Runtime) -> LabelPool:
    return embed(draw_pool(tmp_path_factory.mktemp("pool") / "images"), runtime)


@pytest.fixture
def labelling(pool: LabelPool, tmp_path: Path) -> Labelling:
    return open_labelling(pool, tmp_path / "labels.csv")


def test_equal_files_are_one_image_and_what_is_no_image_is_left_out_with_a_note(pool: LabelPool) -> None:
    assert len(pool.paths) == len(set(pool.hashes)) == IMAGES
    texts = {note.code: note.text for note in pool.notes}
    assert texts["unreadable"].startswith("1 file left out")
    assert "notes.png" in texts["unreadable"]
    assert texts["pool-duplicates"].startswith("1 file with the same bytes")
    copy, first = (pool.row_of[str(pool.folder / name)] for name in ("z-copy-bars.png", "03-bars.png"))
    assert copy == first
    assert pool.paths[first].name == "03-bars.png"


def test_a_label_of_any_of_the_equal_files_is_that_of_the_image(pool: LabelPool, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    out.write_text(f"path,label,drawn_at_random\n{pool.folder / 'z-copy-bars.png'},bars,false\n")
    labelling = open_labelling(pool, out)
    assert labelling.session.rows.tolist() == [pool.row_of[str(pool.folder / "03-bars.png")]]


def test_each_answer_is_in_the_file_and_a_second_start_goes_on_where_it_stopped(
    labelling: Labelling, pool: LabelPool
) -> None:
    for count in range(1, 15):
        answer_next(labelling, 1)
        assert len(LabelFile(labelling.file.path, CLASSES).rows) == count
    again = open_labelling(pool, labelling.file.path)
    assert again.session.answers == labelling.session.answers
    assert again.session.random_rows.tolist() == labelling.session.random_rows.tolist()
    assert [p.row for p in again.proposals(5)] == [p.row for p in labelling.proposals(5)]
    drawn = {row.path for row in LabelFile(labelling.file.path, CLASSES).rows if row.is_random}
    assert drawn == {str(pool.paths[row]) for row in labelling.session.random_rows.tolist()} != set()


def test_undo_goes_back_to_the_beginning_also_after_a_restart(labelling: Labelling, pool: LabelPool) -> None:
    rows = answer_next(labelling, 6)
    labelling.undo()
    again = open_labelling(pool, labelling.file.path)
    undone = [again.undo() for _ in range(6)]
    assert [None if each is None else each.row for each in undone] == [*rows[4::-1], None]
    assert LabelFile(labelling.file.path, CLASSES).rows == []


def test_a_skipped_image_comes_again_after_ten_answers_and_undo_takes_the_skip_back(labelling: Labelling) -> None:
    first, second = (proposal.row for proposal in labelling.proposals(2))
    labelling.skip(first)
    assert first not in [proposal.row for proposal in labelling.proposals(IMAGES)]
    assert labelling.progress()["skipped"] == 1
    undone = labelling.undo()
    assert undone is not None
    assert undone.row == first
    labelling.skip(first)
    answer_next(labelling, 1)
    assert labelling.undo() != labelling.undo()  # the answer, then the skip
    assert labelling.proposals(1)[0].row == first
    labelling.skip(first)
    assert second in answer_next(labelling, SKIP)
    assert first in [proposal.row for proposal in labelling.proposals(IMAGES)]


def test_skips_are_remembered_in_their_place_between_the_answers_after_a_restart(
    labelling: Labelling, pool: LabelPool
) -> None:
    before = answer_next(labelling, 2)
    first = labelling.proposals(1)[0].row
    labelling.skip(first)
    after = answer_next(labelling, 3)
    labelling.skip(labelling.proposals(1)[0].row)
    again = open_labelling(pool, labelling.file.path)
    assert again.session.answers == labelling.session.answers
    assert again.progress() == labelling.progress()
    assert again.progress()["skipped"] == 2
    assert first not in [proposal.row for proposal in again.proposals(IMAGES)]
    answer_next(again, SKIP - 3)
    again = open_labelling(pool, labelling.file.path)
    assert first in [proposal.row for proposal in again.proposals(IMAGES)]  # ten answers after its skip, of two runs
    for _ in range(SKIP - 3):
        again.undo()
    undone = [proposal.row for _ in range(7) if (proposal := again.undo()) is not None]
    assert undone[1:] == [*after[::-1], first, *before[::-1]]
    assert LabelFile(labelling.file.path, CLASSES).rows == []


def test_an_answer_ends_a_skip_and_a_skip_never_takes_an_answer_away(labelling: Labelling, pool: LabelPool) -> None:
    labelling.skip(3)
    labelling.skip(3)
    labelling.answer([LabelAnswer(3, truth(pool, 3))])
    labelling.skip(3)  # as a second tab may do
    again = open_labelling(pool, labelling.file.path)
    assert [(answer.row, again.progress()["skipped"]) for answer in again.session.answers] == [(3, 0)]
    assert len(LabelFile(labelling.file.path, CLASSES).rows) == 1


def test_where_only_skipped_images_are_left_they_are_proposed(labelling: Labelling, pool: LabelPool) -> None:
    labelling.answer([LabelAnswer(row, truth(pool, row)) for row in range(2, IMAGES)])
    labelling.skip(0)
    assert [proposal.row for proposal in labelling.proposals(5)] == [1]
    labelling.skip(1)
    assert {proposal.row for proposal in labelling.proposals(5)} == {0, 1}


def test_a_skipped_image_of_the_random_part_holds_the_part_back_until_it_has_an_answer(labelling: Labelling) -> None:
    answer_next(labelling, FIRST_IMAGES)
    while (proposal := labelling.proposals(1)[0]).reason != "random":
        answer_next(labelling, 1)
    before = labelling.session.random_rows.tolist()
    labelling.skip(proposal.row)
    answer_next(labelling, SKIP - 1)
    assert labelling.session.random_rows.tolist() == before
    labelling.answer([LabelAnswer(proposal.row, truth(labelling.pool, proposal.row))])
    assert len(labelling.session.random_rows) > len(before)


def test_the_first_images_are_diverse_also_when_they_are_answered_one_by_one(labelling: Labelling) -> None:
    expected = [proposal.row for proposal in labelling.proposals(FIRST_IMAGES)]
    assert {proposal.reason for proposal in labelling.proposals(FIRST_IMAGES)} == {"diverse"}
    assert answer_next(labelling, len(expected)) == expected


def test_a_grid_has_images_of_one_label_the_surest_first_and_none_that_will_be_drawn_at_random(
    labelling: Labelling,
) -> None:
    assert labelling.sure_rows(1, 10) == []
    answer_next(labelling, 14)
    session = labelling.session
    logits = session.head.logits(session.coordinates)
    rings, bars = labelling.sure_rows(1, 5), labelling.sure_rows(0, 5)
    assert logits[rings].tolist() == sorted(logits[rings], reverse=True)
    assert logits[bars].tolist() == sorted(logits[bars])
    assert min(logits[rings]) > 0 > max(logits[bars])
    # Of 14 + 30 answers seven are random: those of the numbers 10, 15, … 40.
    drawn = set(session.order[:7].tolist())
    rings, bars = labelling.sure_rows(1, 30), labelling.sure_rows(0, 30)
    assert sorted(rings + bars) == sorted(set(range(IMAGES)) - drawn - set(session.rows.tolist()))
    labelling.skip(rings[0])
    assert labelling.sure_rows(1, 30) == rings[1:]


def test_the_accuracy_comes_from_the_random_part_alone(labelling: Labelling) -> None:
    assert labelling.accuracy()["value"] is None
    answer_next(labelling, 30)
    accuracy = labelling.accuracy()
    assert accuracy["random"] == len(labelling.session.random_rows) >= 4
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert accuracy["advice"] is None


def test_labels_of_images_that_are_not_in_the_pool_stay_in_the_file(
    labelling: Labelling, pool: LabelPool, tmp_path: Path
) -> None:
    answer_next(labelling, 3)
    text = labelling.file.path.read_text()
    labelling.file.path.write_text(text + "/elsewhere.png,rings,true,\n/other.png,,false,unsure\n")
    again = open_labelling(pool, labelling.file.path)
    assert any("1 label in" in note.text for note in again.notes)
    assert len(again.session.answers) == 3
    answer_next(again, 1)
    assert {"/elsewhere.png,rings,true,", "/other.png,,false,unsure"} < set(labelling.file.path.read_text().split())


def test_an_answer_that_is_wrong_is_refused_and_changes_nothing(labelling: Labelling) -> None:
    for entries in ([LabelAnswer(IMAGES, 0)], [LabelAnswer(0, 1), LabelAnswer(-1, 0)], [LabelAnswer(0, 2)]):
        with pytest.raises(UsageError):
            labelling.answer(entries)
    with pytest.raises(UsageError):
        labelling.skip(IMAGES)
    assert labelling.session.answers == ()
    assert not labelling.file.path.exists()


def test_train_takes_the_labels_and_leaves_out_the_other_images(labelling: Labelling, runtime: Runtime) -> None:
    rows = answer_next(labelling, 30)
    labelling.skip(labelling.proposals(1)[0].row)
    result = train(labelling.file.path, TrainingOptions(backbone=OPTIONS), runtime)
    assert sorted(result.dataset.paths) == sorted(str(labelling.pool.paths[row]) for row in rows)
    assert list_labelled_files(labelling.file.path, DataOptions()).negative_and_positive == CLASSES


def test_new_images_and_another_place_keep_labels_and_random_order(
    labelling: Labelling, runtime: Runtime, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(labelling.pool.folder, tmp_path / "moved"))
    draw("bars", 77).save(folder / "00-new.png")
    moved = open_labelling(embed(folder, runtime), tmp_path / "other.csv")
    old = [labelling.pool.hashes[row] for row in labelling.session.order.tolist()]
    new = [moved.pool.hashes[row] for row in moved.session.order.tolist()]
    assert [sha256 for sha256 in new if sha256 in old] == old
    assert len(new) == len(old) + 1


@pytest.mark.parametrize("count", [0, 3])
def test_a_pool_that_is_too_small_says_how_many_it_takes(count: int, tmp_path: Path, runtime: Runtime) -> None:
    folder = tmp_path / "pool"
    folder.mkdir()
    for number in range(count):
        draw("bars", number).save(folder / f"{number}.png")
    with pytest.raises(DataError, match=f"takes at least {MIN_POOL}"):
        embed(folder, runtime)
    with pytest.raises(DataError, match="There is no .*missing: give a folder of images"):
        embed(tmp_path / "missing", runtime)


def test_the_file_of_labels_may_lie_in_the_pool(tmp_path: Path, runtime: Runtime) -> None:
    folder = draw_pool(tmp_path / "pool")
    out = folder / "labels.csv"
    answer_next(open_labelling(embed(folder, runtime, out), out), 2)
    again = embed(folder, runtime, out)
    assert next(note.text for note in again.notes if note.code == "unreadable").startswith("1 file")
    assert len(open_labelling(again, out).session.answers) == 2
