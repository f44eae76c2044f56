"""Compresses PNGs with pngquant as a worker of `bench/peers`: the quality is the highest it may use.

Each image is a process of its own, whose processor time follows the number of bytes in the answer, added up so far.
"""

import json
import resource
import subprocess
import sys


def compress(data, quality, format="png"):
    if format != "png":
        raise ValueError("pngquant only writes PNGs")
    command = ["pngquant", "--quality", f"0-{quality}", "-"]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


for line in sys.stdin:
    task = json.loads(line)
    try:
        with open(task.pop("source"), "rb") as file:
            data = file.read()
        output = task.pop("output")
        result = compress(data, **task)
        if output:
            with open(output, "wb") as file:
                file.write(result)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(len(result), used.ru_utime + used.ru_stime, flush=True)
    except Exception as error:  # whatever a peer cannot do is reported, and left out of the tables
        print("error", str(error).replace("\n", " "), flush=True)
