"""Common set-up of all tests: one thread unless OMP_NUM_THREADS asks for more, Ctrl-C, a seed."""

import os
import signal

import cv2
import pytest
import torch

if "OMP_NUM_THREADS" not in os.environ:
    torch.set_num_threads(1)  # tests run side by side
cv2.setNumThreads(0)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # the shell started the tests by "&"
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    """Leave out tests marked large unless -m speaks of them, whatever else it asks."""
    if "large" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("large")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
