"""What a notebook says it computes on."""

import tensorflow as tf
from tensorflow.python.eager import context

from infer.device import let_idle_threads_sleep, set_up_device


def test_without_a_gpu_the_cpu_is_named(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert set_up_device().startswith("No GPU was found: computing on ")


def test_gpus_are_named_and_give_their_memory_as_needed(monkeypatch):
    device = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    growing = {}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [device])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", growing.__setitem__)
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda gpu: {"device_name": "Tesla T4"}
    )
    assert set_up_device() == "Computing on Tesla T4."
    assert growing == {device: True}


def test_idle_threads_sleep_and_a_users_settings_stay(monkeypatch):
    monkeypatch.setattr(context.context(), "_config", None)
    let_idle_threads_sleep()
    assert context.context().config.experimental.disable_thread_spinning
    mine = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=3)
    monkeypatch.setattr(context.context(), "_config", mine)
    let_idle_threads_sleep()
    assert context.context()._config is mine
