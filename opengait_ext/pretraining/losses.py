"""Training objective of the small ViT: student, teacher, and five losses without labels.

DINO on the class token, iBOT on the patches and KoLeo come from lightly. Alone they need far more
frames and time than the demo has. Two more losses predict where a patch comes from. ``place``
learns it on crops of a few patches, which are so small that only their content shows the place.
``settle`` pulls the predictions in a whole frame toward those of its crops and toward the places
where people usually are.

Sources: Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021;
Zhou et al., "iBOT: Image BERT Pre-Training with Online Tokenizer", ICLR 2022; Oquab et al.,
"DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024. The place of a patch
as a task: Caron et al., "Location-Aware Self-Supervised Transformers for Semantic
Segmentation", WACV 2024, https://arxiv.org/abs/2212.02400, reduced here to two places.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from opengait_ext.errors import UserError
from opengait_ext.layers.vit import VisionTransformer
from opengait_ext.vision import torchvision

PATCH_PROTOTYPES, FRAME_PROTOTYPES = 64, 256
TEACHER_TEMPERATURE, STUDENT_TEMPERATURE, PLACE_TEMPERATURE = 0.05, 0.1, 0.5
WEIGHTS = {"frame": 0.25, "patch": 0.5, "spread": 0.02, "place": 2.0, "settle": 3.0}
CENTER, BORDER = 0.07, 0.28  # distance from the vertical center line, as a fraction of the width
UPPER, LOWER = 0.12, 0.93  # people do not reach either edge: patches beyond are ignored


class Head(nn.Module):
    """Cosines ``[..., k]`` of tokens ``[..., d]`` with prototypes."""

    def __init__(self, channels: int, prototypes: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(channels, 256), nn.GELU(), nn.Linear(256, 64))
        self.prototypes = nn.Parameter(torch.randn(64, prototypes))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the cosines ``[..., k]`` of tokens ``[..., d]``."""
        unit = functional.normalize(self.mlp(tokens), dim=-1)
        return unit @ functional.normalize(self.prototypes, dim=0)


class Network(nn.Module):
    """The ViT and its heads, one instance for the student and one for the teacher."""

    def __init__(self, vit: VisionTransformer) -> None:
        super().__init__()
        channels = vit.norm.weight.shape[0]
        self.vit = vit
        self.patch_head = Head(channels, PATCH_PROTOTYPES)
        self.frame_head = Head(channels, FRAME_PROTOTYPES)
        # No layers in between: the tokens themselves have to separate the two places.
        self.place_prototypes = nn.Parameter(torch.randn(channels, 2))

    def places(self, tokens: Tensor) -> Tensor:
        """Return the logits of center and border for tokens ``[..., d]``: ``[..., 2]``."""
        unit = functional.normalize(tokens, dim=-1)
        return unit @ functional.normalize(self.place_prototypes, dim=0) / PLACE_TEMPERATURE


class Seen(NamedTuple):
    """The outputs of one network for a batch of views, and the positions of their patches."""

    tokens: Tensor  # [b, 1 + h * w, d]
    grid: tuple[int, int]  # h, w
    places: Tensor  # [b, h, w, 2], fractions of the frame
    at: Tensor  # [b, h, w, 2], positions in the compared views, from -1 to 1


