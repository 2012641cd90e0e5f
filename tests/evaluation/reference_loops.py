"""Slow references of the evaluation, written from the definitions: sorts and loops."""

import math


def ranking(distance, ignore):
    """Places of one query's gallery, nearest first, equal ones in the gallery's order."""
    order = sorted(range(len(distance)), key=lambda place: distance[place])  # stable
    return [place for place in order if not ignore[place]]


def scores_of(distance, pid, pids, ignore, ap="hits", cmc="first_hit"):
    """Average precision, inverse negative penalty and first hit of one query."""
    order = ranking(distance, ignore)
    hits = [rank for rank, place in enumerate(order, 1) if pids[place] == pid]
    if not hits:
        return [math.nan] * 3
    total = 0.0
    for count, rank in enumerate(hits, 1):
        after = count / rank
        before = 1.0 if rank == 1 else (count - 1) / (rank - 1)
        total += after if ap == "hits" else (before + after) / 2
    first = hits[0]
    if cmc == "distinct_identities":
        seen = []
        for place in order:
            if pids[place] not in seen:
                seen.append(pids[place])
        first = seen.index(pid) + 1
    return [total / len(hits), len(hits) / hits[-1], first]


def accepted_at(genuine, impostor, far):
    """True accept rate, false accept rate: the largest threshold that allows no more."""
    best = (0.0, 0.0)
    for threshold in sorted({*genuine, *impostor, math.inf}):
        false = sum(value < threshold for value in impostor) / len(impostor)
        if false <= far + 1e-12:
            best = (sum(value < threshold for value in genuine) / len(genuine), false)
    return best
