"""The sum of a model's losses."""

from modeling import losses
from torch import is_tensor, nn
from utils import made


class Total(nn.Module):
    def __init__(self, sections):
        super().__init__()
        every = sections if isinstance(sections, list) else [sections]
        self.by_prefix = nn.ModuleDict({each["log_prefix"]: made(losses, each) for each in every})

    def forward(self, features):
        value, told = 0, {}
        for prefix, feature in features.items():
            if prefix in self.by_prefix:
                loss = self.by_prefix[prefix]
                part, numbers = loss(**feature)
                value = value + loss.loss_term_weight * part.mean()
                told |= {f"scalar/{prefix}/{name}": number for name, number in numbers.items()}
            elif is_tensor(feature):
                value = value + feature.mean()
                told[f"scalar/{prefix}"] = feature
            else:
                raise ValueError(f"no loss takes {prefix}")
        return value, {tag: number.detach().mean() for tag, number in told.items()}
