#!/usr/bin/env python3
"""Measures what a catalogue costs the second time:  bench/pipeline/again.py DIR [PROGRAM] [COUNT]

COUNT (2,000) images that are all different, made of the JPEGs of DIR by a comment in each, come from a host on loopback that
gives them entity tags. They are uploaded, uploaded again, and run again. CPU is the user and system time of Halftone and of
all processes of its PostgreSQL, without that of the host. Linux only.
"""

import asyncio
import collections
import pathlib
import sys
import threading
import time

from common import catalogue, photographs

from service import ROOT, cpu, serve, temporary_directory

RERUN = "mutation ($id: ID!) { rerunProcessingRequest(input: {id: $id}) { userErrors { message } } }"
SAVINGS = """query ($id: ID!) { processingRequest(id: $id) { run { savings {
    compressed keptOriginal unchanged reused avoidedDownloads } } } }"""


class Origin:
    """A host that gives entity tags, in a thread of its own."""

    def __init__(self, files):
        self.bodies = [file.read_bytes() for file in files]
        self.answers = collections.Counter()
        self.port = None
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.run(ready)), daemon=True).start()
        ready.wait()

    async def run(self, ready):
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    async def answer(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                number = int(head.split(b" ", 2)[1].rpartition(b"/")[2].partition(b".")[0])
                tag = b'"%d"' % number
                if b"if-none-match: " + tag in head.lower():
                    self.answers[304] += 1
                    writer.write(b"HTTP/1.1 304 Not Modified\r\nETag: " + tag + b"\r\n\r\n")
                else:
                    self.answers[200] += 1
                    body = self.bodies[number % len(self.bodies)]
                    comment = b"%08d" % number
                    body = body[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + body[2:]
                    writer.write(b"HTTP/1.1 200 OK\r\nETag: %s\r\nContent-Length: %d\r\n\r\n" % (tag, len(body)) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def main():
    halftone = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "target/dist/halftone"
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 2_000
    origin = Origin(photographs(sys.argv[1]))
    sheet = catalogue(origin.port, count)
    with temporary_directory() as directory, serve(halftone, directory, "--allow-net", "127.0.0.0/8") as service:

        def measured(what, begin):
            origin.answers.clear()
            ours, theirs, began = cpu(service.pid), service.database_cpu(), time.monotonic()
            request = begin()
            progress = service.finished(request)
            seconds = time.monotonic() - began
            ours, theirs = cpu(service.pid) - ours, service.database_cpu() - theirs
            assert progress["succeeded"] == count, progress
            savings = service.query(SAVINGS, id=request)["processingRequest"]["run"]["savings"]
            print(f"| {what} | {seconds:.1f} s | {ours + theirs:.1f} s ({theirs:.1f} s of it PostgreSQL's) | {dict(origin.answers)} | {savings} |", flush=True)
            return request, ours + theirs

        def rerun(request):
            service.query(RERUN, id=request)
            return request

        first, cost = measured("uploaded", lambda: service.upload(sheet)[0])
        _, again = measured("uploaded again", lambda: service.upload(sheet)[0])
        _, once_more = measured("run again", lambda: rerun(first))
        print(f"The second upload took {100 * again / cost:.1f} % of the first one's CPU, the rerun {100 * once_more / cost:.1f} %.")


main()
