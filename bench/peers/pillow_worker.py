"""Compresses files with Pillow as a worker of `bench/peers`: the usual calls."""

import io
import json
import sys

from PIL import Image


def compress(data, quality, width=0, format=""):
    image = Image.open(io.BytesIO(data))
    kind = format.upper() or image.format
    options = {"quality": quality}
    if kind == "JPEG":
        options["icc_profile"] = image.info.get("icc_profile")
    if width:
        # A thumbnail lets the decoder scale by powers of two first, which is Pillow's fastest way.
        image.thumbnail((width, image.height), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


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
        print(len(result), flush=True)
    except Exception as error:  # whatever a peer cannot do is reported, and left out of the tables
        print("error", str(error).replace("\n", " "), flush=True)
