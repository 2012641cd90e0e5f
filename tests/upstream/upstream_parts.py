"""A stand-in checkout, the toy model of the engine's tests, and both hosts; also a program."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]
TEMPLATE = Path(__file__).with_name("checkout")

sys.path.append(str(ROOT / "tests" / "engine"))

from engine_parts import CATALOG, make_config, prepare  # noqa: E402 - needs the path above

__all__ = ["prepare"]

OUTPUT = Path("output", "Toy", "Tiny", "toy")


def make_checkout(folder):
    """Writes the stand-in into a folder and puts it under git's control."""
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    name = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    git(folder, *name, "commit", "--quiet", "--message", "all")
    return folder


def git(folder, *words):
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def changes_in(checkout):
    """Lists changed, new and ignored files of a checkout."""
    return git(checkout, "status", "--porcelain", "--ignored")


def plain_config(root, changes=None):
    """Gives the toy config as OpenGait's engine can run it."""
    return make_config(root, {"trainer_cfg.clip_grad_norm": 0.0, **(changes or {})})


def upstream(checkout, config, phase="both", catalog=CATALOG, **options):
    from opengait_ext.upstream.launch import run_inside

    run_inside(checkout, config, phase, on_cpu=True, catalog=catalog, **options)


def embedded(config, phase="both", catalog=CATALOG):
    from opengait_ext.engine import run

    return run(config, phase, "cpu", False, [], catalog)


def messages(folder):
    """Gives what the stand-in's engine wrote down."""
    lines = (folder / OUTPUT / "messages.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def environment(rank=0, size=1, port=0, path=()):
    """Gives what torchrun tells each of its processes."""
    paths = [*map(str, path), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    upstream(Path(sys.argv[1]), json.loads(sys.argv[2]))
