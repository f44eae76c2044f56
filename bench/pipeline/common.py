"""Image hosts and catalogues for the benchmarks of the pipeline."""

import contextlib
import pathlib
import subprocess
import sys

# Last, since bench/csv.py must not be taken for the module of that name.
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))

HERE = pathlib.Path(__file__).resolve().parent


@contextlib.contextmanager
def origin(seconds, files):
    """The port of a host that answers after so many seconds."""
    process = subprocess.Popen([sys.executable, HERE / "origin.py", str(seconds), *files], stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def catalogue(port, count):
    rows = (f"{n},SKU{n},http://127.0.0.1:{port}/{n}.jpg\n" for n in range(count))
    return ("S. No,Product Name,Input Image Urls\n" + "".join(rows)).encode()


def photographs(directory):
    files = sorted(path for path in pathlib.Path(directory).iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))
    assert files, f"no JPEGs in {directory}"
    return files
