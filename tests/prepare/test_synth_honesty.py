"""SynthVVI hides nothing: background and color say nothing about who it is, the body does.

The figures are drawn small and few, written as JPEG, and read back from the files. Retrieval
follows the protocol of HITSZ-VCM: gallery tracklets of the query's identity and camera are left
out; the measure is the mean average precision. Chance is the same protocol with random distances.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from opengait_ext.prepare.synth.files import Options, image_paths, plan_identity
from opengait_ext.prepare.synth.outfit import CHOICES
from opengait_ext.prepare.synth.render import Identity, draw_identity
from opengait_ext.prepare.synth.run import generate

pytestmark = pytest.mark.slow

OPTIONS = Options(
    seed=3, train_identities=40, test_identities=40, tracklets=1, frames=12, height=96
)
DIRECTIONS = [("infrared", "visible"), ("visible", "infrared")]
PAIRS = [*DIRECTIONS, ("visible", "visible"), ("infrared", "infrared")]


@dataclass(frozen=True)
class Tracklets:
    """All tracklets of one split: equally many frames each, so everything is one array."""

    pids: np.ndarray  # [n]
    cameras: np.ndarray  # [n]
    modalities: np.ndarray  # [n]
    frames: np.ndarray  # uint8 [n, s, h, w, 3]
    silhouettes: np.ndarray  # bool [n, s, h, w]


def read_split(root: Path, split: str) -> Tracklets:
    rows, frames, silhouettes = [], [], []
    for pid in OPTIONS.pids(split):
        truth = np.load(root / "truth" / split / f"{pid:04d}.npz")
        bits = np.unpackbits(truth["silhouettes"], axis=1).astype(bool)
        h, w = truth["shape"]
        start = 0
        for plan in plan_identity(OPTIONS, pid):
            paths = image_paths(pid, plan)
            frames.append([cv2.imread(str(root / split / path)) for path in paths])
            silhouettes.append(bits[start : start + len(paths), : h * w].reshape(-1, h, w))
            start += len(paths)
            rows.append((pid, plan.camera, plan.modality))
    pids, cameras, modalities = (np.array(column) for column in zip(*rows, strict=True))
    return Tracklets(pids, cameras, modalities, np.array(frames), np.array(silhouettes))


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tracklets, Tracklets]:
    root = tmp_path_factory.mktemp("data")
    generate(root, OPTIONS)
    return read_split(root, "Train"), read_split(root, "Test")


def mean_average_precision(data: Tracklets, distances: np.ndarray, query: str, gallery: str
                           ) -> float:  # fmt: skip
    """Ranks for every query all gallery tracklets but those of its identity and camera."""
    precisions = []
    for q in np.flatnonzero(data.modalities == query):
        left_out = (data.pids == data.pids[q]) & (data.cameras == data.cameras[q])
        ranked = np.flatnonzero((data.modalities == gallery) & ~left_out)
        ranked = ranked[np.argsort(distances[q, ranked], kind="stable")]
        hits = np.flatnonzero(data.pids[ranked] == data.pids[q])
        if len(hits):
            precisions.append(np.mean((np.arange(len(hits)) + 1.0) / (hits + 1.0)))
    return float(np.mean(precisions))


def chance(data: Tracklets, query: str, gallery: str, draws: int = 12) -> np.ndarray:
    n = len(data.pids)
    scores = []
    for seed in range(draws):
        distances = np.random.default_rng(seed).random((n, n))
        scores.append(mean_average_precision(data, distances, query, gallery))
    return np.array(scores)


def euclidean(features: np.ndarray) -> np.ndarray:
    square = (features * features).sum(axis=1)
    return square[:, None] + square[None] - 2.0 * features @ features.T


def standardized(data: Tracklets, features: np.ndarray) -> np.ndarray:
    """Takes away what all tracklets of a camera and modality share, the best an attacker can."""
    result = np.empty_like(features)
    for camera in np.unique(data.cameras):
        for modality in np.unique(data.modalities):
            rows = (data.cameras == camera) & (data.modalities == modality)
            part = features[rows]
            result[rows] = (part - part.mean(axis=0)) / (part.std(axis=0) + 1e-3)
    return result


def discriminant(train: np.ndarray, labels: np.ndarray, kept: int = 60, ridge: float = 0.3
                 ) -> Callable[[np.ndarray], np.ndarray]:  # fmt: skip
    """Fisher's linear discriminant after principal components; gives the projection."""
    mean = train.mean(axis=0)
    _, values, axes = np.linalg.svd(train - mean, full_matrices=False)
    axes = axes[:kept]
    points = (train - mean) @ axes.T
    groups = np.unique(labels)
    centers = np.stack([points[labels == k].mean(axis=0) for k in groups])
    inner = points - centers[np.searchsorted(groups, labels)]
    within = inner.T @ inner / len(points)
    within += ridge * np.trace(within) / len(within) * np.eye(len(within))
    root = np.linalg.inv(np.linalg.cholesky(within))
    _, _, between = np.linalg.svd(centers @ root.T, full_matrices=False)
    turn = between[: min(40, len(between))] @ root

    def project(features: np.ndarray) -> np.ndarray:
        projected = (features - mean) @ axes.T @ turn.T
        return projected / np.linalg.norm(projected, axis=1, keepdims=True)

    return project


