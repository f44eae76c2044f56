"""Measures Halftone beside Pillow, pyvips, sharp and pngquant on a folder of images; prints Markdown tables.

PNGs in a folder of their own inside it, such as `cut-outs` or `screenshots`, get rows of their own, named after the folder.

Each tool is one process that does what it is told. The processor time of that process, user and system, all threads, is read
from outside, from the same clock for all. For every image the tools take turns, round by round, and the fastest round counts:
what else the machine does hits all of them alike. Linux only.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

from PIL import Image

ROUNDS = 5
# A round repeats an image until it took this long, so that reading the line does not count.
ROUND_SECONDS = 0.02
QUALITY = 50
# The peers' qualities between which their bytes at our score are found.
LADDER = [20, 30, 40, 50, 60, 70, 80, 90]
WIDTH = 1600
# What takes this long is measured in fewer rounds.
SLOW_SECONDS, SLOW_ROUNDS = 0.5, 2
# Encoding AVIF takes seconds: larger pictures are left out.
AVIF_MAX_WIDTH = 1100
# Tools that only write PNGs.
PNG_ONLY = {"pngquant"}


class Task:
    """What is asked of the images of some kinds."""

    def __init__(self, name, kinds, options=None, widths=range(1 << 32), tools=()):
        self.name, self.kinds, self.options, self.widths, self.tools = name, kinds, options or {}, widths, tools
        self.results = {}

    def fits(self, kind, width):
        return kind in self.kinds and width in self.widths

    def takes(self, tool):
        return tool not in PNG_ONLY or tool in self.tools

    def each(self, what, tool):
        return [result[what][tool] for result in self.results.values()]


JPEG = ["baseline JPEG", "progressive JPEG"]
RESIZED = Task(f"JPEG to {WIDTH} pixels' width", JPEG, {"width": WIDTH}, widths=range(WIDTH + 1, 1 << 32))


def tasks(kinds):
    """What is done with images of these kinds."""
    pngs = sorted(kind for kind in kinds if kind.startswith("PNG"))
    kept = [Task(kind, [kind], tools=PNG_ONLY if kind in pngs else ()) for kind in [*JPEG, *pngs, "WebP"]]
    as_webp = [Task(f"{kind} to WebP", [kind], {"format": "webp"}) for kind in pngs]
    return [
        *kept,
        RESIZED,
        Task("JPEG to WebP", JPEG, {"format": "webp"}),
        *as_webp,
        Task("JPEG to AVIF", JPEG, {"format": "avif"}, widths=range(AVIF_MAX_WIDTH + 1)),
    ]


class Worker:
    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # The id of another process's clock, as clock_getcpuclockid(3) makes it.
        self.clock = (~self.process.pid) << 3 | 2
        # What its own processes have taken, where it has any.
        self.children = 0.0

    def ask(self, line):
        """The answer as a number; None if the tool cannot."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            sys.exit(f"{self.name} ended unexpectedly")
        if answer.startswith("error"):
            return None
        number, *children = map(float, answer.split())
        self.children = children[0] if children else 0.0
        return number

    def compress(self, source, output="", quality=QUALITY, **options):
        """The bytes of the output."""
        return self.ask(json.dumps({"source": str(source), "output": str(output), "quality": quality, **options}))

    def seconds(self, times, source, options):
        before = time.clock_gettime(self.clock) + self.children
        for _ in range(times):
            self.compress(source, **options)
        return (time.clock_gettime(self.clock) + self.children - before) / times

    def peak_mib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def look(data):
    """The kind of an image and its width; none for animations and what is no image."""
    if data.startswith(b"\x89PNG"):
        return ("" if b"acTL" in data[:200] else "PNG"), int.from_bytes(data[16:20])
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ("" if b"ANIM" in data[:200] else "WebP"), 0
    at = 2
    while data.startswith(b"\xff\xd8") and at + 9 <= len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if marker in (0xC0, 0xC1, 0xC2):
            return JPEG[marker == 0xC2], int.from_bytes(data[at + 7 : at + 9])
        at += 2 + length
    return "", 0


def readable(output):
    """The same picture in a format that the scorer reads."""
    with open(output, "rb") as file:
        if file.read(12)[4:] != b"ftypavif":
            return output
    png = output.with_suffix(".avif.png")
    with Image.open(output) as picture:
        picture.convert("RGBA").save(png, compress_level=1)
    return png


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def measure(task, path, workers, judge, folder):
    """What each tool made of an image; None if one of them cannot."""
    workers = {name: worker for name, worker in workers.items() if task.takes(name)}
    outputs = {name: folder / f"{name}-{path.name}" for name in workers}
    sizes = {name: worker.compress(path, outputs[name], **task.options) for name, worker in workers.items()}
    if None in sizes.values():
        return None
    best = {name: worker.seconds(1, path, task.options) for name, worker in workers.items()}
    times = {name: math.ceil(ROUND_SECONDS / max(seconds, 1e-6)) for name, seconds in best.items()}
    for _ in range(SLOW_ROUNDS if max(best.values()) > SLOW_SECONDS else ROUNDS):
        for name, worker in workers.items():
            best[name] = min(best[name], worker.seconds(times[name], path, task.options))
    scores = dict.fromkeys(workers) if task is RESIZED else {name: judge(path, outputs[name]) for name in workers}
    ours = next(iter(workers))
    equal = {name: bytes_at(scores[ours], path, workers[name], judge, folder, task) for name in workers if name != ours}
    return {"seconds": best, "bytes": sizes, "scores": scores, "equal": {ours: sizes[ours], **equal}}


