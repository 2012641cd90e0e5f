from modeling.base_model import BaseModel
from torch import nn


class Baseline(BaseModel):
    """One layer over the mean color."""

    def build_network(self, section):
        self.layer = nn.Linear(3, section["width"])

    def forward(self, inputs):
        frames, people = inputs[0][0], inputs[1]
        colors = frames.transpose(1, 2).flatten(2).mean(dim=2)  # [n, 3]
        found = {"embeddings": self.layer(colors)[..., None]}
        pictures = {"image/first": frames[:, 0]}
        return {
            "visual_summary": pictures,
            "inference_feat": found,
            "training_feat": {"triplet": found | {"labels": people}},
        }
