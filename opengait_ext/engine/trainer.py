"""The training loop."""

import logging
import math
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from signal import Signals
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..escaping import some
from . import random_state
from .checkpoint import CheckpointStore
from .devices import is_out_of_memory
from .distributed import Group
from .interrupt import Interrupt, Stopped
from .journal import Journal
from .objective import Terms
from .options import TrainerOptions
from .readers import batches_of
from .state import TrainingState
from .steps import Step

logger = logging.getLogger(__name__)

_NAMED = 16  # tracklets of a batch in a message

# Test of the model: returns the score that selects checkpoints, and numbers for the curves.
Evaluate = Callable[[], tuple[float, dict[str, float]]]


class NonFiniteError(UserError):
    """A loss or the weights are not finite, so training cannot continue."""


class OutOfMemoryError(UserError):
    """A batch does not fit in the memory of the device."""


class Trainer:
    """Training loop from the iteration of a state to the last.

    Args:
        options: ``trainer_cfg``.
        state: The state of training.
        step: The gradient computation of a batch.
        loader: The batches of the remaining iterations.
        names: Function that returns the paths of a batch's tracklets.
        store: The checkpoints.
        about: Further entries of a checkpoint: config, versions, commit.
        group: The processes of the run.
        journal: The reports.
        evaluate: Test of the model every ``eval_iter`` iterations; all processes call it.
    """

    def __init__(
        self,
        options: TrainerOptions,
        state: TrainingState,
        step: Step,
        loader: Iterable[Any],
        names: Callable[[Any], list[str]],
        store: CheckpointStore,
        about: Mapping[str, Any],
        group: Group,
        journal: Journal,
        evaluate: Evaluate,
    ) -> None:
        self.options = options
        self.state = state
        self.step = step
        self.loader = loader
        self.names = names
        self.store = store
        self.about = about
        self.group = group
        self.journal = journal
        self.evaluate = evaluate
        self._device = step.computation.device
        self._saved = state.iteration
        self._first = True

    def run(self) -> None:
        """Train to the last iteration.

        Raises:
            Stopped: After a signal, once the state is saved.
            NonFiniteError: If a loss is not finite; nothing is saved.
            CheckpointError: If a checkpoint cannot be written.
        """
        left = self.options.total_iter - self.state.iteration
        if left <= 0:
            logger.info("the training is finished: iteration %d", self.state.iteration)
        self.step.model.train()
        with (
            Interrupt() as interrupt,
            closing(self._batches(interrupt)) as batches,
            closing(self.journal),
        ):
            self._pause(interrupt)
            for batch in batches:
                self._iterate(batch)
                if self._is_at(self.options.save_iter):
                    self._save()
                self._pause(interrupt)
            self._pause(interrupt)  # a signal may have ended the wait for a batch

    def _batches(self, interrupt: Interrupt) -> Generator[Any, None, None]:
        def gives_up() -> bool:  # several processes must stop at the same iteration
            return bool(interrupt.number) and self.group.size == 1

        with closing(batches_of(self.loader, gives_up)) as batches:
            while True:
                self.journal.begins()
                batch = next(batches, None)
                if batch is None:
                    return
                self.journal.has_batch()
                yield batch

    def _iterate(self, batch: Any) -> None:
        state = self.state
        state.model.iteration = state.iteration  # type: ignore[assignment]
        state.optimizer.zero_grad(set_to_none=True)
        try:
            terms, visual_summary = self.step(batch)
        except (RuntimeError, MemoryError) as fault:
            if not is_out_of_memory(fault):
                raise
            raise OutOfMemoryError(
                f"iteration {state.iteration + 1}: {len(batch.labels)} tracklets with frames "
                f"{list(batch.frames.shape)} do not fit in the device's memory. Set "
                f"trainer_cfg.accumulate to more than {self.options.accumulate}: the batch is "
                f"computed in so many pieces, and the losses stay the same. ({fault})"
            ) from fault
        if self._first:
            self._tell_unreached()
        self._check(terms, batch)
        norm = self._update()
        state.iteration += 1
        tracklets = len(batch.labels) * self.group.size
        self.journal.ends(terms, visual_summary, norm, tracklets, state.optimizer)

    def _tell_unreached(self) -> None:
        """Log the parameters that get no gradient from any loss: they are not trained."""
        self._first = False
        named = self.state.model.named_parameters()
        left = [name for name, each in named if each.requires_grad and each.grad is None]
        if left and self.group.leads:
            logger.info(
                "no loss reaches %d of the trained parameters, which stay as they are: %s",
                len(left), some(left),
            )  # fmt: skip

    def _update(self) -> Tensor | None:
        """Step the optimizer; return the norm of the gradient if it is clipped."""
        state, norm = self.state, None
        if self.options.clip_grad_norm:
            state.scaler.unscale_(state.optimizer)
            parameters = [
                parameter for entry in state.optimizer.param_groups for parameter in entry["params"]
            ]
            norm = nn.utils.clip_grad_norm_(parameters, self.options.clip_grad_norm).detach()
        scale = state.scaler.get_scale()
        state.scaler.step(state.optimizer)
        state.scaler.update()
        skipped = state.scaler.get_scale() < scale
        if skipped:
            logger.warning(
                "iteration %d: a gradient does not fit float16, so this step is left out; "
                "the loss is scaled by %g from now on",
                state.iteration + 1, state.scaler.get_scale(),
            )  # fmt: skip
        with warnings.catch_warnings():
            if skipped:  # torch's schedules then miss the first step of the optimizer
                warnings.simplefilter("ignore")
            state.schedule.step()
        return norm

    def _check(self, terms: Terms, batch: Any) -> None:
        if math.isfinite(float(terms.total.detach())):
            return
        losses = {name: float(loss) for name, loss in terms.losses.items()}
        wrong = [f"{name} = {loss}" for name, loss in losses.items() if not math.isfinite(loss)]
        names = self.names(batch)
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        raise NonFiniteError(
            f"iteration {self.state.iteration + 1}: a loss is not finite: "
            f"{', '.join(wrong) or 'the sum of all'}\n"
            f"Tracklets of this batch: {', '.join(names[:_NAMED])}{more}\n"
            f"Nothing was saved after it; {self._last_good()}. A lower optimizer_cfg.lr, "
            "trainer_cfg.clip_grad_norm: 1.0 or precision: float32 may help."
        )

    def _last_good(self) -> str:
        iterations = self.store.iterations()
        return (
            f"the last checkpoint is {self.store.path(iterations[-1])}"
            if iterations
            else "there is no checkpoint yet"
        )

    def _is_at(self, every: int) -> bool:
        iteration = self.state.iteration
        return iteration % every == 0 or iteration == self.options.total_iter

    def _pause(self, interrupt: Interrupt) -> None:
        """Run a test if one is due; after a signal, save the state and stop."""
        signal = self._signal(interrupt)
        if not signal and self._is_test_due():
            self._test()
            signal = self._signal(interrupt)
        if not signal:
            return
        if self._saved != self.state.iteration:
            self._save()
        self.journal.close()
        logger.warning(
            "stopped by %s after iteration %d of %d, which is saved; the same command goes on "
            "from there (with restore_hint: auto)",
            Signals(signal).name, self.state.iteration, self.options.total_iter,
        )  # fmt: skip
        raise Stopped(128 + signal)

    def _signal(self, interrupt: Interrupt) -> int:
        return self.group.largest(interrupt.number, self._device)

    def _is_test_due(self) -> bool:
        state, every = self.state, self.options.eval_iter
        return bool(
            every and state.iteration and self._is_at(every) and state.evaluated != state.iteration
        )

    def _test(self) -> None:
        state = self.state
        self.journal.live.clear()
        with random_state.preserved(self._device):
            score, numbers = self.evaluate()
        self.step.model.train()
        state.evaluated = state.iteration
        self.journal.tested(numbers)
        record = state.best["score"] if state.best else -1.0
        if self.options.keep == "last" or not score > record:  # a score may be NaN
            return
        split = "test" if self.options.keep == "best_on_test" else "validation"
        state.best = {"iteration": state.iteration, "score": score, "measured_on": split}
        logger.info("the best so far: %.2f %% mAP on %s, mean of directions", 100 * score, split)
        self._save()

    def _save(self) -> None:
        sampler = {"seed": self.options.seed, "start": self.state.iteration}
        state = self.state.content(self.group, self._device)
        content = {**state, "sampler": sampler, **self.about}
        self._saved = self.state.iteration
        if not self.group.leads:
            return
        broken = [
            name
            for name, value in content["model"].items()
            if value.is_floating_point() and not bool(torch.isfinite(value).all())
        ]
        if broken:
            raise NonFiniteError(
                f"iteration {self.state.iteration}: {len(broken)} weights are not finite "
                f"({', '.join(broken[:5])}). They are not saved; {self._last_good()}."
            )
        self.journal.live.clear()
        logger.info("saved %s", self.store.save(content))
