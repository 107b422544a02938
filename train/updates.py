"""One update of every network of a run, as a graph of TensorFlow operations.

Batch → gradients (in parts, on all replicas) → summed → clipped → applied and averaged, or skipped
where anything is not finite. Gradients are summed before they are applied, because clipping and the
decision to skip need the sum.
"""

import tensorflow as tf

from model.precision import set_precision

_FIRST_LOSS_SCALE = 2.0**15
_GROW_LOSS_SCALE_AFTER = 2000  # good steps; both as in arXiv:1710.03740, section 3.2, and Keras


def counter(value, dtype=tf.float32):
    """A variable of the run that is no weight; the same on all replicas."""
    aggregation = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return tf.Variable(value, dtype=dtype, trainable=False, aggregation=aggregation)


class Updates:
    """Makes updates; `state` is what has to be in a checkpoint beside networks and optimisers.

    Args:
        losses: Function of a float32 batch → scalar losses, each a mean over the batch. The first
            is minimised by the first network, the second by the second, further ones are reported.
        count: Number of losses.
        networks: ``(network, built optimizer)`` pairs.
        average: Network that follows the first one's weights, or None.
        options: `train.options.TrainerOptions`.
        strategy: The strategy, its scope open.
    """

    def __init__(self, losses, count, networks, average, options, strategy):
        self._losses, self._networks, self._average = losses, networks, average
        self._options, self._strategy = options, strategy
        self._scales_loss = options.precision == "mixed_float16"
        self.state = {
            "step": counter(0, tf.int64),
            "loss_sums": counter(tf.zeros(count)),  # since the last evaluation
            "loss_count": counter(0),
            "skipped_steps": counter(0, tf.int64),
            "skipped_in_a_row": counter(0, tf.int64),
            "loss_scale": counter(_FIRST_LOSS_SCALE if self._scales_loss else 1.0),
            "good_steps": counter(0, tf.int64),
        }
        for network, _ in networks:
            set_precision(network, options.precision)
        # without autograph: rewriting this file's functions takes longer than tracing them
        self._gradients = tf.function(
            self._batch_gradients, jit_compile=options.jit_compile or None, autograph=False
        )
        self.run = tf.function(self._run, reduce_retracing=True, autograph=False)

    def _run(self, batches, count):
        """Make `count` updates with the next batches of an iterator; returns the last losses."""

        def one(i, _):
            return i + 1, self.update(next(batches))

        start = (tf.zeros_like(count), tf.zeros_like(self.state["loss_sums"]))
        return tf.while_loop(lambda i, _: i < count, one, start, parallel_iterations=1)[1]

    def update(self, batch):
        """Make one update with one batch: a tuple of tensors, or of values for each replica."""
        with self._strategy.scope():
            return self._update(batch)

    def _update(self, batch):
        statistics = [v for network, _ in self._networks for v in network.non_trainable_variables]
        before = [tf.identity(v) for v in statistics]
        losses, norms, gradients = self._strategy.run(self._replica, args=batch)
        losses, norms = (self._strategy.experimental_local_results(x)[0] for x in (losses, norms))
        good = tf.reduce_all(tf.math.is_finite(tf.concat([losses, norms], 0)))
        tf.cond(
            good,
            lambda: self._apply(gradients, losses),
            lambda: self._skip(statistics, before),
        )
        with tf.control_dependencies([good]):  # not before there was a batch
            self.state["step"].assign_add(1)
        return losses

    def _replica(self, *batch):
        """Losses, norms and gradients of the whole batch, from this replica's share of it."""
        batch = [tf.cast(part, tf.float32) for part in batch]
        replica = tf.distribute.get_replica_context()
        size = tf.cast(tf.shape(batch[0])[0], tf.float32)
        share = size / replica.all_reduce(tf.distribute.ReduceOp.SUM, size)
        losses, gradients = self._gradients(batch, tf.identity(self.state["loss_scale"]))
        shares = [tf.math.multiply_no_nan(x, share) for x in (losses, *gradients)]
        losses, *gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, shares)
        clipped = [self._clip(part) for part in self._by_network(gradients)]
        return losses, tf.stack([norm for _, norm in clipped]), [part for part, _ in clipped]

    def _batch_gradients(self, batch, scale):
        """Losses (N,), and the gradients of all networks one after another."""
        parts = self._options.accumulate
        if parts == 1:
            return self._part_gradients(batch, scale)
        batch = [_split(part, parts) for part in batch]

        def add(i, losses, gradients):
            more = self._part_gradients([part[i] for part in batch], scale)
            sums = [a + b / parts for a, b in zip(gradients, more[1], strict=True)]
            return i + 1, losses + more[0] / parts, sums

        variables = [v for network, _ in self._networks for v in network.trainable_variables]
        zeros = [tf.zeros(v.shape) for v in variables]
        start = (0, tf.zeros_like(self.state["loss_sums"]), zeros)
        # one part at a time, or the memory of all of them would be needed at once
        return tf.while_loop(lambda i, *_: i < parts, add, start, parallel_iterations=1)[1:]

    def _part_gradients(self, batch, scale):
        with tf.GradientTape(persistent=True) as tape:
            losses = [_scalar(loss) for loss in self._losses(*batch)]
            scaled = [loss * scale for loss in losses[: len(self._networks)]]
        gradients = []
        for loss, (network, _) in zip(scaled, self._networks, strict=True):
            variables = [v.value for v in network.trainable_variables]
            part = tape.gradient(
                loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            gradients += [gradient / scale for gradient in part] if self._scales_loss else part
        return tf.stack(losses), gradients

    def _by_network(self, gradients):
        for network, _ in self._networks:
            count = len(network.trainable_variables)
            yield gradients[:count]
            gradients = gradients[count:]

    def _clip(self, gradients):
        norm = tf.linalg.global_norm(gradients)
        if self._options.clip_norm is None:
            return gradients, norm
        return tf.clip_by_global_norm(gradients, self._options.clip_norm, use_norm=norm)

    def _apply(self, gradients, losses):
        self._strategy.run(self._apply_on_replica, args=(gradients,))
        self._follow()
        self.state["loss_sums"].assign_add(losses)
        self.state["loss_count"].assign_add(1)
        self.state["skipped_in_a_row"].assign(0)
        if self._scales_loss:
            good = self.state["good_steps"].assign_add(1)
            grow = tf.equal(good % _GROW_LOSS_SCALE_AFTER, 0)
            self.state["loss_scale"].assign(self.state["loss_scale"] * tf.where(grow, 2.0, 1.0))

    def _apply_on_replica(self, gradients):
        replicas = self._strategy.num_replicas_in_sync
        for (network, optimizer), part in zip(self._networks, gradients, strict=True):
            # Keras sums over the replicas what is the sum already
            shares = [gradient / replicas for gradient in part] if replicas > 1 else part
            optimizer.apply(shares, network.trainable_variables)

    def _follow(self):
        """Move the average towards the weights; it forgets faster in the first steps."""
        if self._average is None:
            return
        network = self._networks[0][0]
        step = tf.cast(self.state["step"], tf.float32)
        decay = tf.minimum(self._options.ema_decay, (1 + step) / (10 + step))
        pairs = zip(self._average.trainable_variables, network.trainable_variables, strict=True)
        for mean, weight in pairs:
            mean.assign(weight + (mean - weight) * decay)
        for mean, weight in zip(
            self._average.non_trainable_variables, network.non_trainable_variables, strict=True
        ):
            mean.assign(weight)

    def _skip(self, statistics, before):
        """Undo what the forward pass changed, and count."""
        for variable, value in zip(statistics, before, strict=True):
            variable.assign(value)
        self.state["skipped_steps"].assign_add(1)
        self.state["skipped_in_a_row"].assign_add(1)
        if self._scales_loss:
            self.state["good_steps"].assign(0)
            self.state["loss_scale"].assign(tf.maximum(self.state["loss_scale"] / 2, 1.0))


def _scalar(loss):
    loss = tf.cast(loss, tf.float32)  # a network in half precision gives one in half precision
    if loss.shape.rank != 0:
        raise ValueError(
            f"a loss must be a scalar, the mean over the batch, got the shape {loss.shape}"
        )
    return loss


def _split(part, parts):
    """(B, …) as (parts, B / parts, …)."""
    size = part.shape[0]
    if size is None:
        uneven = tf.shape(part)[0] % parts
        message = f"accumulate must divide the batch of each replica; got {parts}"
        with tf.control_dependencies([tf.debugging.assert_equal(uneven, 0, message)]):
            part = tf.identity(part)
    if size is not None and size % parts:
        raise ValueError(f"accumulate must divide the batch of each replica, {size}; got {parts}")
    rest = [n if n is not None else tf.shape(part)[i] for i, n in enumerate(part.shape)][1:]
    return tf.reshape(part, [parts, -1, *rest])


def copy_of(model):
    """Return a network like another, with the same weights.

    Raises:
        ValueError: It cannot be built from its config.
    """
    try:
        copy = model.__class__.from_config(model.get_config())
        copy.set_weights(model.get_weights())
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ValueError(
            f"ema_decay needs a copy of {model.name}, which cannot be made from its get_config(): "
            "build the network as a functional model, or train without ema_decay"
        ) from error
    return copy
