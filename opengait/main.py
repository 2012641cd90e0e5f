"""Reads the command line, picks the host and starts the run.

    python -m opengait.main --cfgs configs/dinogrl_synth.yaml

Nothing heavy is imported before the arguments are read, so ``--help`` answers at once.
"""

import argparse
import sys
from collections.abc import Sequence

DEVICES = ("auto", "cpu", "cuda", "mps")


def arguments_of(command: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line; the first four options are OpenGait's."""
    parser = argparse.ArgumentParser(
        prog="python -m opengait.main",
        description="Train and test a model for visible-infrared person re-identification.",
    )
    parser.add_argument("--cfgs", required=True, metavar="FILE", help="the config file")
    parser.add_argument(
        "--phase",
        choices=("train", "test"),
        help="do only this (default: train, then test)",
    )
    parser.add_argument(
        "--iter",
        type=int,
        metavar="N",
        help="start from the checkpoint of iteration N; 0: from the beginning "
        "(default: what restore_hint in the config file says)",
    )
    parser.add_argument(
        "--log_to_file", action="store_true", help="write the log to the output folder, too"
    )
    parser.add_argument("--device", choices=DEVICES, default="auto", help="default: auto")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        dest="changes",
        help="change one value of the config file, e.g. trainer_cfg.total_iter=100; repeatable",
    )
    parser.add_argument(
        "--opengait", metavar="DIR", help="run inside this OpenGait checkout (not yet possible)"
    )
    return parser.parse_args(command)


def main(command: Sequence[str] | None = None) -> int:
    """Runs one config; returns the exit status: 0 done, 1 the run ended in an error, 2 misuse."""
    arguments = arguments_of(command)
    if arguments.opengait:
        print(
            "--opengait: running inside an OpenGait checkout is not yet possible. Leave the "
            "option away: the same config runs in our own engine.",
            file=sys.stderr,
        )
        return 2
    changes = list(arguments.changes)
    if arguments.iter is not None:
        section = "evaluator_cfg" if arguments.phase == "test" else "trainer_cfg"
        changes.append(f"{section}.restore_hint={arguments.iter}")
    from opengait_ext.config import load_config
    from opengait_ext.errors import UserError

    try:
        config = load_config(arguments.cfgs, changes)
        from opengait_ext.engine import run

        run(
            config,
            phase=arguments.phase or "both",
            device=arguments.device,
            log_to_file=arguments.log_to_file,
            command=list(sys.argv),
        )
    except UserError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
