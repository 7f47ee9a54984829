#!/usr/bin/env python3
"""What training and sampling take on 1 to 64 cards: a calculation, from the figures of one card in a record of bench/gpu.py.

    bench/cost.py [--record results/speed/h100.json] [--price 3] [--check]

Writes the tables of docs/scaling.md, between its markers; with --check nothing is written, and the exit code is 1 where they
differ. The assumptions are constants here, and stand above the tables.
"""
import argparse
import dataclasses
import json
import pathlib
import re
import sys

import commands
import host

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/scaling.md"
MARKED = re.compile(r"(<!-- cost:begin -->\n).*?(<!-- cost:end -->)", re.S)
CARDS = [1, 2, 4, 8, 16, 32, 64]
CARDS_OF_MACHINE = 8
INSIDE = 300e9  # bytes/s of each card in a sum over the cards of one machine (NVLink)
BETWEEN = 200e9  # and over several machines, in which each card has a link of 400 Gb/s: half of what the eight together have
SAMPLES = 50_000


@dataclasses.dataclass(frozen=True)
class Network:
    """The U-Net of Ho et al. 2020, appendix B, and how they trained it."""
    name: str
    side: int
    multipliers: tuple
    steps: int
    batch: int
    parameters: int
    base: int = 128
    res_blocks: int = 2
    attention_side: int = 16
    colours: int = 3

    def layers(self):
        """(weights, multiplications of one image) of each, in the network's order."""
        embedding = 4 * self.base
        yield from self.dense(self.base, embedding)
        yield from self.dense(embedding, embedding)
        side, width = self.side, self.base
        yield from self.convolution(self.colours, width, side)
        skips = [width]
        for level, multiplier in enumerate(self.multipliers):
            for _ in range(self.res_blocks):
                yield from self.block(width, multiplier * self.base, side)
                width = multiplier * self.base
                skips.append(width)
            if level + 1 < len(self.multipliers):
                side //= 2
                yield from self.convolution(width, width, side)
                skips.append(width)
        yield from self.block(width, width, side, attention=True)
        yield from self.block(width, width, side, attention=False)
        for level, multiplier in reversed(list(enumerate(self.multipliers))):
            for _ in range(self.res_blocks + 1):
                yield from self.block(width + skips.pop(), multiplier * self.base, side)
                width = multiplier * self.base
            if level > 0:
                side *= 2
                yield from self.convolution(width, width, side)
        yield 2 * width, 0
        yield from self.convolution(width, self.colours, side)

    def block(self, width, wider, side, attention=None):
        """A residual block and what attention follows it: at its side, unless that is said."""
        yield 2 * width, 0  # group norm
        yield from self.convolution(width, wider, side)
        yield from self.dense(4 * self.base, wider)
        yield 2 * wider, 0
        yield from self.convolution(wider, wider, side)
        if width != wider:
            yield from self.convolution(width, wider, side, kernel=1)
        if side == self.attention_side if attention is None else attention:
            yield 2 * wider, 0
            for _ in range(4):  # queries, keys, values and what is made of them
                yield from self.convolution(wider, wider, side, kernel=1)
            yield 0, 2 * side**4 * wider

    @staticmethod
    def convolution(width, wider, side, kernel=3):
        yield kernel**2 * width * wider + wider, kernel**2 * width * wider * side**2

    @staticmethod
    def dense(width, wider):
        yield width * wider + wider, width * wider

    def forward_gflop(self):
        """Multiplications and additions of one image through the network."""
        weights = sum(layer[0] for layer in self.layers())
        if weights != self.parameters:
            raise commands.Failed(f"{self.name}: {weights} parameters are counted, and it has {self.parameters}")
        return 2 * sum(layer[1] for layer in self.layers()) / 1e9

    def depth(self):
        return sum(1 for layer in self.layers())


CIFAR10 = Network("CIFAR-10", 32, (1, 2, 2, 2), 800_000, 128, 35_746_307)
CELEBA_HQ = Network("CelebA-HQ 256", 256, (1, 1, 2, 2, 4, 4), 500_000, 64, 113_673_219)


