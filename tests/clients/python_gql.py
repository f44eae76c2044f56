import asyncio
import json
import sys

from gql import Client, FileVar, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.websockets import WebsocketsTransport

UPLOAD = """mutation ($file: Upload!) {
    uploadCsv(input: {file: $file}) { processingRequest { id } userErrors { message } }
}"""
WATCH = "subscription ($id: ID!) { requestUpdated(id: $id) { status progress { percent } } }"
RESULT = "query ($id: ID!) { processingRequest(id: $id) { status outputCsvUrl progress { total succeeded } } }"


async def run(url, path, on_progress):
    http = AIOHTTPTransport(url, headers={"GraphQL-Preflight": "1"})
    async with Client(transport=http) as session:
        request = gql(UPLOAD)
        request.variable_values = {"file": FileVar(path, content_type="text/csv")}
        answer = await session.execute(request, upload_files=True)
        id = answer["uploadCsv"]["processingRequest"]["id"]

    # The protocol has to be named: the transport's own default is an older one.
    protocols = [WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL]
    socket = WebsocketsTransport(url.replace("http", "ws", 1), subprotocols=protocols)
    async with Client(transport=socket) as session:
        request = gql(WATCH)
        request.variable_values = {"id": id}
        async for update in session.subscribe(request):
            on_progress(update["requestUpdated"]["progress"]["percent"])

    async with Client(transport=AIOHTTPTransport(url)) as session:
        request = gql(RESULT)
        request.variable_values = {"id": id}
        return (await session.execute(request))["processingRequest"]


if __name__ == "__main__":
    percents = []
    result = asyncio.run(run(sys.argv[1], sys.argv[2], percents.append))
    print(json.dumps({"result": result, "percents": percents}))
