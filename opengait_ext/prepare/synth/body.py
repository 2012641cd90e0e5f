"""Bodies of SynthVVI: proportions, gait, and the 3-D joints of a walking skeleton.

Unit of length: the stature, so every figure is about 1 high. Axes of the body: x forward (walking
direction), y to the left, z up; the ground is z = 0. Angles are in degrees, phases in turns of the
gait cycle; phase 0 is the heel strike of the left foot. Only additions, multiplications and square
roots are used, so the numbers do not depend on the math library of a machine.
Letters: s frames.
"""

from dataclasses import dataclass

import numpy as np

Pose = dict[str, np.ndarray]

COCO = [
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip"),
    *("right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
]
SIDES = {"left": 1.0, "right": -1.0}


@dataclass(frozen=True)
class Proportions:
    """Lengths of a body as fractions of its stature."""

    leg: float  # ankle to hip, plus the height of the foot
    thigh: float  # share of the leg above the knee
    arm: float  # shoulder to wrist
    neck: float
    head: float  # half the height of the head
    head_width: float  # width of the head over its height
    shoulders: float  # half the distance between the shoulder joints
    hips: float  # half the distance between the hip joints
    build: float  # factor on the thickness of trunk and limbs
    chest: float  # half the depth of the chest
    belly: float  # how far the belly stands out
    seat: float  # how far the seat stands out
    thigh_radius: float
    arm_radius: float
    foot: float


@dataclass(frozen=True)
class Gait:
    """The gait of an identity."""

    cadence: float  # gait cycles (two steps) per second
    hip_swing: float
    hip_bias: float
    knee_swing: float
    knee_phase: float
    knee_bias: float
    foot_lift: float
    shoulder_swing_left: float
    shoulder_swing_right: float
    shoulder_phase: float
    shoulder_bias: float
    elbow_left: float
    elbow_right: float
    elbow_swing: float
    abduction: float
    lean: float
    head_pitch: float
    sway: float
    trunk_rotation: float
    step_width: float
    toe_out: float
    asymmetry: float  # swing of the left leg relative to the right one, as a fraction
    lag: float  # delay of the right leg, in turns


PROPORTION_RANGES = {
    "leg": (0.47, 0.565),
    "thigh": (0.47, 0.54),
    "arm": (0.29, 0.36),
    "neck": (0.012, 0.05),
    "head": (0.056, 0.078),
    "head_width": (0.66, 0.86),
    "shoulders": (0.078, 0.128),
    "hips": (0.042, 0.07),
    "build": (0.78, 1.32),
    "chest": (0.052, 0.078),
    "belly": (0.0, 0.05),
    "seat": (0.0, 0.022),
    "thigh_radius": (0.036, 0.056),
    "arm_radius": (0.02, 0.031),
    "foot": (0.095, 0.13),
}
GAIT_RANGES = {
    "cadence": (0.72, 1.12),
    "hip_swing": (13.0, 31.0),
    "hip_bias": (0.0, 7.0),
    "knee_swing": (32.0, 62.0),
    "knee_phase": (-0.05, 0.05),
    "knee_bias": (2.0, 14.0),
    "foot_lift": (4.0, 26.0),
    "shoulder_swing_left": (3.0, 40.0),
    "shoulder_swing_right": (3.0, 40.0),
    "shoulder_phase": (-0.08, 0.08),
    "shoulder_bias": (-10.0, 8.0),
    "elbow_left": (6.0, 80.0),
    "elbow_right": (6.0, 80.0),
    "elbow_swing": (0.0, 24.0),
    "abduction": (3.0, 20.0),
    "lean": (-4.0, 13.0),
    "head_pitch": (-6.0, 28.0),
    "sway": (0.0, 0.026),
    "trunk_rotation": (1.0, 11.0),
    "step_width": (-0.012, 0.026),
    "toe_out": (0.0, 22.0),
    "asymmetry": (-0.2, 0.2),
    "lag": (-0.035, 0.035),
}


def draw_proportions(rng: np.random.Generator) -> Proportions:
    """Draw the proportions of one body; training and test identities share the ranges."""
    return Proportions(**{k: float(rng.uniform(*r)) for k, r in PROPORTION_RANGES.items()})


def draw_gait(rng: np.random.Generator) -> Gait:
    """Draw one gait; training and test identities share the ranges."""
    return Gait(**{k: float(rng.uniform(*r)) for k, r in GAIT_RANGES.items()})


def sine(turns: np.ndarray | float) -> np.ndarray:
    """Return sin(2 pi turns) with an error below 1e-9, by additions and multiplications only."""
    t = np.asarray(turns, dtype=np.float64)
    t = t - np.floor(t + 0.5)
    t = np.where(t > 0.25, 0.5 - t, np.where(t < -0.25, -0.5 - t, t))
    x = t * 6.283185307179586
    square, term, total = x * x, x, x
    for n in (2.0, 4.0, 6.0, 8.0, 10.0, 12.0):
        term = -term * square / (n * (n + 1.0))
        total = total + term
    return total


def cosine(turns: np.ndarray | float) -> np.ndarray:
    """Return cos(2 pi turns)."""
    return sine(np.asarray(turns, dtype=np.float64) + 0.25)


def bump(turns: np.ndarray, center: float, power: int) -> np.ndarray:
    """Return a smooth periodic bump, 1 at ``center``, narrower with a higher power."""
    base = 0.5 + 0.5 * cosine(turns - center)
    result = base
    for _ in range(power - 1):
        result = result * base
    return result


def vector(x: np.ndarray | float, y: np.ndarray | float, z: np.ndarray | float) -> np.ndarray:
    """Stack three coordinates into ``[s, 3]``."""
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1).astype(np.float64)


