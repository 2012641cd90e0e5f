"""What every test stands on: one thread, so that tests run side by side and give equal sums."""

import cv2
import pytest
import torch

torch.set_num_threads(1)
cv2.setNumThreads(0)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
