"""A proxy that calls the server from an address of its own."""

from pathlib import Path

from deploy.cluster.servers import Nginx


class Proxy(Nginx):
    def __init__(self, folder: Path, upstream: str, address: str) -> None:
        super().__init__(folder)
        self.upstream = upstream
        self.address = address

    def prepare(self) -> None:
        (self.folder / "nginx.conf").write_text(NGINX_CONF % vars(self))


NGINX_CONF = """
master_process off;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen 127.0.0.1:%(port)s;
        location / {
            proxy_pass %(upstream)s;
            proxy_bind %(address)s;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }
    }
}
"""
