"""The program people write today for two folders of pictures: Keras, a frozen MobileNetV2, a sigmoid unit, 5 epochs.

    python bench/keras_program.py ../shared/data/cats-dogs --out pets.keras [--weights imagenet] [--cache-features]

Without ImageNet's weights (`--weights none`) it does the same work on the same pictures: good for timing, not for
accuracy. `--cache-features` is the variant that passes every picture through the frozen network once and fits the unit
on what comes out.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras.applications.mobilenet_v2 import MobileNetV2, preprocess_input
from sklearn.metrics import classification_report

SIZE, BATCH, EPOCHS = (160, 160), 32, 5


def images(folder: Path, *, shuffle: bool) -> tf.data.Dataset:
    return keras.utils.image_dataset_from_directory(
        folder, label_mode="binary", image_size=SIZE, batch_size=BATCH, shuffle=shuffle, seed=123
    )


def features_of(base: keras.Model) -> keras.Model:
    inputs = keras.Input((*SIZE, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(base(preprocess_input(inputs), training=False))
    return keras.Model(inputs, pooled)


def fitted(features: keras.Model, train: tf.data.Dataset, *, cached: bool) -> keras.Model:
    """The whole model, pixels to probability."""
    layer = keras.layers.Dense(1, activation="sigmoid")
    model = keras.Sequential([features, layer])
    if cached:
        features, labels = zip(*((features.predict_on_batch(x), y) for x, y in train), strict=True)
        head = keras.Sequential([keras.Input((features.output_shape[-1],)), layer])
        head.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        head.fit(np.concatenate(features), np.concatenate(labels), batch_size=BATCH, epochs=EPOCHS, verbose=2)
    else:
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        model.fit(train.prefetch(tf.data.AUTOTUNE), epochs=EPOCHS, verbose=2)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder with train/ and test/, each with a sub-folder a class")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", choices=("imagenet", "none"), default="imagenet")
    parser.add_argument("--cache-features", action="store_true")
    given = parser.parse_args()

    train = images(given.data / "train", shuffle=True)
    test = images(given.data / "test", shuffle=False)
    base = MobileNetV2(
        input_shape=(*SIZE, 3), include_top=False, weights=None if given.weights == "none" else given.weights
    )
    base.trainable = False
    model = fitted(features_of(base), train, cached=given.cache_features)
    model.save(given.out)

    model.predict(test.take(1), verbose=0)  # its graph is traced here, so that the rate below is that of the work
    started = time.perf_counter()
    probabilities = model.predict(test.prefetch(tf.data.AUTOTUNE), verbose=0).ravel()
    seconds = time.perf_counter() - started
    labels = np.concatenate([y for _, y in test]).ravel().astype(int)
    print(classification_report(labels, probabilities >= 0.5, target_names=test.class_names, zero_division=0))
    print(
        json.dumps(
            {"predict_per_second": len(labels) / seconds, "accuracy": float(((probabilities >= 0.5) == labels).mean())}
        )
    )


if __name__ == "__main__":
    main()
