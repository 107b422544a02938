"""The pages of a study on the local network: one link a person, every rating kept at once.

Nothing is fetched from elsewhere and nothing is sent there: the pages' content security policy
forbids it. All a link can read or write is its own person's.
"""

import contextlib
import json
import socket
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse, HTMLResponse, JSONResponse
from starlette.routing import Route

from infer.study.database import ConflictError
from infer.study.schema import PICTURES

_PAGE = Path(__file__).with_name("page")
_MOST_BYTES = 10_000
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_KEPT = _HEADERS | {"Cache-Control": "private, max-age=86400"}
_NO_LINK = (
    "<!DOCTYPE html><html lang=en><meta name=viewport content='width=device-width'>"
    "<title>Picture study</title><link rel=stylesheet href=/static/study.css>"
    "<main class=sheet><h1>This link is not known</h1><p>Please open the link that you were given, "
    "letter by letter. If it was that one, ask whoever gave it to you for another.</p></main>"
)


def application(study):
    """The web application of an open `infer.study.database.Database`."""

    async def page(request):
        if study.person_of(request.path_params.get("link", "")) is None:
            return HTMLResponse(_NO_LINK, 404, _HEADERS)
        return FileResponse(_PAGE / "index.html", headers=_HEADERS)

    async def static(request):
        file = _PAGE / request.path_params["file"]
        if file not in (_PAGE / "study.css", _PAGE / "study.js"):
            return HTMLResponse(_NO_LINK, 404, _HEADERS)
        return FileResponse(file, headers=_HEADERS)

    async def picture(request):
        name, person = request.path_params["picture"], study.person_of(request.path_params["link"])
        if person is None or not study.may_see(person, name):
            return HTMLResponse(_NO_LINK, 404, _HEADERS)
        file = study.folder / PICTURES / f"{name}.png"
        if not file.is_file():
            return _refusal(503, f"{file} is missing: was the study moved while it was served?")
        return FileResponse(file, headers=_KEPT)

    async def act(request):
        person = study.person_of(request.path_params["link"])
        if person is None:
            return _refusal(404, "this link is not known")
        try:
            asked = await _body(request)
            return JSONResponse(
                _act(study, person, request.path_params["action"], asked), headers=_HEADERS
            )
        except ConflictError as error:
            return _refusal(409, error)
        except ValueError as error:
            return _refusal(400, error)
        except OSError as error:
            return _refusal(503, f"{error.filename}: {error.strerror}")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/static/{file}", static),
            Route("/{link}", page),
            Route("/{link}/picture/{picture}", picture),
            Route("/{link}/{action}", act, methods=["POST"]),
        ]
    )


def _act(study, person, action, asked):
    """Do what a page asks for; returns the state that it is to show."""
    if action == "open":
        return study.open_window(person)
    window, position = asked.get("window"), asked.get("position")
    if action == "agree":
        study.agree(person, window)
    elif action == "screen":
        study.check_screen(person, window, asked.get("screen"))
    elif action == "rate":
        slot, score, elapsed_ms = (asked.get(name) for name in ("slot", "score", "elapsed_ms"))
        study.rate(person, window, position, slot, score, elapsed_ms)
        return {}
    elif action == "finish":
        study.finish(person, window, position, asked.get("elapsed_ms"))
    else:
        raise ValueError(f"an action is open, agree, screen, rate or finish, got {action!r}")
    return study.state(person)


def _refusal(status, error):
    return JSONResponse({"error": str(error)}, status, headers=_HEADERS)


async def _body(request):
    """The JSON object of a request."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > _MOST_BYTES:
            raise ValueError(f"a request has at most {_MOST_BYTES} bytes")
    asked = json.loads(data or b"{}")
    if not isinstance(asked, dict):
        raise ValueError("a request is a JSON object")
    return asked


def serve(study, host, port, report):
    """Serve a study until it is interrupted.

    Args:
        study: An open `infer.study.database.Database`.
        host: Address to listen on; 0.0.0.0 is all of this machine.
        port: 0 takes any free one.
        report: Called with the lines that tell the links.

    Raises:
        ValueError: There is no such port.
        OSError: The port is taken, or is not allowed.
    """
    if not 0 <= port < 2**16:
        raise ValueError(f"a port is in 0..65535, got {port}")
    try:
        listening = socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise OSError(
            f"cannot listen on {host}, port {port} ({error.strerror}); another --port may be free"
        ) from error
    shown = _own_address() if host == "0.0.0.0" else host
    for line in links(study, f"http://{shown}:{listening.getsockname()[1]}"):
        report(line)
    config = uvicorn.Config(
        application(study), log_level="warning", access_log=False, server_header=False
    )
    with contextlib.closing(listening):
        uvicorn.Server(config).run(sockets=[listening])


def links(study, address):
    """Lines with everybody's link and how far they are."""
    people = study.people()
    yield f"{len(people)} links, one a person; stop with Ctrl+C and serve again to go on"
    for person, link, _, _, done, total in people:
        how_far = "done" if done == total else f"{done} of {total}" if done else ""
        yield f"{person + 1:4}  {address}/{link}  {how_far}".rstrip()


def _own_address():
    """This machine's address on the local network; connecting a UDP socket sends nothing."""
    with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]
    return "127.0.0.1"
