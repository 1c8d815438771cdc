"""A small Mixtral: grouped-query attention with interleaved RoPE, top-2 of 8 SwiGLU experts."""
import dataclasses
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclasses.dataclass
class Config:
    """Sizes of the model; the names follow GGUF's keys."""

    vocabulary: int = 4096
    embedding: int = 256
    layers: int = 6
    heads: int = 8
    kv_heads: int = 4
    feed_forward: int = 512
    experts: int = 8
    experts_per_token: int = 2
    context: int = 512
    rope_base: float = 10000.0
    norm_epsilon: float = 1e-5

    @property
    def head_dim(self) -> int:
        return self.embedding // self.heads


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """x [..., embedding] in f32; returns f32."""
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * weight


def rope_table(config: Config, device: torch.device) -> Tensor:
    """Returns complex64 [context, head_dim / 2]."""
    j = torch.arange(0, config.head_dim, 2, device=device, dtype=torch.float64)
    angles = torch.arange(config.context, device=device, dtype=torch.float64)[:, None] / config.rope_base ** (j / config.head_dim)
    return torch.polar(torch.ones_like(angles), angles).to(torch.complex64)


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Rotates pairs (2j, 2j+1); x [batch, positions, heads, head_dim]."""
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * table[: x.shape[1], None, :]).flatten(-2)


class Linear(nn.Module):
    """A matrix stored in f32 and multiplied in bfloat16 (fast on CPUs with AVX-512 BF16 or AMX, and on GPUs)."""

    def __init__(self, inputs: int, outputs: int, std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * std)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.bfloat16(), self.weight.bfloat16())


class Attention(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        std = c.embedding**-0.5
        self.config = c
        self.norm = nn.Parameter(torch.ones(c.embedding))
        self.q = Linear(c.embedding, c.heads * c.head_dim, std)
        self.k = Linear(c.embedding, c.kv_heads * c.head_dim, std)
        self.v = Linear(c.embedding, c.kv_heads * c.head_dim, std)
        self.o = Linear(c.heads * c.head_dim, c.embedding, std / math.sqrt(2 * c.layers))

    def forward(self, x: Tensor, table: Tensor, mask: Tensor) -> Tensor:
        """x f32 [batch, positions, embedding]; mask bf16 [1, positions, positions], 0 or -inf."""
        c = self.config
        batch, positions, _ = x.shape
        n = rms_norm(x, self.norm, c.norm_epsilon).bfloat16()
        q = rotate(self.q(n).view(batch, positions, c.heads, c.head_dim), table)
        k = rotate(self.k(n).view(batch, positions, c.kv_heads, c.head_dim), table)
        v = self.v(n).view(batch, positions, c.kv_heads, c.head_dim)
        group = c.heads // c.kv_heads
        # The heads of a group share keys and values: fold the group into the rows of q instead of repeating k and v.
        q = q.bfloat16().view(batch, positions, c.kv_heads, group, c.head_dim).permute(0, 2, 3, 1, 4)
        q = q.reshape(batch * c.kv_heads, group * positions, c.head_dim)
        k = k.bfloat16().permute(0, 2, 3, 1).reshape(batch * c.kv_heads, c.head_dim, positions)
        v = v.permute(0, 2, 1, 3).reshape(batch * c.kv_heads, positions, c.head_dim)
        scores = torch.baddbmm(mask.repeat(1, group, 1), q, k, alpha=c.head_dim**-0.5)
        out = torch.bmm(torch.softmax(scores, -1), v)
        out = out.view(batch, c.kv_heads, group, positions, c.head_dim).permute(0, 3, 1, 2, 4)
        return self.o(out.reshape(batch, positions, -1)).float()


class Experts(nn.Module):
    """The mixture of experts. One tensor holds the same matrix of all experts."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        std = c.embedding**-0.5
        self.config = c
        self.norm = nn.Parameter(torch.ones(c.embedding))
        self.router = nn.Parameter(torch.randn(c.experts, c.embedding) * 0.02)
        self.gate = nn.Parameter(torch.randn(c.experts, c.embedding, c.feed_forward) * std)
        self.up = nn.Parameter(torch.randn(c.experts, c.embedding, c.feed_forward) * std)
        self.down = nn.Parameter(torch.randn(c.experts, c.feed_forward, c.embedding) * (c.feed_forward**-0.5 / math.sqrt(2 * c.layers)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x f32 [tokens, embedding] -> (output, load-balancing loss, share of assignments of each expert)."""
        c = self.config
        tokens, k = x.shape[0], c.experts_per_token
        n = rms_norm(x, self.norm, c.norm_epsilon)
        logits = n @ self.router.t()
        top, chosen = logits.topk(k, -1)
        weights = torch.softmax(top, -1)

        share = torch.bincount(chosen.flatten(), minlength=c.experts).float() / (tokens * k)
        # The loss of Switch Transformers: 1 if all experts get the same share, else more.
        balance = c.experts * (share.detach() * torch.softmax(logits, -1).mean(0)).sum()

        # Sort the assignments by expert and pad each expert's tokens to the longest list, for three batched products.
        order = chosen.flatten().argsort(stable=True)
        counts = (share * tokens * k).round().long()
        capacity = int(counts.max())
        expert = chosen.flatten()[order]
        starts = counts.cumsum(0) - counts
        row = expert * capacity + torch.arange(tokens * k, device=x.device) - starts[expert]
        source = order // k
        batch = torch.zeros(c.experts * capacity, c.embedding, dtype=torch.bfloat16, device=x.device)
        batch = batch.index_copy(0, row, n.bfloat16()[source]).view(c.experts, capacity, c.embedding)
        hidden = F.silu(torch.bmm(batch, self.gate.bfloat16())) * torch.bmm(batch, self.up.bfloat16())
        out = torch.bmm(hidden, self.down.bfloat16()).view(c.experts * capacity, c.embedding)[row].float()
        result = torch.zeros_like(x).index_add(0, source, out * weights.flatten()[order][:, None])
        return result, balance, share


#: GGUF's names of a layer's parameters. Experts are [experts, in, out] here and [experts, out, in] in GGUF.
LAYER_NAMES = {
    "attention": {"norm": "attn_norm", "q.weight": "attn_q", "k.weight": "attn_k", "v.weight": "attn_v", "o.weight": "attn_output"},
    "moe": {"norm": "ffn_norm", "router": "ffn_gate_inp", "gate": "ffn_gate_exps", "up": "ffn_up_exps", "down": "ffn_down_exps"},
}


def gguf_name(parameter: str) -> str:
    """Returns GGUF's name of a parameter, e.g. `moe.3.gate` -> `blk.3.ffn_gate_exps.weight`."""
    if parameter in ("embedding", "norm", "output.weight"):
        return {"embedding": "token_embd", "norm": "output_norm"}.get(parameter, "output") + ".weight"
    part, layer, rest = parameter.split(".", 2)
    return f"blk.{layer}.{LAYER_NAMES[part][rest]}.weight"


class Mixtral(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.config = c
        self.embedding = nn.Parameter(torch.randn(c.vocabulary, c.embedding) * 0.5)
        self.attention = nn.ModuleList(Attention(c) for _ in range(c.layers))
        self.moe = nn.ModuleList(Experts(c) for _ in range(c.layers))
        self.norm = nn.Parameter(torch.ones(c.embedding))
        self.output = Linear(c.embedding, c.vocabulary, 0.02)

    @torch.no_grad()
    def load_gguf(self, tensors: dict[str, np.ndarray]) -> None:
        """Loads weights written by export.py, as read_gguf returns them. Raises KeyError or RuntimeError for another shape."""
        for name, p in self.named_parameters():
            weights = torch.from_numpy(tensors[gguf_name(name)].copy())
            p.copy_(weights.transpose(-1, -2) if p.ndim == 3 else weights)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """ids [batch, positions] -> (logits bf16 [batch, positions, vocabulary], balance loss, shares [layers, experts])."""
        c = self.config
        batch, positions = ids.shape
        table = rope_table(c, ids.device)[:positions]
        mask = torch.full((positions, positions), float("-inf"), device=ids.device).triu(1).bfloat16()[None]
        x = F.embedding(ids, self.embedding)
        balances, shares = [], []
        for attention, moe in zip(self.attention, self.moe):
            x = x + attention(x, table, mask)
            out, balance, share = moe(x.view(-1, c.embedding))
            x = x + out.view_as(x)
            balances.append(balance)
            shares.append(share)
        logits = self.output(rms_norm(x, self.norm, c.norm_epsilon))
        return logits, torch.stack(balances).mean(), torch.stack(shares)
