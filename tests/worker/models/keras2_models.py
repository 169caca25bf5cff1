"""Models of Keras 2, written by tf_keras in its own process: `python -m … FOLDER`.

Each model has NAME.h5, NAME.keras if tf_keras can write it, and NAME.npz with pictures and their
scores by tf_keras. Weights are random, those of normalisation included.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

layers = keras.layers
SHAPE = (12, 12, 3)
OF_DATA = ("mean:0", "variance:0")  # of a Normalization that was adapted to data
RNG = np.random.default_rng(1)


def scored(*stack, shape=SHAPE):
    return keras.Sequential([keras.Input(shape), *stack, layers.Flatten(), layers.Dense(4)])


def head(tensor, activation="softmax"):
    return layers.Dense(4, activation=activation)(layers.Flatten()(tensor))


def conv(filters=3, **settings):
    return layers.Conv2D(filters, 3, padding="same", **settings)


def adapted(axis):
    layer = layers.Normalization(axis=axis)
    layer.adapt(RNG.normal(3, 2, (50, *SHAPE)))
    return layer


def functional():
    """Branches of equal weights, a layer called twice, names with slashes, merges of tensors."""
    picture = keras.Input(SHAPE)
    a, b, shared = conv(name="z/conv"), conv(name="a"), conv()
    x, y = a(picture), b(picture)
    merged = layers.Subtract()([layers.BatchNormalization()(x), layers.BatchNormalization()(y)])
    twice = shared(shared(merged))
    product = layers.Dot(axes=(3, 3), normalize=True)([x, y])
    joined = layers.Concatenate()([twice, layers.Maximum()([x, y]), layers.Multiply()([x, y])])
    return keras.Model(picture, layers.Add()([head(joined), head(product)]))


def nested():
    """Models within models, one called twice, one partly frozen as for fine-tuning."""
    start = keras.Input(SHAPE)
    x = start
    for frozen in (True, False, True):
        x = conv(trainable=not frozen)(x)
        x = layers.ReLU()(layers.BatchNormalization(trainable=frozen)(x))
    base = keras.Model(start, x, name="base")
    tail = keras.Sequential([conv(4, input_shape=SHAPE), layers.BatchNormalization()])
    picture = keras.Input(SHAPE)
    y = keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1)])(picture)
    y = layers.Add()([base(y, training=False), base(base(y))])
    return keras.Model(picture, head(tail(y)))


def shared():
    """Two models with a layer in common."""
    layer, start, other = conv(activation="tanh"), keras.Input(SHAPE), keras.Input(SHAPE)
    one = keras.Model(start, layers.ReLU()(layer(start)))
    two = keras.Model(other, layers.BatchNormalization()(layer(other)))
    picture = keras.Input(SHAPE)
    return keras.Model(picture, head(layers.Add()([one(picture), two(picture)])))


def unnamed_input():
    inner = keras.Sequential([layers.Conv2D(4, 3, input_shape=SHAPE), layers.BatchNormalization()])
    return keras.Sequential([inner, layers.Flatten(), layers.Dense(4, activation="softmax")])


def built_late():
    model = keras.Sequential([layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(4)])
    model.build((None, *SHAPE))
    return model


def half_precision():
    keras.mixed_precision.set_global_policy("mixed_float16")
    stack = [layers.Rescaling(1 / 255), conv(), layers.DepthwiseConv2D(3), layers.Flatten()]
    model = keras.Sequential([keras.Input(SHAPE), *stack, layers.Dense(4, dtype="float32")])
    keras.mixed_precision.set_global_policy("float32")
    return model


def attention():
    picture = keras.Input(SHAPE)
    x = layers.Reshape((144, 3))(picture)
    y = layers.Add()([x, layers.MultiHeadAttention(2, 4, dropout=0.1)(x, x)])
    y = layers.Attention(use_scale=True)([layers.LayerNormalization(epsilon=1e-6)(y), x])
    return keras.Model(picture, head(y))


def arithmetic():
    """TensorFlow's operators, which are saved as TFOpLambda."""
    picture = keras.Input(SHAPE)
    x = picture / 255.0 - tf.constant([0.4, 0.5, 0.6])
    y = conv(4)(x)
    y = tf.concat([1 - y, y**2, tf.nn.relu6(y + 3.0) * (1.0 / 6.0), tf.maximum(y, -y)], axis=-1)
    y = tf.reduce_mean(tf.nn.silu(y), axis=[1, 2])
    return keras.Model(picture, tf.nn.softmax(layers.Dense(4)(y)))


def slices():
    """BGR as by `preprocess_input`, and a crop of the picture: SlicingOpLambda."""
    picture = keras.Input(SHAPE)
    x = keras.applications.resnet50.preprocess_input(picture)
    return keras.Model(picture, head(conv()(x)[:, 1:-1, ::2]))


def whole_numbers():
    picture = keras.Input(SHAPE, dtype="uint8")
    return keras.Model(picture, head(tf.image.rgb_to_grayscale(tf.cast(picture, tf.float32))))


