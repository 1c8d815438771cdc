"""Cross entropy over a small vocabulary, in pieces that fit in the processor's cache. Computes the gradient in the same pass."""
import torch
from torch import Tensor

ROWS = 128


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits: Tensor, targets: Tensor) -> Tensor:
        count = len(targets)
        gradient = torch.empty_like(logits)
        total = torch.zeros((), device=logits.device)
        for first in range(0, count, ROWS):
            rows = slice(first, first + ROWS)
            x = logits[rows].float()
            wanted = targets[rows, None]
            x -= x.amax(-1, keepdim=True)
            total -= x.gather(-1, wanted).sum()
            x.exp_()
            sums = x.sum(-1, keepdim=True)
            total += sums.log().sum()
            x /= sums
            x.scatter_add_(-1, wanted, torch.full_like(wanted, -1, dtype=x.dtype))
            gradient[rows] = x / count
        ctx.save_for_backward(gradient)
        return total / count

    @staticmethod
    def backward(ctx, scale: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient.mul_(scale), None


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Returns the mean negative log-likelihood in nats, computed in f32. logits bf16 [tokens, vocabulary], targets i64 [tokens]."""
    return _CrossEntropy.apply(logits, targets)
