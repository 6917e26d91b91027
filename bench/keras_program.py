"""The usual program for two folders of images: Keras, a frozen MobileNetV2, a sigmoid unit, 5 epochs.

    python bench/keras_program.py ../shared/data/cats-dogs --out pets.keras [--weights imagenet] [--cache-features]

Without ImageNet weights (`--weights none`) it does the same work on the same images, for timing only. With `--cache-features`
each image passes through the frozen network once, and the unit is fitted on the features.
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


def load_images(folder: Path, *, shuffle: bool) -> tf.data.Dataset:
    return keras.utils.image_dataset_from_directory(
        folder, label_mode="binary", image_size=SIZE, batch_size=BATCH, shuffle=shuffle, seed=123
    )


def feature_model(base: keras.Model) -> keras.Model:
    inputs = keras.Input((*SIZE, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(base(preprocess_input(inputs), training=False))
    return keras.Model(inputs, pooled)


def fit(feature_extractor: keras.Model, train: tf.data.Dataset, *, cached: bool) -> keras.Model:
    """The model from pixels to probabilities."""
    layer = keras.layers.Dense(1, activation="sigmoid")
    model = keras.Sequential([feature_extractor, layer])
    if cached:
        features, labels = zip(*((feature_extractor.predict_on_batch(x), y) for x, y in train), strict=True)
        head = keras.Sequential([keras.Input((feature_extractor.output_shape[-1],)), layer])
        head.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        head.fit(np.concatenate(features), np.concatenate(labels), batch_size=BATCH, epochs=EPOCHS, verbose=2)
    else:
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        model.fit(train.prefetch(tf.data.AUTOTUNE), epochs=EPOCHS, verbose=2)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder with train/ and test/, each with a sub-folder per class")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", choices=("imagenet", "none"), default="imagenet")
    parser.add_argument("--cache-features", action="store_true")
    arguments = parser.parse_args()

    train = load_images(arguments.data / "train", shuffle=True)
    test = load_images(arguments.data / "test", shuffle=False)
    base = MobileNetV2(
        input_shape=(*SIZE, 3), include_top=False, weights=None if arguments.weights == "none" else arguments.weights
    )
    base.trainable = False
    model = fit(feature_model(base), train, cached=arguments.cache_features)
    model.save(arguments.out)

    model.predict(test.take(1), verbose=0)  # traces the graph, so that the rate below does not include it
    start = time.perf_counter()
    probabilities = model.predict(test.prefetch(tf.data.AUTOTUNE), verbose=0).ravel()
    seconds = time.perf_counter() - start
    labels = np.concatenate([y for _, y in test]).ravel().astype(int)
    print(classification_report(labels, probabilities >= 0.5, target_names=test.class_names, zero_division=0))
    print(
        json.dumps(
            {"predict_per_second": len(labels) / seconds, "accuracy": float(((probabilities >= 0.5) == labels).mean())}
        )
    )


if __name__ == "__main__":
    main()
