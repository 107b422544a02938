"""A local web server of files, whose connections can break."""

import contextlib
import http.server
import re
import threading


class Files(http.server.BaseHTTPRequestHandler):
    """Serves `server.files` with ranges; `server.break_after` cuts the next answer short."""

    def do_GET(self):  # noqa: N802 - the base class's name
        self.server.requests.append(self.headers.get("Range"))
        body = self.server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = int(re.findall(r"\d+", self.headers.get("Range", "0"))[0])
        if start and start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start and self.server.ranges else 200)
        body = body[start if self.server.ranges else 0 :]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut, self.server.break_after = self.server.break_after, None
        self.wfile.write(body[:cut])

    def log_message(self, *_):
        """Keep quiet."""


@contextlib.contextmanager
def serving():
    """Serve ``server.files``, path to bytes, at ``server.url``; `requests` are their ranges."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    server.files, server.requests, server.break_after, server.ranges = {}, [], None, True
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
