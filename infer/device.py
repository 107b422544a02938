"""What TensorFlow computes on: a GPU where there is one, and threads."""

import os
import warnings

from data.quiet_start import load_tensorflow


def let_idle_threads_sleep():
    """Let TensorFlow's threads sleep as soon as they are idle, in place of trying again and again.

    A picture of 32 px then takes half of the processor time, large ones what they took. Call it
    before anything runs in TensorFlow; later it changes nothing.
    """
    import tensorflow as tf
    from tensorflow.python.eager import context  # the option has no public name

    if context.context()._config is None:
        experimental = tf.compat.v1.ConfigProto.Experimental(disable_thread_spinning=True)
        context.context()._config = tf.compat.v1.ConfigProto(experimental=experimental)


def set_up_device():
    """Import TensorFlow quietly and let it take a GPU's memory as needed, not all at once.

    Call it before anything else in TensorFlow.

    Returns:
        A sentence on what TensorFlow computes on.
    """
    # of tqdm, which others import for progress bars that this library does not draw
    warnings.filterwarnings("ignore", "IProgress not found")
    load_tensorflow()
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus:
        return f"No GPU was found: computing on {os.cpu_count()} CPU cores."
    names = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus
    ]
    return f"Computing on {' and '.join(names)}."