def swing(degrees: np.ndarray | float, sideways: np.ndarray | float = 0.0) -> np.ndarray:
    """Return the direction of a hanging limb turned forward, then sideways, in degrees."""
    forward = np.asarray(degrees) / 360.0
    aside = np.asarray(sideways) / 360.0
    return vector(sine(forward) * cosine(aside), sine(aside), -cosine(forward) * cosine(aside))


def walk(body: Proportions, gait: Gait, turns: np.ndarray) -> Pose:
    """Return the joints of a walking body.

    Args:
        body: Proportions.
        gait: Gait.
        turns: Phase of every frame, in turns of the gait cycle.

    Returns:
        Name of joint -> ``[s, 3]``, in statures; also the unit vectors ``lateral_hips``,
        ``lateral_shoulders``, ``up`` (along the trunk) and ``face`` (direction of the face).
    """
    pose: Pose = {}
    rotation = gait.trunk_rotation / 360.0 * cosine(turns)
    pose["lateral_hips"] = vector(sine(0.6 * rotation), cosine(0.6 * rotation), 0.0)
    pose["lateral_shoulders"] = vector(-sine(rotation), cosine(rotation), 0.0)
    pose["pelvis"] = vector(0.0, gait.sway * sine(turns + 0.05), 0.0)
    for side, sign in SIDES.items():
        _leg(pose, body, gait, side, sign, turns if sign > 0 else turns + 0.5 - gait.lag)
    ground = np.min([pose[f"{s}_{j}"][:, 2] for s in SIDES for j in ("heel", "toe")], axis=0)
    for name in pose:
        if not name.startswith("lateral"):
            pose[name] = pose[name] - vector(0.0, 0.0, ground)
    _trunk(pose, body, gait, turns)
    for side, sign in SIDES.items():
        _arm(pose, body, gait, side, sign, turns if sign > 0 else turns + 0.5)
    return pose


