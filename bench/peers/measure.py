"""Measures Halftone beside Pillow, pyvips and sharp on a folder of images; prints Markdown tables.

Each tool is one process that compresses what it is told to. The processor time of that process, user and system, all threads,
is read from outside, from the same clock for all. For every image the tools take turns, round by round, and the fastest
round counts: what else the machine does hits all of them alike. Linux only.
"""

import argparse
import math
import os
import pathlib
import subprocess
import sys
import time

ROUNDS = 5
# A round repeats an image until it took this long, so that reading the line does not count.
ROUND_SECONDS = 0.02
KINDS = ["baseline JPEG", "progressive JPEG", "PNG", "WebP"]


class Worker:
    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # The id of another process's clock, as clock_getcpuclockid(3) makes it.
        self.clock = (~self.process.pid) << 3 | 2

    def ask(self, source, other=""):
        """The answer as a number; None if the tool cannot."""
        self.process.stdin.write(f"{source}\t{other}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            sys.exit(f"{self.name} ended unexpectedly")
        return None if answer.startswith("error") else float(answer)

    def seconds(self, source, times):
        before = time.clock_gettime(self.clock)
        for _ in range(times):
            self.ask(source)
        return (time.clock_gettime(self.clock) - before) / times

    def peak_mib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def kind_of(data):
    """One of KINDS, or None."""
    if data.startswith(b"\x89PNG"):
        return None if b"acTL" in data[:200] else "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return None if b"ANIM" in data[:200] else "WebP"
    if not data.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 4 <= len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if marker in (0xC0, 0xC1):
            return "baseline JPEG"
        if marker == 0xC2:
            return "progressive JPEG"
        at += 2 + length
    return None


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("images", type=pathlib.Path)
    parser.add_argument("outputs", type=pathlib.Path)
    parser.add_argument("--score", required=True, help="the program that scores pictures")
    parser.add_argument("--tool", action="append", nargs=2, metavar=("NAME", "COMMAND"), help="ours first")
    arguments = parser.parse_args()
    commands = {name: command.split() for name, command in arguments.tool}
    ours, *peers = commands

    files = sorted(path for path in arguments.images.iterdir() if path.is_file())
    groups = {kind: [] for kind in KINDS}
    for path in files:
        kind = kind_of(path.read_bytes())
        if kind:
            groups[kind].append(path)

    workers = {name: Worker(name, command) for name, command in commands.items()}
    judge = Worker("score", [arguments.score])
    results = {}
    left_out = 0
    for kind in KINDS:
        kept = []
        for path in groups[kind]:
            outputs = {name: arguments.outputs / f"{name}-{path.name}" for name in workers}
            sizes = {name: worker.ask(path, outputs[name]) for name, worker in workers.items()}
            if None in sizes.values():
                left_out += 1
                continue
            times = {}
            for name, worker in workers.items():
                times[name] = max(1, math.ceil(ROUND_SECONDS / max(worker.seconds(path, 1), 1e-6)))
            best = dict.fromkeys(workers, math.inf)
            for _ in range(ROUNDS):
                for name, worker in workers.items():
                    best[name] = min(best[name], worker.seconds(path, times[name]))
            scores = {name: judge.ask(path, outputs[name]) for name in workers}
            results[path] = {"seconds": best, "bytes": sizes, "scores": scores}
            kept.append(path)
            print(f"{kind}: {path.name}", file=sys.stderr)
        groups[kind] = kept
    for worker in workers.values():
        worker.end()
    judge.end()

    used = sum(map(len, groups.values()))
    print(f"{len(files)} sample images, {used} of them measured: {left_out} are not read by every tool, the others are")
    print("animations or of formats that are not compressed. Processor time is user and system, quality 50.\n")

    def each(kind, what, name):
        return [results[path][what][name] for path in groups[kind]]

    print("Processor time of each tool ÷ ours, geometric mean over the images:\n")
    rows = []
    for kind in KINDS:
        if groups[kind]:
            own = each(kind, "seconds", ours)
            row = [kind, str(len(own)), f"{1000 * geometric_mean(own):.2f} ms"]
            for peer in peers:
                row.append(f"{geometric_mean([a / b for a, b in zip(each(kind, 'seconds', peer), own)]):.2f}×")
            rows.append(row)
    table(["", "images", f"{ours}, an image", *peers], rows)

    print("Bytes, as a share of the source's, geometric mean; in brackets how many outputs are larger than their source:\n")
    rows = []
    for kind in KINDS:
        if groups[kind]:
            row = [kind]
            for name in commands:
                shares = [size / path.stat().st_size for size, path in zip(each(kind, "bytes", name), groups[kind])]
                row.append(f"{geometric_mean(shares):.3f} ({sum(share > 1 for share in shares)})")
            rows.append(row)
    table(["", *commands], rows)

    print("SSIMULACRA2 against the source, mean (100 is identical; a kept original counts as such):\n")
    rows = []
    for kind in KINDS:
        scored = [path for path in groups[kind] if None not in results[path]["scores"].values()]
        if scored:
            row = [kind, str(len(scored))]
            for name in commands:
                row.append(f"{sum(results[path]['scores'][name] for path in scored) / len(scored):.1f}")
            rows.append(row)
    table(["", "images", *commands], rows)

    largest = max((path for kind in KINDS[:2] for path in groups[kind]), key=lambda path: path.stat().st_size, default=None)
    if largest:
        row = []
        for name, command in commands.items():
            worker = Worker(name, command)
            worker.ask(largest)
            row.append(f"{worker.peak_mib():.0f} MiB")
            worker.end()
        print(f"Peak memory of a fresh process that compresses the largest JPEG ({os.path.getsize(largest) / 1e6:.1f} MB):\n")
        table(list(commands), [row])


if __name__ == "__main__":
    main()
