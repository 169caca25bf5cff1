"""Vary training pictures: crop, mirror, and hide a box, a whole batch at a time.

Maskers hide parts of a picture, and users send photos of any framing. A network trained with both
scores masked pictures by their content, not as unfamiliar input.
"""

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Augmentation:
    """How much is varied: shares of pictures, lengths in pixels."""

    flip: bool  # mirror half of the pictures left to right
    shift: int  # furthest move of the crop
    scale: tuple[float, float]  # sides of the crop over the picture's, height and width apart
    erased: float  # share of pictures that lose a box
    erased_side: tuple[int, int]  # shortest and longest side of that box
    outside: float  # pixel value beyond the border


def augment(images: tf.Tensor, key: tf.Tensor, how: Augmentation) -> tf.Tensor:
    """Vary each picture of (N, H, W, C), H = W, by numbers drawn from `key` (2,).

    Pixel values 0..255 of any dtype come out as float32 of the same range; the same key gives the
    same result.
    """
    keys = tf.random.experimental.stateless_split(key, 2)
    return erase(crop(tf.cast(images, tf.float32), keys[0], how), keys[1], how)


def crop(images: tf.Tensor, key: tf.Tensor, how: Augmentation) -> tf.Tensor:
    """Resample a random box of each picture of (N, H, W, C) to its full size.

    Half of the boxes are only shifted by whole pixels, so that those pictures stay sharp.
    """
    count, size = tf.shape(images)[0], images.shape[1]
    keys = tf.random.experimental.stateless_split(key, 4)
    scale = tf.random.stateless_uniform((count, 2), keys[0], *how.scale)  # (N, 2): height, width
    scale = tf.where(coin(count, keys[1], 0.5)[:, None], scale, 1.0)
    reach = (-how.shift, how.shift + 1)
    shift = tf.random.stateless_uniform((count, 2), keys[2], *reach, dtype=tf.int32)
    centre = 0.5 + tf.cast(shift, tf.float32) / (size - 1)
    mirror = tf.where(coin(count, keys[3], 0.5 if how.flip else 0.0), -1.0, 1.0)
    half = scale / 2 * tf.stack([tf.ones_like(mirror), mirror], axis=1)  # left > right mirrors
    boxes = tf.concat([centre - half, centre + half], axis=1)  # (N, 4): top, left, bottom, right
    return tf.image.crop_and_resize(
        images, boxes, tf.range(count), (size, size), extrapolation_value=how.outside
    )


def erase(images: tf.Tensor, key: tf.Tensor, how: Augmentation) -> tf.Tensor:
    """Blur a random box of some pictures of (N, H, W, C), or fill it with their mean colour."""
    count, size = tf.shape(images)[0], images.shape[1]
    keys = tf.random.experimental.stateless_split(key, 4)
    shortest, longest = how.erased_side
    side = tf.random.stateless_uniform((count, 2), keys[0], shortest, longest + 1, dtype=tf.int32)
    middle = tf.random.stateless_uniform((count, 2), keys[1], 0, size, dtype=tf.int32)
    away = tf.abs(tf.range(size) - middle[..., None])  # (N, 2, size)
    inside = 2 * away < side[..., None]
    hidden = inside[:, 0, :, None, None] & inside[:, 1, None, :, None]  # (N, H, W, 1)
    hidden &= coin(count, keys[2], how.erased)[:, None, None, None]
    mean = tf.reduce_mean(images, axis=(1, 2), keepdims=True)
    fill = tf.where(coin(count, keys[3], 0.5)[:, None, None, None], mean, blur(images))
    return tf.where(hidden, fill, images)


def blur(images: tf.Tensor, reach: int = 4) -> tf.Tensor:
    """Average over `reach` pixels to each side, as two matrix products.

    Pooling does the same 14 times slower on a CPU.
    """
    place = tf.range(images.shape[1])
    near = tf.cast(tf.abs(place[:, None] - place) <= reach, tf.float32)
    weights = near / tf.reduce_sum(near, axis=1, keepdims=True)  # (H, H), rows sum to 1
    return tf.einsum("hi,nijc,wj->nhwc", weights, images, weights)


def coin(count: tf.Tensor, key: tf.Tensor, chance: float) -> tf.Tensor:
    """Draw `count` booleans, each true with probability `chance`."""
    return tf.random.stateless_uniform((count,), key) < chance
