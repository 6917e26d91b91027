"""Reviewed labels: the labels of files after the review decisions about their contents."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from twofold.core.notes import Note, count_text
from twofold.core.parallel import available_processors
from twofold.data.formats import read_bytes
from twofold.data.read_errors import ReadError
from twofold.data.review_decisions import ReviewDecisions, one_line


@dataclass(frozen=True, slots=True)
class ReviewedLabels:
    """The label of each file, the numbers of the files that are excluded, and what is to be said about both."""

    labels: tuple[str, ...] = field(repr=False)
    excluded: frozenset[int]
    notes: tuple[Note, ...]


def hash_files(paths: Sequence[Path]) -> list[str | None]:
    """The SHA-256 of each file's bytes, as in the feature table; None where it cannot be read."""
    with ThreadPoolExecutor(available_processors()) as pool:
        return list(pool.map(_hash_file, paths))


def _hash_file(path: Path) -> str | None:
    data = read_bytes(path)
    return None if isinstance(data, ReadError) else hashlib.sha256(data).hexdigest()


def review_labels(
    hashes: Sequence[str | None], labels: Sequence[str], decisions: ReviewDecisions, classes: Sequence[str]
) -> ReviewedLabels:
    """The labels of files of two classes with these SHA-256 after the review. A decision for a class that is none of the two
    changes nothing."""
    answers = decisions.answers
    names = {one_line(name): name for name in classes}
    reviewed, excluded, other_classes = list(labels), set(), Counter[str]()
    for number, sha256 in enumerate(hashes):
        answer = answers.get(sha256 or "")
        if answer is not None and answer.kind == "exclude":
            excluded.add(number)
        elif answer is not None and answer.kind == "label":
            reviewed[number] = names.get(answer.value, reviewed[number])
            other_classes[answer.value] += answer.value not in names
    changed = sum(before != after for before, after in zip(labels, reviewed, strict=True))
    present = set(hashes)
    unmatched = sum(sha256 not in present for sha256 in answers)
    pairs = [pair for pair in decisions.distinct if present.issuperset(pair)]
    text = _text(len(answers) - unmatched, changed, len(excluded), len(pairs))
    notes = [Note("review-decisions", text), *_leftover_notes(unmatched, +other_classes, decisions.damaged, classes)]
    return ReviewedLabels(tuple(reviewed), frozenset(excluded), tuple(notes))


def _text(images: int, changed: int, excluded: int, pairs: int) -> str:
    counts = [f"labels of {count_text(changed, 'file')} changed", f"{count_text(excluded, 'file')} excluded"]
    if pairs:
        counts.append(f"{count_text(pairs, 'pair')} no duplicates")
    return f"Review decisions on {count_text(images, 'image')}: {', '.join(counts)}."


def _leftover_notes(unmatched: int, other_classes: Counter[str], damaged: int, classes: Sequence[str]) -> list[Note]:
    notes = []
    if unmatched:
        verb = "matches" if unmatched == 1 else "match"
        text = f"{count_text(unmatched, 'review decision')} {verb} no file by content, and changed nothing."
        notes.append(Note("review-unmatched", text))
    if other_classes:
        name, count = other_classes.most_common(1)[0][0], other_classes.total()
        text = (
            f"Ignored {count_text(count, 'review decision')} for other classes than {' and '.join(classes)}, such as "
            f"{name!r}."
        )
        notes.append(Note("review-other-classes", text))
    if damaged:
        notes.append(Note("review-damaged", f"Skipped {count_text(damaged, 'damaged line')} of the decisions file."))
    return notes
