"""What a notebook says it computes on."""

import tensorflow as tf

from infer.device import set_up_device


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