def background_of(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Colors, slopes and layout of what lies outside of the dilated person."""
    free = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    dy, dx = np.gradient(frame.mean(axis=2))
    angle = ((np.arctan2(dy, dx) % np.pi) / np.pi * 8).astype(int).clip(0, 7)
    slopes = np.bincount(angle[free], np.hypot(dx, dy)[free], minlength=8)
    hists = [np.bincount(frame[free][:, c] // 32, minlength=8) / free.sum() for c in range(3)]
    layout = []
    for side in (slice(0, 8), slice(-8, None)):
        for band in np.array_split(np.arange(frame.shape[0]), 8):
            pixels = frame[band, side][free[band, side]]
            layout.append(pixels.mean(axis=0) / 255.0 if len(pixels) else np.full(3, 0.5))
    return np.concatenate([slopes / (slopes.sum() + 1.0), *hists, *layout])


def background_features(data: Tracklets, chosen: slice = slice(0, None, 4)) -> np.ndarray:
    return np.array([
        np.mean([background_of(f, m) for f, m in zip(frames, masks, strict=True)], axis=0)
        for frames, masks in zip(data.frames[:, chosen], data.silhouettes[:, chosen], strict=True)
    ])  # fmt: skip


def color_features(data: Tracklets, person: bool) -> np.ndarray:
    """Histograms of the three channels, of the person only or of the whole box."""
    result = []
    for frames, masks in zip(data.frames, data.silhouettes, strict=True):
        pixels = frames[masks] if person else frames.reshape(-1, 3)
        hists = [np.bincount(pixels[:, c] // 16, minlength=16) / len(pixels) for c in range(3)]
        result.append(np.sqrt(np.concatenate(hists)))
    return np.array(result)


def silhouette_features(data: Tracklets) -> np.ndarray:
    """Mean and spread of the aligned silhouettes over time, the same for both ways of walking."""
    result = []
    for masks in data.silhouettes:
        aligned = []
        for mask in masks:
            y, x = np.nonzero(mask)
            middle = int(round(x.mean()))
            half = (y[-1] - y[0] + 1) * 3 // 8
            wide = np.pad(mask, ((0, 0), (half, half)))
            cut = wide[y[0] : y[-1] + 1, middle : middle + 2 * half].astype(np.float32)
            aligned.append(cv2.resize(cut, (24, 32), interpolation=cv2.INTER_AREA))
        clip = np.array(aligned)
        both = np.concatenate([clip.mean(axis=0), clip.std(axis=0)])
        result.append((both + both[:, ::-1])[:, :12].ravel())
    return np.array(result)


def attacks(train: Tracklets, test: Tracklets, features: Callable[[Tracklets], np.ndarray]
            ) -> dict[str, np.ndarray]:  # fmt: skip
    """Distances between test tracklets: as measured, without the camera, learned from train."""
    a, b = features(train), features(test)
    plain_a, plain_b = standardized(train, a), standardized(test, b)
    return {
        "as measured": euclidean(b),
        "without what the camera adds": euclidean(plain_b),
        "learned": euclidean(discriminant(a, train.pids)(b)),
        "learned without what the camera adds": euclidean(
            discriminant(plain_a, train.pids)(plain_b)
        ),
    }


def test_from_the_background_alone_retrieval_is_at_chance(splits) -> None:
    train, test = splits
    found = attacks(train, test, background_features)
    for name, distances in found.items():
        ratios = []
        for query, gallery in PAIRS:
            by_chance = chance(test, query, gallery)
            score = mean_average_precision(test, distances, query, gallery)
            # Random rankings spread by 12 to 19 % of their mean at this number of identities.
            limit = by_chance.mean() + 4.0 * by_chance.std()
            assert score <= limit, f"{name}, {query} to {gallery}: {score:.3f} > {limit:.3f}"
            ratios.append(score / by_chance.mean())
        assert np.mean(ratios) <= 1.25, f"{name}: {ratios}"


def test_the_same_background_features_do_find_the_other_half_of_a_tracklet(splits) -> None:
    _, test = splits
    halves = [background_features(test, chosen) for chosen in (slice(0, 6, 2), slice(6, 12, 2))]
    first, second = (standardized(test, half) for half in halves)
    distances = ((first[:, None] - second[None]) ** 2).sum(axis=2)
    nearest = distances.argmin(axis=1) == np.arange(len(distances))
    assert nearest.mean() > 20.0 / len(distances)


@pytest.mark.parametrize("person", [True, False], ids=["of the person", "of the whole box"])
def test_color_histograms_find_nobody_across_modalities(splits, person: bool) -> None:
    train, test = splits
    found = attacks(train, test, lambda data: color_features(data, person))
    for name, distances in found.items():
        for query, gallery in DIRECTIONS:
            score = mean_average_precision(test, distances, query, gallery)
            limit = 2.0 * chance(test, query, gallery).mean()
            assert score <= limit, f"{name}, {query} to {gallery}: {score:.3f} > {limit:.3f}"


def test_color_histograms_do_find_people_among_visible_cameras(splits) -> None:
    _, test = splits
    distances = euclidean(color_features(test, person=True))
    score = mean_average_precision(test, distances, "visible", "visible")
    assert score >= 4.0 * chance(test, "visible", "visible").mean()


def test_true_silhouettes_find_people_across_modalities(splits) -> None:
    train, test = splits
    found = attacks(train, test, silhouette_features)
    for query, gallery in DIRECTIONS:
        limit = 4.0 * chance(test, query, gallery).mean()
        for name, distances in found.items():
            score = mean_average_precision(test, distances, query, gallery)
            assert score >= limit, f"{name}, {query} to {gallery}: {score:.3f} < {limit:.3f}"


def numbers_of(identity: Identity) -> dict[str, float]:
    outfit = asdict(identity.outfit)
    values = {**asdict(identity.body), **asdict(identity.gait)}
    values |= {f"{k} reflectance": v for k, v in outfit["reflectances"].items()}
    values |= {f"{k} {c}": v for k, bgr in outfit["colors"].items() for c, v in enumerate(bgr)}
    return values | {k: v for k, v in outfit.items() if isinstance(v, float)}


@pytest.fixture(scope="module")
def people() -> tuple[list[Identity], list[Identity]]:
    many = Options(train_identities=400, test_identities=400)
    train, test = ([draw_identity(0, pid) for pid in many.pids(s)] for s in ("Train", "Test"))
    return train, test


def test_numbers_of_train_and_test_identities_have_one_distribution(people) -> None:
    train, test = ([numbers_of(person) for person in split] for split in people)
    # Kolmogorov-Smirnov at 1 % for all numbers together (Bonferroni), 400 against 400.
    level = 0.01 / len(train[0])
    limit = np.sqrt(-np.log(level / 2.0) / 2.0) * np.sqrt(2.0 / len(train))
    for name in train[0]:
        a, b = (np.sort([person[name] for person in split]) for split in (train, test))
        grid = np.concatenate([a, b])
        below = [np.searchsorted(x, grid, side="right") / len(x) for x in (a, b)]
        assert np.abs(below[0] - below[1]).max() < limit, name


def test_kinds_of_clothes_are_as_frequent_in_train_as_in_test(people) -> None:
    train, test = people
    for name, kinds in CHOICES.items():
        for kind in set(kinds):
            share = [np.mean([getattr(p.outfit, name) == kind for p in s]) for s in people]
            deviation = np.sqrt(2.0 * 0.25 / len(train))
            assert abs(share[0] - share[1]) < 4.0 * deviation, f"{name} {kind}: {share}"


def test_no_body_gait_or_outfit_occurs_twice(people) -> None:
    everybody = [person for split in people for person in split]
    for part in ("body", "gait", "outfit"):
        assert len({repr(getattr(person, part)) for person in everybody}) == len(everybody)
    assert len({person.pid for person in everybody}) == len(everybody)


def test_infrared_reflectance_of_a_garment_is_independent_of_its_visible_color(people) -> None:
    outfits = [person.outfit for split in people for person in split]
    for garment in ("upper", "lower", "shoe", "bag", "hat"):
        infrared = [outfit.reflectances[garment] for outfit in outfits]
        for channel in range(3):
            visible = [outfit.colors[garment][channel] for outfit in outfits]
            # 4 standard deviations of the correlation of independent numbers
            limit = 4.0 / np.sqrt(len(outfits))
            assert abs(np.corrcoef(infrared, visible)[0, 1]) < limit
