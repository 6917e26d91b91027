"""The program people write today to learn a network from two folders of pictures: Keras, four convolutions, from scratch.

    python bench/keras_cnn.py PICTURES [--test TEST] [--image-size 200] [--batch-size 128] [--epochs 50] [--out pets.keras]
    python bench/keras_cnn.py --steps 10 --batch-size 32 [--policy mixed_bfloat16]

With `--steps` it times so many training steps on random pixels instead, without augmentation: bench/steps.py does the same
with twofold.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import Sequential, layers
from keras.callbacks import EarlyStopping, LambdaCallback, ReduceLROnPlateau

WARM = 3  # steps that are not timed: the graph is traced in the first


def network(size: int) -> keras.Model:
    convolution = {"kernel_size": 3, "activation": "relu"}
    return Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(128, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(64, **convolution),
            layers.MaxPooling2D(),
            layers.Conv2D(64, **convolution),
            layers.MaxPooling2D(),
            layers.Conv2D(64, kernel_regularizer=keras.regularizers.L1L2(1e-5, 1e-4), **convolution),
            layers.MaxPooling2D(),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.1),
            layers.BatchNormalization(),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.2),
            layers.BatchNormalization(),
            layers.Dense(1, activation="sigmoid", dtype="float32"),
        ]
    )


def compiled(size: int) -> keras.Model:
    model = network(size)
    model.compile(keras.optimizers.Adam(), "binary_crossentropy", metrics=["accuracy"])
    return model


def images(folder: Path, given: argparse.Namespace, **options: object) -> tf.data.Dataset:
    side = (given.image_size, given.image_size)
    return keras.utils.image_dataset_from_directory(
        folder, label_mode="binary", image_size=side, batch_size=given.batch_size, seed=123, **options
    )


def learned(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    train, validation = images(given.images, given, validation_split=0.2, subset="both")
    augmentation = Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1), layers.RandomZoom(0.1)])
    augmented = train.map(lambda x, y: (augmentation(x, training=True), y), num_parallel_calls=tf.data.AUTOTUNE)
    model = compiled(given.image_size)
    callbacks = [
        ReduceLROnPlateau("val_accuracy", factor=0.5, patience=2),
        EarlyStopping("val_loss", patience=3, restore_best_weights=True),
    ]
    model.fit(
        augmented.prefetch(tf.data.AUTOTUNE),
        validation_data=validation,
        epochs=given.epochs,
        callbacks=callbacks,
        verbose=2,
    )
    if given.out:
        model.save(given.out)
    parts = {"train": train, "validation": validation}
    if given.test:
        parts["test"] = images(given.test, given, shuffle=False)
    return {name: model.evaluate(part, verbose=0, return_dict=True) for name, part in parts.items()}


def timed(given: argparse.Namespace) -> dict[str, float]:
    """Pictures a second, by the median step."""
    count, random, ends = given.batch_size * (WARM + given.steps), np.random.default_rng(0), []
    model_inputs = random.integers(0, 256, (count, given.image_size, given.image_size, 3), np.uint8)
    data = tf.data.Dataset.from_tensor_slices((model_inputs, np.arange(count) % 2)).batch(given.batch_size)
    progress = LambdaCallback(on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter()))
    compiled(given.image_size).fit(data.prefetch(tf.data.AUTOTUNE), callbacks=[progress], verbose=0)
    return {"images_per_second": given.batch_size / statistics.median(np.diff(ends[WARM - 1 :]))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, nargs="?", help="a folder with one sub-folder a class")
    parser.add_argument("--test", type=Path, help="another such folder")
    parser.add_argument("--image-size", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=50, help="at most")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--policy", choices=("float32", "mixed_bfloat16"), default="float32")
    given = parser.parse_args()
    if given.images is None and given.steps is None:
        sys.exit("Say which pictures, or how many --steps to time.")
    keras.mixed_precision.set_global_policy(given.policy)
    print(json.dumps(timed(given) if given.steps else learned(given)))


if __name__ == "__main__":
    main()
