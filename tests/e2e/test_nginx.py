"""The nginx configuration that is deployed: what it lets in, what it passes on, and what it says itself."""

import re
import shutil
import socket
import ssl
from collections.abc import Generator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.core.database import utcnow
from deploy.cluster.application import NGINX_FOLDER, LoadBalancer
from deploy.cluster.ports import free_port
from deploy.cluster.servers import Nginx
from tests import factories, processes
from tests.e2e.balanced import API, in_front
from tests.e2e.stack import Caller
from tests.processes import ROOT
from tests.waiting import until_sync

pytestmark = [
    pytest.mark.skipif(not Nginx.find(), reason="nginx is not installed"),
]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Generator[processes.Server]:
    folder = tmp_path_factory.mktemp("app")
    env = processes.safe(f"sqlite:///{folder}/app.db", FORWARDED_ALLOW_IPS="127.0.0.1")
    with processes.server(folder, env) as server:
        yield server


def connect(nginx: LoadBalancer, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", nginx.port), timeout=60)
    connection.sendall(sent)
    return connection


def test_slow_clients_are_cut_and_greedy_ones_limited(app: processes.Server, tmp_path: Path) -> None:
    post = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"
    short = {f"client_{part}_timeout 10s;": f"client_{part}_timeout 1s;" for part in ("header", "body")}
    with in_front(tmp_path, app, **short) as nginx:
        for begun in (b"GET /health/live HTTP/1.1\r\nHost: x\r\n", post):
            with connect(nginx, begun) as connection, suppress(ConnectionResetError):
                assert connection.recv(1) == b""
    with in_front(tmp_path, app, **{"limit_conn clients 100;": "limit_conn clients 1;"}) as nginx:
        with connect(nginx, post), httpx2.Client(base_url=nginx.url) as client:
            refused = until_sync(lambda: over_the_limit(client))
            assert refused.json() == {"detail": "Too many requests, try again later"}
            assert refused.headers["Retry-After"] == "1"
            elsewhere = httpx2.Client(base_url=nginx.url, transport=httpx2.HTTPTransport(local_address="127.0.0.8"))
            with elsewhere:
                assert elsewhere.get("/health/live").status_code == 200
    assert "/auth/login" not in app.log.read_text()  # it had no part in it


def over_the_limit(client: httpx2.Client) -> httpx2.Response | None:
    answer = client.get("/health/live")
    return answer if answer.status_code == 429 else None


def test_what_nginx_says_and_what_it_passes_on(app: processes.Server, tmp_path: Path) -> None:
    with in_front(tmp_path, app) as nginx, httpx2.Client(base_url=nginx.url, timeout=60) as client:
        caller = Caller(client)
        forged = {"X-Forwarded-For": "203.0.113.7", "X-Request-ID": "my-id"}
        body = {"email": factories.email(), "password": factories.PASSWORD}
        assert client.post(f"{API}/auth/register", json=body).status_code == 201
        signed_in = client.post(f"{API}/auth/login", json=body, headers=forged)
        assert signed_in.headers["X-Request-ID"] == "my-id"
        bearer = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
        assert client.get(f"{API}/auth/sessions", headers=bearer).json()[0]["ip_address"] == "127.0.0.1"

        for made in (client.get("/metrics"), client.post(f"{API}/items", content=b" " * (1024 * 1024 + 1))):
            assert made.status_code in (404, 413)
            assert made.json().keys() == {"detail"}
            assert made.headers["Cache-Control"] == "no-store"
            assert made.headers["X-Content-Type-Options"] == "nosniff"
            assert re.fullmatch("[0-9a-f]{32}", made.headers["X-Request-ID"])
        answer = client.get("/health/live")
        assert [answer.headers.get_list(name) for name in ("X-Content-Type-Options", "Cache-Control")] == [
            ["nosniff"],
            ["no-store"],
        ]
        assert caller.titles() == []


OUTER = "127.0.0.2"  # what has TLS, and asks nginx without


@pytest.mark.parametrize("file", ["nginx", "compose"])
def test_who_is_in_front_says_the_clients_address_and_scheme_and_nobody_else(
    file: str, app: processes.Server, tmp_path: Path
) -> None:
    text = (ROOT / "deploy" / file / "listen.conf").read_text()
    behind = "\n".join(re.findall(r"^# ((?:set_real_ip_from|real_ip_\w+) .+;)$", text, re.MULTILINE))
    trusting = re.sub("set_real_ip_from .+;", f"set_real_ip_from {OUTER};", behind)
    with in_front(tmp_path, app, **{"include listen.conf;": f"include listen.conf; {trusting}"}) as nginx:
        said = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
        for peer, address, scheme in ((OUTER, "203.0.113.7", "https"), ("127.0.0.8", "127.0.0.8", "http")):
            transport = httpx2.HTTPTransport(local_address=peer)
            with httpx2.Client(base_url=nginx.url, timeout=60, headers=said, transport=transport) as client:
                Caller(client)
                for _ in range(2):
                    assert client.post(f"{API}/items", json={"title": "one of two"}).status_code == 201
                assert client.get(f"{API}/auth/sessions").json()[0]["ip_address"] == address
                assert client.get(f"{API}/items?limit=1").links["next"]["url"].startswith(f"{scheme}://")


def test_what_is_compressed_can_be_changed_all_the_same(app: processes.Server, tmp_path: Path) -> None:
    with in_front(tmp_path, app) as nginx, httpx2.Client(base_url=nginx.url, timeout=60) as client:
        Caller(client)
        made = client.post(f"{API}/items", json={"title": "long", "description": "x" * 5000}).json()
        seen = client.get(f"{API}/items/{made['id']}")
        assert seen.headers["Content-Encoding"] == "gzip"
        assert seen.headers["ETag"].startswith('W/"')
        client.headers["If-Match"] = seen.headers["ETag"]
        assert client.put(f"{API}/items/{made['id']}", json={"title": "changed"}).status_code == 200
        assert client.put(f"{API}/items/{made['id']}", json={"title": "late"}).status_code == 412


def test_static_files_are_compressed_and_kept(app: processes.Server, tmp_path: Path) -> None:
    with in_front(tmp_path, app) as nginx, httpx2.Client(base_url=nginx.url, timeout=60) as client:
        page = client.get("/docs").text
        for url in re.findall(r'(?:src|href)="(/static/[^"]+\.(?:js|css))"', page):
            file = client.get(url)
            assert file.headers["Content-Encoding"] == "gzip"
            assert file.headers.get_list("Cache-Control") == ["public, max-age=31536000, immutable"]
            assert client.get(url, headers={"If-None-Match": file.headers["ETag"]}).status_code == 304


def test_the_configuration_that_is_shipped_speaks_tls(tmp_path: Path, app: processes.Server) -> None:
    shutil.copytree(NGINX_FOLDER, tmp_path, dirs_exist_ok=True)
    certificate(tmp_path)
    tls, plain = free_port(), free_port()
    listen = (tmp_path / "listen.conf").read_text()
    assert re.findall("^access_log .*;$", listen, re.MULTILINE) == ["access_log /var/log/nginx/access.log app;"]
    for pattern, here in [
        ("/etc/letsencrypt/live/api.example.com/", f"{tmp_path}/"),
        ("/var/log/nginx/", f"{tmp_path}/"),
        (r"(?m)^listen \[::\].*\n", ""),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443 ", f"listen 127.0.0.1:{tls} "),
    ]:
        listen, count = re.subn(pattern, here, listen)
        assert count
    (tmp_path / "listen.conf").write_text(listen + TEMPORARY)
    port = app.url.rpartition(":")[2]
    (tmp_path / "upstream.conf").write_text(
        re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", (tmp_path / "upstream.conf").read_text())
    )
    nginx = Nginx(tmp_path)
    nginx.port = tls
    try:
        nginx.start()
        context = ssl.create_default_context(cafile=tmp_path / "fullchain.pem")
        address = {"Host": "api.example.com"}
        extensions = {"sni_hostname": "api.example.com"}
        with httpx2.Client(verify=context, timeout=60, headers=address) as client:
            answer = client.get(f"https://127.0.0.1:{tls}/health/ready", extensions=extensions)
            assert answer.json()["status"] == "ok"
            moved = client.get(f"http://127.0.0.1:{plain}/health/ready?a=b")
            assert (moved.status_code, moved.headers["Location"]) == (308, "https://api.example.com/health/ready?a=b")
        context.set_alpn_protocols(["h2"])
        with socket.create_connection(("127.0.0.1", tls), timeout=60) as raw:
            with context.wrap_socket(raw, server_hostname="api.example.com") as connection:
                assert (connection.version(), connection.selected_alpn_protocol()) == ("TLSv1.3", "h2")
    finally:
        nginx.kill()
    assert '"path":"/health/ready","status":200' in (tmp_path / "access.log").read_text()


TEMPORARY = "\n".join(f"{kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


def certificate(folder: Path) -> None:
    """fullchain.pem and privkey.pem, of our own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "api.example.com")])
    now = utcnow()
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("api.example.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "privkey.pem").write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
