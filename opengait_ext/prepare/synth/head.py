"""Heads of SynthVVI on a figure: face, hair and hat; also bags.

Lengths are in statures.
"""

import numpy as np

from opengait_ext.prepare.synth.body import SIDES
from opengait_ext.prepare.synth.draw import BASE, DARK, LIGHT, LINE, capsule, ellipse, limb, strip
from opengait_ext.prepare.synth.dress import PADDING
from opengait_ext.prepare.synth.figure import Figure


def equip(figure: Figure) -> None:
    """Add head, hair, hat and bag."""
    _head(figure)
    _hair(figure)
    _hat(figure)
    _bag(figure)


def _head(figure: Figure) -> None:
    """Add head, nose, eyes and ears."""
    body, seen = figure.body, figure.seen
    head, r = seen["head"], body.head
    half = r * body.head_width
    up = figure.view.rotate(figure.pose["crown"])
    shape = ellipse(head, up, half * (1.0 + 0.12 * np.abs(figure.toward[:, 0])), r)
    shade = ellipse(head + np.array([0.3 * half, -0.1 * r, 0.0]), up, 0.6 * half, 0.75 * r)
    layers = [(shape, "skin", BASE), (shade, "skin", 0.88)]
    figure.add("head", head[:, 2] + 0.06, layers)
    nose = seen["nose"]
    tip = capsule(nose + 0.25 * (head - nose), nose, 0.1 * r, 0.12 * r)
    figure.add("face", head[:, 2] + 0.0601, [(tip, "skin", 0.94)], figure.frontal > -0.3)
    for side in SIDES:
        eye = seen[f"{side}_eye"]
        spot = ellipse(eye, up, 0.11 * half, 0.09 * r)
        near = eye[:, 2] - head[:, 2]
        figure.add("face", head[:, 2] + 0.0602, [(spot, "skin", 0.35)], near > 0.1 * half)
        ear = seen[f"{side}_ear"]
        shown = ear[:, 2] - head[:, 2] > -0.3 * half
        spot = ellipse(ear, up, 0.2 * half, 0.2 * r)
        figure.add("face", head[:, 2] + 0.0604, [(spot, "skin", 0.8)], shown)


def _hair(figure: Figure) -> None:
    """Add hair, unless the person is bald or a hood hides it."""
    style, volume = figure.outfit.hair, figure.outfit.hair_volume
    if style == "bald" or figure.outfit.hat == "hood":
        return
    body, seen, pose = figure.body, figure.seen, figure.pose
    r, half = body.head, body.head * body.head_width
    up = figure.view.rotate(pose["crown"])
    head = pose["head"]
    big = 1.5 if style == "afro" and figure.outfit.hat == "none" else 1.06
    behind = (0.45 + 0.9 * (volume - 1.0)) * half
    back = figure.view.project(head - behind * pose["face"] + 0.14 * r * pose["crown"])
    cap = ellipse(back, up, half * (big - 0.06) * volume, r * (big - 0.08) * volume)
    depth = seen["head"][:, 2] + 0.06
    order = np.where(figure.frontal > 0.45, -0.03, 0.0003)
    sheen = ellipse(back + np.array([-0.3 * half, 0.35 * r, 0.0]), up, 0.4 * half, 0.3 * r)
    figure.add("hair", depth + order, [(cap, "hair", BASE), (sheen, "hair", 1.3)])
    top = figure.view.project(head + 0.62 * r * pose["crown"] + 0.1 * half * pose["face"])
    fringe = ellipse(top, up, 0.86 * half * volume, 0.42 * r)
    figure.add("hair", depth + 0.0005, [(fringe, "hair", BASE)])
    _hair_length(figure, depth)


def _hair_length(figure: Figure, depth: np.ndarray) -> None:
    """Add hair that hangs down or stands out behind the head."""
    style, volume = figure.outfit.hair, figure.outfit.hair_volume
    r, half = figure.body.head, figure.body.head * figure.body.head_width
    pose = figure.pose
    head, face, crown = pose["head"], pose["face"], pose["crown"]
    a = figure.view.project(head - 0.75 * half * face)
    sign = np.where(figure.frontal > 0.0, -0.06, 0.001)
    if style == "long":
        b = figure.view.project(head - 1.0 * half * face - 2.3 * r * crown)
        layers = limb(a, b, half * 0.8 * volume, half * 0.75 * volume, "hair")
        figure.add("hair", depth + sign, layers)
    elif style == "bun":
        b = figure.view.project(head - 0.7 * half * face + 1.0 * r * crown)
        layers = limb(b, b + np.array([0.0, 0.004, 0.0]), 0.45 * r * volume, 0.45 * r, "hair")
        figure.add("hair", depth + sign, layers)
    elif style == "ponytail":
        a = figure.view.project(head - 1.2 * half * face + 0.4 * r * crown)
        b = figure.view.project(head - 2.2 * half * face - 1.6 * r * crown)
        layers = limb(a, b, 0.3 * r * volume, 0.2 * r, "hair")
        figure.add("hair", depth + sign, layers)


