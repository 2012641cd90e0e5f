"""The optimizer of ``optimizer_cfg``: one entry, or several that divide parameters by name."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from ..config import Bound, ConfigError, bind
from ..registry import Registry
from .objective import Objective

logger = logging.getLogger(__name__)

SOLVERS = Registry(
    "solver",
    [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop, torch.optim.RAdam],
)
# Arguments of torch's solvers for features that no training here uses.
_NOT_HERE = {"differentiable": "gradients through the steps", "capturable": "captured CUDA graphs"}
_SHOWN = 8  # parameter names in a message

Parameters = Mapping[str, nn.Parameter]


class JointOptimizer(torch.optim.Optimizer):
    """Several optimizers with separate parameters that step as one.

    ``param_groups`` is the concatenation of the parts' groups, shared with them, so a schedule or a
    scaler that acts on all groups acts on all parts.

    Args:
        parts: The optimizers.
        names: Parameter names of each; a state with other names is rejected.
    """

    def __init__(
        self, parts: Sequence[torch.optim.Optimizer], names: Sequence[Sequence[str]]
    ) -> None:
        self.parts = list(parts)
        self.names = [list(each) for each in names]
        common = set.intersection(*(set(part.defaults) for part in self.parts))
        # A schedule looks here for keys that all groups have, such as momentum.
        defaults = {key: self.parts[0].defaults[key] for key in sorted(common)}
        super().__init__([group for part in self.parts for group in part.param_groups], defaults)
        self._join()

    def step(self, closure: Any = None) -> Any:
        """Step every part; a closure is called once, before all of them."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all parts and their parameter names."""
        return {"parts": [part.state_dict() for part in self.parts], "names": self.names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the states of all parts.

        Raises:
            ValueError: If the state belongs to other parameters.
        """
        for place, (own, saved) in enumerate(zip(self.names, state_dict["names"], strict=True)):
            if own != saved:
                raise ValueError(f"optimizer_cfg[{place}] matched other parameters then")
        for part, saved in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(saved)
        self._join()

    def _join(self) -> None:
        """Collect the groups of the parts again, which are new after loading a state."""
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load a state into an optimizer built from the same number of entries.

    Raises:
        ValueError: If the state comes from another number of entries or other parameters.
    """
    own = len(optimizer.parts) if isinstance(optimizer, JointOptimizer) else 1
    saved = len(state["parts"]) if "parts" in state else 1
    if own != saved:
        raise ValueError(f"optimizer_cfg has {own} entries, and had {saved} then")
    optimizer.load_state_dict(state)


def named_parameters(model: nn.Module, objective: Objective) -> dict[str, nn.Parameter]:
    """Return the parameters by name; those of losses as ``loss_cfg.<log_prefix>...``."""
    named = dict(model.named_parameters())
    for prefix, loss in zip(objective.prefixes, objective.losses, strict=True):
        named |= {f"loss_cfg.{prefix}.{name}": each for name, each in loss.named_parameters()}
    return named


@dataclass(frozen=True)
class Entry:
    """An entry of ``optimizer_cfg``.

    Attributes:
        where: Place of the entry, for messages.
        match: Prefixes of its parameters' names; None: the remaining parameters.
        solver: The bound optimizer, built once the parameters exist.
    """

    where: str
    match: Sequence[str] | None
    solver: Bound


def placed_entries(section: Any) -> list[tuple[str, Any]]:
    """Return the entries of ``optimizer_cfg`` with their places; a mapping is one entry."""
    if not isinstance(section, list):
        return [("optimizer_cfg", section)]
    return [(f"optimizer_cfg[{place}]", entry) for place, entry in enumerate(section)]


def bind_optimizer(section: Any) -> list[Entry]:
    """Return the checked entries of ``optimizer_cfg``.

    Raises:
        ConfigError: With all faults that do not depend on the model.
    """
    faults: list[str] = []
    if section == []:
        faults.append("optimizer_cfg: expected an entry with a solver, or a list of such, found []")
    entries, rest = [], ""
    for where, entry in placed_entries(section):
        inner = entry
        if isinstance(entry, Mapping):
            inner = {key: value for key, value in entry.items() if key != "match"}
        try:
            solver = bind(SOLVERS, inner, where=where, key="solver", given=("params",))
            entries.append(Entry(where, entry.get("match"), solver))
        except ConfigError as fault:
            faults.append(str(fault))
        if not isinstance(entry, Mapping):
            continue
        betas = entry.get("betas")
        if isinstance(betas, (list, tuple)) and len(betas) != 2:
            faults.append(f"{where}.betas: expected two numbers, found {betas}")
        faults += [
            f"{where}.{key}: expected false, found {entry[key]!r}: it is for {purpose}"
            for key, purpose in _NOT_HERE.items()
            if entry.get(key)
        ]
        if "match" in entry:
            faults += _match_faults(where, entry["match"])
        elif rest:
            faults.append(f"{where}: it has no match, as {rest}: only one entry can take the rest")
        else:
            rest = where
    if faults:
        raise ConfigError("\n".join(faults))
    return entries


def _match_faults(where: str, match: Any) -> Iterator[str]:
    good = isinstance(match, list) and match
    if not good or not all(isinstance(prefix, str) and prefix for prefix in match):
        yield (
            f"{where}.match: expected a list of beginnings of parameters' names, such as "
            f"[encoder.], found {match!r}"
        )
        return
    for place, prefix in enumerate(match):
        wider = [each for each in match[:place] + match[place + 1 :] if prefix.startswith(each)]
        if wider and (prefix not in wider or match.index(prefix) < place):
            yield f"{where}.match: {prefix!r} is without effect beside {wider[0]!r}: leave it out"


def build_optimizer(entries: Sequence[Entry], named: Parameters) -> torch.optim.Optimizer:
    """Return the optimizer, with a fused step where torch supports it.

    Args:
        entries: Entries of ``optimizer_cfg``; ``fused`` or ``foreach`` in an entry is respected.
        named: All parameters by name; frozen ones are skipped.

    Raises:
        ConfigError: If a parameter belongs to no entry or to several, or an entry has none.
    """
    shares = shared_out(entries, named)
    parts = []
    for entry, names in zip(entries, shares, strict=True):
        parameters = [named[name] for name in names]
        parts.append(_built(entry.solver, parameters))
        if len(shares) > 1:
            logger.info(
                "%s: %s with rate %g trains %d parameters (%d numbers): %s",
                entry.where, entry.solver.name, parts[-1].param_groups[0]["lr"], len(names),
                sum(p.numel() for p in parameters), ", ".join(entry.match or ["the rest"]),
            )  # fmt: skip
    return parts[0] if len(parts) == 1 else JointOptimizer(parts, shares)


def rehearsed_optimizer(entries: Sequence[Entry]) -> torch.optim.Optimizer:
    """Return a trial optimizer with one dummy parameter per entry, to find invalid arguments.

    Torch's solvers reject arguments only when they are built. The real parameters need the data,
    whose preparation can take hours.

    Raises:
        ConfigError: If a solver rejects its arguments.
    """
    parts, names = [], []
    for entry in entries:
        number = nn.Parameter(torch.zeros(1))
        number.grad = torch.zeros(1)
        try:
            parts.append(_built(entry.solver, [number]))
            parts[-1].step()
        except (ValueError, TypeError, RuntimeError) as fault:
            raise ConfigError(f"{entry.where}: {fault}") from fault
        names.append([entry.where])
    return parts[0] if len(parts) == 1 else JointOptimizer(parts, names)


def peak_faults(entries: Sequence[Entry], schedule: Bound) -> Iterator[str]:
    """Yield the learning rates of entries that ``OneCycleLR`` would override."""
    peak = schedule.arguments.get("max_lr")
    if peak is None or not entries[0].where.endswith("]"):
        return
    own = [entry.solver.arguments.get("lr") for entry in entries]
    peaks = peak if isinstance(peak, list) else [peak] * len(own)
    if len(peaks) != len(own):
        yield f"scheduler_cfg.max_lr: expected {len(own)} rates, one an entry, found {peak}"
        return
    for place, (rate, top) in enumerate(zip(own, peaks, strict=True)):
        if rate is not None and rate != top:
            yield (
                f"scheduler_cfg.max_lr: it sets {top:g} for optimizer_cfg[{place}], whose lr is "
                f"{rate:g}; write a rate for each entry, max_lr: {own}, or change lr"
            )


def shared_out(entries: Sequence[Entry], named: Parameters) -> list[list[str]]:
    """Return the trained parameters' names, divided among the entries of ``optimizer_cfg``.

    Args:
        entries: At most one has no ``match``; it gets the remaining parameters.
        named: All parameters by name; frozen ones are skipped.

    Returns:
        The parameter names of each entry, in the order of ``named``.

    Raises:
        ConfigError: With all faults: a prefix without a trained parameter, a parameter matched by
            no entry or by several, an entry without parameters.
    """
    trained = [name for name, parameter in named.items() if parameter.requires_grad]
    owners: dict[str, list[int]] = {name: [] for name in trained}
    faults: list[str] = []
    for place, entry in enumerate(entries):
        match = entry.match or ()
        faults += [
            fault for prefix in match for fault in _unused(entry.where, prefix, trained, named)
        ]
        for name in trained:
            if name.startswith(tuple(match)):
                owners[name].append(place)
    for name, places in owners.items():
        if len(places) > 1:
            both = " and ".join(entries[place].where for place in places)
            faults.append(f"{name}: matched by {both}; one entry alone can train it")
    rest = [place for place, entry in enumerate(entries) if entry.match is None]
    left = [name for name, places in owners.items() if not places]
    if left and not rest:
        faults.append(
            f"no entry matches {_some(left)}: add to a match, or add an entry without match, which "
            "takes the rest"
        )
    elif rest and not left:
        faults.append(f"{entries[rest[0]].where}: the others match every parameter: leave it out")
    if faults:
        more = [f"  ... and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        lines = ["optimizer_cfg does not fit the model:"]
        raise ConfigError("\n".join([*lines, *(f"  {each}" for each in faults[:_SHOWN]), *more]))
    shares = [
        [name for name in trained if owners[name] == [place]] for place in range(len(entries))
    ]
    if rest:
        shares[rest[0]] = left
    return shares


def _unused(where: str, prefix: str, trained: Sequence[str], named: Parameters) -> Iterator[str]:
    """Yield why a prefix has no effect, if it has none."""
    if any(name.startswith(prefix) for name in trained):
        return
    if any(name.startswith(prefix) for name in named):
        yield f"{where}.match: {prefix!r} matches frozen parameters alone, which nobody trains"
        return
    words = [name.split(".") for name in trained]
    known = {".".join(part[:end]) + "." for part in words for end in range(1, len(part))}
    near = get_close_matches(prefix, sorted(known), n=1)
    tops = ", ".join(dict.fromkeys(f"{part[0]}." for part in words))
    hint = f"did you mean {near[0]!r}?" if near else f"known: {tops}"
    yield f"{where}.match: no parameter begins with {prefix!r} - {hint}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _built(solver: Bound, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    can = solver.asks_for("fused")
    can = can and all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)
    if can and not {"fused", "foreach", "differentiable"} & set(solver.arguments):
        return solver(params=parameters, fused=True)
    return solver(params=parameters)
