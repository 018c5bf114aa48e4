"""Trains the example network on handwritten digits of 8 by 8 pixels, and writes its files.

    pip install 'ggdq-mcu[dev]'
    python examples/digits.py

digits.h5 is the network. digits.npz are training samples, by which it is calibrated; digits_test.npz are
samples that neither training nor calibration has seen. The data are scikit-learn's copy of the UCI set
"Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998), which lies inside its package. The
same seed gives the same files.
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

HERE = Path(__file__).parent
SEED = 1998
TEST_SAMPLES = 500
CALIBRATION_SAMPLES = 150
EPOCHS = 60


def network() -> keras.Model:
    """A small residual network with depthwise layers: 8x8x1 -> 10 probabilities."""
    image = keras.Input((8, 8, 1), name="image")
    x = conv_bn_relu(layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv_1"), image)
    y = conv_bn_relu(layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise_1"), x)
    y = layers.Conv2D(16, 1, use_bias=False, name="pointwise_1")(y)
    y = layers.BatchNormalization(name="pointwise_1_bn")(y)
    x = layers.ReLU(name="add_1_relu")(layers.Add(name="add_1")([x, y]))
    x = conv_bn_relu(layers.DepthwiseConv2D(3, 2, padding="same", use_bias=False, name="depthwise_2"), x)
    x = conv_bn_relu(layers.Conv2D(32, 1, use_bias=False, name="pointwise_2"), x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    x = layers.Dense(10, name="logits")(x)
    return keras.Model(image, layers.Softmax(name="probabilities")(x), name="digits")


def conv_bn_relu(convolution: layers.Layer, x: keras.KerasTensor) -> keras.KerasTensor:
    """The convolution, batch normalization and ReLU."""
    x = layers.BatchNormalization(name=f"{convolution.name}_bn")(convolution(x))
    return layers.ReLU(name=f"{convolution.name}_relu")(x)


def main() -> None:
    """Train, then write the model and the two data files beside this script."""
    keras.utils.set_random_seed(SEED)
    digits = load_digits()
    x = (digits.images[..., None] / 16).astype(np.float32)  # 0..16 in the data set
    y = digits.target.astype(np.uint8)
    order = np.random.default_rng(SEED).permutation(len(x))
    test, training = order[:TEST_SAMPLES], order[TEST_SAMPLES:]

    model = network()
    schedule = keras.optimizers.schedules.CosineDecay(0.01, EPOCHS * -(-len(training) // 32))
    model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[training], y[training], batch_size=32, epochs=EPOCHS, verbose=2)
    _, accuracy = model.evaluate(x[test], y[test], verbose=0)
    print(f"accuracy on {len(test)} samples that training has not seen: {accuracy:.1%}")

    model.save(HERE / "digits.h5", include_optimizer=False)
    calibration = training[:CALIBRATION_SAMPLES]
    np.savez_compressed(HERE / "digits.npz", x=x[calibration], y=y[calibration])
    np.savez_compressed(HERE / "digits_test.npz", x=x[test], y=y[test])


if __name__ == "__main__":
    main()
