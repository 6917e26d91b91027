"""Pictures a second of training steps of the classic network: forward, backward, update; random pixels, no augmentation.

    python bench/steps.py [--loop bare] [--dtype bf16-mixed] [--image-size 200] [--batch-size 32] [--steps 10]

lightning: as `twofold train --mode scratch` learns, with its loop, batches, logs and checkpoints; bare: the same network in
the shortest loop of PyTorch. bench/keras_cnn.py does the same with Keras.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.callbacks import LambdaCallback
from torch.nn.functional import binary_cross_entropy_with_logits

from twofold.core.options import BackboneOptions, LearningOptions
from twofold.learning.batches import Batches
from twofold.learning.decoded_images import hold
from twofold.learning.initialisation import from_scratch
from twofold.learning.learner import Learner
from twofold.learning.trainer import Devices, learn_network

WARM = 3  # steps that are not timed


def ends_by_lightning(given: argparse.Namespace, model_inputs: np.ndarray, labels: np.ndarray) -> list[float]:
    """When each step was over."""
    options = LearningOptions("scratch", batch_size=given.batch_size, epochs=1, augment=0)
    begun = from_scratch(BackboneOptions(size=given.image_size), options, seed=0)
    rows, ends = np.arange(len(model_inputs)), []
    batches = Batches(hold(model_inputs), labels, rows, rows[:2], batch_size=given.batch_size)
    progress = LambdaCallback(
        on_before_zero_grad=lambda *_: ends.append(time.perf_counter())
    )  # once a step, whatever its parts
    with tempfile.TemporaryDirectory() as place:
        learn_network(
            lambda: Learner(begun.network(rows), begun.recipe, images=len(rows), seed=0),
            batches,
            Path(place),
            Devices(given.dtype, quiet=True),
            extra=(progress,),
        )
    return ends


def ends_of_bare_loop(given: argparse.Namespace, model_inputs: np.ndarray, labels: np.ndarray) -> list[float]:
    """The same, where nothing else is done."""
    begun = from_scratch(BackboneOptions(size=given.image_size), LearningOptions("scratch"), seed=0)
    network = begun.network(np.arange(0)).to(memory_format=torch.channels_last).train()
    optimizer, ends = torch.optim.Adam(network.parameters()), []
    for start in range(0, len(model_inputs), given.batch_size):
        batch = slice(start, start + given.batch_size)
        with torch.autocast("cpu", torch.bfloat16, enabled=given.dtype == "bf16-mixed"):
            logits = network(torch.from_numpy(model_inputs[batch]).permute(0, 3, 1, 2).float())
        truth = torch.from_numpy(labels[batch].astype(np.float32))
        loss = binary_cross_entropy_with_logits(logits.float(), truth) + network.body.penalty()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ends.append(time.perf_counter())
    return ends


LOOPS = {"lightning": ends_by_lightning, "bare": ends_of_bare_loop}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loop", choices=LOOPS, default="lightning")
    parser.add_argument("--dtype", choices=("32-true", "bf16-mixed"), default="32-true")
    parser.add_argument("--image-size", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    given = parser.parse_args()
    count, random = given.batch_size * (WARM + given.steps), np.random.default_rng(0)
    model_inputs = random.integers(0, 256, (count, given.image_size, given.image_size, 3), np.uint8)
    ends = LOOPS[given.loop](given, model_inputs, np.arange(count, dtype=np.int8) % 2)
    print(json.dumps({"pictures_per_second": given.batch_size / statistics.median(np.diff(ends[WARM - 1 :]))}))


if __name__ == "__main__":
    main()
