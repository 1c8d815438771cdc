"""Muon, an optimizer for hidden matrices: momentum orthogonalized by Newton-Schulz iteration (K. Jordan et al., 2024)."""
import torch
from torch import Tensor

# Coefficients of the quintic iteration, from the publication. They maximize the slope at zero.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalize(m: Tensor, steps: int = 5) -> Tensor:
    """m [batch, rows, cols]. Returns approximately U V^T of each matrix's singular value decomposition, in bfloat16."""
    a, b, c = NEWTON_SCHULZ
    x = m.bfloat16()
    wide = x.shape[-2] > x.shape[-1]
    if wide:
        x = x.transpose(-1, -2)
    x = (x / (m.norm(dim=(-2, -1), keepdim=True) + 1e-7).bfloat16()).contiguous()
    for _ in range(steps):
        g = torch.bmm(x, x.transpose(-1, -2))
        x = a * x + torch.bmm(b * g + c * torch.bmm(g, g), x)
    return x.transpose(-1, -2) if wide else x


class Muon(torch.optim.Optimizer):
    """For parameters with two dimensions, or three if the first one is a number of matrices (experts)."""

    def __init__(self, parameters, lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.01) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                buffer = state.setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(buffer, group["momentum"])
                matrices = update.view(-1, *update.shape[-2:])
                direction = orthogonalize(matrices).view_as(p).to(p.dtype)
                # Gives the update the same root mean square for every shape.
                scale = max(1.0, p.shape[-2] / p.shape[-1]) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(direction, alpha=-group["lr"] * scale)