def bytes_at(score, path, worker, judge, folder, task):
    """The bytes a tool needs for a score; None where it has no such qualities."""
    if score is None:
        return None

    def made(quality):
        size = worker.compress(path, folder / "ladder", quality, **task.options)
        return judge(path, folder / "ladder"), size

    return between(score, map(made, LADDER))


def between(score, points):
    """The bytes at a score, between two of these scores and bytes, the worst first; None if it is beyond them."""
    below = None
    for here in points:
        if None in here:
            return None
        if below and below[0] < score <= here[0]:
            share = (score - below[0]) / (here[0] - below[0])
            return below[1] * (here[1] / below[1]) ** share
        below = here
    return None


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def report(tasks, names):
    ours, *peers = names
    print("Processor time of each tool ÷ ours, geometric mean over the images:\n")
    rows = []
    for task in tasks:
        own = task.each("seconds", ours)
        row = [task.name, str(len(own)), f"{1000 * geometric_mean(own):.2f} ms"]
        for peer in peers:
            pairs = zip(task.each("seconds", peer), own) if task.takes(peer) else ()
            ratios = [a / b for a, b in pairs]
            row.append(f"{geometric_mean(ratios):.2f}×" if ratios else "")
        rows.append(row)
    table(["", "images", f"{ours}, an image", *peers], rows)

    print("Bytes, as a share of the source's, geometric mean; in brackets how many outputs are larger than their source:\n")
    rows = []
    for task in tasks:
        row = [task.name]
        for name in names:
            if not task.takes(name):
                row.append("")
                continue
            shares = [size / path.stat().st_size for size, path in zip(task.each("bytes", name), task.results)]
            row.append(f"{geometric_mean(shares):.3f} ({sum(share > 1 for share in shares)})")
        rows.append(row)
    table(["", *names], rows)

    print("SSIMULACRA2 against the source as a viewer shows both, median (100 is identical; a kept original counts as such):\n")
    rows = []
    for task in tasks:
        scored = [result["scores"] for result in task.results.values() if None not in result["scores"].values()]
        if scored:
            takes = [task.takes(name) for name in names]
            medians = [statistics.median(s[name] for s in scored) if can else None for name, can in zip(names, takes)]
            rows.append([task.name, str(len(scored)), *("" if m is None else f"{m:.1f}" for m in medians)])
    table(["", "images", *names], rows)

    print(f"Our bytes ÷ the bytes each tool needs for our score, found between its qualities from {LADDER[0]} to {LADDER[-1]},")
    print("geometric mean; in brackets for how many images (the others' score is beyond those qualities):\n")
    rows = []
    for task in tasks:
        row = [task.name]
        for peer in peers:
            found = task.each("equal", peer) if task.takes(peer) else []
            pairs = [pair for pair in zip(task.each("equal", ours), found) if pair[1]]
            row.append(f"{geometric_mean([a / b for a, b in pairs]):.2f} ({len(pairs)})" if pairs else "")
        if any(row[1:]):
            rows.append(row)
    table(["", *peers], rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("images", type=pathlib.Path)
    parser.add_argument("outputs", type=pathlib.Path)
    parser.add_argument("--score", required=True, help="the program that scores pictures")
    parser.add_argument("--tool", action="append", nargs=2, metavar=("NAME", "COMMAND"), help="ours first")
    arguments = parser.parse_args()
    commands = {name: command.split() for name, command in arguments.tool}

    files = sorted(path for path in arguments.images.rglob("*") if path.is_file())
    looks = {path: look(path.read_bytes()) for path in files}
    for path, (kind, width) in looks.items():
        if kind == "PNG" and path.parent != arguments.images:
            looks[path] = (f"PNG, {path.parent.name}", width)
    workers = {name: Worker(name, command) for name, command in commands.items()}
    scorer = Worker("score", [arguments.score])

    def judge(path, output):
        return scorer.ask(f"{path}\t{readable(output)}")

    used, left_out = set(), set()
    every = tasks({kind for kind, _ in looks.values()})
    for task in every:
        for path in (path for path in files if task.fits(*looks[path])):
            result = measure(task, path, workers, judge, arguments.outputs)
            if result:
                task.results[path] = result
                used.add(path)
                print(f"{task.name}: {path.name}", file=sys.stderr)
            else:
                left_out.add(path)
    for worker in [*workers.values(), scorer]:
        worker.end()

    print(f"{len(files)} sample images, {len(used)} of them measured: {len(left_out - used)} are not read by every tool, the others")
    print(f"are animations or of formats that are not compressed. Processor time is user and system, quality {QUALITY}.\n")
    report([task for task in every if task.results], list(commands))

    jpegs = [path for path in files if looks[path][0] in JPEG and path in used]
    if jpegs:
        largest = max(jpegs, key=lambda path: path.stat().st_size)
        commands = {name: command for name, command in commands.items() if name not in PNG_ONLY}
        row = []
        for name, command in commands.items():
            worker = Worker(name, command)
            worker.compress(largest)
            row.append(f"{worker.peak_mib():.0f} MiB")
            worker.end()
        print(f"Peak memory of a fresh process that compresses the largest JPEG ({os.path.getsize(largest) / 1e6:.1f} MB):\n")
        table(list(commands), [row])


if __name__ == "__main__":
    main()
