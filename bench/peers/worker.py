"""What the workers of `bench/peers` have in common: a task a line, and a line for each answer."""

import json
import sys


def serve(compress, beside=lambda: []):
    """Answers each task with the number of bytes that `compress` returns, and what `beside` returns after it."""
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
            print(len(result), *beside(), flush=True)
        except Exception as error:  # whatever a peer cannot do is reported, and left out of the tables
            print("error", str(error).replace("\n", " "), flush=True)
