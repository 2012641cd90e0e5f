"""Launcher: parse the command line, choose the host and start the run.

    python -m opengait.main --cfgs dinogrl_synth

Slow imports come after the arguments are parsed, so that ``--help`` answers at once.
"""

from opengait_ext.quiet import be_quiet_from_here  # isort: skip  (first, because other imports take time)

if __name__ == "__main__":
    be_quiet_from_here()

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from opengait_ext.edge import quiet_imports, status_of

if TYPE_CHECKING:
    from opengait_ext.config import Change

Phase = Literal["train", "test"]
DEVICES = ("auto", "cpu", "cuda", "mps")


def arguments_of(command: Sequence[str] | None, phase: Phase | None = None) -> argparse.Namespace:
    """Parse the command line; the first four options are OpenGait's.

    Args:
        command: The words of the command line; None: those of the process.
        phase: Phase of ``opengait-ext train`` or ``test``, in place of ``--phase``.
    """
    doing = {"train": "Train", "test": "Test"}.get(phase or "", "Train and test")
    parser = argparse.ArgumentParser(
        prog=f"opengait-ext {phase}" if phase else "python -m opengait.main",
        description=f"{doing} a model for visible-infrared person re-identification.",
    )
    parser.add_argument(
        "--cfgs",
        required=True,
        metavar="NAME_OR_FILE",
        help="a config file, or the name of one that comes with the package: dinogrl_synth",
    )
    if phase is None:
        parser.add_argument(
            "--phase", choices=("train", "test"), help="do only this (default: train, then test)"
        )
    parser.set_defaults(phase=phase)
    parser.add_argument(
        "--iter",
        type=int,
        metavar="N",
        help="start from the checkpoint of iteration N; 0: from the beginning "
        "(default: what restore_hint in the config file says)",
    )
    parser.add_argument(
        "--log-to-file",
        "--log_to_file",
        action="store_true",
        help="write the log to the output folder, too",
    )
    parser.add_argument("--device", choices=DEVICES, default="auto", help="default: auto")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        dest="changes",
        help="set one value of the config, also one that the file leaves out, e.g. "
        "trainer_cfg.total_iter=100; a loss by its log_prefix, e.g. "
        "loss_cfg.smoothness.loss_term_weight=0; repeatable",
    )
    parser.add_argument("--name", help="of the run: its save_name in training and test")
    parser.add_argument("--seed", type=int, metavar="N", help="trainer_cfg.seed")
    parser.add_argument(
        "--output", metavar="DIR", help="where runs are written to (default: output)"
    )
    _add_hosts(parser)
    return parser.parse_args(command)


def _add_hosts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--opengait",
        metavar="DIR",
        help="run inside this OpenGait checkout (default: OPENGAIT_ROOT, or the working "
        "directory if it is a checkout)",
    )
    parser.add_argument(
        "--host",
        choices=("upstream", "embedded"),
        help="whose engine runs: OpenGait's own, or ours on any device; with a checkout, ours "
        "can run its models as well (default: upstream if there is a checkout)",
    )
    parser.add_argument(
        "--upstream-cpu",
        action="store_true",
        help="let OpenGait run without CUDA by changing torch; for tests",
    )


def main(command: Sequence[str] | None = None, phase: Phase | None = None) -> int:
    """Run one config and return the exit status: 0 done, 1 error, 2 misuse, 130 stopped."""
    return status_of(
        lambda: start(arguments_of(command, phase)), "stopped; the same command goes on from here"
    )


def changes_of(arguments: argparse.Namespace) -> list["str | Change"]:
    """Return the changes to the config file's values that the command line asks for."""
    from opengait_ext.config import Change

    changes: list[str | Change] = list(arguments.changes)
    if arguments.iter is not None:
        section = "evaluator_cfg" if arguments.phase == "test" else "trainer_cfg"
        told = f"--iter {arguments.iter}"
        changes.append(Change(f"{section}.restore_hint", arguments.iter, told))
    if arguments.name is not None:
        changes += [
            Change(f"{section}.save_name", arguments.name, f"--name {arguments.name}")
            for section in ("trainer_cfg", "evaluator_cfg")
        ]
    if arguments.seed is not None:
        changes.append(Change("trainer_cfg.seed", arguments.seed, f"--seed {arguments.seed}"))
    return changes


def accepted_keys(
    checkout: Path | None, config: Mapping[str, Any], place: tuple[str | int, ...]
) -> Collection[str] | None:
    """Return the keys that a config may hold at a place; called for keys that the file lacks."""
    with quiet_imports():
        from opengait_ext.engine.keys import accepted_at
        from opengait_ext.upstream.zoo import zoo_catalog

    return accepted_at(config, zoo_catalog(checkout), place)


def start(arguments: argparse.Namespace) -> None:
    """Read the config and run it in the host that the command line names.

    Raises:
        UserError: If the config, the data or another input is wrong.
    """
    from opengait_ext.config import ConfigError
    from opengait_ext.upstream.authorship import refuse_opengaits_own
    from opengait_ext.upstream.checkout import find_checkout

    checkout = find_checkout(arguments.opengait)
    config = _config_of(arguments, checkout)
    refuse_opengaits_own(config)
    host = arguments.host or ("upstream" if checkout else "embedded")
    output = Path(arguments.output or "output")
    phase: Literal["train", "test", "both"] = arguments.phase or "both"
    if host == "embedded":
        with quiet_imports():
            from opengait_ext.engine import run

        catalog = None
        if checkout:
            from opengait_ext.upstream.zoo import zoo_catalog

            catalog = zoo_catalog(checkout)
        run(config, phase, arguments.device, arguments.log_to_file, list(sys.argv), catalog, output)
        return
    if checkout is None:
        raise ConfigError(
            "--host upstream: there is no checkout of OpenGait here. Name one: --opengait DIR, or "
            "OPENGAIT_ROOT"
        )
    wanted = "cpu" if arguments.upstream_cpu else "cuda"
    if arguments.device not in ("auto", wanted):
        raise ConfigError(
            f"--device {arguments.device}: OpenGait's engine runs on cuda only (or on the cpu with "
            "--upstream-cpu, for tests). Our own runs on any device: --host embedded"
        )
    with quiet_imports():
        from opengait_ext.upstream.launch import run_inside

    run_inside(
        checkout, config, phase, arguments.log_to_file, arguments.upstream_cpu, list(sys.argv),
        output=output,
    )  # fmt: skip


def _config_of(arguments: argparse.Namespace, checkout: Path | None) -> dict[str, Any]:
    """Return the config that the command line names, with its changes."""
    from opengait_ext.config import load_config
    from opengait_ext.shipped import config_file

    file = config_file(arguments.cfgs)
    if not Path(arguments.cfgs).is_file():
        print(f"{arguments.cfgs}: {file}, which comes with the package", file=sys.stderr)
    return load_config(file, changes_of(arguments), partial(accepted_keys, checkout))


if __name__ == "__main__":
    sys.exit(main())
