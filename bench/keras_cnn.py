"""The usual program that trains a network from scratch on two folders of images: Keras, four convolutions.

    python bench/keras_cnn.py IMAGES [--test TEST] [--image-size 200] [--batch-size 128] [--epochs 50] [--out pets.keras]
    python bench/keras_cnn.py --steps 10 --batch-size 32 [--policy mixed_bfloat16]

With `--steps` it times this number of training steps on random pixels, without augmentation; bench/training_steps.py does so
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

WARMUP = 3  # steps that are not timed; the graph is traced in the first one


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


def compile_network(size: int) -> keras.Model:
    model = network(size)
    model.compile(keras.optimizers.Adam(), "binary_crossentropy", metrics=["accuracy"])
    return model


def load_images(folder: Path, arguments: argparse.Namespace, **options: object) -> tf.data.Dataset:
    side = (arguments.image_size, arguments.image_size)
    return keras.utils.image_dataset_from_directory(
        folder, label_mode="binary", image_size=side, batch_size=arguments.batch_size, seed=123, **options
    )


def train_and_evaluate(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    train, validation = load_images(arguments.images, arguments, validation_split=0.2, subset="both")
    augmentation = Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1), layers.RandomZoom(0.1)])
    augmented = train.map(lambda x, y: (augmentation(x, training=True), y), num_parallel_calls=tf.data.AUTOTUNE)
    model = compile_network(arguments.image_size)
    callbacks = [
        ReduceLROnPlateau("val_accuracy", factor=0.5, patience=2),
        EarlyStopping("val_loss", patience=3, restore_best_weights=True),
    ]
    model.fit(
        augmented.prefetch(tf.data.AUTOTUNE),
        validation_data=validation,
        epochs=arguments.epochs,
        callbacks=callbacks,
        verbose=2,
    )
    if arguments.out:
        model.save(arguments.out)
    datasets = {"train": train, "validation": validation}
    if arguments.test:
        datasets["test"] = load_images(arguments.test, arguments, shuffle=False)
    return {name: model.evaluate(dataset, verbose=0, return_dict=True) for name, dataset in datasets.items()}


def time_steps(arguments: argparse.Namespace) -> dict[str, float]:
    """Images per second of the median step."""
    count, random, ends = arguments.batch_size * (WARMUP + arguments.steps), np.random.default_rng(0), []
    model_inputs = random.integers(0, 256, (count, arguments.image_size, arguments.image_size, 3), np.uint8)
    data = tf.data.Dataset.from_tensor_slices((model_inputs, np.arange(count) % 2)).batch(arguments.batch_size)
    progress = LambdaCallback(on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter()))
    compile_network(arguments.image_size).fit(data.prefetch(tf.data.AUTOTUNE), callbacks=[progress], verbose=0)
    return {"images_per_second": arguments.batch_size / statistics.median(np.diff(ends[WARMUP - 1 :]))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, nargs="?", help="a folder with one sub-folder per class")
    parser.add_argument("--test", type=Path, help="a folder of test images")
    parser.add_argument("--image-size", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=50, help="maximum number")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--policy", choices=("float32", "mixed_bfloat16"), default="float32")
    arguments = parser.parse_args()
    if arguments.images is None and arguments.steps is None:
        sys.exit("Pass a folder of images, or --steps.")
    keras.mixed_precision.set_global_policy(arguments.policy)
    print(json.dumps(time_steps(arguments) if arguments.steps else train_and_evaluate(arguments)))


if __name__ == "__main__":
    main()
