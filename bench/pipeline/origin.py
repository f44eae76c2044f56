#!/usr/bin/env python3
"""An image host on loopback that waits before each answer:  origin.py SECONDS [FILE…]

Serves the files in turns under any path, with connections kept open; prints its port.
"""

import asyncio
import pathlib
import sys

latency = float(sys.argv[1])
bodies = [pathlib.Path(name).read_bytes() for name in sys.argv[2:]]
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
answers = [(HEAD % len(body)).encode() + body for body in bodies]


async def answer(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            # The number in the path chooses the file: each image has bytes of its own, and the same each time.
            number = int(head.split(b" ", 2)[1].rpartition(b"/")[2].partition(b".")[0])
            if latency:
                await asyncio.sleep(latency)
            writer.write(answers[number % len(answers)])
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
