"""Re-ranking by loops over its definitions, and embeddings to re-rank."""

import math

import torch

from opengait_ext.evaluation.distance import part_distance

PAPER = {"type": "k_reciprocal", "k1": 20, "k2": 6, "lambda": 0.3}


def k_reciprocal_by_loops(distance, queries, k1, k2, share, squared, strict):
    """Re-ranks as the paper defines it, from the distances of all to all, [n][n]."""
    everyone = range(len(distance))
    ranked = [sorted(everyone, key=lambda j: (j != i, distance[i][j], j)) for i in everyone]

    def near(i, k):
        return ranked[i][: k + 1]  # i itself is there beside the k nearest

    def mutual(i, k):
        return {j for j in near(i, k) if i in near(j, k)}

    rows = []
    for i in everyone:
        members = set(mutual(i, k1))
        for candidate in mutual(i, k1):
            half = mutual(candidate, round(k1 / 2))
            shared = 3 * len(half & mutual(i, k1))
            if shared > 2 * len(half) or (not strict and shared == 2 * len(half)):
                members |= half
        farthest = max(distance[i]) or 1
        power = 2 if squared else 1
        row = [
            math.exp(-((distance[i][j] / farthest) ** power)) if j in members else 0.0
            for j in everyone
        ]
        rows.append([weight / sum(row) for weight in row])
    first = [ranked[i][:k2] for i in everyone]
    rows = [
        [sum(rows[other][j] for other in first[i]) / len(first[i]) for j in everyone]
        for i in everyone
    ]
    result = []
    for i in everyone[:queries]:
        farthest = max(distance[i]) or 1
        result.append([])
        for j in everyone[queries:]:
            smaller = sum(map(min, rows[i], rows[j]))
            larger = sum(map(max, rows[i], rows[j]))
            relative = (distance[i][j] / farthest) ** (2 if squared else 1)
            result[-1].append((1 - share) * (1 - smaller / larger) + share * relative)
    return torch.tensor(result, dtype=torch.float64)


def by_loops(query, gallery, k1, k2, share, squared=True, strict=True, metric="euclidean"):
    joint = torch.cat((query, gallery)).double()
    distance = part_distance(joint, joint, metric).clamp_min(0)
    distance = torch.minimum(distance, distance.t()).tolist()  # symmetric to the last digit
    return k_reciprocal_by_loops(distance, len(query), k1, k2, share, squared, strict)


def crowd(seed, queries, gallery, people=4, d=6, p=3, spread=0.6, dtype=torch.float64):
    """Embeddings around some centers, so that there are neighbors to share."""
    generator = torch.Generator().manual_seed(seed)
    centers = torch.randn(people, d, p, generator=generator, dtype=torch.float64)
    who = torch.randint(people, (queries + gallery,), generator=generator)
    noise = torch.randn(queries + gallery, d, p, generator=generator, dtype=torch.float64)
    joint = (centers[who] + spread * noise).to(dtype)
    return joint[:queries], joint[queries:]