class Objective(nn.Module):
    """The losses of the pre-training.

    Raises:
        UserError: If lightly is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        assert torchvision is not None  # lightly imports it, which needs our import before
        try:
            from lightly.loss import DINOLoss, IBOTPatchLoss, KoLeoLoss
        except ImportError as fault:
            raise UserError(
                f"pre-training needs lightly ({fault}); install it with: "
                "pip install -c constraints.txt 'lightly>=1.5.20'"
            ) from fault
        temperatures: dict[str, Any] = {
            "teacher_temp": TEACHER_TEMPERATURE,
            "student_temp": STUDENT_TEMPERATURE,
        }
        self.frame = DINOLoss(FRAME_PROTOTYPES, TEACHER_TEMPERATURE, **temperatures)
        self.patch = IBOTPatchLoss(PATCH_PROTOTYPES, **temperatures)
        self.spread = KoLeoLoss()
        self.map = PersonMap()

    def forward(
        self,
        networks: tuple[Network, Network],
        large: Seen,
        taught: Seen,
        local: Seen,
        judged: Seen | None,
    ) -> dict[str, Tensor]:
        """Return the losses by the names of ``WEIGHTS``.

        Args:
            networks: The student, which is trained, and the teacher, its moving average.
            large: Student outputs for large views.
            taught: Teacher outputs for other views of the same frames or tracklets, and the
                positions of the patches of ``large`` in them.
            local: Student outputs for crops of a few patches.
            judged: Teacher outputs for such crops of the unchanged frames in ``large``, and the
                positions of their patches in ``large``; None if ``large`` shows none of these.
        """
        student, teacher = networks
        at = taught.at
        with torch.no_grad():
            inside = (at.abs() < 1 - 0.5 / taught.grid[1]).all(-1)  # [b, h, w]
            patches = taught.tokens[:, 1:].transpose(1, 2).unflatten(2, taught.grid)
            matched = functional.grid_sample(patches, at, "bilinear", "border", False)
            wanted = teacher.patch_head(matched.permute(0, 2, 3, 1)[inside])
            frame = teacher.frame_head(taught.tokens[:, 0])
        found = student.patch_head(large.tokens[:, 1:].unflatten(1, large.grid)[inside])
        # lightly skips pairs of equal index as the same view; ours are never the same view.
        none = torch.zeros_like(frame)
        losses = {
            "frame": self.frame([frame], [none, student.frame_head(large.tokens[:, 0])]),
            "patch": self.patch(wanted, found, inside),
            "spread": self.spread(large.tokens[:, 0]),
            "place": place_loss(student, local),
        }
        if judged is not None:
            losses["settle"] = self._settle(networks, large, judged)
        return losses

    def _settle(self, networks: tuple[Network, Network], large: Seen, judged: Seen) -> Tensor:
        """Pull the student's predictions in a whole frame toward those of its crops and the map."""
        student, teacher = networks
        answers = student.places(large.tokens[:, 1:])  # [b, h * w, 2]
        answers = (answers[..., 0] - answers[..., 1]).unflatten(1, large.grid)[:, None]
        at = judged.at.reshape(len(answers), -1, judged.grid[1], 2)  # [b, pieces * 3, 3, 2]
        there = functional.grid_sample(answers, at, "bilinear", "border", False).flatten()
        inside = (at.abs() < 1).all(-1).flatten()
        with torch.no_grad():
            logits = teacher.places(judged.tokens[:, 1:]).flatten(0, 1)
            person = self.map.person(logits[inside], judged.places.flatten(0, 2)[inside])
        return functional.binary_cross_entropy_with_logits(there[inside], person)


class PersonMap(nn.Module):
    """Running estimate of how often each place of a frame shows the person.

    It turns the teacher's predictions, which do not depend on the place, into probabilities of the
    person that do. This is expectation maximization for a mixture of two kinds of patches whose
    shares vary with the place. The center holds both person and background, the border almost only
    background.
    """

    shares: Tensor

    def __init__(self, rows: int = 16, columns: int = 8) -> None:
        super().__init__()
        self.register_buffer("shares", torch.full((rows, columns), 0.35))

    @torch.no_grad()
    def person(self, logits: Tensor, places: Tensor) -> Tensor:
        """Return the probability that patches show the person, and update the map.

        Args:
            logits: Teacher logits of center and border, ``[m, 2]``.
            places: x and y of the patches as fractions of the frame, ``[m, 2]``.

        Returns:
            Probabilities ``[m]``.
        """
        rows, columns = self.shares.shape
        column = (places[:, 0] * columns).long().clamp(0, columns - 1)
        row = (places[:, 1] * rows).long().clamp(0, rows - 1)
        x, y = (torch.arange(columns) + 0.5) / columns, (torch.arange(rows) + 0.5) / rows
        in_center = ((y > UPPER) & (y < LOWER))[:, None] & ((x - 0.5).abs() < CENTER)
        pure = self.shares[in_center.to(self.shares.device)].mean().clamp(0.5, 0.9)
        # Likelihood ratio of person and background.
        likelier = (((logits[:, 0] - logits[:, 1]).exp() - (1 - pure)) / pure).clamp(min=0.02)
        share = self.shares[row, column]
        person = likelier * share / (likelier * share + 1 - share)
        index = row * columns + column
        seen = torch.zeros_like(self.shares.flatten()).index_add(0, index, torch.ones_like(person))
        total = torch.zeros_like(self.shares.flatten()).index_add(0, index, person)
        new = torch.where(seen > 0, total / seen.clamp(min=1), self.shares.flatten())
        new = new.view_as(self.shares)
        new = (new + new.flip(1)) / 2  # a mirrored frame is equally likely
        self.shares.lerp_(new.clamp(0.02, 0.98), 0.1)
        return person


def place_loss(network: Network, seen: Seen) -> Tensor:
    """Return the loss of predicting whether a patch is from the center or border of its frame.

    The border shows background, the center a person and some background. Only the content of a
    patch can tell them apart, since views begin anywhere. Both places have equal weight. Patches
    between them, and at the top and bottom, are ignored.
    """
    logits = network.places(seen.tokens[:, 1:]).flatten(0, 1)  # [b * h * w, 2]
    x, y = seen.places.flatten(0, 2).unbind(-1)
    asked = (y > UPPER) & (y < LOWER)
    losses = [
        functional.cross_entropy(logits[here], torch.full_like(x[here], place, dtype=torch.long))
        for place, here in enumerate(
            (asked & ((x - 0.5).abs() < CENTER), asked & ((x - 0.5).abs() > BORDER))
        )
        if here.any()
    ]
    return torch.stack(losses).mean() if losses else logits.sum() * 0
