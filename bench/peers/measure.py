"""Measures Halftone beside Pillow, pyvips and sharp on a folder of images; prints Markdown tables.

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

ROUNDS = 5
# A round repeats an image until it took this long, so that reading the line does not count.
ROUND_SECONDS = 0.02
QUALITY = 50
# The peers' qualities between which their bytes at our score are found.
LADDER = [20, 30, 40, 50, 60, 70, 80, 90]
WIDTH = 1600


class Task:
    """What is asked of the images of some kinds."""

    def __init__(self, name, kinds, options=None, wider_than=0):
        self.name, self.kinds, self.options, self.wider_than = name, kinds, options or {}, wider_than
        self.results = {}

    def fits(self, kind, width):
        return kind in self.kinds and width > self.wider_than

    def each(self, what, tool):
        return [result[what][tool] for result in self.results.values()]


JPEG = ["baseline JPEG", "progressive JPEG"]
KEPT = [Task(kind, [kind]) for kind in [*JPEG, "PNG", "WebP"]]
RESIZED = Task(f"JPEG to {WIDTH} pixels' width", JPEG, {"width": WIDTH}, wider_than=WIDTH)
CONVERTED = Task("JPEG to WebP", JPEG, {"format": "webp"})


class Worker:
    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # The id of another process's clock, as clock_getcpuclockid(3) makes it.
        self.clock = (~self.process.pid) << 3 | 2

    def ask(self, line):
        """The answer as a number; None if the tool cannot."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            sys.exit(f"{self.name} ended unexpectedly")
        return None if answer.startswith("error") else float(answer)

    def compress(self, source, output="", quality=QUALITY, **options):
        """The bytes of the output."""
        return self.ask(json.dumps({"source": str(source), "output": str(output), "quality": quality, **options}))

    def seconds(self, times, source, options):
        before = time.clock_gettime(self.clock)
        for _ in range(times):
            self.compress(source, **options)
        return (time.clock_gettime(self.clock) - before) / times

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


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def measure(task, path, workers, judge, folder):
    """What each tool made of an image; None if one of them cannot."""
    outputs = {name: folder / f"{name}-{path.name}" for name in workers}
    sizes = {name: worker.compress(path, outputs[name], **task.options) for name, worker in workers.items()}
    if None in sizes.values():
        return None
    times, best = {}, dict.fromkeys(workers, math.inf)
    for name, worker in workers.items():
        times[name] = math.ceil(ROUND_SECONDS / max(worker.seconds(1, path, task.options), 1e-6))
    for _ in range(ROUNDS):
        for name, worker in workers.items():
            best[name] = min(best[name], worker.seconds(times[name], path, task.options))
    scores = dict.fromkeys(workers) if task is RESIZED else {name: judge(path, outputs[name]) for name in workers}
    ours = next(iter(workers))
    equal = {name: bytes_at(scores[ours], path, workers[name], judge, folder, task) for name in workers if name != ours}
    return {"seconds": best, "bytes": sizes, "scores": scores, "equal": {ours: sizes[ours], **equal}}


def bytes_at(score, path, worker, judge, folder, task):
    """The bytes a tool needs for a score, between two of its qualities; None where it has no such qualities."""
    if score is None:
        return None
    below = None
    for quality in LADDER:
        output = folder / "ladder"
        size = worker.compress(path, output, quality, **task.options)
        here = (judge(path, output), size)
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
        ratios = [geometric_mean([a / b for a, b in zip(task.each("seconds", peer), own)]) for peer in peers]
        rows.append([task.name, str(len(own)), f"{1000 * geometric_mean(own):.2f} ms", *(f"{ratio:.2f}×" for ratio in ratios)])
    table(["", "images", f"{ours}, an image", *peers], rows)

    print("Bytes, as a share of the source's, geometric mean; in brackets how many outputs are larger than their source:\n")
    rows = []
    for task in tasks:
        row = [task.name]
        for name in names:
            shares = [size / path.stat().st_size for size, path in zip(task.each("bytes", name), task.results)]
            row.append(f"{geometric_mean(shares):.3f} ({sum(share > 1 for share in shares)})")
        rows.append(row)
    table(["", *names], rows)

    print("SSIMULACRA2 against the source as a viewer shows both, median (100 is identical; a kept original counts as such):\n")
    rows = []
    for task in tasks:
        scored = [result["scores"] for result in task.results.values() if None not in result["scores"].values()]
        if scored:
            medians = [statistics.median(scores[name] for scores in scored) for name in names]
            rows.append([task.name, str(len(scored)), *(f"{median:.1f}" for median in medians)])
    table(["", "images", *names], rows)

    print(f"Our bytes ÷ the bytes each tool needs for our score, found between its qualities from {LADDER[0]} to {LADDER[-1]},")
    print("geometric mean; in brackets of how many images (the others' score lies beyond those qualities):\n")
    rows = []
    for task in tasks:
        row = [task.name]
        for peer in peers:
            pairs = [pair for pair in zip(task.each("equal", ours), task.each("equal", peer)) if pair[1]]
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

    files = sorted(path for path in arguments.images.iterdir() if path.is_file())
    looks = {path: look(path.read_bytes()) for path in files}
    workers = {name: Worker(name, command) for name, command in commands.items()}
    scorer = Worker("score", [arguments.score])

    def judge(path, output):
        return scorer.ask(f"{path}\t{output}")

    used, left_out = set(), set()
    for task in [*KEPT, RESIZED, CONVERTED]:
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
    report([task for task in [*KEPT, RESIZED, CONVERTED] if task.results], list(commands))

    jpegs = [path for path in files if looks[path][0] in JPEG and path in used]
    if jpegs:
        largest = max(jpegs, key=lambda path: path.stat().st_size)
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
