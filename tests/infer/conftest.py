"""What tests of several files here begin with."""

import pytest

from model.edsr import edsr


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """Weights of a small network ×2."""
    file = tmp_path_factory.mktemp("weights") / "x2.weights.h5"
    edsr(2, 4, 1).save_weights(file)
    return file
