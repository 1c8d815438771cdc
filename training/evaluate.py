"""Reports held-out bits per byte (trained and quantized weights), expert use by layer, fluency, and the loss curve."""
import argparse
import json
import math
import pathlib

import numpy as np
import sentencepiece as spm
import torch
import torch.nn.functional as F

from fluency import report_fluency
from gguf_file import dequantize_q8_0, quantize_q8_0
from model import Config, Mixtral


@torch.no_grad()
def bits_per_byte(model: Mixtral, tokens: np.ndarray, size: int, window: int, batch: int = 16) -> tuple[float, np.ndarray]:
    """Returns (bits per byte, share of assignments [layers, experts]) over whole windows that do not overlap."""
    count = (len(tokens) - 1) // window
    nll, shares, steps = 0.0, 0.0, 0
    for first in range(0, count, batch):
        rows = [tokens[i * window : (i + 1) * window + 1] for i in range(first, min(first + batch, count))]
        ids = torch.from_numpy(np.stack(rows).astype(np.int64))
        logits, _, share = model(ids[:, :-1])
        nll += F.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="sum").item()
        shares, steps = shares + share.numpy() * len(rows), steps + len(rows)
    seen = count * window / (len(tokens) - 1)
    return nll / math.log(2) / (size * seen), shares / steps


def quantize_(model: Mixtral) -> None:
    """Quantizes the matrices that export.py quantizes to Q8_0, and dequantizes them again."""
    for name, p in model.named_parameters():
        if p.ndim < 2 or "router" in name:
            continue
        # GGUF's rows run along the input, and experts are stored transposed here.
        w = p.data.transpose(-1, -2) if p.ndim == 3 else p.data
        array = w.contiguous().numpy()
        back = torch.from_numpy(dequantize_q8_0(quantize_q8_0(array), array.shape))
        p.data.copy_(back.transpose(-1, -2) if p.ndim == 3 else back)


def plot(log: pathlib.Path, out: pathlib.Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [json.loads(line) for line in log.read_text().splitlines()]
    seen = np.array([row["seen"] for row in rows]) / 1e6
    loss = np.array([row["loss"] for row in rows])
    width = min(20, len(loss))
    smooth = np.convolve(loss, np.ones(width) / width, "valid")
    pyplot.figure(figsize=(7, 4), dpi=110)
    pyplot.plot(seen, loss, alpha=0.3, label="one batch")
    pyplot.plot(seen[width - 1 :], smooth, label=f"mean of {width}")
    pyplot.xlabel("million tokens seen")
    pyplot.ylabel("training loss, nats per token")
    pyplot.ylim(loss.min() - 0.2, 7)
    pyplot.legend()
    pyplot.tight_layout()
    pyplot.savefig(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--picture", type=pathlib.Path, required=True)
    parser.add_argument("--window", type=int, default=512)
    args = parser.parse_args()
    torch.manual_seed(0)
    saved = torch.load(args.work / "checkpoint.pt", map_location="cpu")
    model = Mixtral(Config(**saved["config"]))
    model.load_state_dict(saved["model"])
    model.eval()
    sp = spm.SentencePieceProcessor(model_file=str(args.work / "vocabulary.model"))
    tokens = np.fromfile(args.work / "held-out.u16", dtype=np.uint16)
    size = int((args.work / "held-out.bytes").read_text())
    print(f"step {saved['step']}, {saved['seen']} tokens seen, {sum(p.numel() for p in model.parameters())} parameters")
    trained, shares = bits_per_byte(model, tokens, size, args.window)
    print(f"held-out bits per byte: {trained:.4f}")
    for layer, row in enumerate(shares):
        print(f"layer {layer}: " + " ".join(f"{share:.3f}" for share in row))
    quantize_(model)
    quantized, _ = bits_per_byte(model, tokens, size, args.window)
    print(f"held-out bits per byte, Q8_0: {quantized:.4f}")
    report_fluency(model, sp, tokens, args.work)
    plot(args.work / "loss.jsonl", args.picture)


if __name__ == "__main__":
    main()
