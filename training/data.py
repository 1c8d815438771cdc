"""Makes the vocabulary and the token files from the corpus.

The corpus is one xz file of books separated by a line `<|book|>`, easiest first. Some whole books are held out.
Every section (a few paragraphs) begins with BOS, so that the model learns to begin a text after BOS. A book ends
with EOS. Token files are flat uint16 arrays.
"""
import argparse
import collections
import lzma
import pathlib
import random
import re

import numpy as np
import sentencepiece as spm

BOOK_SEPARATOR = "<|book|>"
BOS, EOS = 1, 2
WORD = re.compile(r"[a-z]+(?:['\u2019][a-z]+)*")


def read_books(corpus: pathlib.Path) -> list[str]:
    """Returns all books in the order of the corpus, easiest first."""
    with lzma.open(corpus, "rt", encoding="utf-8") as file:
        text = file.read()
    return [book.strip() for book in text.split(f"{BOOK_SEPARATOR}\n") if book.strip()]


def split_books(books: list[str], every: int = 29) -> tuple[list[str], list[str]]:
    """Returns (training, held out). Every 29th book is held out, so that books of all difficulties are."""
    held_out = set(range(every // 2, len(books), every))
    return [b for i, b in enumerate(books) if i not in held_out], [books[i] for i in sorted(held_out)]


def train_vocabulary(books: list[str], prefix: pathlib.Path, size: int) -> None:
    """Trains a SentencePiece BPE with byte fallback, like Mixtral's: 1 unknown, 2 control, 256 bytes, then pieces."""
    sample = prefix.with_suffix(".sample.txt")
    sample.write_text("\n".join("\n".join(books).splitlines()[: 400_000]), encoding="utf-8")
    spm.SentencePieceTrainer.train(
        input=str(sample), model_prefix=str(prefix), model_type="bpe", vocab_size=size, byte_fallback=True,
        character_coverage=0.9999, normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=True, split_digits=True, max_sentence_length=20_000, input_sentence_size=300_000,
        shuffle_input_sentence=True, num_threads=2, unk_id=0, bos_id=BOS, eos_id=EOS, pad_id=-1,
        minloglevel=1,
    )
    sample.unlink()


def sections(book: str, rng: random.Random) -> list[str]:
    """Cuts a book at paragraph ends into sections of 600 to 6000 characters."""
    result, current, target = [], [], rng.randint(600, 6000)
    length = 0
    for paragraph in book.split("\n\n"):
        current.append(paragraph)
        length += len(paragraph) + 2
        if length >= target:
            result.append("\n\n".join(current))
            current, length, target = [], 0, rng.randint(600, 6000)
    if current:
        result.append("\n\n".join(current))
    return result


def encode(books: list[str], sp: spm.SentencePieceProcessor, seed: int) -> np.ndarray:
    """Returns the uint16 tokens of all books in order."""
    rng = random.Random(seed)
    out: list[np.ndarray] = []
    for book in books:
        for ids in sp.encode(sections(book, rng)):
            out.append(np.asarray([BOS, *ids], dtype=np.uint16))
        out.append(np.asarray([EOS], dtype=np.uint16))
    return np.concatenate(out)


def known_words(books: list[str]) -> list[str]:
    """Returns the words that occur at least twice, in lower case. fluency.py compares the model's words with them."""
    counts = collections.Counter(word for book in books for word in WORD.findall(book.lower()))
    return sorted(word for word, count in counts.items() if count > 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    training, held_out = split_books(read_books(args.corpus))
    prefix = args.work / "vocabulary"
    if not prefix.with_suffix(".model").exists():
        train_vocabulary(training, prefix, args.vocabulary)
    sp = spm.SentencePieceProcessor(model_file=f"{prefix}.model")
    for name, books in (("train", training), ("held-out", held_out)):
        tokens = encode(books, sp, args.seed)
        tokens.tofile(args.work / f"{name}.u16")
        size = sum(len(book.encode()) for book in books)
        (args.work / f"{name}.bytes").write_text(str(size))
        print(f"{name}: {len(books)} books, {size} bytes, {len(tokens)} tokens, {size / len(tokens):.3f} bytes per token")
    (args.work / "words.txt").write_text("\n".join(known_words(training)), encoding="utf-8")
    (args.work / "held-out.txt").write_text(f"\n{BOOK_SEPARATOR}\n".join(held_out), encoding="utf-8")


if __name__ == "__main__":
    main()
