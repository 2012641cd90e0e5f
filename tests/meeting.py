"""Several processes in one: threads that hand each other tensors, with the engine's own code."""

import threading
from dataclasses import dataclass

import torch

from opengait_ext.engine.distributed import Group


class Meeting:
    """Threads that stand for the processes: each waits until all have handed in their tensor."""

    def __init__(self, size):
        self.size, self.values = size, [None] * size
        self.barrier = threading.Barrier(size, timeout=60)

    def run(self, work):
        """Return what ``work(member)`` gives for each member, all at a time."""
        results = [None] * self.size

        def one(rank):
            try:
                results[rank] = work(Member(rank, self.size, self))
            except Exception as error:
                results[rank] = error

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


@dataclass(frozen=True)
class Member(Group):
    """What a thread has for a group of processes."""

    meeting: Meeting | None = None

    def gathered(self, values):
        self.meeting.values[self.rank] = values.detach()
        self.meeting.barrier.wait()
        found = torch.stack(self.meeting.values)
        self.meeting.barrier.wait()
        return found

    def gather(self, value):
        self.meeting.values[self.rank] = value
        self.meeting.barrier.wait()
        found = list(self.meeting.values)
        self.meeting.barrier.wait()
        return found
