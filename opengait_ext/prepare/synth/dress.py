"""Clothes of SynthVVI on a figure: legs, trunk, skirt or coat, arms.

The shapes follow the skeleton, so they are visible in both modalities. Lengths are in statures.
"""

import numpy as np

from opengait_ext.prepare.synth.body import SIDES
from opengait_ext.prepare.synth.draw import BASE, DARK, LINE, Layer, Stack, capsule, limb, strip
from opengait_ext.prepare.synth.figure import Figure

PADDING = {"tee": 0.002, "shirt": 0.005, "jacket": 0.011, "puffer": 0.024, "coat": 0.013}
WIDTH = {"slim": 1.0, "straight": 1.14, "wide": 1.5, "shorts": 1.3, "skirt": 1.0, "long_skirt": 1.0}
SLEEVE = {"tee": 0.6}  # fraction of the upper arm covered by a short sleeve


def dress(figure: Figure) -> None:
    """Add body and clothes below the head."""
    _legs(figure)
    _trunk(figure)
    _skirt(figure)
    for side in SIDES:
        _arm(figure, side)


def _legs(figure: Figure) -> None:
    """Add thighs, shanks and feet, bare or in trousers."""
    body, outfit, seen = figure.body, figure.outfit, figure.seen
    under = 0.2 if "skirt" in outfit.lower or outfit.upper == "coat" else 0.09
    thick = body.build * WIDTH[outfit.lower]
    thigh, knee = body.thigh_radius * thick, 0.68 * body.thigh_radius * thick
    ankle = 0.021 * body.build * (2.0 * WIDTH[outfit.lower] - 1.0)
    bare = outfit.lower in ("shorts", "skirt", "long_skirt")
    skin_knee, skin_ankle = 0.68 * body.thigh_radius * body.build, 0.02 * body.build
    for side in SIDES:
        h, k, a = (seen[f"{side}_{j}"] for j in ("hip", "knee", "ankle"))
        depth = [(h + k)[:, 2] / 2.0 - under, (k + a)[:, 2] / 2.0 - under]
        if bare:
            upper = limb(h, k, body.thigh_radius * body.build, skin_knee, "skin")
            shank = limb(k, a, skin_knee * 1.02, skin_ankle, "skin")
        else:
            upper = limb(h, k, thigh, knee, "lower") + _trousers(figure, h, k, thigh, knee)
            shank = limb(k, a, knee, ankle, "lower") + _trousers(figure, k, a, knee, ankle)
        if outfit.lower == "shorts":
            end = h + 0.8 * (k - h)
            upper += limb(h, end, thigh, knee * 1.25, "lower")
        figure.add(f"{side}_thigh", depth[0], upper)
        figure.add(f"{side}_shank", depth[1] - 0.005, shank)
        heel, toe = seen[f"{side}_heel"], seen[f"{side}_toe"]
        raised = np.array([0.0, 0.016, 0.0])
        foot = limb(heel + raised, toe + raised * 0.8, 0.021, 0.015, "shoe")
        foot.append((capsule(a, heel + 2.0 * raised, skin_ankle, 0.022), "shoe", BASE))
        figure.add(f"{side}_foot", (heel + toe)[:, 2] / 2.0 - under - 0.01, foot)


def _trousers(figure: Figure, a: np.ndarray, b: np.ndarray, ra: float, rb: float) -> list[Layer]:
    """Return the pattern on one trouser leg."""
    kind = figure.outfit.lower_pattern
    if kind == "side_stripe":
        return [(strip(a, b, (ra, rb), (-0.15, 0.3)), "lower_pattern", BASE)]
    if kind == "checks":
        rows = [(strip(a, b, (ra, rb), (-0.95, 0.95), (t, t + 0.12))) for t in (0.2, 0.6)]
        return [(row, "lower_pattern", BASE) for row in rows]
    return []


def _trunk(figure: Figure) -> None:
    """Add hips, upper garment with its pattern, and neck."""
    outfit = figure.outfit
    depth = figure.trunk_depth
    hips = figure.stack(0.004)
    figure.add("pelvis", depth + 0.02, hips.shaded(-0.24, 0.15, "lower"))
    stack = figure.stack(PADDING[outfit.upper])
    hem = -outfit.upper_hem / figure.trunk_length
    if outfit.upper == "coat":
        hem = -0.3
    layers = stack.shaded(hem, 1.0, "upper") + _upper_pattern(figure, stack, hem)
    if outfit.upper != "coat":
        layers.append((stack.band(hem, hem + 0.03), "upper", LINE))
    if outfit.upper in ("jacket", "coat", "puffer"):  # the zip, seen from the front
        across = np.clip(figure.toward[:, 0], -0.9, 0.9)
        zip_line = stack.band(hem, 0.95, across - 0.06, across + 0.06)
        figure.add("trunk", depth + 0.05, layers)
        figure.add("zip", depth + 0.051, [(zip_line, "upper", LINE)], figure.frontal > 0.15)
    else:
        figure.add("trunk", depth + 0.05, layers)
    neck, head = figure.seen["neck"], figure.seen["head"]
    figure.add("neck", depth + 0.045, [(capsule(neck, head, 0.03, 0.028), "skin", DARK)])


