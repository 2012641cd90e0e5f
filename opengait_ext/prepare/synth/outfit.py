"""Clothes of SynthVVI: shapes, visible colors and patterns, near-infrared reflectances.

The shape of a garment belongs to the identity and is visible in both modalities. Its visible color
and its near-infrared reflectance are drawn independently, because the dye hardly determines the
reflectance of cloth beyond 750 nm. For the same reason, most patterns vanish in infrared.
"""

from dataclasses import dataclass

import numpy as np

VISIBLE, INFRARED = "visible", "infrared"
# The second color of a garment is a separate material.
MATERIALS = ("skin", "hair", "shoe", "bag", "hat", "upper", "upper_pattern", "lower",
             "lower_pattern")  # fmt: skip

CHOICES = {
    "upper": ("tee", "shirt", "jacket", "puffer", "coat"),
    "lower": ("slim", "straight", "wide", "shorts", "skirt", "long_skirt"),
    "hair": ("bald", "short", "afro", "long", "bun", "ponytail"),
    "hat": ("none", "none", "cap", "beanie", "brim", "hood"),
    "bag": ("none", "none", "backpack", "shoulder_bag", "tote"),
    "upper_pattern": ("plain", "plain", "hoops", "stripes", "checks", "block", "print"),
    "lower_pattern": ("plain", "plain", "side_stripe", "checks"),
}
RANGES = {
    "upper_hem": (-0.02, 0.12),  # length of the upper garment below the hips
    "flare": (0.0, 0.07),  # widening of a skirt or coat at its hem
    "skirt_length": (-0.06, 0.06),  # added to the usual length
    "hair_volume": (0.9, 1.25),
    "bag_size": (0.75, 1.3),
    "pattern_scale": (0.7, 1.4),
}


@dataclass(frozen=True)
class Outfit:
    """The clothes of an identity: shapes, and one color per material and modality."""

    upper: str
    lower: str
    hair: str
    hat: str
    bag: str
    upper_pattern: str
    lower_pattern: str
    upper_hem: float
    flare: float
    skirt_length: float
    hair_volume: float
    bag_size: float
    pattern_scale: float
    colors: dict[str, tuple[int, int, int]]  # material -> visible blue, green, red
    reflectances: dict[str, int]  # material -> near-infrared gray value

    def palette(self, modality: str) -> dict[str, tuple[int, int, int]]:
        """Return the color of every material in one modality (blue, green, red)."""
        if modality == VISIBLE:
            return self.colors
        return {k: (v, v, v) for k, v in self.reflectances.items()}


def draw_outfit(rng: np.random.Generator) -> Outfit:
    """Draw clothes, hair and bag; training and test identities share the choices."""
    shapes = {k: str(v[int(rng.integers(len(v)))]) for k, v in CHOICES.items()}
    sizes = {k: float(rng.uniform(*v)) for k, v in RANGES.items()}
    colors = {name: _cloth_color(rng) for name in MATERIALS}
    colors["skin"] = _between((60, 90, 140), (165, 195, 235), rng)
    colors["hair"] = _between((18, 20, 24), (60, 95, 140), rng)
    reflectances = {name: int(rng.integers(30, 236)) for name in MATERIALS}
    reflectances["skin"] = int(rng.integers(150, 206))
    reflectances["hair"] = int(rng.integers(35, 150))
    for name in ("upper", "lower"):
        if rng.random() < 0.7:  # the dye of the pattern is transparent in infrared
            reflectances[f"{name}_pattern"] = reflectances[name]
    return Outfit(**shapes, **sizes, colors=colors, reflectances=reflectances)  # type: ignore[arg-type]


def _between(
    low: tuple[int, int, int], high: tuple[int, int, int], rng: np.random.Generator
) -> tuple[int, int, int]:
    """Draw a color on the line between two colors."""
    share = rng.random()
    blue, green, red = (int(a + share * (b - a)) for a, b in zip(low, high, strict=True))
    return blue, green, red


def _cloth_color(rng: np.random.Generator) -> tuple[int, int, int]:
    """Draw a visible color: any hue, from black and gray to saturated."""
    hue, value = 6.0 * rng.random(), 30.0 + 205.0 * rng.random()
    saturation = 0.85 * rng.random()
    channels = []
    for shift in (5.0, 3.0, 1.0):  # the usual conversion from hue, saturation, value
        k = (shift + hue) % 6.0
        channels.append(value - value * saturation * max(0.0, min(k, 4.0 - k, 1.0)))
    red, green, blue = (int(c) for c in channels)
    return blue, green, red
