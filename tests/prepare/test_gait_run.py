"""A gait data set from pickles to a tested run: config, training, validation, both evaluators."""

import json

import pytest
import torch
from gait_trees import prepare, write_tree
from torch import nn

from opengait_ext.data import SAMPLERS, TRANSFORMS
from opengait_ext.engine import run
from opengait_ext.engine.catalog import Catalog
from opengait_ext.evaluation import EVALUATORS
from opengait_ext.losses import LOSSES
from opengait_ext.models.base import BaseModel, frames_of
from opengait_ext.registry import Registry


class Strips(BaseModel):
    """The mean of each of four strips, of any number of channels."""

    def build(self, num_identities: int, channels: int) -> None:
        self.linear = nn.Linear(channels, 8)
        self.classifier = nn.Linear(8, num_identities)

    def forward(self, inputs):
        frames, lengths = frames_of(inputs)
        strips = torch.stack([part.mean((2, 3)) for part in frames.chunk(4, dim=2)], dim=1)
        pooled = torch.stack([part.mean(0) for part in self.linear(strips).split(lengths)])
        logits = self.classifier(pooled)  # [n, p, k]
        features = {"id": {"logits": logits.transpose(1, 2), "labels": inputs[1]}}
        return {
            "training_feat": features if self.training else {},
            "visual_summary": {},
            "inference_feat": {"embeddings": pooled.transpose(1, 2)},
        }


CATALOG = Catalog(Registry("model", [Strips]), LOSSES, SAMPLERS, TRANSFORMS, EVALUATORS)
SIZE = {"type": "Resize", "height": 8, "width": 4}


def config_of(source, title, stream, identities, channels, evaluator):
    testing = {"type": "OrderedSampler", "batch_size": 7, "frames": 0, "frame_rule": "uniform"}
    drawing = {"type": "IdentitySampler", "identities": identities, "visible": 2, "infrared": 0,
               "frames": 2, "frame_rule": "random_sorted"}  # fmt: skip
    return {
        "data_cfg": {
            "dataset_name": title,
            "dataset_root": str(source),
            "dataset_partition": str(source / "partition.json"),
            "train_splits": ["train"],
            "num_workers": 0,
            "prepare": {"run": False, "access": "ask", "commands": []},
            "stream": stream,
        },
        "model_cfg": {"model": "Strips", "num_identities": identities, "channels": channels},
        "loss_cfg": [{"type": "CrossEntropyLoss", "log_prefix": "id"}],
        "optimizer_cfg": {"solver": "SGD", "lr": 0.01},
        "scheduler_cfg": {"scheduler": "WarmupSteps", "unit": "iteration", "warmup": 0,
                          "warmup_factor": 1.0, "milestones": [9], "gamma": 0.1},
        "trainer_cfg": {
            "save_name": "strips", "seed": 0, "total_iter": 4, "log_iter": 2, "save_iter": 4,
            "eval_iter": 2, "keep": "best", "restore_hint": 0, "restore_strict": True,
            "precision": "float32", "accumulate": 1, "clip_grad_norm": 0, "sampler": drawing,
            "transform": [SIZE, {"type": "HorizontalFlip", "probability": 0.5}],
        },
        "evaluator_cfg": {
            "save_name": "strips", "restore_hint": "auto", "restore_strict": True,
            "precision": "float32", "eval_func": evaluator, "metric": "euclidean",
            "split": "test", "sampler": testing, "transform": [SIZE],
        },
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("benchmark", "kind", "channels", "evaluator", "found"),
    [
        ("casia_b", "silhouettes", 1, "evaluate_gait_views", ["NM", "BG", "CL"]),
        ("ccpg", "rgb", 3, "evaluate_gait_views", ["CL", "UP", "DN", "BG"]),
        ("ccpg", "silhouettes", 1, "evaluate_cross_modality",
         [f"{name} visible_to_visible" for name in ("CL", "UP", "DN", "BG")]),
        ("sustech1k", "rgb", 3, "evaluate_gait_views",
         ["Normal", "Bag", "Clothing", "Carrying", "Umbrella", "Uniform", "Occlusion", "Night",
          "Overall"]),
        ("gait3d", "silhouettes", 1, "evaluate_cross_modality", ["visible_to_visible"]),
        ("ccgr_mini", "rgb", 3, "evaluate_cross_modality", ["visible_to_visible"]),
    ],
)  # fmt: skip
def test_a_gait_config_trains_validates_and_is_tested(
    tmp_path, monkeypatch, benchmark, kind, channels, evaluator, found
):
    source = write_tree(tmp_path, benchmark)
    assert prepare(benchmark, source, "--kind", kind, "--validation", "0.4") == 0
    monkeypatch.chdir(tmp_path)
    content = json.loads((source / "partition.json").read_text())
    counts, stream = content["source"]["counts"], content["source"]["stream"]
    config = config_of(
        source, content["dataset"], stream, counts["train"]["identities"], channels, evaluator
    )
    metrics = run(config, "both", "cpu", False, [], CATALOG)
    result = metrics["result"]
    assert list(result.get("conditions") or result["directions"]) == found
    assert metrics["selection"] == "best on validation"
    assert metrics["protocol"] == content["protocol"]
    assert metrics["data"]["splits"]["test"] == {
        name: counts["test"][name] for name in ("tracklets", "identities")
    }
    again = run(config, "test", "cpu", False, [], CATALOG)
    assert again["result"] == result


@pytest.mark.slow
@pytest.mark.parametrize("evaluator", ["evaluate_gait_views", "evaluate_cross_modality"])
def test_the_report_and_the_table_of_a_gait_run_are_made(tmp_path, monkeypatch, evaluator):
    from opengait_ext.cli import main

    source = write_tree(tmp_path, "ccpg")
    assert prepare("ccpg", source, "--kind", "silhouettes") == 0
    monkeypatch.chdir(tmp_path)
    config = config_of(source, "CCPG", "{view}-aligned-sils", 2, 1, evaluator)
    run(config, "both", "cpu", False, [], CATALOG)
    assert main(["table", "output/CCPG/Strips/strips"]) == 0
    assert main(["report", "output/CCPG/Strips/strips"]) == 0
    (place,) = tmp_path.glob("output/CCPG/Strips/strips/**/*.html")
    page = place.read_text()
    assert "/9j/" in page  # a JPEG in base64: the middle frame of a tracklet
    assert ("The test was one of views" in page) == (evaluator == "evaluate_gait_views")
    assert "Their scores differ from the stored ones" not in page
