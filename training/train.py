"""Trains the model. Resumable. The learning rate decays to zero at the end of a budget of active seconds."""
import argparse
import dataclasses
import json
import pathlib
import time

import numpy as np
import torch

from gguf_file import read_gguf
from loss import cross_entropy
from model import Config, Mixtral
from muon import Muon

PRESETS = {
    # About 22 M parameters, 7 M active: trains on two CPU cores.
    "small-cpu": (Config(), {"batch": 16, "positions": 256, "late_positions": 512}),
    # About 35 M parameters: for a GPU.
    "full": (Config(layers=8, feed_forward=640, context=1024), {"batch": 64, "positions": 512, "late_positions": 1024}),
}
BALANCE_WEIGHT = 0.1
WARMUP_STEPS = 40
#: Last share of the budget, over which the learning rate falls to zero.
DECAY = 0.35
#: From a finished model, the rate rises to half its peak, more slowly because the optimizers have no state, then falls to zero.
RESTART = {"peak": 0.5, "warmup": 150, "decay": 1.0}


def batches(tokens: np.ndarray, batch: int, positions: int, rng: np.random.Generator, progress: float, window: float):
    """Returns random crops (inputs, targets) from the first `window` of the corpus, which has the easiest books first."""
    reach = int(len(tokens) * min(1.0, window))
    starts = rng.integers(0, reach - positions - 1, batch)
    rows = np.stack([tokens[s : s + positions + 1] for s in starts]).astype(np.int64)
    ids = torch.from_numpy(rows)
    return ids[:, :-1], ids[:, 1:]


def learning_rate(step: int, progress: float, restarted: bool) -> float:
    """Returns the factor on the base rate: warm-up by steps, constant, then linear to zero. `step` counts from the budget's start."""
    if restarted:
        return RESTART["peak"] * min(1.0, (step + 1) / RESTART["warmup"], max(0.0, (1 - progress) / RESTART["decay"]))
    return min(1.0, (step + 1) / WARMUP_STEPS, max(0.0, (1 - progress) / DECAY))


def optimizers(model: Mixtral):
    hidden = [p for n, p in model.named_parameters() if p.ndim >= 2 and ("attention" in n or "moe" in n) and "router" not in n]
    matrices = {id(p) for p in hidden}
    rest = [(n, p) for n, p in model.named_parameters() if id(p) not in matrices]
    slow = [p for n, p in rest if "router" in n or "norm" in n]
    embedding = [p for n, p in rest if n == "embedding"]
    output = [p for n, p in rest if n.startswith("output")]
    adam = torch.optim.AdamW(
        [
            {"params": embedding, "lr": 1e-2},
            {"params": output, "lr": 2e-3},
            {"params": slow, "lr": 2e-3},
        ],
        betas=(0.9, 0.95), weight_decay=0.0, foreach=True,
    )
    return [Muon(hidden, lr=0.02), adam]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--preset", choices=PRESETS, default="small-cpu")
    parser.add_argument("--seconds", type=float, required=True, help="budget of active training time, over all runs")
    parser.add_argument("--budget-file", type=pathlib.Path, help="a file with a number of seconds that replaces --seconds during the run")
    parser.add_argument("--start-from", type=pathlib.Path, help="a finished GGUF to continue from if there is no checkpoint")
    parser.add_argument("--window", type=float, default=0.6, help="share of the corpus to train on, easiest books first")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config, shape = PRESETS[args.preset]
    torch.manual_seed(args.seed)
    model = Mixtral(config).to(device)
    opts = optimizers(model)
    base = [[g["lr"] for g in opt.param_groups] for opt in opts]
    tokens = np.fromfile(args.work / "train.u16", dtype=np.uint16)
    checkpoint = args.work / "checkpoint.pt"
    step, seen, active = 0, 0, 0.0
    restarted = args.start_from is not None
    if restarted and not checkpoint.exists():
        model.load_gguf(read_gguf(args.start_from)[1])
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device)
        model.load_state_dict(saved["model"])
        for opt, state in zip(opts, saved["optimizers"]):
            opt.load_state_dict(state)
        step, seen, active = saved["step"], saved["seen"], saved["active"]
        restarted = saved.get("restarted", False)
    rng = np.random.default_rng([args.seed, step])
    log = (args.work / "loss.jsonl").open("a")

    def save() -> None:
        temporary = checkpoint.with_suffix(".tmp")
        torch.save(
            {"model": model.state_dict(), "optimizers": [o.state_dict() for o in opts], "step": step, "seen": seen,
             "active": active, "restarted": restarted, "config": dataclasses.asdict(config), "preset": args.preset},
            temporary,
        )
        temporary.replace(checkpoint)

    last_save = time.monotonic()
    while True:
        budget = float(args.budget_file.read_text()) if args.budget_file and args.budget_file.exists() else args.seconds
        progress = active / budget
        if progress >= 1:
            break
        started = time.monotonic()
        late = progress > (0.5 if restarted else 1 - DECAY / 2)
        positions = shape["late_positions"] if late else shape["positions"]
        batch = shape["batch"] * shape["positions"] // positions
        loss_sum, balance_sum = 0.0, 0.0
        inputs, targets = batches(tokens, batch, positions, rng, progress, args.window)
        logits, balance, shares = model(inputs.to(device))
        loss = cross_entropy(logits.flatten(0, 1), targets.flatten().to(device))
        (loss + BALANCE_WEIGHT * balance).backward()
        loss_sum, balance_sum = loss.item(), balance.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        factor = learning_rate(step, progress, restarted)
        for opt, rates in zip(opts, base):
            for group, rate in zip(opt.param_groups, rates):
                group["lr"] = rate * factor
            opt.step()
            opt.zero_grad(set_to_none=True)
        step += 1
        seen += inputs.numel()
        # A very long step was suspended, so it counts as an ordinary one.
        active += min(time.monotonic() - started, 20.0)
        if step % 10 == 0:
            row = {"step": step, "seen": seen, "active": round(active, 1), "loss": round(loss_sum, 4),
                   "balance": round(balance_sum, 4), "min": round(shares.min().item(), 3), "max": round(shares.max().item(), 3),
                   "rate": round(factor, 3)}
            print(json.dumps(row), file=log, flush=True)
        if time.monotonic() - last_save > 240:
            save()
            last_save = time.monotonic()
    save()


if __name__ == "__main__":
    main()
