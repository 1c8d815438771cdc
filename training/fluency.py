"""Measures how fluent the model is: compares samples at temperature 0.8 with text written by people.

There are three measures, also taken of held-out passages: unknown words (non-words or new names), loops, and the share
of sentences that an English grammar parses completely (link-parser, in Debian's package link-grammar).
"""
import argparse
import pathlib
import re
import subprocess

import numpy as np
import sentencepiece as spm
import torch

from data import WORD
from gguf_file import read_gguf
from model import Config, Mixtral

MIN_PS = [0.0, 0.05, 0.1]
TEMPERATURE = 0.8
TOKENS = 200
PROMPTS = ["Once upon a time", '"Where have you been?" she asked.']


@torch.no_grad()
def sample(
    model: Mixtral, sp: spm.SentencePieceProcessor, prompt: str, count: int, temperature: float, min_p: float, seed: int, batch: int = 1,
) -> list[list[int]]:
    """Returns token ids of `batch` continuations. Drops tokens less likely than `min_p` times the likeliest, before temperature."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.tensor([[1, *sp.encode(prompt)]]).repeat(batch, 1)
    for _ in range(count):
        probabilities = torch.softmax(model(ids[:, -model.config.context :])[0][:, -1].float(), -1)
        kept = probabilities >= min_p * probabilities.amax(-1, keepdim=True)
        weights = torch.where(kept, probabilities, torch.zeros(())) ** (1 / temperature)
        ids = torch.cat([ids, torch.multinomial(weights, 1, generator=generator)], 1)
    return ids[:, 1:].tolist()


def invented(texts: list[str], known: set[str]) -> float:
    """Returns the share of words that occur less than twice in the training text: new names and non-words."""
    words = [word for text in texts for word in WORD.findall(text.lower())[1:-1]]  # the first and the last may be incomplete
    return sum(word not in known for word in words) / len(words)


def looping(samples: list[list[int]], length: int = 12) -> float:
    """Returns the share of samples in which a sequence of `length` tokens occurs twice."""
    def loops(ids: list[int]) -> bool:
        grams = [tuple(ids[i : i + length]) for i in range(len(ids) - length + 1)]
        return len(set(grams)) < len(grams)

    return sum(map(loops, samples)) / len(samples)


def sentences(text: str) -> list[str]:
    """Returns sentences of 4 to 16 words without quotation marks, except the first and the last, which may be incomplete."""
    parts = re.split(r"(?<=[.!?])[\"\u201d']?\s+", text.replace("\n", " "))[1:-1]
    plain = [re.sub(r'["\u201c\u201d_]', "", part).replace("--", ", ").strip() for part in parts]
    return [s for s in plain if 4 <= len(s.split()) <= 16 and s[0].isupper()]


def parsed(texts: list[str]) -> tuple[float, int]:
    """Returns (share of the sentences with a complete parse, number of sentences)."""
    lines = [sentence for text in texts for sentence in sentences(text)]
    options = ["-verbosity=1", "-graphics=0", "-timeout=5", "-panic=0", "-spell=0"]
    found = subprocess.run(["link-parser", "en", *options], input="\n".join(lines), capture_output=True, text=True, check=True).stdout
    complete = [line for line in found.splitlines() if re.match(r"Found [1-9]\d* linkage", line) and "null count" not in line]
    return len(complete) / len(lines), len(lines)


def measures(sp: spm.SentencePieceProcessor, samples: list[list[int]], known: set[str]) -> str:
    texts = [sp.decode(ids) for ids in samples]
    share, count = parsed(texts)
    return f"{100 * invented(texts, known):.2f} % of the words unknown, {100 * looping(samples):.1f} % loop, {100 * share:.1f} % of {count} sentences parsed"


def report_fluency(model: Mixtral, sp: spm.SentencePieceProcessor, held_out: np.ndarray, work: pathlib.Path, each: int = 24) -> None:
    """Prints the measures of held-out text, and for every min-p those of `each` samples per prompt, with one sample each."""
    known = set((work / "words.txt").read_text(encoding="utf-8").split())
    starts = np.linspace(0, len(held_out) - TOKENS - 1, 60).astype(int)
    print("held-out text:", measures(sp, [[int(t) for t in held_out[i : i + TOKENS] if t > 2] for i in starts], known))
    for min_p in MIN_PS:
        samples = [sample(model, sp, prompt, TOKENS, TEMPERATURE, min_p, seed, each) for seed, prompt in enumerate(PROMPTS)]
        print(f"min-p {min_p}:", measures(sp, [ids for some in samples for ids in some], known), flush=True)
        for some in samples:
            print(f"--- {sp.decode(some[0])}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder to which data.py wrote vocabulary, words and held-out text")
    parser.add_argument("--gguf", type=pathlib.Path, required=True, help="the model, written by export.py")
    args = parser.parse_args()
    model = Mixtral(Config())
    model.load_gguf(read_gguf(args.gguf)[1])
    sp = spm.SentencePieceProcessor(model_file=str(args.work / "vocabulary.model"))
    report_fluency(model, sp, np.fromfile(args.work / "held-out.u16", dtype=np.uint16), args.work)


if __name__ == "__main__":
    main()
