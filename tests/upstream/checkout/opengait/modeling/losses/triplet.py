import torch


class TripletLoss(torch.nn.Module):
    """Is called like a loss of ours, takes other arguments, and is no triplet loss at all."""

    def __init__(self, margin, loss_term_weight=1.0):
        super().__init__()
        self.margin = margin
        self.loss_term_weight = loss_term_weight

    def forward(self, embeddings):
        loss = (embeddings - self.margin).square().mean()
        return loss, {"margin": torch.tensor(self.margin)}
