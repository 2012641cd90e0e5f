"""Show that an installed wheel does the whole job in an empty folder: ``make wheel-test``.

Builds the wheel from what git knows, installs it into a new environment, and runs the demo at toy
size by the name of its config, then the other programs. Needs the network, for pip.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOY = [
    "data_cfg.prepare.commands.0=datasets/prep/synth_vvi.py --target data/synth_vvi_raw "
    "--train-identities 4 --test-identities 3 --frames 14 --height 96 --seed 1",
    "data_cfg.prepare.commands.1=datasets/prep/hitsz_vcm.py --source data/synth_vvi_raw "
    "--target data/synth_vvi --name SynthVVI --min-frames 6 --validation 0.25",
    "data_cfg.num_workers=0",
    "model_cfg.num_identities=3",
    "trainer_cfg.total_iter=2",
    "trainer_cfg.sampler.identities=3",
    "trainer_cfg.sampler.visible=1",
    "trainer_cfg.sampler.infrared=1",
]
RUN = "output/SynthVVI/DinoGRL/dinogrl"


def done(words: list[str | Path], folder: Path, show: bool = True) -> str:
    """Run a program without anything of this checkout in reach; return what it printed."""
    left_out = ("PYTHONPATH", "OPENGAIT_ROOT", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    if show:
        print("$", *(Path(words[0]).name, *words[1:]), flush=True)
    answer = subprocess.run(
        list(map(str, words)), cwd=folder, env=environment, capture_output=True, text=True
    )
    if answer.returncode:
        sys.exit(f"exit status {answer.returncode}\n{answer.stdout}{answer.stderr}")
    return answer.stdout + answer.stderr


def built_wheel(python: Path, folder: Path) -> Path:
    """Build the wheel in a copy, where nothing is left over from an earlier build."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    build = [python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, "."]
    done(build, folder / "source")
    (wheel,) = folder.glob("*.whl")
    return wheel


def show_whole_job(programs: Path, folder: Path) -> None:
    """Run the demo and what follows it in an empty folder."""
    python, command = programs / "python", programs / "opengait-ext"
    place = done([python, "-c", "import opengait_ext; print(opengait_ext.__file__)"], folder, False)
    assert Path(place.strip()).is_relative_to(programs.parent), place
    changes = [word for change in TOY for word in ("--set", change)]
    job = [python, "-m", "opengait.main", "--cfgs", "dinogrl_synth", "--device", "cpu", *changes]
    said = done(job, folder)
    print("\n".join(said.splitlines()[-14:]), flush=True)
    for part in ("running: opengait-ext prepare synth", "running: opengait-ext prepare vcm"):
        assert part in said, part
    metrics = json.loads((folder / RUN / "test/metrics.json").read_text())
    assert set(metrics["result"]["directions"]) == {"infrared_to_visible", "visible_to_infrared"}
    tested = ["test", "--cfgs", "dinogrl_synth", "--device", "cpu", *changes]
    assert "infrared to visible" in done([command, *tested], folder)
    done([command, "check", "data/synth_vvi", "--quick"], folder)
    done([command, "table", "output/**/metrics.json", "--published"], folder)
    done([command, "embed", RUN, "--data", "data/synth_vvi", "--target", "gallery"], folder)
    done([command, "weights", "check", f"{RUN}/checkpoints/dinogrl-00002.pt"], folder)
    done([command, "prepare", "recordings", "--help"], folder)
    print(done([command, "--version"], folder).strip())


def main() -> None:
    """Make the environment and show what an installed wheel does."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--environment", type=Path, help="use this one, torch in it, and keep it")
    given = parser.parse_args().environment
    with tempfile.TemporaryDirectory(prefix="wheel-test-") as name:
        folder = Path(name)
        environment = (given or folder / "environment").resolve()
        if not (environment / "bin/python").exists():
            done([sys.executable, "-m", "venv", environment], folder)
        python = environment / "bin/python"
        install = [python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt"]
        done([*install, "torch", "torchvision"], folder)
        wheel = built_wheel(python, folder)
        done([*install, "--force-reinstall", "--no-deps", wheel], folder)
        done([*install, wheel], folder)
        (folder / "empty").mkdir()
        show_whole_job(python.parent, folder / "empty")
    print("the wheel does the whole job")


if __name__ == "__main__":
    main()