def transfer():
    base = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(32, 32, 3), alpha=0.35
    )
    stack = [layers.RandomFlip(), layers.Rescaling(1 / 127.5, offset=-1)]
    top = [layers.GlobalAveragePooling2D(), layers.Dropout(0.2), layers.Dense(4)]
    return keras.Sequential([keras.Input((32, 32, 3)), *stack, base, *top])


def application(name, **settings):
    shape = (32, 32, 3)
    build = getattr(keras.applications, name)
    return lambda: build(weights=None, input_shape=shape, classifier_activation=None, **settings)


MODELS = {
    "depthwise": lambda: scored(layers.DepthwiseConv2D((3, 2), depth_multiplier=2)),
    "separable": lambda: scored(layers.SeparableConv2D(5, 3, strides=2, padding="same")),
    "transposed": lambda: scored(layers.Conv2DTranspose(4, 3, strides=2, output_padding=1)),
    "grouped": lambda: scored(
        layers.Conv2D(6, 3, groups=3, kernel_regularizer="l2", bias_constraint="max_norm")
    ),
    "batch_norm_axes": lambda: scored(
        layers.BatchNormalization(axis=[3]), layers.BatchNormalization(axis=1, scale=False)
    ),
    "batch_norm_sync": lambda: scored(
        layers.experimental.SyncBatchNormalization(), layers.BatchNormalization()
    ),
    "norms": lambda: scored(
        layers.LayerNormalization(axis=[1, 2, 3]),
        layers.UnitNormalization(axis=[1, 2]),
        layers.GroupNormalization(3),
    ),
    "softmax_axes": lambda: scored(layers.Softmax(axis=[1, 2])),
    "normalization": lambda: scored(
        adapted(-1), adapted(None), layers.Normalization(mean=[1.0, 2.0, 3.0], variance=4.0)
    ),
    "relu": lambda: scored(
        layers.ReLU(6.0, negative_slope=np.float32(0.1), threshold=np.float32(0.5))
    ),
    "activations": lambda: scored(
        conv(), layers.LeakyReLU(np.array(0.1)), layers.PReLU(), layers.ELU(0.7), layers.Softmax()
    ),
    "thresholded": lambda: scored(layers.ThresholdedReLU(theta=0.3)),
    "hard_sigmoid": lambda: scored(
        conv(activation="hard_sigmoid"), layers.Activation("hard_sigmoid")
    ),
    "functions": lambda: scored(
        conv(activation=tf.nn.relu6), layers.Activation(tf.nn.silu), layers.Activation("gelu")
    ),
    "augmented": lambda: scored(
        layers.RandomFlip("horizontal"),
        layers.RandomZoom(0.1),
        layers.RandomContrast(0.1),
        layers.RandomBrightness(0.1),
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomCrop(8, 10),
    ),
    "random_size": lambda: scored(
        layers.RandomHeight(0.1), layers.RandomWidth(0.1), layers.Resizing(9, 7)
    ),
    "noise": lambda: scored(
        layers.GaussianNoise(0.1), layers.SpatialDropout2D(0.2), layers.AlphaDropout(0.1)
    ),
    "resized": lambda: scored(
        layers.CenterCrop(8, 8),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.Cropping2D(1),
    ),
    "recurrent": lambda: scored(
        layers.Reshape((12, 36)),
        layers.Bidirectional(layers.LSTM(5, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(3)),
        layers.GRU(4, reset_after=False, recurrent_activation="hard_sigmoid"),
    ),
    "functional": functional,
    "nested": nested,
    "shared": shared,
    "unnamed_input": unnamed_input,
    "built_late": built_late,
    "half_precision": half_precision,
    "attention": attention,
    "arithmetic": arithmetic,
    "slices": slices,
    "whole_numbers": whole_numbers,
    "transfer": transfer,
    "mobilenet_v2": application("MobileNetV2", alpha=0.35),
    "efficientnet_b0": application("EfficientNetB0"),
}


def write(name, folder):
    keras.backend.clear_session()
    model = MODELS[name]()
    for weight in model.weights:
        if not weight.dtype.is_floating or weight.name in OF_DATA:
            continue
        value = RNG.normal(0, 0.5, weight.shape)
        if "variance" in weight.name:
            value = np.abs(value) + 0.5
        if "net" in name:  # through so many layers random weights would leave nothing
            continue
        weight.assign(value.astype(weight.dtype.as_numpy_dtype))
    pictures = RNG.integers(0, 256, (3, *model.input_shape[1:])).astype(np.float32)
    model.compile("adam", "mse")  # as if trained: the file has an optimizer too
    model.save(folder / f"{name}.h5")
    if name != "slices":  # tf_keras cannot write it as .keras
        model.save(folder / f"{name}.keras")
    scores = model(pictures.astype(model.inputs[0].dtype.as_numpy_dtype), training=False)
    np.savez(folder / f"{name}.npz", pictures=pictures, scores=scores)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for each in MODELS:
        write(each, Path(sys.argv[1]))
