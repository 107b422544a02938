"""Training for text: pixels, edges, and what a recogniser reads.

The recogniser sees a line of HR and the same line of the network's output, level and 48 px high as
it is used to. The network learns to have it read the same in both.
"""

import tensorflow as tf

from train.descriptions import describe_value
from train.losses import edge_loss, grid_loss
from train.recipes import WdsrTrainer

LINE_PX = (48, 192)
"""Height and width of what the recogniser is given."""


class TextTrainer(WdsrTrainer):
    """`WdsrTrainer` with `edge_loss`; with a recogniser, `reading_loss` and `grid_loss` beside it.

    A recogniser alone lets a network draw stripes that only the recogniser takes for letters.

    Args:
        model, checkpoint_dir, learning_rate, options, report: As for `WdsrTrainer`.
        recogniser: Function of `level_lines` to logits (B, T, classes), as
            `weights.onnx_graph.OnnxGraph` makes of PP-OCR's file; None: pixels and edges alone.
        weight: Of the reading loss.

    Batches are ``(lr, hr)``, or ``(lr, hr, lines)`` of `data.text_lines`.
    """

    batch_sizes = (2, 3)

    def __init__(
        self,
        model,
        checkpoint_dir=".ckpt/text",
        learning_rate=None,
        *,
        recogniser=None,
        weight=0.0,
        options=None,
        report=print,
    ):
        self._recogniser, self._weight = recogniser, weight
        if weight:
            self.loss_names = ("loss", "reading_loss")
            self.SAVE_BEST_ONLY = False  # reading costs PSNR, by which the best are told
        super().__init__(
            model, checkpoint_dir, learning_rate, loss=edge_loss, options=options, report=report
        )

    def losses(self, lr, hr, lines=None):
        """The losses of one batch, see `Trainer.losses`; the reading loss is in the first, too."""
        sr = self.model(lr, training=True)
        loss = tf.cast(self.loss(hr, sr), tf.float32)
        if not self._weight:
            return (loss,)
        if lines is None:
            raise ValueError("a reading loss needs batches of (lr, hr, lines), got (lr, hr)")
        read = reading_loss(self._recogniser, hr, tf.cast(sr, tf.float32), lines)
        grid = grid_loss(hr, sr, hr.shape[1] // lr.shape[1])
        return loss + self._weight * read + grid, read

    def loss_facts(self):
        """See `Trainer.loss_facts`."""
        if not self._weight:
            return super().loss_facts()
        read = describe_value({"recogniser": self._recogniser, "recogniser_weight": self._weight})
        return super().loss_facts() | read


def reading_loss(recogniser, hr, sr, lines):
    """Squared Hellinger distance of what is read in SR from what is read in HR.

    It is 0 at a place where both readings are equally sure of the same, 1 where they have nothing
    in common. The Kullback-Leibler divergence has no upper end: lines that nobody can read would
    make up most of it, and its slope.

    Args:
        recogniser: Function of `level_lines` to logits (B, T, classes).
        hr: (B, H, W, 3) in 0..255.
        sr: The same of the network.
        lines: (B, 4, 2), see `level_lines`.

    Returns:
        Scalar: the sum over each line's T places, its mean over the batch.
    """
    true, made = (
        tf.nn.log_softmax(recogniser(level_lines(pictures, lines))) for pictures in (hr, sr)
    )
    shared = tf.reduce_logsumexp((tf.stop_gradient(true) + made) / 2, axis=2)
    return tf.reduce_mean(tf.reduce_sum(1 - tf.exp(shared), axis=1))


def level_lines(pictures, lines):
    """Cut lines out of pictures and make them level, as PP-OCR's recogniser takes them.

    Args:
        pictures: (B, H, W, 3) RGB in 0..255.
        lines: (B, 4, 2) corners of rectangles, x and y in px, clockwise from the first letter's
            upper one.

    Returns:
        (B, 48, 192, 3) BGR in -1..1; 0 behind a line's end.
    """
    height, width = LINE_PX
    lines = tf.cast(lines, tf.float32)
    start = lines[:, 0]
    along, down = lines[:, 1] - start, lines[:, 3] - start  # (B, 2)
    length, depth = (tf.norm(side, axis=1, keepdims=True) for side in (along, down))
    step = tf.math.divide_no_nan(depth, tf.constant(float(height)))
    right = tf.math.divide_no_nan(along, length) * step  # one pixel of the result
    below = tf.math.divide_no_nan(down, depth) * step
    across, downwards = tf.range(0.5, width), tf.range(0.5, height)
    places = (  # (B, 48, 192, 2), where the result's pixels are in the picture
        start[:, None, None]
        + across[:, None] * right[:, None, None]
        + downwards[:, None, None] * below[:, None, None]
        - 0.5
    )
    level = _sampled(pictures[..., ::-1], places)
    written = across < tf.math.divide_no_nan(length, step)  # (B, W)
    return (level / 127.5 - 1) * tf.cast(written, tf.float32)[:, None, :, None]


def _sampled(pictures, places):
    """Bilinear values at places, x and y in px, of the border's pixels beyond it.

    TensorFlow's own ImageProjectiveTransform has a slope that only fits where sizes stay.
    """
    size = tf.cast(tf.shape(pictures)[2:0:-1], tf.float32)
    places = tf.clip_by_value(places, 0.0, size - 1)
    corner = tf.clip_by_value(tf.floor(places), 0.0, size - 2)
    x, y = tf.unstack((places - corner)[..., None, :], axis=-1)  # (B, h, w, 1)
    column, row = tf.unstack(tf.cast(corner, tf.int32), axis=-1)
    number = tf.broadcast_to(tf.range(tf.shape(row)[0])[:, None, None], tf.shape(row))

    def pixels(right, below):
        return tf.gather_nd(pictures, tf.stack([number, row + below, column + right], axis=-1))

    upper = (1 - x) * pixels(0, 0) + x * pixels(1, 0)
    lower = (1 - x) * pixels(0, 1) + x * pixels(1, 1)
    return (1 - y) * upper + y * lower