def _upper_pattern(figure: Figure, stack: Stack, hem: float) -> list[Layer]:
    """Return the pattern of the upper garment on the trunk."""
    kind, size = figure.outfit.upper_pattern, 0.13 * figure.outfit.pattern_scale
    rows = np.arange(hem + 0.5 * size, 0.92, 2.0 * size)
    hoops = [(stack.band(float(r), float(min(r + size, 0.95))), "upper_pattern", BASE)
             for r in rows]  # fmt: skip
    if figure.outfit.upper == "puffer":
        return [(stack.band(float(r), float(r) + 0.025), "upper", LINE) for r in rows]
    columns = [
        (stack.band(hem, 0.93, c - 0.09, c + 0.09), "upper_pattern", BASE)
        for c in (-0.75, -0.25, 0.25, 0.75)
    ]
    if kind == "hoops":
        return hoops
    if kind == "stripes":
        return columns
    if kind == "checks":
        return hoops[::2] + columns[::2]
    if kind == "block":
        return [(stack.band(0.55, 1.0), "upper_pattern", BASE),
                (stack.band(0.55, 1.0, 0.45, 1.0), "upper_pattern", DARK)]  # fmt: skip
    if kind == "print":  # on chest and back, so it rotates with the trunk
        turn = figure.toward[:, 0] * np.sign(figure.frontal) * 0.85
        width = 0.42 * np.abs(figure.frontal)
        return [(stack.band(0.5, 0.78, turn - width, turn + width), "upper_pattern", BASE)]
    return []


def _skirt(figure: Figure) -> None:
    """Add a skirt or the lower part of a coat; its hem follows the legs."""
    outfit = figure.outfit
    for material, wanted, usual in (
        ("lower", outfit.lower == "skirt", 0.25),
        ("lower", outfit.lower == "long_skirt", 0.42),
        ("upper", outfit.upper == "coat", 0.27),
    ):
        if wanted:
            padding = PADDING["coat"] if material == "upper" else 0.006
            extra = 0.02 if material == "upper" else 0.0
            _bell(figure, material, usual + outfit.skirt_length, padding, extra)


def _bell(figure: Figure, material: str, length: float, padding: float, extra: float) -> None:
    """Add a bell of cloth that reaches from the hips to ``length`` below them."""
    body, outfit, seen = figure.body, figure.outfit, figure.seen
    top = figure.stack(padding)
    share = length / (body.leg - 0.038)
    reach = []
    for side in SIDES:
        h, k, a = (seen[f"{side}_{j}"] for j in ("hip", "knee", "ankle"))
        t = share / body.thigh
        low = h + t * (k - h) if t < 1.0 else k + (t - 1.0) * (a - k)
        reach.append(low[:, :2])
    thick = 0.75 * body.thigh_radius * body.build + padding + 0.6 * outfit.flare
    legs = np.stack(reach)
    hem_low = legs[..., 0].min(axis=0) - thick
    hem_high = legs[..., 0].max(axis=0) + thick
    height = legs[..., 1].mean(axis=0)
    center = np.stack([(hem_low + hem_high) / 2.0, height], axis=-1)
    level = 0.18 if material == "lower" else 0.0
    hip, start = top.at(-0.1, 0.0), top.at(level, 0.0)
    halves = [(hem_high - hem_low) / 2.0, top.at(-0.1, 1.0)[:, 0] - hip[:, 0] + 0.004]
    halves.append(top.at(level, 1.0)[:, 0] - start[:, 0])
    stack = Stack(np.stack([center, hip, start], 1), np.stack(halves, 1), [0.0, 0.75, 1.0])
    layers = stack.shaded(0.0, 1.0, material)
    layers.append((stack.band(0.0, 0.7, -0.05, 0.1), material, DARK))
    layers.append((stack.band(0.0, 0.05), material, LINE))
    figure.add(f"skirt_{material}", figure.trunk_depth + 0.03 + extra, layers)


def _arm(figure: Figure, side: str) -> None:
    """Add upper arm, forearm and hand of one side."""
    body, outfit, seen = figure.body, figure.outfit, figure.seen
    padding = PADDING[outfit.upper]
    s, e, w, hand = (seen[f"{side}_{j}"] for j in ("shoulder", "elbow", "wrist", "hand"))
    top, middle = body.arm_radius * body.build * 1.2, body.arm_radius * body.build
    end = 0.75 * middle
    bias = 0.03 * np.abs(figure.frontal)
    cloth = "skin" if outfit.upper in SLEEVE else "upper"
    pad = 0.0 if cloth == "skin" else padding
    upper = limb(s, e, top + pad, middle + pad, cloth)
    if outfit.upper in SLEEVE:
        stop = s + SLEEVE[outfit.upper] * (e - s)
        upper += limb(s, stop, top + 0.006, middle + 0.008, "upper")
    elif outfit.upper_pattern in ("hoops", "block") and outfit.upper != "puffer":
        for t in (0.15, 0.55) if outfit.upper_pattern == "hoops" else (0.0,):
            band = strip(s, e, (top + pad, middle + pad), (-0.95, 0.95), (t, t + 0.2))
            upper.append((band, "upper_pattern", BASE))
    depth = (s + e)[:, 2] / 2.0 + bias
    figure.add(f"{side}_upper_arm", depth, upper)
    lower = [(capsule(w, hand, 0.017, 0.013), "skin", BASE)]
    lower += limb(e, w, middle + pad, end + pad, cloth)
    figure.add(f"{side}_forearm", (e + w)[:, 2] / 2.0 + bias + 0.004, lower)
