"""How long a training will take."""

import re
import time

import numpy as np
import tensorflow as tf

from model.edsr import edsr
from train import EdsrTrainer
from train.timing import training_time


def test_the_time_of_many_steps_follows_from_a_few(tmp_path):
    def loaded(_):
        time.sleep(0.2)  # a loader that takes most of a step's time
        return np.float32(0)

    batch = tf.zeros((1, 6, 6, 3)), tf.zeros((1, 24, 24, 3))
    slow = tf.data.Dataset.range(9).map(
        lambda i: (batch[0] + tf.numpy_function(loaded, [i], tf.float32), batch[1])
    )
    trainer = EdsrTrainer(edsr(4, num_filters=2, num_res_blocks=1), tmp_path, report=str)
    sentence = training_time(trainer, slow, 36_000)
    step_s, steps, hours = re.fullmatch(
        r"(.+) s a step: (.+) steps take about (.+) hours here", sentence
    ).groups()
    assert 0.1 <= float(step_s) < 2 and steps == "36,000"  # batches are read ahead
    assert abs(float(hours) - 10 * float(step_s)) <= 0.06 * float(hours)
