"""Two drawn problems, in which the place of a mark matters, as folders of images for the other benches.

    python bench/drawn_marks.py drawn

`drawn/border`: images of one class have a white disc at the left or right border. `drawn/middle`: a disc or a square near the
middle, with discs and squares at the borders of all images. 300 JPEG files of each class.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from scenes import scene

IMAGES = 300
YELLOW = (250, 250, 60)


def draw_border(number: int, label: int) -> Image.Image:
    random, image = np.random.default_rng([3, number, label]), scene(10_000 + number * 2 + label, (300, 200))
    if label:
        x = random.integers(0, 8) if random.random() < 0.5 else 300 - random.integers(1, 9)
        y = random.integers(20, 180)
        ImageDraw.Draw(image).ellipse((x - 9, y - 9, x + 9, y + 9), fill=(255, 255, 255), outline=(0, 0, 0))
    return image


def draw_middle(number: int, label: int) -> Image.Image:
    random, image = np.random.default_rng([4, number, label]), scene(50_000 + number * 2 + label, (360, 240))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = random.choice([random.integers(10, 50), random.integers(310, 350)]), random.integers(10, 230)
        mark = draw.ellipse if random.random() < 0.5 else draw.rectangle
        mark((x - 14, y - 14, x + 14, y + 14), outline=YELLOW, width=4)
    x, y = 180 + random.integers(-40, 40), 120 + random.integers(-40, 40)
    mark = draw.ellipse if label else draw.rectangle
    mark((x - 16, y - 16, x + 16, y + 16), outline=YELLOW, width=4)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    for name, draw in (("border", draw_border), ("middle", draw_middle)):
        for label, folder in enumerate(("no", "yes")):
            (out / name / folder).mkdir(parents=True, exist_ok=True)
            for number in range(IMAGES):
                draw(number, label).save(out / name / folder / f"{number}.jpg", quality=90)


if __name__ == "__main__":
    main()