class Card:
    """One card's times, of the record's figures for CIFAR-10's network."""

    def __init__(self, record):
        rows = {row["work"]: row for row in record["rows"] if row["precision"] == "bf16"}
        smaller, larger = (rows[f"training, batch {batch}, dropout 0.1"]["images_per_second"] for batch in (128, 256))
        self.image = (256 / larger - 128 / smaller) / 128
        self.fixed = 128 / smaller - 128 * self.image
        self.sampled = 1 / rows["sampling, 1000 steps, 512 at a time"]["images_per_second"]

    def step(self, network, images):
        """Seconds of a training step of so many images on one card: a part for each layer, and one for each operation."""
        return self.fixed * network.depth() / CIFAR10.depth() + images * self.image * self.work(network)

    def samples(self, network, count):
        return count * self.sampled * self.work(network)

    @staticmethod
    def work(network):
        """Of an image, in those of CIFAR-10's network."""
        return network.forward_gflop() / CIFAR10.forward_gflop()


def summing(network, cards):
    """Seconds of the sum of float32 gradients, by a ring."""
    pace = INSIDE if cards <= CARDS_OF_MACHINE else BETWEEN
    return 2 * (cards - 1) / cards * 4 * network.parameters / pace


def duration(seconds):
    hours = seconds / 3600
    return f"{hours:,.0f} h" if hours >= 10 else f"{hours:.1f} h" if hours >= 1 else f"{seconds / 60:.1f} min"


def table(network, card, price):
    lines = [f"{network.name}: {network.parameters / 1e6:.1f} million parameters, {network.forward_gflop():,.1f} GFLOP of an image forward; "
             f"{network.steps:,} steps of {network.batch}, and {SAMPLES:,} samples of 1,000 steps.", "",
             "| cards | images of each | a step | of it, the sum | training | gain | cost | samples | cost |",
             "|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    alone = card.step(network, network.batch)
    for cards in CARDS:
        images = -(-network.batch // cards)
        summed = summing(network, cards)
        step = card.step(network, images) + summed
        training, samples = step * network.steps, card.samples(network, SAMPLES) / cards
        costs = [f"{seconds / 3600 * cards * price:,.0f} $" for seconds in (training, samples)]
        lines.append(f"| {cards} | {images} | {1e3 * step:.1f} ms | {1e3 * summed:.1f} ms | {duration(training)} | {alone / step:.1f} | "
                     f"{costs[0]} | {duration(samples)} | {costs[1]} |")
    return "\n".join(lines) + "\n"


def text(record, price):
    card = Card(record)
    return (f"{record['card']}, bfloat16, `bench/gpu.py` at {record['commit']}; {price:g} $ for a card and hour. A step takes "
            f"{1e3 * card.fixed:.1f} ms and {1e3 * card.image:.3f} ms for each image of CIFAR-10's network. A sum passes {INSIDE / 1e9:.0f} GB/s "
            f"within a machine of {CARDS_OF_MACHINE} cards and {BETWEEN / 1e9:.0f} GB/s over several.\n\n"
            + "\n".join(table(network, card, price) for network in (CIFAR10, CELEBA_HQ)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", type=pathlib.Path, default=ROOT / "results/speed/h100.json")
    parser.add_argument("--price", type=float, default=3, help="dollars of a card and hour")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    page = PAGE.read_text()
    if len(MARKED.findall(page)) != 1:
        raise commands.Failed(f"{PAGE.name}: has not one place between <!-- cost:begin --> and <!-- cost:end -->")
    made = text(json.loads(options.record.read_text()), options.price)
    filled = MARKED.sub(lambda match: match[1] + made + match[2], page)
    if options.check:
        if filled != page:
            sys.exit(f"cost: {PAGE.name} differs from {options.record.name}")
    else:
        host.write_whole(PAGE, filled)


if __name__ == "__main__":
    commands.run_script("cost", main)
