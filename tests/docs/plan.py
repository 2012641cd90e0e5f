"""Additions to each documented command when the docs are tried: more words, or a reason not to run.

The words make it small; of an option that stands twice, programs take the second. What is not
listed runs as it is written.
"""

from documented import PAGES

CPU = "--device cpu"
ONE = "trainer_cfg.total_iter=1"


def changes(*values):
    """Return ``--set`` for each value."""
    return " ".join(f"--set '{value}'" for value in values)


TOY_DATA = "--train-identities 8 --test-identities 3 --frames 16 --height 96"
TOY_PREPARED = "--min-frames 6 --validation 0.25"
DEMO = CPU + " " + changes(
    "data_cfg.prepare.commands.0=datasets/prep/synth_vvi.py --target data/synth_vvi_raw --seed 0 "
    + TOY_DATA,
    "data_cfg.prepare.commands.1=datasets/prep/hitsz_vcm.py --source data/synth_vvi_raw "
    "--target data/synth_vvi --name SynthVVI " + TOY_PREPARED,
    "data_cfg.num_workers=0",
    "model_cfg.num_identities=6",
    "trainer_cfg.total_iter=2",
    "trainer_cfg.sampler.identities=3",
    "trainer_cfg.sampler.visible=1",
    "trainer_cfg.sampler.infrared=1",
)  # fmt: skip
REAL = CPU + " " + changes("data_cfg.num_workers=0", "evaluator_cfg.sampler.frames=1")
FEW = changes(
    "trainer_cfg.sampler.identities=2", "trainer_cfg.sampler.frames=1", ONE,
    "model_cfg.backbone_weights=null",
)  # fmt: skip
VCM = f"{REAL} {FEW} " + changes(
    "model_cfg.num_identities=8", "trainer_cfg.sampler.visible=1", "trainer_cfg.sampler.infrared=1"
)
RELEASED = REAL + " " + changes("model_cfg.num_identities=8", "model_cfg.backbone_weights=null")
BUPT = f"{REAL} {FEW} " + changes("model_cfg.num_identities=4", "model_cfg.mask_weights=null")

ADDED = {
    "python -m opengait.main --cfgs configs/dinogrl_synth.yaml": DEMO,
    "python -m opengait.main --cfgs dinogrl_synth": DEMO,
    "python -m opengait.main --cfgs configs/dinogrl_vcm.yaml --phase train": VCM,
    "python -m opengait.main --cfgs configs/dinogrl_vcm.yaml --phase test": VCM,
    "python -m opengait.main --cfgs configs/dinogrl_vcm.yaml": VCM,
    "python -m opengait.main --cfgs configs/dinogrl_released_vcm.yaml": RELEASED,
    "python -m opengait.main --cfgs configs/dinogrl_released_bupt.yaml": BUPT,
    "python -m opengait.main --cfgs configs/biggait_ccpg.yaml": (
        f"{CPU} --set data_cfg.num_workers=0 --set evaluator_cfg.sampler.frames=1"
    ),
    "python datasets/prep/synth_silhouettes.py": "--every 20",
    "python datasets/prep/synth_vvi.py --target data/synth_vvi_raw": TOY_DATA,
    "python datasets/prep/synth_vvi.py --target data/synth_60_raw": TOY_DATA,
    "python datasets/prep/hitsz_vcm.py": TOY_PREPARED,
    "python datasets/prep/pretrain_vit.py": (
        "--target data/toy_vit.pt --iterations 2 --batch 4 --frames 2"
    ),
    "opengait-ext calibrate": "--far 0.1",
    "opengait-ext search gallery": "--query {query}",
    "opengait-ext index gallery --remove PID": "--remove 17",
    "python benchmarks/forms.py": "--tracklets 5 --rounds 1",
    "python benchmarks/evaluation.py": "--queries 5 --rounds 1",
    "python benchmarks/rerank.py": "--queries 60 --gallery 80 --parts 2 --people 10",
    "python benchmarks/search.py": "--size 500 --queries 5",
}
_TAKES_LONG = "runs whole suites; it is a target of its own"
_OPENGAIT = (
    "needs OpenGait's clone, whose terms the user has to accept; tests/upstream and tests/zoo"
)
_TREES = "its data are not generated here; tests/prepare/test_published_training.py does it all"
_PUBLISHED = ("sysu_mm01.py", "regdb.py", "llcm.py", "mars.py", "ilids_vid.py")
NOT_RUN = {
    **{f"python datasets/prep/{script}": _TREES for script in _PUBLISHED},
    **{
        f"python -m opengait.main --cfgs configs/agw_{name}.yaml": _TREES
        for name in ("sysu", "regdb", "llcm", "mars", "ilids")
    },
    "make ": _TAKES_LONG,
    "pip ": "changes the environment; make wheel-test installs into a new one",
    "torchrun": "needs a process for each device; tests/engine starts several",
    "git clone": _OPENGAIT,
    "cd OpenGait": _OPENGAIT,
    "OPENGAIT_": _OPENGAIT,
    "DINOGRL_GOLDEN": "needs the whole set of golden arrays, which is not published",
    "python -c": "writes into site-packages; tests/upstream/test_hook.py runs it elsewhere",
    "python -m opengait.main --cfgs configs/dinogrl_synth.yaml --opengait": _OPENGAIT,
    "python -m opengait.main --opengait": _OPENGAIT,
}
NAMED = {  # parts of commands that stand in a sentence
    "python -m opengait.main", "python datasets/prep/<script>.py", "opengait-ext embed",
    "opengait-ext prepare NAME", "opengait-ext check", "opengait-ext weights",
}  # fmt: skip
PLACES = {
    "<download>": "VCM",
    "<checkout>": "checkout",
    "<checkpoint>": "output/SynthVVI/DinoGRL/dinogrl/checkpoints/dinogrl-00002.pt",
    "<checkpoint of OpenGait>": "BigGait-40000.pt",
}


def reason_of(text):
    """Return why a command is not run, or None."""
    if text in NAMED:
        return "names a program"
    found = [start for start in NOT_RUN if text.startswith(start)]
    return NOT_RUN[max(found, key=len)] if found else None


def added_to(text):
    """Return the words that make a command small: those of the longest beginning that fits."""
    found = [start for start in ADDED if text.startswith(start)]
    return ADDED[max(found, key=len)] if found else ""


def unused(texts):
    """Return the entries of this plan that fit no documented command any more."""
    starts = [*ADDED, *NOT_RUN, *NAMED]
    pages = " ".join(page.read_text(encoding="utf-8") for page in PAGES)
    return [start for start in starts if not any(text.startswith(start) for text in texts)] + [
        place for place in PLACES if place not in pages
    ]