def _hat(figure: Figure) -> None:
    """Add cap, beanie, brimmed hat or hood."""
    kind = figure.outfit.hat
    if kind == "none":
        return
    body, seen, pose = figure.body, figure.seen, figure.pose
    r, half = body.head, body.head * body.head_width
    up = figure.view.rotate(pose["crown"])
    head, face, crown = pose["head"], pose["face"], pose["crown"]
    depth = seen["head"][:, 2] + 0.062
    if kind == "hood":
        back = figure.view.project(head - 0.3 * half * face)
        cover = ellipse(back, up, 1.3 * half, 1.18 * r)
        behind = np.where(figure.frontal > 0.45, -0.05, 0.0)
        figure.add("hair", depth + behind, [(cover, "upper", 0.9)])
        return
    low = figure.view.project(head + 0.3 * r * crown - 0.15 * half * face)
    high = figure.view.project(head + 0.62 * r * crown - 0.15 * half * face)
    dome, shine = 1.12 * half, high + np.array([-0.35 * half, 0.12 * r, 0.0])
    layers = [(ellipse(high, up, dome, 0.52 * r), "hat", BASE)]
    layers.append((ellipse(shine, up, 0.4 * half, 0.25 * r), "hat", LIGHT))
    if kind == "cap":
        tip = figure.view.project(head + 0.42 * r * crown + 1.9 * half * face)
        shield = capsule(low + 0.1 * (tip - low), tip, 0.3 * r, 0.08 * r)
        figure.add("hair", depth + 0.1 * figure.frontal, [(shield, "hat", DARK)])
    elif kind == "brim":
        brim = ellipse(low, up, 2.1 * half, 0.2 * r)
        layers.append((brim, "hat", DARK))
    else:
        edge = strip(low, high, (dome, dome), (-1.0, 1.0), (-0.2, 0.5))
        layers.append((edge, "hat", DARK))
    figure.add("hair", depth, layers)


def _bag(figure: Figure) -> None:
    """Add backpack, shoulder bag or tote."""
    kind, size = figure.outfit.bag, figure.outfit.bag_size
    if kind == "backpack":
        _backpack(figure, size)
    elif kind == "shoulder_bag":
        aside = figure.body.hips + 0.06 * figure.body.build + 0.02
        a, b = figure.point(0.05, -0.03, aside), figure.point(0.05, 0.06, aside)
        figure.add("bag", a[:, 2] + 0.06, limb(a, b, 0.05 * size, 0.05 * size, "bag"))
        strap = capsule(figure.point(0.95, 0.0, -0.6 * figure.body.shoulders), a, 0.008, 0.008)
        figure.add("bag", figure.trunk_depth + 0.052, [(strap, "bag", DARK)])
    elif kind == "tote":
        hand = figure.seen["right_hand"]
        high, low = hand - np.array([0.0, 0.045, 0.0]), hand - np.array([0.0, 0.1 * size, 0.0])
        layers = limb(high, low, 0.035 * size, 0.05 * size, "bag")
        layers.append((capsule(hand, low, 0.006, 0.006), "bag", LINE))
        figure.add("bag", hand[:, 2] + 0.02, layers)


def _backpack(figure: Figure, size: float) -> None:
    """Add a backpack behind the trunk and its straps in front of it."""
    body, frontal = figure.body, figure.frontal
    place = body.chest * body.build + PADDING[figure.outfit.upper] + 0.045 * size
    low, high = figure.point(0.28, -place), figure.point(0.82, -place * 0.95)
    wide = size * (0.05 + 0.035 * np.abs(frontal))[:, None]
    layers = limb(low, high, wide, 0.85 * wide, "bag")
    layers.append((strip(low, high, (wide, wide), (-0.8, 0.8), (0.0, 0.06)), "bag", LINE))
    figure.add("bag", figure.trunk_depth + np.where(frontal > 0.0, -0.05, 0.08), layers)
    for sign in SIDES.values():
        top = figure.point(0.95, 0.0, 0.5 * body.shoulders * sign)
        end = figure.point(0.5, body.chest * 0.8, 0.75 * body.shoulders * sign)
        strap = (capsule(top, end, 0.011, 0.011), "bag", DARK)
        figure.add("bag", figure.trunk_depth + 0.052, [strap], frontal > 0.1)
