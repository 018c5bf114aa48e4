"""Trains the recurrent example on handwritten digits, read row by row, and writes digits_gru.h5.

    pip install 'ggdq-mcu[dev]'
    python examples/digits_gru.py

A digit is a sequence of eight steps of eight pixels. The samples are those of digits.py: digits.npz calibrates,
digits_test.npz tests; both fit this network after a reshape, which its first layer does.
"""

from __future__ import annotations

import keras
import numpy as np
from digits import HERE, SEED, TEST_SAMPLES
from keras import layers
from sklearn.datasets import load_digits

EPOCHS = 80


def network() -> keras.Model:
    """Two layers of gated recurrent units over the rows: 8x8x1 -> 10 probabilities."""
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Reshape((8, 8), name="rows")(image)
    x = layers.GRU(24, return_sequences=True, name="gru_1")(x)
    x = layers.GRU(24, name="gru_2")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    x = layers.Dense(10, name="logits")(x)
    return keras.Model(image, layers.Softmax(name="probabilities")(x), name="digits_gru")


def main() -> None:
    """Train, then write the model beside this script."""
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
    model.save(HERE / "digits_gru.h5", include_optimizer=False)


if __name__ == "__main__":
    main()
