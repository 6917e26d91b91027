"""A pool of drawn images without labels, whose file names tell a simulated person what they show."""

import shutil
from pathlib import Path

from drawings import draw

from twofold.core.options import BackboneOptions
from twofold.embedding import Runtime
from twofold.workflows.label import LabelAnswer
from twofold.workflows.label_file import LabelFile
from twofold.workflows.labelling import Labelling, LabelPool, embed_pool

CLASSES = ("bars", "rings")
IMAGES = 36  # different ones
OPTIONS = BackboneOptions(size=96, effort="fast", dtype="f32")


def draw_pool(folder: Path) -> Path:
    """18 images of each class, a copy of one of them, and a file that is no image."""
    folder.mkdir()
    for number in range(IMAGES // 2):
        for name in CLASSES:
            draw(name, number).save(folder / f"{number:02}-{name}.png")
    shutil.copy(folder / "03-bars.png", folder / "z-copy-bars.png")
    (folder / "notes.png").write_text("no image")
    return folder


def embed(folder: Path, runtime: Runtime, out: Path | None = None) -> LabelPool:
    return embed_pool(folder, out or folder.parent / "labels.csv", runtime, OPTIONS)


def open_labelling(pool: LabelPool, out: Path) -> Labelling:
    return Labelling(pool, LabelFile(out, CLASSES))


def truth(pool: LabelPool, row: int) -> int:
    return int("rings" in pool.paths[row].name)


def answer_next(labelling: Labelling, count: int) -> list[int]:
    """The rows of the next images, which a person who is always right has answered one by one."""
    rows = []
    for _ in range(count):
        row = labelling.proposals(1)[0].row
        labelling.answer([LabelAnswer(row, truth(labelling.pool, row))])
        rows.append(row)
    return rows