def _leg(
    pose: Pose, body: Proportions, gait: Gait, side: str, sign: float, turns: np.ndarray
) -> None:
    """Add hip, knee, ankle, heel and toe of one leg; phase 0 is its heel strike."""
    amplitude = gait.hip_swing * (1.0 + sign * gait.asymmetry)
    hip_angle = gait.hip_bias + amplitude * (cosine(turns + 0.04) + 0.18 * sine(2.0 * turns))
    knee_angle = gait.knee_bias + gait.knee_swing * bump(turns, 0.71 + gait.knee_phase, 3)
    knee_angle = knee_angle + 9.0 * bump(turns, 0.13, 4)
    pitch = gait.foot_lift * bump(turns, 0.0, 4) - 46.0 * bump(turns, 0.64, 5)
    foot_height = 0.038
    length = body.leg - foot_height
    aside = sign * (gait.step_width + 0.3 * body.hips) * -1.0
    hip = pose["pelvis"] + sign * body.hips * pose["lateral_hips"]
    knee = hip + body.thigh * length * swing(hip_angle)
    knee = knee + vector(0.0, 0.4 * aside, 0.0)
    ankle = knee + (1.0 - body.thigh) * length * swing(hip_angle - knee_angle)
    ankle = ankle + vector(0.0, 0.6 * aside, 0.0)
    angle, out = pitch / 360.0, sign * gait.toe_out / 360.0
    along = vector(cosine(angle) * cosine(out), cosine(angle) * sine(out), sine(angle))
    up = vector(-sine(angle), 0.0, cosine(angle))
    pose[f"{side}_hip"], pose[f"{side}_knee"], pose[f"{side}_ankle"] = hip, knee, ankle
    pose[f"{side}_heel"] = ankle - 0.25 * body.foot * along - foot_height * up
    pose[f"{side}_toe"] = ankle + 0.75 * body.foot * along - foot_height * up


def _trunk(pose: Pose, body: Proportions, gait: Gait, turns: np.ndarray) -> None:
    """Add neck, shoulders, head and the points of the face."""
    lean = (gait.lean + 1.2 * cosine(2.0 * turns)) / 360.0
    roll = -0.6 * gait.sway * sine(turns + 0.05)
    up = vector(sine(lean), roll, cosine(lean))
    length = 1.0 - body.leg - body.neck - 2.0 * body.head
    pose["up"] = up
    pose["neck"] = pose["pelvis"] + length * up
    for side, sign in SIDES.items():
        shoulder = pose["pelvis"] + (length - 0.03) * up
        pose[f"{side}_shoulder"] = shoulder + sign * body.shoulders * pose["lateral_shoulders"]
    tilt = (gait.head_pitch + gait.lean) / 360.0
    face = vector(cosine(tilt), 0.0, -sine(tilt)) + np.zeros_like(up)
    crown = vector(sine(tilt), 0.0, cosine(tilt)) + np.zeros_like(up)
    head = pose["neck"] + (body.neck + body.head) * crown
    half = body.head * body.head_width
    pose["face"], pose["crown"], pose["head"] = face, crown, head
    pose["nose"] = head + 0.95 * half * face - 0.1 * body.head * crown
    aside = vector(0.0, 1.0, 0.0)
    for side, sign in SIDES.items():
        eye = head + 0.8 * half * face + sign * 0.38 * half * aside
        pose[f"{side}_eye"] = eye + 0.12 * body.head * crown
        pose[f"{side}_ear"] = head + sign * 0.98 * half * aside


def _arm(
    pose: Pose, body: Proportions, gait: Gait, side: str, sign: float, turns: np.ndarray
) -> None:
    """Add elbow, wrist and hand of one arm, which swings opposite to the leg of its side."""
    left = sign > 0
    amplitude = gait.shoulder_swing_left if left else gait.shoulder_swing_right
    bend = gait.elbow_left if left else gait.elbow_right
    forward = 0.5 - 0.5 * cosine(turns - gait.shoulder_phase)
    angle = gait.shoulder_bias - 0.25 * bend + amplitude * (2.0 * forward - 1.0)
    fold = bend + gait.elbow_swing * forward
    elbow = pose[f"{side}_shoulder"] + 0.53 * body.arm * swing(angle, sign * gait.abduction)
    lower = swing(angle + fold, sign * (0.3 * gait.abduction - 0.12 * bend))
    pose[f"{side}_elbow"] = elbow
    pose[f"{side}_wrist"] = elbow + 0.47 * body.arm * lower
    pose[f"{side}_hand"] = elbow + (0.47 * body.arm + 0.035) * lower
