"""Images per second of training steps of the classic network: forward, backward, update; random pixels, no augmentation.

    python bench/training_steps.py [--loop bare] [--dtype bf16-mixed] [--image-size 200] [--batch-size 32] [--steps 10]

lightning: the training loop of `twofold train --mode scratch`, with its batches, logs and checkpoints; bare: the same network in
a minimal PyTorch loop. bench/keras_cnn.py does the same with Keras.
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
from twofold.learning.decoder import hold_in_memory
from twofold.learning.initialisation import from_scratch
from twofold.learning.learner import Learner
from twofold.learning.trainer import Devices, train_network

WARMUP = 3  # steps that are not timed


def lightning_end_times(arguments: argparse.Namespace, model_inputs: np.ndarray, labels: np.ndarray) -> list[float]:
    """The time at which each step ended."""
    options = LearningOptions("scratch", batch_size=arguments.batch_size, epochs=1, augment=0)
    initialisation = from_scratch(BackboneOptions(size=arguments.image_size), options, seed=0)
    rows, ends = np.arange(len(model_inputs)), []
    batches = Batches(hold_in_memory(model_inputs), labels, rows, rows[:2], batch_size=arguments.batch_size)
    # Once per step, for any number of micro-batches.
    callback = LambdaCallback(on_before_zero_grad=lambda *_: ends.append(time.perf_counter()))
    with tempfile.TemporaryDirectory() as folder:
        train_network(
            lambda: Learner(initialisation.build_network(rows), initialisation.recipe, image_count=len(rows), seed=0),
            batches,
            Path(folder),
            Devices(arguments.dtype, quiet=True),
            callbacks=(callback,),
        )
    return ends


def bare_end_times(arguments: argparse.Namespace, model_inputs: np.ndarray, labels: np.ndarray) -> list[float]:
    """The same for a minimal loop."""
    initialisation = from_scratch(BackboneOptions(size=arguments.image_size), LearningOptions("scratch"), seed=0)
    network = initialisation.build_network(np.arange(0)).to(memory_format=torch.channels_last).train()
    optimizer, ends = torch.optim.Adam(network.parameters()), []
    for start in range(0, len(model_inputs), arguments.batch_size):
        batch = slice(start, start + arguments.batch_size)
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.dtype == "bf16-mixed"):
            logits = network(torch.from_numpy(model_inputs[batch]).permute(0, 3, 1, 2).float())
        targets = torch.from_numpy(labels[batch].astype(np.float32))
        loss = binary_cross_entropy_with_logits(logits.float(), targets) + network.body.penalty()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ends.append(time.perf_counter())
    return ends


LOOPS = {"lightning": lightning_end_times, "bare": bare_end_times}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loop", choices=LOOPS, default="lightning")
    parser.add_argument("--dtype", choices=("32-true", "bf16-mixed"), default="32-true")
    parser.add_argument("--image-size", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    count, random = arguments.batch_size * (WARMUP + arguments.steps), np.random.default_rng(0)
    model_inputs = random.integers(0, 256, (count, arguments.image_size, arguments.image_size, 3), np.uint8)
    ends = LOOPS[arguments.loop](arguments, model_inputs, np.arange(count, dtype=np.int8) % 2)
    print(json.dumps({"images_per_second": arguments.batch_size / statistics.median(np.diff(ends[WARMUP - 1 :]))}))


if __name__ == "__main__":
    main()
