"""A proxy before a storage's server that harms chosen answers, as networks and buckets do."""

import contextlib
import http.client
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_ERROR = "<Error><Code>{code}</Code><Message>a test says so</Message></Error>"


@dataclass
class Answer:
    """What the server answered, to be harmed before it goes on."""

    status: int
    headers: dict
    body: bytes
    sent: int | None = None  # bytes of the body after which the connection is cut


@dataclass
class Fault:
    """Harms the answers to some requests, ``times`` times after the first ``skip``."""

    method: str
    key: str
    before: object = None
    after: object = None
    times: int = 1
    skip: int = 0
    hits: int = 0

    def applies(self, method, path):
        if method != self.method or not re.search(self.key, path):
            return False
        self.hits += 1
        return self.skip < self.hits <= self.skip + self.times


@dataclass
class Proxy:
    """Passes requests on; ``served`` counts whole answers by method and path."""

    upstream: str
    faults: list = field(default_factory=list)
    served: Counter = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def harm(self, method, key, **fault):
        self.faults.append(Fault(method, key, **fault))
        return self.faults[-1]

    def heal(self):
        self.faults.clear()

    def applying(self, method, path):
        with self.lock:
            return [fault for fault in self.faults if fault.applies(method, path)]

    def fetch(self, method, path, headers, body=b""):
        place = urlsplit(self.upstream)
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            kept = {name: text for name, text in response.getheaders() if name not in _OWN}
            if response.getheader("Transfer-Encoding"):
                kept["Content-Length"] = len(came := response.read())
                return Answer(response.status, kept, came)
            return Answer(response.status, kept, response.read())


_OWN = ("Connection", "Transfer-Encoding", "Server", "Date")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _pass_on(self):
        proxy, method = self.server.proxy, self.command
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        faults = proxy.applying(method, self.path)
        for fault in faults:
            if fault.before:
                fault.before()
        answer = proxy.fetch(method, self.path, dict(self.headers), body)
        for fault in faults:
            if fault.after:
                fault.after(answer)
        with contextlib.suppress(ConnectionError):
            self._send(answer, with_body=method != "HEAD")
        if answer.sent is None:
            proxy.served[method, urlsplit(self.path).path] += 1

    def _send(self, answer, *, with_body):
        self.send_response_only(answer.status)
        for name, text in answer.headers.items():
            self.send_header(name, text)
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body[: answer.sent])
        if answer.sent is not None:
            self.wfile.flush()
            self.close_connection = True

    def log_message(self, *_):
        pass


for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
    setattr(_Handler, f"do_{method}", _Handler._pass_on)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that was killed


@contextlib.contextmanager
def proxy_before(upstream, kind=Proxy):
    """Yield a proxy before ``upstream`` on a port of its own."""
    proxy = kind(upstream)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.proxy = proxy
        proxy.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


def cut(after):
    """Close the connection after so many bytes of the body."""

    def harm(answer):
        answer.sent = min(after, max(0, len(answer.body) - 1))

    return harm


def refuse(status, code):
    """Answer with an error instead."""

    def harm(answer):
        answer.status = status
        answer.body = _ERROR.format(code=code).encode()
        answer.headers = {"Content-Type": "application/xml", "Content-Length": len(answer.body)}

    return harm


def delay(seconds):
    return lambda _answer: time.sleep(seconds)


def claim_length(difference):
    """Give a Content-Length that the body does not have, and close."""

    def harm(answer):
        answer.headers["Content-Length"] = max(0, len(answer.body) + difference)
        answer.sent = len(answer.body)

    return harm


def shorten(by):
    """Send less, and a Content-Length that agrees with it."""

    def harm(answer):
        answer.body = answer.body[: max(0, len(answer.body) - by)]
        answer.headers["Content-Length"] = len(answer.body)

    return harm


def flip_any(chance):
    """Turn one bit of each body."""

    def harm(answer):
        body = bytearray(answer.body)
        body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        answer.body = bytes(body)

    return harm


def claim_etag(etag):
    def harm(answer):
        answer.headers["ETag"] = f'"{etag}"'

    return harm
