"""Figures of SynthVVI: a posed skeleton before a camera, and the parts added to it.

Letters: s frames, m sections. Lengths are in statures.
"""

import numpy as np

from opengait_ext.prepare.synth.body import Pose, Proportions, vector
from opengait_ext.prepare.synth.draw import Layer, Part, Stack, View
from opengait_ext.prepare.synth.outfit import Outfit

LIMBS = ("thigh", "shank", "foot", "upper_arm", "forearm")
CARRIERS = {  # key point -> parts it lies on; nearer parts hide it
    "nose": ("head", "face"),
    "eye": ("head", "face"),
    "ear": ("head", "face", "hair"),
    "shoulder": ("upper_arm", "trunk", "zip"),
    "elbow": ("upper_arm", "forearm"),
    "wrist": ("forearm",),
    "hip": ("pelvis", "trunk", "zip", "thigh", "skirt_lower", "skirt_upper"),
    "knee": ("thigh", "shank", "skirt_lower", "skirt_upper"),
    "ankle": ("shank", "foot", "skirt_lower"),
}


class Figure:
    """One identity in all frames of a walk, as seen by one camera, without clothes at first.

    Args:
        pose: Joints, from ``body.walk``.
        body: Proportions.
        outfit: Clothes.
        view: Position of the camera.
    """

    def __init__(self, pose: Pose, body: Proportions, outfit: Outfit, view: View) -> None:
        self.pose, self.body, self.outfit, self.view = pose, body, outfit, view
        self.seen = {
            name: view.project(points)
            for name, points in pose.items()
            if name not in ("up", "face", "crown", "lateral_hips", "lateral_shoulders")
        }
        s = len(view.azimuth)
        self.forward = vector(np.ones(s), 0.0, 0.0)
        self.toward = view.rotate(self.forward)
        self.frontal = self.toward[:, 2]  # 1: walks toward the camera, -1: away from it
        self.trunk_length = float(1.0 - body.leg - body.neck - 2.0 * body.head)
        self.parts: list[Part] = []

    def numbers_of(self, joint: str) -> list[int]:
        """Return the painted numbers of the parts on which a key point lies."""
        side, _, place = joint.rpartition("_")
        own = {f"{side}_{part}" if part in LIMBS else part for part in CARRIERS[place]}
        return [i for i, part in enumerate(self.parts, start=1) if part.name in own]

    def faces_camera(self, joint: str) -> np.ndarray:
        """Return where a key point is not on the far side of head or trunk, bool ``[s]``."""
        middle = "head" if joint.endswith(("nose", "eye", "ear")) else "pelvis"
        if not joint.endswith(("nose", "eye", "ear", "shoulder", "hip")):
            return np.ones(len(self.frontal), bool)
        if joint.endswith("shoulder"):
            middle = "neck"
        slack = 0.3 * (self.body.head if middle == "head" else self.body.shoulders)
        return self.seen[joint][:, 2] > self.seen[middle][:, 2] - slack

    def add(
        self,
        name: str,
        depth: np.ndarray,
        layers: list[Layer],
        visible: np.ndarray | None = None,
    ) -> None:
        """Add a part; ``visible`` selects the frames that show it, all if None."""
        self.parts.append(Part(name, depth, layers, visible))

    @property
    def trunk_depth(self) -> np.ndarray:
        """Depth of the middle of the trunk, ``[s]``; larger is nearer."""
        return (self.seen["pelvis"] + self.seen["neck"])[:, 2] / 2.0

    def point(self, level: float, ahead: float, aside: float = 0.0) -> np.ndarray:
        """Project a point of the trunk, given by level, forward offset and offset to the left."""
        pose = self.pose
        line = pose["pelvis"] + level * (pose["neck"] - pose["pelvis"])
        return self.view.project(line + ahead * self.forward + aside * pose["lateral_shoulders"])

    def sections(self, padding: float) -> list[tuple[float, float, float, float]]:
        """Return (level, half width, half depth, forward offset) of the trunk, bottom up."""
        b = self.body
        seat = b.hips + 0.92 * b.thigh_radius * b.build
        waist = 0.42 * seat + 0.42 * b.shoulders * (0.5 + 0.5 * b.build) + 0.5 * b.belly
        depth = b.chest * b.build
        sections = [
            (-0.5, seat * 0.98, depth * 0.9 + b.seat, -0.4 * b.seat),
            (0.0, seat, depth + b.seat, -0.5 * b.seat),
            (0.36, waist, 0.85 * depth + 0.6 * b.belly, 0.6 * b.belly),
            (0.68, b.shoulders * 0.9 + 0.012 * b.build, depth * 1.05, 0.15 * b.belly),
            (0.9, b.shoulders + 0.006, 0.8 * depth, 0.0),
            (0.97, b.shoulders * 0.55, 0.6 * depth, 0.0),
            (1.03, 0.03, 0.03, 0.0),
        ]
        return [(v, a + padding, d + padding, x) for v, a, d, x in sections]

    def stack(self, padding: float) -> Stack:
        """Return the trunk, with ``padding`` as the thickness of the cloth around it."""
        sections = self.sections(padding)
        right = [self.view.rotate(self.pose[f"lateral_{j}"])[:, 0] for j in ("hips", "shoulders")]
        ahead = self.toward[:, 0]
        centers, halves = [], []
        for level, half, depth, place in sections:
            aside = right[0] if level < 0.3 else right[1]
            square = half * half * aside * aside + depth * depth * ahead * ahead
            halves.append(np.sqrt(square))
            centers.append(self.point(level, place)[:, :2])
        levels = [section[0] for section in sections]
        return Stack(np.stack(centers, 1), np.stack(halves, 1), levels)
